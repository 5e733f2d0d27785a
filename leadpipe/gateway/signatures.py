"""Who really sent this: the signatures of Follow Up Boss and Twilio.

What lives here: two yes-or-no questions over raw bytes. What does not: SNS's, which needs a certificate (``sns``).
Facts: FUB sheet 6.4, messaging sheet 2.4.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit


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

    Only the auth token's HMAC-SHA1 is accepted; the algorithm is never the caller's choice (sheet 2.4). The URL counts
    with and without its port, as in Twilio's own validator, whose comparison ends early at another length.
    """
    from twilio.request_validator import RequestValidator, add_port, remove_port

    if not signature or not auth_token:
        return False
    validator, parts, given = RequestValidator(auth_token), urlsplit(url), signature.encode()
    checks = [
        hmac.compare_digest(str(validator.compute_signature(each, fields)).encode(), given)
        for each in (add_port(parts), remove_port(parts))
    ]
    return any(checks)
