"""The texts that a template is made of, as the files hold them.

What lives here: finding and reading the files, what each must hold, the texts' version. What does not: compiling them
(``template_pieces``), the words they give (``templates``).

A file ``NAME.txt`` that opens with ``Subject:`` is an email, any other a text. ``NAME.es.txt`` is its Spanish form. A
file that opens with ``Content:`` is a WhatsApp message: the approved template it is sent as
(``messaging.content_template`` has the words), then one value a line in order.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from leadpipe.errors import ConfigurationError
from leadpipe.messaging import content_template
from leadpipe.store.inputs import Input

# Stands in an email's text part until it leaves: the link belongs to one message and is made when it is sent.
UNSUBSCRIBE_MARK = "%%unsubscribe_url%%"
# What every email's build must hold (compliance C21, C40, C42).
_EMAIL_NEEDS = ("postal_address", "brokerage_name", "licence", "assistant_name", UNSUBSCRIBE_MARK)
# What every text names: who writes, for whom, and the way out (C28, C40).
_TEXT_NEEDS = ("brokerage_name", "licence", "assistant_name")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """Every text that one template in one language is made of.

    Attributes:
        name: the template's, with its language when it is not English.
        words: the template's own file.
        tail: what stands below every email; empty for others.
        layout: the MJML around an email's words; empty for others.
        approved: the approved WhatsApp template's words; empty for others.
    """

    name: str
    words: str
    tail: str = ""
    layout: str = ""
    approved: str = ""

    @property
    def version(self) -> str:
        """How a message names them."""
        return _hash(*(text for text in (self.words, self.tail, self.layout, self.approved) if text))

    def as_input(self) -> Input:
        """The texts as they are kept with the messages made of them."""
        texts = {"words": self.words, "tail": self.tail, "layout": self.layout, "approved": self.approved}
        content = json.dumps({name: text for name, text in texts.items() if text}, ensure_ascii=False, indent=1)
        return Input(kind="template", version=self.version, name=self.name, content=content)

    @staticmethod
    def of(kept: Input) -> Sources:
        """The texts again."""
        return Sources(name=kept.name, **json.loads(kept.content))


def folder() -> Path:
    """Where the template files lie."""
    return Path(str(files("leadpipe.outreach") / "templates"))


@lru_cache(maxsize=1)
def template_names() -> frozenset[str]:
    """Every template by name, without language."""
    return frozenset(path.name.split(".")[0] for path in folder().glob("[a-z]*.txt"))


def sources_of(name: str, language: str) -> Sources:
    """The texts of a template as the files hold them now.

    Raises:
        ConfigurationError: no such template, or a text that lacks what it must hold.
    """
    path = folder() / f"{name}.{language}.txt"
    if not path.exists():
        path, language = folder() / f"{name}.txt", "en"
    if name not in template_names() or not path.exists():
        raise ConfigurationError(f"no template '{name}' in {folder()}; known: {', '.join(sorted(template_names()))}")
    words = path.read_text(encoding="utf-8")
    if words.startswith("Content:"):
        _must_hold(path, words, _TEXT_NEEDS)
        return Sources(name=path.stem, words=words, approved=_approved(path, words))
    if not words.startswith("Subject:"):
        _must_hold(path, words, _TEXT_NEEDS)
        return Sources(name=path.stem, words=words)
    return Sources(name=path.stem, words=words, tail=tail_source(language), layout=layout_source())


def layout_source() -> str:
    """The MJML around every email's words."""
    path = folder() / "_email.mjml"
    source = path.read_text(encoding="utf-8")
    _must_hold(path, source, ("postal_address", "brokerage_name", "licence", "unsubscribe_url"))
    return source


@lru_cache(maxsize=8)
def tail_source(language: str) -> str:
    """The file of what stands below every email, in its language, else in English."""
    path = folder() / f"_tail.{language}.txt"
    path = path if path.exists() else folder() / "_tail.txt"
    source = path.read_text(encoding="utf-8")
    _must_hold(path, source, _EMAIL_NEEDS)
    return source


def _approved(path: Path, words: str) -> str:
    """The words of the approved template that a file names."""
    head, _, rest = words.partition("\n")
    approved, lines = head.removeprefix("Content:").strip(), rest.strip().split("\n")
    if approved not in content_template.APPROVED:
        known = ", ".join(content_template.APPROVED)
        raise ConfigurationError(f"{path}: no approved template '{approved}'; known: {known}")
    if len(lines) != content_template.count_values(approved):
        count = content_template.count_values(approved)
        raise ConfigurationError(f"{path}: '{approved}' takes {count} values, one a line, not {len(lines)}")
    return content_template.APPROVED[approved]


def _must_hold(path: Path, source: str, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in source]
    if missing:
        raise ConfigurationError(f"{path}: must hold {', '.join(missing)} (compliance C21, C28, C40, C42); add it")


def _hash(*sources: str) -> str:
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:12]
