"""The words of messages: Jinja for text, MJML around the same words for HTML.

What lives here: rendering a template for one lead. What does not: the files (``template_sources``), compiling their
pieces (``template_pieces``), what the variables are (``variables``), whether the words may go (``policy.content``).

One source of words: an email's HTML part is the text part's paragraphs inside ``_email.mjml``, compiled once with its
Jinja placeholders kept; what the gate judged is what the lead reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from leadpipe.messaging import content_template
from leadpipe.messaging.segments import count_segments
from leadpipe.outreach.template_pieces import Part, Pieces, compile_piece, cut_in_pieces, environment, folded_words
from leadpipe.outreach.template_sources import UNSUBSCRIBE_MARK, Sources, layout_source, sources_of, tail_source
from leadpipe.store.inputs import Input

if TYPE_CHECKING:
    from jinja2 import Template


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
class _Compiled:
    source: Input
    subject: Part | None
    words: Pieces
    tail: Part | None
    approved: str = ""
    values: tuple[Part, ...] = ()


def render(template: str, variables: Mapping[str, Any]) -> Rendered:
    """The words of ``template`` for these variables.

    Raises:
        ConfigurationError: no such template, or a variable it needs is missing; the message names it.
    """
    return _rendered(_compiled(template, str(variables.get("language", "en"))), variables)


def render_again(sources: Sources, variables: Mapping[str, Any]) -> Rendered:
    """The words that these texts gave, or would give, whatever the files say today."""
    return _rendered(_compile(sources), variables)


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
    return _layout().render({**variables, "paragraphs": words.split("\n\n"), "unsubscribe_url": unsubscribe_url})


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
    return f"{folded_words(words)}\n\n{part.render(variables)}\n"


def finished_text(text: str, *, unsubscribe_url: str) -> str:
    """An email's text part as it leaves, with its own unsubscribe link."""
    return text.replace(UNSUBSCRIBE_MARK, unsubscribe_url)


@lru_cache(maxsize=1)
def _layout() -> Template:
    import mrml
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    jinja = SandboxedEnvironment(undefined=StrictUndefined, autoescape=True)
    jinja.filters["usd"] = environment().filters["usd"]
    return jinja.from_string(mrml.to_html(layout_source()).content)


@lru_cache(maxsize=128)
def _compiled(name: str, language: str) -> _Compiled:
    return _compile(sources_of(name, language))


@lru_cache(maxsize=128)
def _compile(sources: Sources) -> _Compiled:
    source, name = sources.as_input(), sources.name
    head, _, rest = sources.words.partition("\n")
    if sources.approved:
        values = tuple(compile_piece(name, line) for line in rest.strip().split("\n"))
        return _Compiled(source, None, cut_in_pieces(name, rest), None, approved=sources.approved, values=values)
    if not sources.tail:
        return _Compiled(source, None, cut_in_pieces(name, sources.words), None)
    subject = compile_piece(name, head.removeprefix("Subject:").strip())
    return _Compiled(source, subject, cut_in_pieces(name, rest), compile_piece("_tail", sources.tail))


@lru_cache(maxsize=8)
def _tail_part(source: str) -> Part:
    return compile_piece("_tail", source)
