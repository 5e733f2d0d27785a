"""What the doctor says of Follow Up Boss, Twilio, Amazon and the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from leadpipe.cli import checks_crm, checks_senders, checks_twilio
from leadpipe.cli.finding import Finding
from leadpipe.crm import custom_fields, webhooks
from leadpipe.messaging import content_template
from leadpipe.runtime import Runtime
from leadpipe.sandbox.control import SandboxControl
from leadpipe.settings import Settings
from tests.cli.doctoring import assert_wrong, changed, diagnose, the_one

# Follow Up Boss


@pytest.mark.parametrize(
    ("key", "says"),
    [("", "LEADPIPE_FUB_API_KEY is not set"), ("fka_wrong", "refuses LEADPIPE_FUB_API_KEY"),
     ("fka_sandbox_agent", "belongs to")],
)  # fmt: skip
def test_a_fub_key_that_is_missing_wrong_or_not_the_owners_is_told(
    right_settings: Settings, key: str, says: str
) -> None:
    found = the_one(changed(right_settings, fub_api_key=key), checks_crm.fub_key)
    assert_wrong(found, says=says, cure="owner")
    assert key == "" or key not in found.words


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"fub_system_key": ""}, "is not set"), ({"fub_system": "another"}, "refused"),
     ({"fub_system_key": "another"}, "refused")],
)  # fmt: skip
def test_a_system_that_is_not_registered_is_told(right_settings: Settings, changes: dict[str, str], says: str) -> None:
    assert_wrong(the_one(changed(right_settings, **changes), checks_crm.fub_system), says=says, cure="regist")


def test_a_missing_webhook_is_named_and_one_of_another_address_is_no_webhook_of_ours(right_settings: Settings) -> None:
    runtime = Runtime(right_settings)
    (created,) = [hook for hook in webhooks.status(runtime.crm, right_settings) if hook.event == "peopleCreated"]
    runtime.crm.delete(f"webhooks/{created.hook_id}")
    try:
        found = the_one(right_settings, checks_crm.webhooks)
        assert_wrong(found, says="peopleCreated is missing", cure="leadpipe webhooks install")
    finally:
        webhooks.install(runtime.crm, right_settings)
        runtime.close()
    moved = changed(right_settings, public_base_url="https://elsewhere.example")
    assert "peopleUpdated is" in the_one(moved, checks_crm.webhooks).words


def test_a_score_field_that_is_missing_or_of_another_type_is_named(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = custom_fields.DEFINITIONS[0]
    renamed = dataclasses.replace(score, name="customLeadpipeOther", label="Leadpipe Other")
    monkeypatch.setattr(custom_fields, "DEFINITIONS", (renamed,))
    missing = the_one(right_settings, checks_crm.score_fields)
    assert_wrong(missing, says="customLeadpipeOther is missing", cure="leadpipe webhooks install")
    monkeypatch.setattr(custom_fields, "DEFINITIONS", (dataclasses.replace(score, type="date"),))
    taken = the_one(right_settings, checks_crm.score_fields)
    assert_wrong(taken, says="customLeadpipeScore is a field of another type", cure="Admin > Custom Fields")
    unseen = the_one(changed(right_settings, fub_api_key="fka_wrong"), checks_crm.score_fields)
    assert_wrong(unseen, says="cannot be listed", cure="FUB key")


# senders


@pytest.mark.parametrize(
    ("check", "changes", "says", "cure"),
    [
        (checks_senders.ses_account, {"email_from": ""}, "LEADPIPE_EMAIL_FROM", "NAME <ADDRESS>"),
        (checks_senders.ses_account, {"ses_endpoint_url": "http://127.0.0.1:1"}, "does not answer", "LEADPIPE_AWS"),
        (checks_senders.ses_identity, {"email_from": "Demo Realty"}, "no address", "NAME <ADDRESS>"),
        (checks_senders.ses_identity, {"email_from": "A <a@other.example>"}, "other.example", "DNS records"),
        (checks_senders.ses_events, {"ses_configuration_set": "other"}, "configuration set other", "create it"),
        (checks_senders.ses_events, {"sns_topic_arns": ()}, "does not believe", "LEADPIPE_SNS_TOPIC_ARNS"),
        (checks_senders.openai, {"openai_api_key": "sk-wrong"}, "refuses", "new key"),
        (checks_senders.openai, {"openai_base_url": "http://127.0.0.1:1"}, "does not answer", "LEADPIPE_OPENAI"),
        (checks_twilio.twilio, {"twilio_account_sid": ""}, "LEADPIPE_TWILIO_ACCOUNT_SID", "console"),
        (checks_twilio.twilio, {"twilio_auth_token": ""}, "LEADPIPE_TWILIO_AUTH_TOKEN", "console"),
        (checks_twilio.twilio, {"twilio_auth_token": "wrong"}, "refused by Twilio (20003)", "LEADPIPE_TWILIO_AUTH"),
        (checks_twilio.twilio, {"twilio_base_url": "http://127.0.0.1:1"}, "does not answer", "console"),
        (checks_twilio.sms_number, {"sms_number": "+15005550099"}, "no number of this account", "buy it"),
        (
            checks_twilio.sms_number,
            {"sms_number": "", "twilio_messaging_service_sid": ""},
            "neither LEADPIPE_SMS_NUMBER",
            "campaign",
        ),
        (checks_twilio.sms_campaign, {"a2p_campaign_id": ""}, "LEADPIPE_A2P_CAMPAIGN_ID", "10DLC"),
        (checks_twilio.sms_campaign, {"a2p_campaign_id": "CM9"}, "not registered", "LEADPIPE_A2P_CAMPAIGN_ID"),
        (checks_twilio.sms_campaign, {"twilio_messaging_service_sid": "MG9"}, "20404", "SERVICE_SID"),
        (checks_twilio.whatsapp, {"whatsapp_number": "+15005550006"}, "whatsapp:+", "whatsapp:+15005550006"),
        (checks_twilio.whatsapp, {"whatsapp_template_sid": ""}, "nobody can be written to first", "Template Builder"),
        (checks_twilio.whatsapp, {"whatsapp_template_sid": "HX9"}, "template HX9", "WHATSAPP_TEMPLATE_SID"),
    ],
)
def test_one_wrong_thing_about_a_sender_is_named_with_its_cure(
    right_settings: Settings, check: Callable[[Runtime], Finding], changes: dict[str, Any], says: str, cure: str
) -> None:
    assert_wrong(the_one(changed(right_settings, **changes), check), says=says, cure=cure)


def test_a_whatsapp_template_with_other_words_than_ours_is_named_with_the_words_to_submit(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(content_template.APPROVED, content_template.THE_ONE, "Hi {{1}}, this is {{2}}.")
    found = the_one(right_settings, checks_twilio.whatsapp)
    assert_wrong(found, says="has other words", cure="Hi {{1}}, this is {{2}}.")


SES_CASES = {
    "paused": (checks_senders.ses_account, {"SendingEnabled": False}, "switched off"),
    "sandbox": (
        checks_senders.ses_account,
        {"SendingEnabled": True, "ProductionAccessEnabled": False},
        "SES's sandbox",
    ),
    "unverified": (checks_senders.ses_identity, {"VerifiedForSendingStatus": False}, "not verified"),
    "unsigned": (
        checks_senders.ses_identity,
        {"VerifiedForSendingStatus": True, "DkimAttributes": {"Status": "PENDING"}},
        "does not sign",
    ),
    "no topic": (checks_senders.ses_events, {"EventDestinations": []}, "BOUNCE and COMPLAINT"),
    "half": (
        checks_senders.ses_events,
        {
            "EventDestinations": [
                {"Enabled": True, "MatchingEventTypes": ["BOUNCE"], "SnsDestination": {"TopicArn": "arn:x"}}
            ]
        },
        "tells no topic of COMPLAINT",
    ),
}


@pytest.mark.parametrize("case", SES_CASES)
def test_an_ses_account_that_cannot_carry_mail_yet_is_told(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    check, answer, says = SES_CASES[case]
    monkeypatch.setattr(checks_senders, "_ask_aws", lambda *_: (answer, ""))
    found = the_one(right_settings, check)
    assert found.state == "wrong"
    assert says in found.words
    assert found.cure


def test_a_campaign_that_carriers_have_not_verified_yet_blocks(
    right_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Campaign:
        campaign_id = right_settings.a2p_campaign_id
        campaign_status = "IN_PROGRESS"

    monkeypatch.setattr(checks_twilio, "_ask", lambda *_: ([Campaign()], ""))
    assert_wrong(the_one(right_settings, checks_twilio.sms_campaign), says="IN_PROGRESS", cure="verified")


def test_a_team_without_twilio_or_openai_is_told_what_is_off_and_nothing_is_wrong(right_settings: Settings) -> None:
    bare = changed(
        right_settings,
        twilio_account_sid="",
        twilio_auth_token="",
        sms_number="",
        twilio_messaging_service_sid="",
        whatsapp_number="",
        a2p_campaign_id="",
        openai_api_key="",
    )
    found = diagnose(bare, *checks_twilio.CHECKS, checks_senders.openai)
    assert {finding.state for finding in found} == {"note"}


def test_a_sandbox_that_is_down_is_told_by_every_check_of_a_provider(
    right_settings: Settings, sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadpipe.crm.client.READ_ATTEMPTS", 1)
    nowhere = "http://127.0.0.1:1"
    down = changed(
        right_settings,
        fub_base_url=nowhere,
        ses_endpoint_url=nowhere,
        twilio_base_url=nowhere,
        openai_base_url=nowhere,
    )
    assert sandbox.base_url != nowhere
    found = diagnose(down, *checks_crm.CHECKS, *checks_senders.CHECKS, *checks_twilio.CHECKS)
    assert {finding.name for finding in found if finding.state != "wrong"} == set()
