"""The words of messages: Jinja for text, MJML around the same words for HTML.

What lives here: reading, compiling and rendering the template files. What does not: what the variables are
(``variables``), whether the words may go (``policy.content``).

One source of words: an email's HTML part is the text part's paragraphs inside ``_email.mjml``, compiled once with its
Jinja placeholders kept; what the gate judged is what the lead reads. A file ``NAME.txt`` that opens with ``Subject:``
is an email, any other a text. ``NAME.es.txt`` is its Spanish form. A file that opens with ``Content:`` is a WhatsApp
message: the approved template it is sent as (``messaging.content_template`` has the words), then one value a line in
order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadpipe.errors import ConfigurationError
from leadpipe.messaging import content_template
from leadpipe.messaging.segments import count_segments
from leadpipe.store.inputs import Input

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

# Renderings of one piece kept at a time.
REMEMBERED = 8_192
# Stands in an email's text part until it leaves: the link belongs to one message and is made when it is sent.
UNSUBSCRIBE_MARK = "%%unsubscribe_url%%"
# What every email's build must hold (compliance C21, C40, C42).
_EMAIL_NEEDS = ("postal_address", "brokerage_name", "licence", "assistant_name", UNSUBSCRIBE_MARK)
# What every text names: who writes, for whom, and the way out (C28, C40).
_TEXT_NEEDS = ("brokerage_name", "licence", "assistant_name")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The words of one message.

    Attributes:
        subject: empty for texts.
        text: an email's text part with ``UNSUBSCRIBE_MARK`` in it, or the text itself.
        segments: SMS segments, 0 for email.
        template_version: hash of the template's sources.
        content_variables: a WhatsApp message's values by number, with which the approved template says ``text``.
        source: the texts it was rendered from, to be kept with the message.
    """

    subject: str
    text: str
    segments: int
    template_version: str
    source: Input
    content_variables: Mapping[str, str] = field(default_factory=dict[str, str])

    def frozen(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The variables to store with the words: the template's own, and the approved template's values if any."""
        if not self.content_variables:
            return dict(variables)
        return {**variables, content_template.CONTENT_VARIABLES: dict(self.content_variables)}


@dataclass(frozen=True, slots=True)
class _Part:
    """One compiled piece of a template and the variables it reads.

    A campaign repeats its subjects and footers thousands of times: a piece is rendered once for equal values.
    """

    name: str
    source: str
    template: Template
    reads: tuple[str, ...]
    known: dict[tuple[Any, ...], str]
    fold: Callable[[str], str]

    def render(self, variables: Mapping[str, Any]) -> str:
        """The piece, its blank lines folded."""
        key = tuple(_as_key(variables.get(name, _MISSING)) for name in self.reads)
        try:
            found = self.known.get(key)
        except TypeError:  # a listing or a market fact among the values cannot be a key
            return self._render(variables)
        if found is None:
            found = self._render(variables)
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[key] = found
        return found

    def _render(self, variables: Mapping[str, Any]) -> str:
        from jinja2 import UndefinedError

        try:
            return self.fold(self.template.render(variables))
        except UndefinedError as error:
            raise ConfigurationError(
                f"template '{self.name}': {error.message}; give it or take it out of the file"
            ) from error


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A text in pieces at its blank lines: the greeting changes with the name, the paragraph below with the place."""

    pieces: tuple[_Part, ...]

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text as if it were one piece."""
        if len(self.pieces) == 1:
            return self.pieces[0].render(variables)
        rendered = [piece.render(variables) for piece in self.pieces]
        return "\n\n".join(words for words in rendered if words).strip()


_MISSING = object()


def _as_key(value: object) -> object:
    return () if value == [] else value


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


@dataclass(frozen=True, slots=True)
class _Compiled:
    source: Input
    subject: _Part | None
    words: _Pieces
    tail: _Part | None
    approved: str = ""
    values: tuple[_Part, ...] = ()


def folder() -> Path:
    """Where the template files lie."""
    return Path(str(files("leadpipe.outreach") / "templates"))


@lru_cache(maxsize=1)
def template_names() -> frozenset[str]:
    """Every template by name, without language."""
    return frozenset(path.name.split(".")[0] for path in folder().glob("[a-z]*.txt"))


def render(template: str, variables: Mapping[str, Any]) -> Rendered:
    """The words of ``template`` for these variables.

    Raises:
        ConfigurationError: no such template, or a variable it needs is missing; the message names it.
    """
    return _rendered(_compiled(template, str(variables.get("language", "en"))), variables)


def render_again(sources: Sources, variables: Mapping[str, Any]) -> Rendered:
    """The words that these texts gave, or would give, whatever the files say today."""
    return _rendered(_compile(sources), variables)


def sources_of(template: str, language: str) -> Sources:
    """The texts of a template as the files hold them now.

    Raises:
        ConfigurationError: no such template.
    """
    return _read(template, language)


def _rendered(compiled: _Compiled, variables: Mapping[str, Any]) -> Rendered:
    if compiled.approved:
        return _as_approved(compiled, variables)
    words, source = compiled.words.render(variables), compiled.source
    if compiled.subject is None or compiled.tail is None:
        text = " ".join(words.split())
        return Rendered("", text, count_segments(text).count, source.version, source)
    subject = " ".join(compiled.subject.render(variables).split())
    text = f"{words}\n\n{compiled.tail.render(variables)}\n"
    return Rendered(subject, text, 0, source.version, source)


def _as_approved(compiled: _Compiled, variables: Mapping[str, Any]) -> Rendered:
    values = content_template.numbered([" ".join(part.render(variables).split()) for part in compiled.values])
    text = " ".join(content_template.substituted(compiled.approved, values).split())
    source = compiled.source
    return Rendered("", text, count_segments(text).count, source.version, source, values)


def render_html(template: str, variables: Mapping[str, Any], *, unsubscribe_url: str) -> str:
    """The HTML part of an email, made when it leaves: the same words, the listings, the footer."""
    compiled = _compiled(template, str(variables.get("language", "en")))
    words = compiled.words.render(variables)
    layout, _ = _layout()
    return layout.render({**variables, "paragraphs": words.split("\n\n"), "unsubscribe_url": unsubscribe_url})


def email_text(words: str, variables: Mapping[str, Any], *, tail: str | None = None) -> str:
    """An email's text part around words of no template (a conversation's answer), with the tail of every email.

    Args:
        words: what is said.
        variables: what the tail reads.
        tail: the tail's own text; None takes the file of the variables' language.

    Raises:
        ConfigurationError: a variable of the tail is missing.
    """
    part = _tail_part(tail_source(str(variables.get("language", "en"))) if tail is None else tail)
    return f"{_paragraphs(words)}\n\n{part.render(variables)}\n"


def finished_text(text: str, *, unsubscribe_url: str) -> str:
    """An email's text part as it leaves, with its own unsubscribe link."""
    return text.replace(UNSUBSCRIBE_MARK, unsubscribe_url)


def _paragraphs(text: str) -> str:
    """Blank lines where a condition printed nothing fold into one."""
    return _folded(text.strip())


def _folded(text: str) -> str:
    """The same for a piece, of which the blanks in front may belong to the words."""
    lines = [line.rstrip() for line in text.split("\n")]
    kept = [line for at, line in enumerate(lines) if line or (at and lines[at - 1])]
    return "\n".join(kept).strip("\n")


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["usd"] = lambda value: f"${value:,.0f}"
    return environment


@lru_cache(maxsize=1)
def _layout() -> tuple[Template, str]:
    import mrml
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    source = (folder() / "_email.mjml").read_text(encoding="utf-8")
    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=True)
    environment.filters["usd"] = _environment().filters["usd"]
    return environment.from_string(mrml.to_html(source).content), source


@lru_cache(maxsize=128)
def _compiled(name: str, language: str) -> _Compiled:
    return _compile(_read(name, language))


def _read(name: str, language: str) -> Sources:
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
    layout = (folder() / "_email.mjml").read_text(encoding="utf-8")
    _must_hold(folder() / "_email.mjml", layout, ("postal_address", "brokerage_name", "licence", "unsubscribe_url"))
    return Sources(name=path.stem, words=words, tail=tail_source(language), layout=layout)


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


@lru_cache(maxsize=128)
def _compile(sources: Sources) -> _Compiled:
    source, name = sources.as_input(), sources.name
    head, _, rest = sources.words.partition("\n")
    if sources.approved:
        values = tuple(_part(name, line) for line in rest.strip().split("\n"))
        return _Compiled(source, None, _pieces(name, rest), None, approved=sources.approved, values=values)
    if not sources.tail:
        return _Compiled(source, None, _pieces(name, sources.words), None)
    subject = _part(name, head.removeprefix("Subject:").strip())
    return _Compiled(source, subject, _pieces(name, rest), _part("_tail", sources.tail))


def _pieces(name: str, source: str) -> _Pieces:
    """The text cut at blank lines, where each piece stands by itself and nothing reaches over the cut."""
    from jinja2 import TemplateSyntaxError

    pieces = [piece for piece in source.strip().split("\n\n") if piece]
    is_free = all(
        # A tag at the end swallows the line break, a dash what is beside it, and a blank in front belongs to the words.
        not piece.endswith(("%}", "#}", "-}}"))
        and not piece.startswith((" ", "\t", "\n", "{%-", "{{-", "{#-"))
        and "{% set" not in piece
        and "{%- set" not in piece
        for piece in pieces
    )
    if len(pieces) < 2 or not is_free:
        return _Pieces((_part(name, source),))
    try:
        return _Pieces(tuple(_part(name, piece, fold=_folded) for piece in pieces))
    except TemplateSyntaxError:  # a condition or a loop goes on over a blank line
        return _Pieces((_part(name, source),))


def _part(name: str, source: str, *, fold: Callable[[str], str] = _paragraphs) -> _Part:
    from jinja2.meta import find_undeclared_variables

    environment = _environment()
    reads = sorted(find_undeclared_variables(environment.parse(source)))
    template = environment.from_string(source)
    # Jinja lays a chain of maps around what all templates share, and copies it key by key for every rendering.
    template.globals = dict(template.globals)
    return _Part(name, source, template, tuple(reads), {}, fold)


@lru_cache(maxsize=8)
def tail_source(language: str) -> str:
    """The file of what stands below every email, in its language, else in English."""
    path = folder() / f"_tail.{language}.txt"
    path = path if path.exists() else folder() / "_tail.txt"
    source = path.read_text(encoding="utf-8")
    _must_hold(path, source, _EMAIL_NEEDS)
    return source


@lru_cache(maxsize=8)
def _tail_part(source: str) -> _Part:
    return _part("_tail", source)


def _must_hold(path: Path, source: str, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in source]
    if missing:
        raise ConfigurationError(f"{path}: must hold {', '.join(missing)} (compliance C21, C28, C40, C42); add it")


def _hash(*sources: str) -> str:
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:12]
