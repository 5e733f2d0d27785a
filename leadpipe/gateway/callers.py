"""Who calls: the caller a path belongs to, and the address behind the proxy.

What lives here: what each caller may send, and what it is answered when that is too much. What does not: counting
(``rates``), refusing (``limits``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """One kind of caller.

    Attributes:
        max_bytes: the largest body it can have reason to send.
        comes_again_status: what makes it come again. Follow Up Boss repeats whatever is not 2xx; Amazon drops a notice
            that is answered 4xx (messaging sheet 4.6) and repeats after 5xx.
        is_limited: whether its genuine calls are counted.
    """

    name: str
    max_bytes: int
    comes_again_status: int = 429
    is_limited: bool = True


# A notification of FUB names ids; an SNS message has at most 256 KB, which JSON in JSON may double; a form of Twilio
# holds a text of 4,096 letters, up to twelve bytes each.
FUB = Caller(name="fub", max_bytes=1_000_000)
TWILIO = Caller(name="twilio", max_bytes=256_000)
AMAZON = Caller(name="ses", max_bytes=1_000_000, comes_again_status=503)
LEADS = Caller(name="unsubscribe", max_bytes=16_000)
# Health checks, Prometheus, and whoever tries paths.
OTHERS = Caller(name="other", max_bytes=16_000, is_limited=False)
_BY_FIRST_PART = {"fub": FUB, "twilio": TWILIO, "ses": AMAZON, "u": LEADS}


def caller_of(path: str) -> Caller:
    """The caller of a path, by its first part."""
    return _BY_FIRST_PART.get(path[1:].partition("/")[0], OTHERS)


def address_of(scope: Scope) -> str:
    """Who is behind a request; empty when it is not known: on the loopback, in a private net, behind a silent proxy.

    The providers and everybody who could mean ill come from public addresses. Of IPv6 the network counts, since one
    host has as many addresses of it as it likes.
    """
    client = scope.get("client")
    return _address(client[0]) if client else ""


@lru_cache(maxsize=4096)
def _address(host: str) -> str:
    try:
        found = ip_address(host)
    except ValueError:
        return ""
    if not found.is_global:
        return ""
    return str(ip_network((int(found), 64), strict=False)) if isinstance(found, IPv6Address) else str(found)
