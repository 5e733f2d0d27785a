"""What an agent notes of a lead's wish: refusals are found, appointments and homes are none."""

from __future__ import annotations

import pytest

from leadpipe.conversation.noted import refusal_in, tag_scope, tags_known
from leadpipe.settings import Settings


@pytest.mark.parametrize(
    ("note", "scope"),
    [
        ("Asked to be removed from our list", "all"),
        ("Spoke w/ Ana, she wants to be taken off.", "all"),
        ("DNC", "all"),
        ("per client: DNC!!", "all"),
        ("Do not contact", "all"),
        ("DO NOT CALL this lead again", "phone"),
        ("don't text him", "phone"),
        ("Said to stop calling", "phone"),
        ("He told me to stop emailing him", "email"),
        ("She asked us to stop sending messages", "all"),
        ("Client requested no further contact", "all"),
        ("Doesn't want to be contacted anymore", "all"),
        ("does not want any more emails", "email"),
        ("doesn't want to hear from us", "all"),
        ("Opted out over the phone", "phone"),
        ("unsubscribed", "all"),
        ("Please remove from drip campaign", "all"),
        ("wants off our mailing list", "email"),
        ("Wants her number removed", "phone"),
        ("Left message 3/1. Called back today, said never call again.", "phone"),
        ("Met at open house. Nice couple.\nShe asked not to be texted.", "phone"),
        ("<p>Lead said: <b>no more texts</b></p>", "phone"),
        ("Revoked consent", "all"),
        ("leave her alone", "all"),
        ('His words: "take me off your list please"', "all"),
        ("No llamar", "phone"),
        ("Pidió que no la llamemos más", "phone"),
        ("no quiere más mensajes", "all"),
        ("Dar de baja", "all"),
        ("Dijo que dejemos de escribirle", "all"),
    ],
)
def test_a_noted_refusal_is_found_with_its_reach(note: str, scope: str) -> None:
    assert refusal_in(note) == scope


@pytest.mark.parametrize(
    "note",
    [
        "Do not call before 5pm",
        "don't call until Monday",
        "Don't text her while she is at work",
        "prefers no calls on weekends",
        "Please don't contact the seller yet",
        "If she wants to unsubscribe, send her the link",
        "DNC check clear",
        "not on DNC",
        "She did not ask to be removed",
        "Doesn't want to opt out of the HOA",
        "Wants to stop by Saturday",
        "Asked to stop by the listing",
        "Off market homes only, wants off-market deals",
        "Wants the pool removed",
        "Texted her the list, she loved it",
        "Not interested in condos",
        "Called twice, no answer",
        "Send email with listings",
        "Her agent called; they want to remove the inspection contingency",
        "* Body is hidden for privacy reasons *",
        "",
        "Opted back in to texts",
        "No llamar antes de las 5",
        "Quiere que la llamemos el lunes",
        "No quiere alberca",
    ],
)
def test_an_appointment_a_condition_or_a_home_is_no_refusal(note: str) -> None:
    assert refusal_in(note) is None


@pytest.mark.parametrize(
    ("tag", "scope"),
    [
        ("Do Not Contact", "all"),
        ("do-not-contact", "all"),
        ("DNC", "all"),
        ("Do Not Call", "phone"),
        ("No Texts", "phone"),
        ("Do Not Email", "email"),
        ("Unsubscribed", "all"),
        ("opted out", "all"),
        ("Contacted", None),
        ("leadpipe opt-out", None),
        ("Email", None),
    ],
)
def test_a_tag_of_the_team_is_known_whatever_its_case_and_marks(
    settings: Settings, tag: str, scope: str | None
) -> None:
    assert tag_scope(tag, tags_known(settings.optout_tags)) == scope
