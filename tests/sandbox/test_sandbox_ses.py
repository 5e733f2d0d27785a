"""SES v2 by boto3: sending, errors, events, suppression, inbound mail (messaging sheet 4)."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from functools import lru_cache
from typing import Any

import boto3
import pytest
from botocore import exceptions as boto
from botocore.config import Config

from leadpipe.errors import TransientError
from leadpipe.gateway.sns import SnsVerifier
from leadpipe.settings import Settings

FROM = "Demo Realty <hello@demo-realty.example>"


def aws(sandbox: Any, service: str, *, attempts: int = 1, timeout: float = 10) -> Any:
    return _client(sandbox.url, service, attempts, timeout)


@lru_cache(maxsize=16)
def _client(url: str, service: str, attempts: int, timeout: float) -> Any:
    """A client; making one takes longer than most tests, and every sandbox here has the same address."""
    path = {"sesv2": "ses", "sns": "sns"}[service]
    session = boto3.session.Session("AKIASANDBOX", "sandbox", region_name="us-east-1")
    config = Config(
        connect_timeout=2, read_timeout=timeout, retries={"total_max_attempts": attempts, "mode": "standard"}
    )
    return session.client(service, endpoint_url=f"{url}/{path}", config=config)


@pytest.fixture
def ses(sandbox: Any) -> Any:
    return aws(sandbox, "sesv2")


def mail(to: str = "ana@example.com", **changes: Any) -> dict[str, Any]:
    headers = [{"Name": "List-Unsubscribe", "Value": "<https://u.example.com/u/abc>"},
               {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"}]  # fmt: skip
    body = {"Text": {"Data": "Hello Ana", "Charset": "UTF-8"}, "Html": {"Data": "<p>Hello Ana</p>", "Charset": "UTF-8"}}
    return {
        "FromEmailAddress": FROM, "Destination": {"ToAddresses": [to]},
        "ReplyToAddresses": ["reply+m-42@in.demo-realty.example"],
        "Content": {"Simple": {"Subject": {"Data": "Homes"}, "Body": body, "Headers": headers}},
        "EmailTags": [{"Name": "leadpipe_mid", "Value": "m-42"}, {"Name": "leadpipe_plan", "Value": "new_lead"},
                      {"Name": "leadpipe_step", "Value": "welcome_email"}, {"Name": "leadpipe_occ", "Value": "1"}],
        "ConfigurationSetName": "leadpipe",
    } | changes  # fmt: skip


def events(sandbox: Any) -> list[dict[str, Any]]:
    return [json.loads(json.loads(each.body)["Message"]) for each in sandbox.gateway.at("/ses/events")]


def kinds(sandbox: Any) -> list[str]:
    return [event["eventType"] for event in events(sandbox)]


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


# through SNS


def verifier(sandbox: Any) -> SnsVerifier:
    settings = Settings(sns_topic_arns=(sandbox.config.ses_topic_arn,), sns_cert_base_url=sandbox.url)
    return SnsVerifier(settings)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_notification_is_signed_and_the_certificate_is_issued_by_the_sandboxs_own_authority(
    start: Any, version: str
) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    sandbox = start(sns_signature_version=version)
    aws(sandbox, "sesv2").send_email(**mail())
    posted = sandbox.wait(lambda: sandbox.gateway.at("/ses/events"))[0]
    envelope = json.loads(posted.body)
    assert envelope["SignatureVersion"] == version
    assert posted.headers["content-type"] == "text/plain; charset=UTF-8"
    assert posted.headers["x-amz-sns-message-type"] == "Notification"
    assert posted.headers["x-amz-sns-message-id"] == envelope["MessageId"]
    assert posted.headers["x-amz-sns-subscription-arn"].startswith(sandbox.config.ses_topic_arn)
    own = x509.load_pem_x509_certificate(sandbox.http.get(envelope["SigningCertURL"]).content)
    authority = x509.load_pem_x509_certificate(sandbox.http.get(f"{sandbox.url}/sns/ca.pem").content)
    own.verify_directly_issued_by(authority)
    authority.verify_directly_issued_by(authority)
    text = "".join(f"{name}\n{envelope[name]}\n" for name in ("Message", "MessageId", "Timestamp", "TopicArn", "Type"))
    algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
    own.public_key().verify(base64.b64decode(envelope["Signature"]), text.encode(), PKCS1v15(), algorithm)
    assert own.not_valid_before_utc < sandbox.world.sandbox.now() < own.not_valid_after_utc


def test_our_gateways_verifier_believes_it_and_not_a_changed_one(sandbox: Any, ses: Any) -> None:
    from leadpipe.errors import Rejected

    ses.send_email(**mail())
    body = sandbox.wait(lambda: sandbox.gateway.at("/ses/events"))[0].body
    now = sandbox.world.sandbox.now()
    assert verifier(sandbox).verify(body, now=now).topic_arn == sandbox.config.ses_topic_arn
    with pytest.raises(Rejected, match="signature"):
        verifier(sandbox).verify(body.replace(b"ana@example.com", b"bea@example.com"), now=now)


def test_a_5xx_is_tried_three_times_more_with_the_same_message_id_and_a_4xx_loses_the_notice(
    sandbox: Any, ses: Any
) -> None:
    sandbox.gateway.statuses = [503, 503, 503, 503, 400]
    sandbox.control.set_faults({"ses_event_lost": {"match": "other@"}})
    ses.send_email(**mail())
    for count in (2, 3, 4, 5, 6, 7):
        sandbox.control.jump(timedelta(seconds=25))
        if count > 5:
            break
        sandbox.wait(lambda count=count: len(sandbox.gateway.posted) >= count)
    sandbox.settle()
    counts: dict[str, int] = {}
    for each in sandbox.gateway.posted:
        counts[each.headers["x-amz-sns-message-id"]] = counts.get(each.headers["x-amz-sns-message-id"], 0) + 1
    assert sum(counts.values()) == len(sandbox.gateway.posted)
    assert max(counts.values()) <= 4
    assert len(counts) == 2


def test_a_subscription_must_be_confirmed_before_it_hears_anything(sandbox: Any, ses: Any) -> None:
    sns = aws(sandbox, "sns")
    arn, endpoint = sandbox.config.ses_topic_arn, f"{sandbox.config.gateway_url}/other"
    answer = sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=endpoint)
    assert answer["SubscriptionArn"] == "pending confirmation"
    asked = json.loads(sandbox.wait(lambda: sandbox.gateway.at("/other"))[0].body)
    assert asked["Type"] == "SubscriptionConfirmation"
    assert sandbox.gateway.at("/other")[0].headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    assert verifier(sandbox).verify(json.dumps(asked).encode(), now=sandbox.world.sandbox.now()).kind == asked["Type"]
    ses.send_email(**mail())
    sandbox.settle()
    assert len(sandbox.gateway.at("/other")) == 1
    verifier(sandbox)._fetch(asked["SubscribeURL"])
    ses.send_email(**mail("bea@example.com"))
    sandbox.settle()
    assert len(sandbox.gateway.at("/other")) == 3
    listed = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert endpoint in {each["Endpoint"] for each in listed}
    with pytest.raises(boto.ClientError):
        sns.confirm_subscription(TopicArn=arn, Token="wrong")
    own = next(each["SubscriptionArn"] for each in listed if each["Endpoint"] == endpoint)
    sns.unsubscribe(SubscriptionArn=own)
    assert len(sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]) == len(listed) - 1


def test_topic_attributes_set_the_signature_version(sandbox: Any) -> None:
    sns, arn = aws(sandbox, "sns"), sandbox.config.ses_topic_arn
    sns.set_topic_attributes(TopicArn=arn, AttributeName="SignatureVersion", AttributeValue="1")
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["SignatureVersion"] == "1"
    with pytest.raises(boto.ClientError, match="InvalidParameter"):
        sns.set_topic_attributes(TopicArn=arn, AttributeName="SignatureVersion", AttributeValue="9")
    with pytest.raises(boto.ClientError, match="NotFound"):
        sns.get_topic_attributes(TopicArn=arn + "x")


# inbound


def test_a_reply_is_told_with_its_mail_inline_quoted_and_threaded(sandbox: Any, ses: Any) -> None:
    sent = ses.send_email(**mail())["MessageId"]
    taken = sandbox.call("inbound", **{"channel": "email", "from": "ana@example.com", "body": "Yes, still looking!"})
    assert taken == {"taken": True}
    (posted,) = sandbox.gateway.at("/ses/inbound")
    notice = json.loads(json.loads(posted.body)["Message"])
    assert (notice["notificationType"], notice["receipt"]["action"]["type"]) == ("Received", "SNS")
    assert notice["receipt"]["recipients"] == ["reply+m-42@in.demo-realty.example"]
    assert notice["receipt"]["spamVerdict"] == {"status": "PASS"}
    content = message_from_bytes(base64.b64decode(notice["content"]), policy=policy.default)
    assert content["In-Reply-To"] == f"<{sent}@email.amazonses.com>"
    text = content.get_content()
    assert text.startswith("Yes, still looking!")
    assert "> Hello Ana" in text
    assert "wrote:" in text
    assert notice["mail"]["commonHeaders"]["subject"] == "Re: Homes"


@pytest.mark.parametrize(("fault", "count"), [("ses_inbound_lost", 0), ("ses_inbound_repeated", 2)])
def test_inbound_mail_is_lost_and_repeated_as_told(sandbox: Any, fault: str, count: int) -> None:
    sandbox.control.set_faults({fault: 1.0})
    sandbox.call("inbound", **{"channel": "email", "from": "ana@example.com", "body": "hi"})
    found = sandbox.gateway.at("/ses/inbound")
    assert len(found) == count
    ids = {json.loads(json.loads(each.body)["Message"])["mail"]["messageId"] for each in found}
    assert len(ids) == min(1, count)


def test_a_mail_that_our_side_could_not_take_comes_again_and_then_counts(start: Any) -> None:
    sandbox = start(population={"aged": 30})
    lead = next(row for row in sandbox.control.leads() if row["emails"])
    sandbox.gateway.statuses = [503]
    body = {"channel": "email", "from": lead["emails"][0], "body": "take me off your list", "intent": "opt_out"}
    assert sandbox.call("inbound", **body) == {"taken": False}
    assert sandbox.truth_of(lead["person_id"])["opted_out_at"] is None
    sandbox.control.jump(timedelta(seconds=30))
    sandbox.wait(lambda: sandbox.truth_of(lead["person_id"])["opted_out_at"])
    assert sandbox.truth_of(lead["person_id"])["replies"][0]["is_taken"] is True


# SNS SMS


def test_publish_answers_an_id_and_carries_none_of_ours(sandbox: Any) -> None:
    sns = aws(sandbox, "sns")
    attributes = {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Promotional"}}
    answer = sns.publish(PhoneNumber="+12815550101", Message="Hi & <hello>", MessageAttributes=attributes)
    assert answer["MessageId"]
    (row,) = sandbox.control.messages()
    assert (row["provider"], row["channel"], row["body"], row["our_id"]) == ("sns", "sms", "Hi & <hello>", None)


@pytest.mark.parametrize(("number", "words"), [("12", "x"), ("+1", "x"), ("+12815550101", "é" * 801)])
def test_publish_refuses_bad_input(sandbox: Any, number: str, words: str) -> None:
    with pytest.raises(boto.ClientError) as caught:
        aws(sandbox, "sns").publish(PhoneNumber=number, Message=words)
    assert caught.value.response["Error"]["Code"] == "InvalidParameter"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_opted_out_number_still_gets_an_id_and_only_the_list_tells(sandbox: Any) -> None:
    sns = aws(sandbox, "sns")
    for number in range(150):
        sandbox.world.sns.opt_out(f"+1281555{number:04d}")
    assert sns.check_if_phone_number_is_opted_out(phoneNumber="+12815550003")["isOptedOut"] is True
    assert sns.check_if_phone_number_is_opted_out(phoneNumber="+12815559999")["isOptedOut"] is False
    assert sns.publish(PhoneNumber="+12815550003", Message="x")["MessageId"]
    first = sns.list_phone_numbers_opted_out()
    rest = sns.list_phone_numbers_opted_out(nextToken=first["nextToken"])
    assert (len(first["phoneNumbers"]), len(rest["phoneNumbers"]), rest.get("nextToken")) == (100, 50, None)
    sns.opt_in_phone_number(phoneNumber="+12815550003")
    assert sns.check_if_phone_number_is_opted_out(phoneNumber="+12815550003")["isOptedOut"] is False


@pytest.mark.parametrize(
    ("fault", "code", "count"),
    [("sns_429", "Throttling", 0), ("sns_500", "InternalError", 0), ("sns_500_after", "InternalError", 1)],
)
def test_publish_fails_as_told(sandbox: Any, fault: str, code: str, count: int) -> None:
    sandbox.control.set_faults({fault: 1.0})
    with pytest.raises(boto.ClientError) as caught:
        aws(sandbox, "sns").publish(PhoneNumber="+12815550101", Message="x")
    assert caught.value.response["Error"]["Code"] == code
    assert len(sandbox.control.messages()) == count


def test_an_unknown_action_is_named(sandbox: Any) -> None:
    with pytest.raises(boto.ClientError, match="InvalidAction"):
        aws(sandbox, "sns").create_topic(Name="x")
    assert aws(sandbox, "sns").get_sms_sandbox_account_status()["IsInSandbox"] is False


def test_the_control_client_says_what_was_wrong(sandbox: Any) -> None:
    with pytest.raises(TransientError, match="HTTP 400"):
        sandbox.control.set_faults({"ses_500": {"chances": 1}})
