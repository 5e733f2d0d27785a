"""Who really sent this: the signatures of Follow Up Boss and Twilio.

What lives here: two yes-or-no questions over raw bytes. What does not: SNS's, which needs a certificate (``sns``).
Facts: FUB sheet 6.4, messaging sheet 2.4.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping


def is_from_fub(body: bytes, signature: str | None, keys: Iterable[str]) -> bool:
    """Whether ``FUB-Signature`` is the hex HMAC-SHA256 over the padded base64 of the raw body, by one of the keys.

    An empty key signs nothing: without a system key no notification is believed.
    """
    if not signature:
        return False
    text = base64.b64encode(body)
    given = signature.strip().encode()
    checks = [
        hmac.compare_digest(hmac.digest(key.encode(), text, "sha256").hex().encode(), given) for key in keys if key
    ]
    return any(checks)


def is_from_twilio(url: str, fields: Mapping[str, str], signature: str | None, auth_token: str) -> bool:
    """Whether ``X-Twilio-Signature`` fits the public URL (with query, without fragment) and every form field.

    Only the auth token's HMAC-SHA1 is accepted; the algorithm is never the caller's choice (sheet 2.4).
    """
    from twilio.request_validator import RequestValidator

    if not signature or not auth_token:
        return False
    return bool(RequestValidator(auth_token).validate(url, fields, signature))
