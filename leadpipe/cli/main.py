"""The ``leadpipe`` command: every subcommand gathered.

What lives here: which commands exist and how an error of ours reads on stderr. What does not: what a command does
(one module a noun beside this one, heavy imports inside its functions).
"""

from __future__ import annotations

from typing import Annotated

import typer

from leadpipe.cli import (
    audit,
    backup,
    chaos,
    classify,
    consents,
    conversation,
    demo,
    doctor,
    down,
    explain,
    fairness,
    gateway,
    inbox,
    messages,
    model,
    numbers,
    person,
    policy,
    replay,
    retention,
    sandbox,
    send_worker,
    sending,
    simulate,
    sql,
    up,
    webhooks,
)

app = typer.Typer(
    name="leadpipe",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"leadpipe {version('leadpipe')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Answers every new real-estate lead within minutes, revives the aged ones, and says why each message went."""
    del version  # its callback has already answered


app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("down")(down.down)
app.command("doctor")(doctor.doctor)
app.add_typer(model.app, name="model")
app.command("sql")(sql.sql)
app.command("gateway")(gateway.gateway)
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(inbox.app, name="inbox")
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(messages.app, name="messages")
app.add_typer(policy.app, name="policy")
app.add_typer(numbers.app, name="numbers")
app.add_typer(consents.app, name="consents")
app.add_typer(sending.app, name="sending")
app.add_typer(fairness.app, name="fairness")
app.command("explain")(explain.explain)
app.command("replay")(replay.replay)
app.command("simulate")(simulate.simulate)
app.command("classify")(classify.classify)
app.add_typer(conversation.app, name="conversation")
app.add_typer(person.app, name="person")
app.add_typer(retention.app, name="retention")
app.add_typer(audit.app, name="audit")
app.command("send-worker")(send_worker.send_worker)
app.command("chaos")(chaos.chaos)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)


if __name__ == "__main__":
    app()
