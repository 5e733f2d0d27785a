"""Telling a request about one's own data from a lead's words (C33), in English and Spanish.

What lives here: the words. What does not: what follows (``privacy.requests``).

To be taken off a list is a refusal and no request; "delete my data" is both, and each follows by itself.
"""

from __future__ import annotations

import re

from leadpipe.conversation.plain import plain
from leadpipe.privacy.requests import Kind

_MINE = r"(all )?(of )?(my|our) (personal )?(data|info|information|details|account|profile|records?)\b"
_MIS = r"(tod[oa]s? )?(mis|nuestros|mi) (datos|informacion|cuenta|perfil)\b"
_DELETE = re.compile(
    rf"\b(delete|erase|destroy|wipe|purge|remove) {_MINE}(?! (on|about|from|for) the (house|home|property))"
    r"|\bright to (be forgotten|erasure|delete)\b|\bdelete (me|us) from your (system|database|records)\b"
    r"|\b(ccpa|cpra|gdpr)\b.{0,40}\b(delet|eras|remov)"
    rf"|\b(borr|elimin|suprim)\w* {_MIS}|\bderecho al olvido\b"
)
_EXPORT = re.compile(
    r"\bwhat (personal )?(data|info|information) (do|did) you (have|hold|keep|collect) (on|about) (me|us)\b"
    rf"|\b(a )?copy of {_MINE}|\bright to (know|access)\b|\b(ccpa|cpra|gdpr)\b.{{0,40}}\b(access|request|copy)"
    r"|\bque (datos|informacion) tienen? (de|sobre) mi\b|\bcopia de (todos )?mis datos\b"
)


def asked(text: str) -> Kind | None:
    """What the words ask about the writer's own data; None when nothing."""
    words = plain(text)
    if _DELETE.search(words):
        return "delete"
    return "export" if _EXPORT.search(words) else None
