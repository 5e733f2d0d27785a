"""Where the links in words lead.

What lives here: finding every host that a reader's device would make a link of, written with a scheme or without, and
whether it is ours. What does not: which domains are ours (``pack.PolicySettings``), what follows (``content``).

Phones and mail programs underline any name with a known ending ("acme-homes.com"), also inside a sentence; so a name
counts as a link when IANA knows its ending (``top_level_domains.txt``, IANA's own file) or when a scheme or ``www.``
stands before it. Names are compared as the resolver sees them: lower case, in ASCII (a letter of another alphabet that
looks like ours becomes ``xn--...``), without invisible letters, user name, port and last dot.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from urllib.parse import urlsplit

import idna

# Letters that nobody sees: joiners, marks of direction, soft hyphens.
_UNSEEN = dict.fromkeys([0x00AD, 0x2060, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F)])
# Dots of other scripts that resolvers take for one; the full-width forms fold by themselves.
_DOTS = {0x3002: ".", 0xFF61: "."}
_MAY_LINK = re.compile(r"://|[^\W_][.\u3002\uff0e\uff61][^\W_]")
_WITH_SCHEME = re.compile(
    r"(?:\b[a-z][a-z0-9+-]*:/{1,3}|(?<![:/\w])//)"
    r"((?:[^\s/?#<>\"()\[\]{}]*@)?\[[0-9a-f:.]+\]|[^\s/?#<>\"()\[\]{}]+)",
    re.IGNORECASE,
)
_NAME = re.compile(r"[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)+")


@lru_cache(maxsize=65536)
def hosts_in(words: str) -> tuple[str, ...]:
    """Every host that a link in the words leads to, each once, as the resolver sees it; of an address its domain."""
    if _MAY_LINK.search(words) is None:
        return ()
    text = unicodedata.normalize("NFKC", words.translate(_UNSEEN)).translate(_DOTS)
    hosts = [_host(found[1]) for found in _WITH_SCHEME.finditer(text)]
    # What stands before an "@" is nobody's host, and a path is no name.
    bare = _WITH_SCHEME.sub(" ", text)
    for found in _NAME.finditer(bare):
        before, after = bare[: found.start()][-1:], bare[found.end() :][:1]
        if after == "@" or before == "/":
            continue
        host = _host(found[0])
        if host.startswith("www.") or host.rpartition(".")[2] in _endings():
            hosts.append(host)
    return tuple(dict.fromkeys(host for host in hosts if host))


def is_own(host: str, domains: Iterable[str]) -> bool:
    """Whether a host is one of the domains or lies below one."""
    return any(host == domain or host.endswith(f".{domain}") for domain in domains if domain)


def domain_of(text: str) -> str:
    """The domain of a setting (a name, an address of the web or of mail), as hosts are compared; empty for none."""
    text = text.strip().strip("<>")
    if "://" in text:
        return _host(urlsplit(text).hostname or "")
    return _host(text.rpartition("@")[2].partition("/")[0])


@lru_cache(maxsize=16384)
def _host(authority: str) -> str:
    name = authority.rpartition("@")[2].partition("\\")[0]
    if name.startswith("["):
        return name.lower()
    name = re.sub(r":\d*$", "", name).strip(".").lower()
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        # No name that resolves; it is nobody's then, and surely not ours.
        return name


@lru_cache(maxsize=1)
def _endings() -> frozenset[str]:
    text = (files("leadpipe.policy") / "top_level_domains.txt").read_text(encoding="ascii")
    known = (line.strip().lower() for line in text.splitlines() if not line.startswith("#"))
    # Names kept for documentation and tests count as well, so that examples behave like the real thing.
    return frozenset([*known, "example", "test", "onion", "internal"])
