"""A message's words, made again from the texts and values that were kept, never from the stored body.

What lives here: which way each kind of message is made again. What does not: the making (``outreach.templates``,
``conversation.answers``), comparing (``replay``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leadpipe.conversation import answers
from leadpipe.errors import BadRecord
from leadpipe.messaging.entry import storable
from leadpipe.outreach import templates
from leadpipe.outreach.template_sources import Sources

if TYPE_CHECKING:
    from leadpipe.explain.record import Recorded
    from leadpipe.store.inputs import Input


class Unrepeatable(BadRecord):  # noqa: N818 - reads as the state it names
    """Something the words were made of is no longer there; the message says what."""


def words_again(found: Recorded, template: Input | None, answer_texts: Input | None) -> tuple[str, str]:
    """Subject and body.

    Args:
        found: the message; its stored body and subject are not looked at, an answer's subject excepted: that is the
            lead's own, with "Re:" before it, and a recorded input.
        template: the template's texts; None when there are none.
        answer_texts: the texts of answers; None when there are none.

    Raises:
        Unrepeatable: a text or a value that is needed was not kept, was erased or has expired.
        ConfigurationError: the template asks for a variable that the evidence does not hold.
    """
    variables: Mapping[str, Any] | None = found.evidence.get("variables")
    if variables is None:
        raise Unrepeatable("the values it was filled with were erased, or nobody kept them")
    if found.row.template:
        if template is None:
            raise Unrepeatable(f"nobody kept the text of template {found.row.template} {found.row.template_version}")
        rendered = templates.render_again(Sources.of(template), variables)
        return storable(rendered.subject), storable(rendered.text)
    return _answer(found, variables, answer_texts)


def _answer(found: Recorded, variables: Mapping[str, Any], texts: Input | None) -> tuple[str, str]:
    frame, values = found.evidence.get("frame"), found.evidence.get("values")
    if texts is None or frame is None:
        raise Unrepeatable("nobody kept the text of the answers it comes from")
    kept = json.loads(texts.content)
    words = str(variables.get("words", ""))
    if not found.row.is_model_written:
        key, language = str(found.evidence["answer"]), str(variables["language"])
        words = answers.words_of(key, language, values or {}, source=kept["answers"])
    return found.row.subject, storable(answers.framed(words, found.row.channel, frame, tail=kept["tail"]))
