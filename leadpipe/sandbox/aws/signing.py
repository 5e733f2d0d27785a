"""SNS envelopes and the key that signs them, with a certificate chain of its own.

What lives here: the string to sign of messaging sheet 4.6. What does not: delivering (``topics``).
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from leadpipe.sandbox.state import iso

Row = dict[str, Any]
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


class Signer:
    """Writes signed envelopes. The key is made when first needed: a sandbox without mail needs none."""

    def __init__(self, now: Callable[[], datetime], base_url: Callable[[], str]) -> None:
        self._now = now
        self._base_url = base_url
        self._made: tuple[rsa.RSAPrivateKey, bytes, bytes] | None = None

    def _keys(self) -> tuple[rsa.RSAPrivateKey, bytes, bytes]:
        if self._made is None:
            authority, key = _new_key(), _new_key()
            issuer = _certificate("Sandbox Root CA", authority, issuer="Sandbox Root CA", by=authority, is_ca=True)
            own = _certificate("sns.sandbox", key, issuer="Sandbox Root CA", by=authority, is_ca=False)
            self._made = (key, own, issuer)
        return self._made

    @property
    def certificate(self) -> bytes:
        """The signing certificate, PEM."""
        return self._keys()[1]

    @property
    def authority(self) -> bytes:
        """Who issued it, PEM."""
        return self._keys()[2]

    def envelope(self, kind: str, message: str, *, topic_arn: str, version: str, extra: Row | None = None) -> Row:
        """A signed envelope of ``kind``; version 1 signs with SHA-1, version 2 with SHA-256."""
        body: Row = {
            "Type": kind, "MessageId": str(uuid.uuid4()), "TopicArn": topic_arn, "Message": message,
            "Timestamp": iso(self._now()), "SignatureVersion": version, **(extra or {}),
        }  # fmt: skip
        text = "".join(f"{name}\n{body[name]}\n" for name in _SIGNED[kind] if name in body)
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303 - version 1 is SNS's default
        signed = self._keys()[0].sign(text.encode(), padding.PKCS1v15(), algorithm)
        base = self._base_url()
        body |= {"Signature": base64.b64encode(signed).decode(), "SigningCertURL": f"{base}/sns/cert.pem"}
        if kind == "Notification":
            body["UnsubscribeURL"] = f"{base}/sns/?Action=Unsubscribe&SubscriptionArn={topic_arn}:1"
        return body


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _certificate(
    name: str, key: rsa.RSAPrivateKey, *, issuer: str, by: rsa.RSAPrivateKey, is_ca: bool
) -> bytes:  # fmt: skip
    # Valid on the wall clock and on any calendar a sandbox may show.
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3650))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .sign(by, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
