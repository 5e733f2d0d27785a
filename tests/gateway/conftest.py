"""A gateway over a real ledger, one lead with messages, and callers who sign as the providers do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import text

from leadpipe.crm.mapping import read_person
from leadpipe.crm.people import upsert_people
from leadpipe.errors import TransientError
from leadpipe.gateway.app import create_app
from leadpipe.runtime import Runtime
from leadpipe.settings import Settings

if TYPE_CHECKING:
    from httpx import Response
    from sqlalchemy import Engine

    from leadpipe.clock import FixedClock

Row = dict[str, Any]
SYSTEM_KEY, OLD_SYSTEM_KEY = "lp-test-system-key-0001", "lp-test-system-key-0000"
FUB_TOKEN = "fub-token-of-the-tests"
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://hooks.leadpipe.example"
TOPIC = "arn:aws:sns:us-east-1:123456789012:leadpipe-ses"
CERT_URL = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-test.pem"
PHONE, EMAIL = "+15125550101", "ana1@example.com"


@pytest.fixture
def gateway_settings(settings: Settings) -> Settings:
    """Settings with every secret a caller must know."""
    return settings.model_copy(
        update={
            "fub_system_key": SecretStr(SYSTEM_KEY),
            "fub_system_key_old": SecretStr(OLD_SYSTEM_KEY),
            "fub_webhook_token": SecretStr(FUB_TOKEN),
            "twilio_auth_token": SecretStr(AUTH_TOKEN),
            "twilio_account_sid": "AC00000000000000000000000000000001",
            "public_base_url": PUBLIC_URL,
            "sns_topic_arns": (TOPIC,),
            # What a test sends wrong on purpose is answered by what is wrong with it.
            "gateway_refusals_per_minute": 0,
        }
    )


@pytest.fixture
def runtime(gateway_settings: Settings, ledger_engine: Engine, clock: FixedClock) -> Generator[Runtime]:
    """The gateway's parts; the clock stands still."""
    made = Runtime(gateway_settings)
    made.__dict__["clock"] = clock
    yield made
    made.close()


@dataclass
class Amazon:
    """An SNS of the tests: signs with a key of its own, whose certificate the gateway fetches here."""

    clock: FixedClock
    key: rsa.RSAPrivateKey
    certificate: bytes
    is_down: bool = False
    fetched: list[str] = field(default_factory=list[str])

    def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if self.is_down:
            raise TransientError("SNS address does not answer")
        return self.certificate

    def envelope(self, message: Any, *, kind: str = "Notification", version: str = "2", **changes: str) -> Row:
        body: Row = {
            "Type": kind,
            "MessageId": str(uuid.uuid4()),
            "TopicArn": TOPIC,
            "Message": message if isinstance(message, str) else json.dumps(message),
            "Timestamp": self.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "SignatureVersion": version,
            **changes,
        }
        names = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
        signed = "".join(f"{name}\n{body[name]}\n" for name in names if name in body)
        algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
        body["Signature"] = base64.b64encode(self.key.sign(signed.encode(), padding.PKCS1v15(), algorithm)).decode()
        return {"SigningCertURL": CERT_URL, **body}


@pytest.fixture(scope="session")
def signing() -> tuple[rsa.RSAPrivateKey, bytes]:
    """A generated key and its certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2046, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def amazon(clock: FixedClock, signing: tuple[rsa.RSAPrivateKey, bytes]) -> Amazon:
    return Amazon(clock=clock, key=signing[0], certificate=signing[1])


@pytest.fixture
def http(runtime: Runtime, amazon: Amazon) -> Generator[TestClient]:
    """The gateway, called in process; errors reach the caller as answers, as they would over the wire."""
    with TestClient(create_app(runtime, fetch=amazon.fetch), raise_server_exceptions=False) as client:
        yield client


@dataclass
class Callers:
    """What each provider posts, signed."""

    http: TestClient
    amazon: Amazon
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def fub(
        self, body: bytes, *, key: str = SYSTEM_KEY, token: str = FUB_TOKEN, signature: str | None = None
    ) -> Response:
        signature = signature if signature is not None else fub_signature(body, key)
        headers = {"FUB-Signature": signature} if signature else {}
        return self.http.post(f"/fub/{token}", content=body, headers=headers)

    def twilio(self, path: str, fields: Row, *, token: str = AUTH_TOKEN, signed_path: str | None = None) -> Response:
        headers = {
            "X-Twilio-Signature": twilio_signature(PUBLIC_URL + (signed_path or path), fields, token),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return self.http.post(path, content=urlencode(fields), headers=headers)

    def text(self, body: str, *, sender: str = PHONE, sid: str = "", **more: str) -> Response:
        sid = sid or f"SM{next(self.numbers):032x}"
        fields = {
            "AccountSid": "AC00000000000000000000000000000001", "MessageSid": sid, "SmsSid": sid, "From": sender,
            "To": "+15125550100", "Body": body, "NumMedia": "0", "FromCity": "", "SmsStatus": "received",
        }  # fmt: skip
        return self.twilio("/twilio/inbound", fields | more)

    def status(self, message_id: str, status: str, *, sid: str, **more: str) -> Response:
        fields = {"MessageSid": sid, "SmsSid": sid, "MessageStatus": status, "To": PHONE, "From": "+15125550100"}
        return self.twilio(f"/twilio/status?mid={message_id}&plan=reactivation&step=ask&occ=1", fields | more)

    def ses(self, notice: Any, *, path: str = "/ses/events", **changes: str) -> Response:
        return self.sns(self.amazon.envelope(notice, **changes), path=path)

    def sns(self, envelope: Row, *, path: str = "/ses/events") -> Response:
        return self.http.post(path, content=json.dumps(envelope), headers={"Content-Type": "text/plain; charset=UTF-8"})


@pytest.fixture
def callers(http: TestClient, amazon: Amazon) -> Callers:
    return Callers(http, amazon)


def fub_signature(body: bytes, key: str) -> str:
    return hmac.new(key.encode(), base64.b64encode(body), hashlib.sha256).hexdigest()


def twilio_signature(url: str, fields: Row, token: str) -> str:
    words = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), words.encode(), hashlib.sha1).digest()).decode()


_MESSAGE = """
insert into ledger.messages (id, person_id, contact_point_id, plan, step, occurrence, channel, purpose, subject, body,
  state, due_at, created_at, changed_at, accepted_at, provider, provider_id)
select cast(:id as uuid), o.person_id, c.id, 'reactivation', :step, 1, :channel, 'marketing', 'Hello', 'Still looking?',
  :state, :now, :now, :now, :accepted, :provider, :provider_id
from ledger.contact_points c join ledger.person_contact_points o on o.contact_point_id = c.id
where o.person_id = 1 and c.kind = :kind limit 1
"""


@dataclass
class Ledger:
    """Short questions to the ledger, and one lead with messages."""

    engine: Engine
    now: datetime

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(query), values))

    def one(self, query: str, **values: Any) -> Any:
        return self.rows(query, **values)[0][0]

    def message(self, *, channel: str = "sms", state: str = "accepted", provider_id: str = "SM" + "a" * 32) -> str:
        """One of our messages to the lead, as sending left it; returns its id."""
        message_id = str(uuid.uuid4())
        kind = "email" if channel == "email" else "phone"
        with self.engine.begin() as connection:
            # A message in the middle of its life; the ledger lets none be born there.
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(
                text(_MESSAGE),
                {
                    "id": message_id,
                    "step": f"step-{message_id[:8]}",
                    "channel": channel,
                    "state": state,
                    "now": self.now,
                    "accepted": self.now if state not in {"queued", "held", "unknown"} else None,
                    "provider": "ses" if channel == "email" else "twilio",
                    "provider_id": provider_id or None,
                    "kind": kind,
                },
            )
        return message_id

    def state(self, message_id: str) -> str:
        return self.one("select state from ledger.messages where id = cast(:id as uuid)", id=message_id)

    def inbox(self) -> list[tuple[str, str, str, str | None]]:
        """(source, kind, state, reason) of every stored report."""
        return [tuple(row) for row in self.rows("select source, kind, state, reason from ledger.inbox order by id")]

    def suppressed(self) -> list[tuple[str, str]]:
        """(channel, source) of every suppression row."""
        found = self.rows("select channel, source from ledger.suppressions where action = 'suppress' order by id")
        return [tuple(row) for row in found]


@pytest.fixture
def ledger(ledger_engine: Engine, clock: FixedClock) -> Ledger:
    """The ledger with one lead, who has a phone and an email."""
    payload = {
        "id": 1,
        "created": (clock.now() - timedelta(days=200)).isoformat(),
        "updated": clock.now().isoformat(),
        "firstName": "Ana",
        "stage": "Lead",
        "emails": [{"value": EMAIL, "isPrimary": 1}],
        "phones": [{"value": PHONE, "isPrimary": 1}],
    }
    upsert_people(ledger_engine, [read_person(payload)], now=clock.now())
    return Ledger(ledger_engine, clock.now())


MakeCallers = Callable[[], Callers]
