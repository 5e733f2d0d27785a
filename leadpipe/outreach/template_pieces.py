"""The pieces a template's texts are compiled to, each rendered once for equal values.

What lives here: compiling, cutting at blank lines, folding those that a condition left behind. What does not: which
text is which piece (``templates``), reading the files (``template_sources``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from leadpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

# Renderings of one piece kept at a time.
REMEMBERED = 8_192
_MISSING = object()


def _as_key(value: object) -> object:
    return () if value == [] else value


def folded_words(text: str) -> str:
    """Blank lines where a condition printed nothing fold into one."""
    return _folded(text.strip())


def _folded(text: str) -> str:
    """The same for a piece, of which the blanks in front may belong to the words."""
    lines = [line.rstrip() for line in text.split("\n")]
    kept = [line for at, line in enumerate(lines) if line or (at and lines[at - 1])]
    return "\n".join(kept).strip("\n")


@dataclass(frozen=True, slots=True)
class Part:
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
class Pieces:
    """A text in pieces at its blank lines: the greeting changes with the name, the paragraph below with the place."""

    pieces: tuple[Part, ...]

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text as if it were one piece."""
        if len(self.pieces) == 1:
            return self.pieces[0].render(variables)
        rendered = [piece.render(variables) for piece in self.pieces]
        return "\n\n".join(words for words in rendered if words).strip()


def cut_in_pieces(name: str, source: str) -> Pieces:
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
        return Pieces((compile_piece(name, source),))
    try:
        return Pieces(tuple(compile_piece(name, piece, fold=_folded) for piece in pieces))
    except TemplateSyntaxError:  # a condition or a loop goes on over a blank line
        return Pieces((compile_piece(name, source),))


def compile_piece(name: str, source: str, *, fold: Callable[[str], str] = folded_words) -> Part:
    """One piece, compiled."""
    from jinja2.meta import find_undeclared_variables

    jinja = environment()
    reads = sorted(find_undeclared_variables(jinja.parse(source)))
    template = jinja.from_string(source)
    # Jinja lays a chain of maps around what all templates share, and copies it key by key for every rendering.
    template.globals = dict(template.globals)
    return Part(name, source, template, tuple(reads), {}, fold)


@lru_cache(maxsize=1)
def environment() -> SandboxedEnvironment:
    """What all pieces are compiled in: a name that is missing is an error, and nothing reaches out of the sandbox."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    jinja = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    jinja.filters["usd"] = lambda value: f"${value:,.0f}"
    return jinja
