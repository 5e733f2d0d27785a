"""SNS by boto3: signed notifications, subscriptions, inbound mail, SMS (messaging sheet 4.6, 4.7, 5.1)."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from botocore import exceptions as boto

from leadpipe.errors import TransientError
from tests.sandbox.mails import aws, mail, verifier


@pytest.fixture
def ses(sandbox: Any) -> Any:
    return aws(sandbox, "sesv2")


# notifications


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
    # A rejected mail has one event only.
    sandbox.call("outcomes", **{"ana@example.com": {"reject": True}, "bea@example.com": {"reject": True}})
    sandbox.gateway.statuses = [503, 503, 503, 503, 400]
    ses.send_email(**mail())
    for count in (1, 2, 3, 4):
        sandbox.wait(lambda count=count: len(sandbox.gateway.posted) == count)
        sandbox.control.jump(timedelta(seconds=25))
    sandbox.settle()
    assert len({each.headers["x-amz-sns-message-id"] for each in sandbox.gateway.posted}) == 1
    assert len({each.body for each in sandbox.gateway.posted}) == 1
    assert len(sandbox.gateway.posted) == 4
    ses.send_email(**mail("bea@example.com"))
    sandbox.wait(lambda: len(sandbox.gateway.posted) == 5)
    sandbox.control.jump(timedelta(hours=1))
    sandbox.settle()
    assert len(sandbox.gateway.posted) == 5


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
