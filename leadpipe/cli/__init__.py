"""The `leadpipe` command and the supervisor."""
