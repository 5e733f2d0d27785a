"""People of a sandbox as the tests look at them.

What lives here: reading everyone, and a message for somebody. What does not: any expectation.
"""

from __future__ import annotations

from typing import Any

from leadpipe.sandbox.state import AcceptedMessage

FOUR_HUNDRED = {"aged": 400}


def people_of(sandbox: Any) -> list[dict[str, Any]]:
    return [
        row for page in sandbox.fub().pages("people", {"fields": "allFields", "includeTrash": "true"}) for row in page
    ]


def accept(sandbox: Any, lead: dict[str, Any], *, channel: str = "email", plan: str = "new_lead") -> None:
    """A message for somebody, as a provider would accept it."""
    world = sandbox.world
    to = lead["emails"][0] if channel == "email" else lead["phones"][0]
    message = AcceptedMessage(
        provider="ses" if channel == "email" else "twilio", channel=channel, to=to, from_="us", body="Hi",
        subject="Homes",
        accepted_at=world.sandbox.now(), accepted_wall_at=world.sandbox.wall(), plan=plan, provider_id="0100-1",
        reply_to="reply+m-1@in.demo-realty.example",
        headers={"List-Unsubscribe": f"<{sandbox.config.gateway_url}/u/token>"},
    )  # fmt: skip

    async def take() -> None:
        world.sandbox.accept(message)

    sandbox.board.run(take())
