"""Mail whose notice never came is found where SES stored it, once, with the effect its notice would have had."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from leadpipe.errors import ConfigurationError, TransientError
from leadpipe.gateway.stored_mail import ses_inbound
from leadpipe.runtime import Runtime
from tests.gateway.conftest import EMAIL, Callers, Ledger
from tests.gateway.test_gateway_ses import mail_notice

if TYPE_CHECKING:
    from leadpipe.clock import FixedClock

TOLD, UNTOLD, INFECTED = ("o3vrnil0e2ic28trm7dfhrc2v0clam" + letter for letter in "abc")


@pytest.fixture
def runtime(runtime: Runtime, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A gateway that looks into a bucket, an hour after the mail below came."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    runtime.settings = runtime.settings.model_copy(update={"ses_inbound_path": "s3://mail/in/"})
    clock.advance(datetime.now(UTC) + timedelta(hours=1) - clock.now())
    return runtime


def mail(words: str, **headers: str) -> bytes:
    written = EmailMessage()
    written["From"], written["To"], written["Subject"] = EMAIL, "hello@in.demo-realty.example", "Re: Hello"
    for name, value in headers.items():
        written[name.replace("_", "-")] = value
    written.set_content(words)
    return bytes(written)


def test_what_no_notice_told_of_is_read_from_the_bucket_once(
    runtime: Runtime, callers: Callers, ledger: Ledger, clock: FixedClock
) -> None:
    told = mail_notice(mail("I was told of"), to="hello@in.demo-realty.example", message_id=TOLD)
    assert callers.ses(told, path="/ses/inbound").status_code == 200
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="mail")
        client.put_object(Bucket="mail", Key="in/AMAZON_SES_SETUP_NOTIFICATION", Body=b"set up")
        client.put_object(Bucket="mail", Key=f"in/{TOLD}", Body=mail("I was told of"))
        client.put_object(Bucket="mail", Key=f"in/{UNTOLD}", Body=mail("unsubscribe"))
        client.put_object(Bucket="mail", Key=f"in/{INFECTED}", Body=mail("Look!", X_SES_Virus_Verdict="FAIL"))
        assert [ses_inbound(runtime), ses_inbound(runtime)] == [2, 0]
    # The notice comes after all: it is known.
    late = mail_notice(mail("unsubscribe"), to="hello@in.demo-realty.example", message_id=UNTOLD)
    assert callers.ses(late, path="/ses/inbound").json() == {"status": "known"}
    bodies = ledger.rows("select body from ledger.inbound_messages order by id")
    assert [row.body for row in bodies] == ["I was told of", "unsubscribe"]
    assert ledger.suppressed() == [("email", "stop_keyword")]
    assert ("ses_inbound", "Received", "handled", "kept, not read: SES found a virus") in ledger.inbox()
    # As old as the lead's own mail, not as its being found.
    [refusal] = ledger.rows("select at, recorded_at from ledger.suppressions")
    assert timedelta(minutes=50) < refusal.recorded_at - refusal.at <= timedelta(hours=1, minutes=2)
    assert refusal.recorded_at == clock.now()


def test_a_bucket_that_cannot_be_read_is_not_an_empty_one(runtime: Runtime, ledger: Ledger) -> None:
    with mock_aws(), pytest.raises(TransientError):
        ses_inbound(runtime)
    runtime.settings = runtime.settings.model_copy(update={"ses_inbound_path": "/mail"})
    with pytest.raises(ConfigurationError, match="must read s3://bucket/prefix"):
        ses_inbound(runtime)
    assert ledger.inbox() == []
