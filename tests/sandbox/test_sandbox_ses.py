"""SES v2 by boto3: sending, errors, events, suppression (messaging sheet 4.2 to 4.5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore import exceptions as boto

from tests.sandbox.mails import FROM, aws, events, kinds, mail


@pytest.fixture
def ses(sandbox: Any) -> Any:
    return aws(sandbox, "sesv2")


def test_a_message_id_means_accepted(sandbox: Any, ses: Any) -> None:
    answer = ses.send_email(**mail())
    assert answer["MessageId"].startswith("0100")
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    (row,) = sandbox.control.messages()
    assert (row["provider"], row["channel"], row["to"], row["body"]) == ("ses", "email", "ana@example.com", "Hello Ana")
    assert (row["our_id"], row["plan"], row["step"], row["occurrence"]) == ("m-42", "new_lead", "welcome_email", 1)


def test_send_and_delivery_are_told_with_our_tags_as_lists(sandbox: Any, ses: Any) -> None:
    sent = ses.send_email(**mail())["MessageId"]
    sandbox.wait(lambda: len(kinds(sandbox)) == 2)
    second, first = sorted(events(sandbox), key=lambda event: event["eventType"])
    assert first["send"] == {}
    assert first["mail"]["messageId"] == second["mail"]["messageId"] == sent
    assert first["mail"]["tags"]["leadpipe_mid"] == ["m-42"]
    assert first["mail"]["tags"]["ses:configuration-set"] == ["leadpipe"]
    assert first["mail"]["destination"] == ["ana@example.com"]
    assert second["delivery"]["recipients"] == ["ana@example.com"]


def test_our_own_channel_and_event_reader_agree_with_it(sandbox: Any) -> None:
    from leadpipe.messaging.callbacks import SesEvent

    aws(sandbox, "sesv2").send_email(**mail())
    sandbox.wait(lambda: len(events(sandbox)) == 2)
    assert SesEvent.read(events(sandbox)[0]) is not None


@pytest.mark.parametrize("changes", [{"ConfigurationSetName": None}])
def test_without_a_configuration_set_nobody_hears_of_it(sandbox: Any, ses: Any, changes: dict[str, Any]) -> None:
    arguments = {name: value for name, value in (mail() | changes).items() if value is not None}
    ses.send_email(**arguments)
    sandbox.settle()
    assert sandbox.gateway.posted == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"ConfigurationSetName": "other"}, 404, "NotFoundException"),
        ({"FromEmailAddress": "me@elsewhere.example"}, 400, "MessageRejected"),
        ({"Destination": {"ToAddresses": []}}, 400, "BadRequestException"),
        ({"Destination": {"ToAddresses": ["ana"]}}, 400, "BadRequestException"),
        ({"Destination": {"ToAddresses": [f"a{n}@example.com" for n in range(51)]}}, 400, "BadRequestException"),
        ({"EmailTags": [{"Name": "mid", "Value": "a b"}]}, 400, "BadRequestException"),
        ({"Content": {}}, 400, "BadRequestException"),
        ({"Content": {"Template": {"TemplateName": "x", "TemplateData": "{}"}}}, 404, "NotFoundException"),
    ],
)
def test_a_bad_mail_is_refused_with_its_error_type(
    sandbox: Any, ses: Any, changes: dict[str, Any], status: int, code: str
) -> None:
    with pytest.raises(boto.ClientError) as caught:
        ses.send_email(**mail() | changes)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert caught.value.response["Error"]["Code"] == code
    assert sandbox.control.messages() == []


def test_more_than_fifteen_headers_are_refused(sandbox: Any, ses: Any) -> None:
    arguments = mail()
    arguments["Content"]["Simple"]["Headers"] = [{"Name": f"X-{n}", "Value": "v"} for n in range(16)]
    with pytest.raises(boto.ClientError, match="BadRequestException"):
        ses.send_email(**arguments)


def test_raw_mail_works_too(sandbox: Any, ses: Any) -> None:
    headers = {"From": FROM, "To": "ana@example.com", "Subject": "Hi", "Reply-To": "r@in.demo-realty.example",
               "X-SES-CONFIGURATION-SET": "leadpipe", "X-SES-MESSAGE-TAGS": "leadpipe_mid=m-7, plan=x"}  # fmt: skip
    raw = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\nwords\r\n"
    ses.send_email(
        FromEmailAddress=FROM, Destination={"ToAddresses": ["ana@example.com"]},
        Content={"Raw": {"Data": raw.encode()}},
    )  # fmt: skip
    assert sandbox.control.messages()[0]["body"].strip() == "words"
    assert sandbox.control.messages()[0]["our_id"] == "m-7"
    sandbox.wait(lambda: events(sandbox) and events(sandbox)[0]["mail"]["tags"]["leadpipe_mid"] == ["m-7"])


def test_the_send_rate_and_the_daily_quota_hold(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = start(ses_max_send_rate=3, ses_max_24_hour_send=5)
    monkeypatch.setattr("leadpipe.sandbox.aws.ses.monotonic", lambda: 100.0)
    ses = aws(sandbox, "sesv2")
    codes = []
    for number in range(5):
        try:
            ses.send_email(**mail(f"a{number}@example.com"))
            codes.append("")
        except boto.ClientError as error:
            codes.append(error.response["Error"]["Code"])
    assert codes == ["", "", "", "TooManyRequestsException", "TooManyRequestsException"]
    monkeypatch.setattr("leadpipe.sandbox.aws.ses.monotonic", lambda: 101.5)
    sandbox.call("config", ses_max_send_rate=1000)
    with pytest.raises(boto.ClientError, match="LimitExceededException"):
        for number in range(6):
            ses.send_email(**mail(f"b{number}@example.com"))
    quota = ses.get_account()["SendQuota"]
    assert (quota["SentLast24Hours"], quota["Max24HourSend"]) == (5.0, 5.0)


def test_a_200_without_a_message_id_raises_nothing(sandbox: Any, ses: Any) -> None:
    sandbox.control.set_faults({"ses_empty_after": {"times": 1}})
    assert "MessageId" not in ses.send_email(**mail())
    assert len(sandbox.control.messages()) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [({"ses_500_after": 1.0}, boto.ClientError), ({"ses_drop_after": 1.0}, boto.ConnectionClosedError),
     ({"ses_hang_after": {"value": 1}}, boto.ReadTimeoutError)],
)  # fmt: skip
def test_an_answer_lost_after_acceptance_is_resolved_by_an_event(
    sandbox: Any, fault: dict[str, Any], error: type[Exception]
) -> None:
    sandbox.control.set_faults(fault)
    with pytest.raises(error):
        aws(sandbox, "sesv2", timeout=0.4 if "ses_hang_after" in fault else 10).send_email(**mail())
    assert len(sandbox.control.messages()) == 1
    sandbox.wait(lambda: events(sandbox) and events(sandbox)[0]["mail"]["tags"]["leadpipe_mid"] == ["m-42"])


def test_boto_by_default_sends_again_on_a_500_which_makes_a_duplicate(sandbox: Any) -> None:
    sandbox.control.set_faults({"ses_500_after": {"times": 1}})
    aws(sandbox, "sesv2", attempts=3).send_email(**mail())
    assert len(sandbox.control.messages()) == 2


@pytest.mark.parametrize(
    ("fault", "code"), [("ses_429", "TooManyRequestsException"), ("ses_500", "InternalServiceErrorException")]
)
def test_what_is_refused_before_acceptance_is_not_in_the_truth(sandbox: Any, ses: Any, fault: str, code: str) -> None:
    sandbox.control.set_faults({fault: 1.0})
    with pytest.raises(boto.ClientError, match=code):
        ses.send_email(**mail())
    assert sandbox.control.messages() == []


# what becomes of a mail


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("success@simulator.amazonses.com", [("Send", "")]),
        ("bounce@simulator.amazonses.com", [("Send", ""), ("Bounce", "Permanent/General")]),
        ("ooto+label@simulator.amazonses.com", [("Send", ""), ("Delivery", ""), ("Bounce", "Transient/General")]),
        ("complaint@simulator.amazonses.com", [("Send", ""), ("Delivery", ""), ("Complaint", "abuse")]),
        ("suppressionlist@simulator.amazonses.com", [("Send", ""), ("Bounce", "Permanent/OnAccountSuppressionList")]),
    ],
)
def test_the_mailbox_simulator(sandbox: Any, ses: Any, to: str, expected: list[tuple[str, str]]) -> None:
    ses.send_email(**mail(to))
    if to.startswith("success"):
        expected = [*expected, ("Delivery", "")]
    sandbox.wait(lambda: len(events(sandbox)) == len(expected))
    found = []
    for event in events(sandbox):
        bounce, complaint = event.get("bounce"), event.get("complaint")
        detail = f"{bounce['bounceType']}/{bounce['bounceSubType']}" if bounce else ""
        found.append((event["eventType"], complaint["complaintFeedbackType"] if complaint else detail))
    assert sorted(found) == sorted(expected)


def test_a_hard_bounce_and_a_complaint_put_the_address_on_the_list_and_a_soft_one_does_not(
    sandbox: Any, ses: Any
) -> None:
    sandbox.call(
        "outcomes",
        **{"hard@example.com": {"bounce": "Permanent/NoEmail"}, "soft@example.com": {"bounce": "Transient/MailboxFull"},
           "angry@example.com": {"complaint": True}, "late@example.com": {"delay": True},
           "bad@example.com": {"reject": True}},
    )  # fmt: skip
    for name in ("hard", "soft", "angry", "late", "bad"):
        ses.send_email(**mail(f"{name}@example.com"))
    sandbox.settle()
    listed = {
        row["EmailAddress"]: row["Reason"]
        for row in ses.list_suppressed_destinations()["SuppressedDestinationSummaries"]
    }
    assert listed == {"hard@example.com": "BOUNCE", "angry@example.com": "COMPLAINT"}
    by_address = {}
    for event in events(sandbox):
        by_address.setdefault(event["mail"]["destination"][0], []).append(event["eventType"])
    assert by_address["bad@example.com"] == ["Reject"]
    assert sorted(by_address["late@example.com"]) == ["Delivery", "DeliveryDelay", "Send"]
    soft = next(event["bounce"] for event in events(sandbox) if event["mail"]["destination"] == ["soft@example.com"]
                and "bounce" in event)  # fmt: skip
    assert (soft["bounceType"], soft["bouncedRecipients"][0]["status"]) == ("Transient", "4.2.2")


def test_a_mail_to_a_listed_address_is_accepted_and_bounces(sandbox: Any, ses: Any) -> None:
    ses.put_suppressed_destination(EmailAddress="Ana@Example.com", Reason="COMPLAINT")
    assert ses.send_email(**mail())["MessageId"]
    sandbox.wait(lambda: sorted(kinds(sandbox)) == ["Bounce", "Send"])
    assert (
        next(event for event in events(sandbox) if "bounce" in event)["bounce"]["bounceSubType"]
        == "OnAccountSuppressionList"
    )


def test_the_suppression_list_is_read_by_reason_date_and_page(sandbox: Any, ses: Any) -> None:
    for number in range(5):
        ses.put_suppressed_destination(EmailAddress=f"a{number}@example.com", Reason="BOUNCE")
    sandbox.control.jump(timedelta(days=1))
    ses.put_suppressed_destination(EmailAddress="late@example.com", Reason="COMPLAINT")
    pages, token = [], None
    while True:
        answer = ses.list_suppressed_destinations(PageSize=2, **({"NextToken": token} if token else {}))
        pages.append(len(answer["SuppressedDestinationSummaries"]))
        token = answer.get("NextToken")
        if not token:
            break
    assert pages == [2, 2, 2]
    only = ses.list_suppressed_destinations(Reasons=["COMPLAINT"])["SuppressedDestinationSummaries"]
    assert [row["EmailAddress"] for row in only] == ["late@example.com"]
    since = datetime(2026, 5, 13, tzinfo=UTC)
    assert len(ses.list_suppressed_destinations(StartDate=since)["SuppressedDestinationSummaries"]) == 1
    assert ses.get_suppressed_destination(EmailAddress="a1@example.com")["SuppressedDestination"]["Reason"] == "BOUNCE"
    ses.delete_suppressed_destination(EmailAddress="a1@example.com")
    with pytest.raises(boto.ClientError) as caught:
        ses.get_suppressed_destination(EmailAddress="a1@example.com")
    assert caught.value.response["Error"]["Code"] == "NotFoundException"


def test_the_account_its_identity_and_its_configuration_set(sandbox: Any, ses: Any) -> None:
    account = ses.get_account()
    assert account["ProductionAccessEnabled"] and account["EnforcementStatus"] == "HEALTHY"
    assert ses.get_email_identity(EmailIdentity="demo-realty.example")["DkimAttributes"]["Status"] == "SUCCESS"
    assert ses.list_email_identities()["EmailIdentities"][0]["IdentityName"] == "demo-realty.example"
    assert ses.list_configuration_sets()["ConfigurationSets"] == ["leadpipe"]
    assert ses.get_configuration_set(ConfigurationSetName="leadpipe")["SendingOptions"]["SendingEnabled"]
    destination = ses.get_configuration_set_event_destinations(ConfigurationSetName="leadpipe")["EventDestinations"][0]
    assert destination["SnsDestination"]["TopicArn"] == sandbox.config.ses_topic_arn
    assert "OPEN" not in destination["MatchingEventTypes"]
    for call in (lambda: ses.get_email_identity(EmailIdentity="other.example"),
                 lambda: ses.get_configuration_set(ConfigurationSetName="other")):  # fmt: skip
        with pytest.raises(boto.ClientError, match="NotFoundException"):
            call()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [("ses_event_lost", []), ("ses_event_reordered", ["Delivery", "Send"]),
     ("ses_event_repeated", ["Delivery", "Delivery", "Send", "Send"])],
)  # fmt: skip
def test_events_are_lost_reordered_and_repeated_as_told(start: Any, fault: str, expected: list[str]) -> None:
    # Half a second between two events: a busy machine does not swap them by itself.
    sandbox = start(carrier_pace=1.0)
    ses = aws(sandbox, "sesv2")
    sandbox.control.set_faults({fault: 1.0})
    ses.send_email(**mail())
    sandbox.settle()
    assert (sorted(kinds(sandbox)) if fault == "ses_event_repeated" else kinds(sandbox)) == expected
