"""Amazon SNS over HTTP: whether a notification is genuine, and the one-time confirmation of a subscription.

What lives here: the envelope, its signature, its certificate, the confirmation. What does not: what it carries
(``ses``). Facts: messaging sheet 4.6.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from leadpipe.crm.values import read_time
from leadpipe.errors import BadRecord, Rejected, TransientError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from leadpipe.settings import Settings

MAX_AGE = timedelta(hours=1)
TIMEOUT = httpx.Timeout(5.0)
_HOST = re.compile(r"sns\.[a-z]{2}(-[a-z]+)+-\d\.amazonaws\.com(\.cn)?")
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_NEEDED = ("Type", "MessageId", "TopicArn", "Message", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL")

Fetch = Callable[[str], bytes]


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """One genuine SNS message."""

    kind: str
    message_id: str
    topic_arn: str
    message: str
    subscribe_url: str = ""


class SnsVerifier:
    """Reads envelopes and believes only those that SNS signed for one of our topics.

    A certificate is fetched once per address and kept: SNS signs with one for months.
    """

    def __init__(self, settings: Settings, *, fetch: Fetch | None = None) -> None:
        self._topics = frozenset(settings.sns_topic_arns)
        self._sandbox_base = settings.sns_cert_base_url.rstrip("/")
        self._fetch = fetch or fetch_without_redirects
        self._keys: dict[str, RSAPublicKey] = {}
        self._lock = threading.Lock()

    def verify(self, body: bytes, *, now: datetime) -> Envelope:
        """The envelope, once its topic, age and signature are right.

        Raises:
            BadRecord: no SNS envelope.
            Rejected: an envelope that is not to be believed; ``code`` says why.
            TransientError: the certificate cannot be had right now.
        """
        fields = _read(body)
        if fields["TopicArn"] not in self._topics:
            raise Rejected("SNS topic is not in LEADPIPE_SNS_TOPIC_ARNS", code="unknown_topic")
        self._check_signature(fields)
        self._check_age(fields, now)
        return Envelope(
            kind=fields["Type"],
            message_id=fields["MessageId"],
            topic_arn=fields["TopicArn"],
            message=fields["Message"],
            subscribe_url=fields.get("SubscribeURL", ""),
        )

    def confirm(self, envelope: Envelope) -> None:
        """Follow the confirmation's address, which must be SNS's own.

        Raises:
            Rejected: the address is not SNS's.
            TransientError: it does not answer; SNS asks again.
        """
        if not self._is_sns(envelope.subscribe_url):
            raise Rejected("SubscribeURL is not an address of SNS", code="foreign_subscribe_url")
        self._fetch(envelope.subscribe_url)

    def _is_sns(self, url: str) -> bool:
        if self._sandbox_base and url.startswith(f"{self._sandbox_base}/"):
            return True
        parts = urlsplit(url)
        # `netloc`, not `hostname`: a user name or a port in it is no address of SNS either.
        return parts.scheme == "https" and _HOST.fullmatch(parts.netloc) is not None

    def _check_age(self, fields: dict[str, str], now: datetime) -> None:
        if self._sandbox_base:
            return  # the sandbox's calendar jumps while a notification is under way; repetitions are known by their id
        at = read_time(fields["Timestamp"])
        if at is None or abs(now - at) > MAX_AGE:
            raise Rejected("SNS message is older than an hour", code="stale")

    def _check_signature(self, fields: dict[str, str]) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        algorithms = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 - version 1 is SNS's default
        algorithm = algorithms.get(fields["SignatureVersion"])
        if algorithm is None:
            raise Rejected("unknown SNS signature version", code="bad_signature")
        names = _NOTIFICATION if fields["Type"] == "Notification" else _CONFIRMATION
        signed = "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields)
        try:
            signature = base64.b64decode(fields["Signature"], validate=True)
            self._key(fields["SigningCertURL"]).verify(signature, signed.encode(), PKCS1v15(), algorithm)
        except (InvalidSignature, ValueError):
            raise Rejected("SNS signature does not fit", code="bad_signature") from None

    def _key(self, url: str) -> RSAPublicKey:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

        if not self._is_sns(url) or not urlsplit(url).path.endswith(".pem"):
            raise Rejected("SigningCertURL is not an address of SNS", code="foreign_certificate")
        with self._lock:
            known = self._keys.get(url)
        if known is not None:
            return known
        key = x509.load_pem_x509_certificate(self._fetch(url)).public_key()
        if not isinstance(key, RSAPublicKey):
            raise Rejected("SNS certificate has no RSA key", code="foreign_certificate")
        with self._lock:
            self._keys[url] = key
        return key


def _read(body: bytes) -> dict[str, str]:
    try:
        fields: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRecord("no JSON") from None
    if not isinstance(fields, dict):
        raise BadRecord("no SNS envelope")
    wrong = [name for name in _NEEDED if not isinstance(fields.get(name), str)]
    if wrong:
        raise BadRecord(f"no SNS envelope: {', '.join(wrong)} missing")
    kept = {name: value for name, value in fields.items() if isinstance(value, str)}
    try:
        read_time(kept["Timestamp"])
    except ValueError:
        raise BadRecord("no SNS envelope: Timestamp is no time") from None
    return kept


def fetch_without_redirects(url: str) -> bytes:
    """One GET that follows nothing.

    Raises:
        TransientError: no answer, or another status than 200.
    """
    try:
        response = httpx.get(url, timeout=TIMEOUT, follow_redirects=False)
    except httpx.HTTPError as error:
        raise TransientError(f"SNS address does not answer: {type(error).__name__}") from error
    if response.status_code != 200:
        raise TransientError(f"SNS address answered {response.status_code}")
    return response.content
