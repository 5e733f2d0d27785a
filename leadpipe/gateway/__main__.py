"""``python -m leadpipe.gateway``: the gateway alone, as ``leadpipe gateway`` runs it."""

from leadpipe.cli.gateway import main

if __name__ == "__main__":
    main()
