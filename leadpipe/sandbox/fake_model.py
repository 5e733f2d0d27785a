"""The fake language model: it reads a sentence and fills any strict schema with what it understood.

What lives here: understanding by list and pattern. What does not: HTTP (``openai_api``).

It knows what the sandbox's own people mean, since their sentences are on a list; anything else goes by patterns, so it
may well be wrong, as a model is.
"""

from __future__ import annotations

import re
from typing import Any

from leadpipe.sandbox.population.answers import meanings

Row = dict[str, Any]
# First hit wins; the order is from what must not be missed to what is merely likely.
INTENTS: tuple[tuple[str, str], ...] = (
    ("wrong_number", r"wrong (number|person|email)|who is this|never asked|equivocad|no soy"),
    ("complaint", r"spam|report(ing)? (you|this)|lawyer|attorney|harass|lawsuit|demand(a|ar)\b|acoso"),
    ("opt_out", r"^\W*(stop|stpo|unsubscribe|quit|end|alto|parar|basta|cancel)\W*$|take me off|remove me|"
                r"stop (text|messag|contact|email|writ|send|please)|don'?t (text|contact|email|message)|leave me alone|"
                r"no more (messages|texts|emails)|no me (escrib|mand|contact)|b[oó]rr(e|a)me|"
                r"d[eé]jen? de|quit (text|messag)|unsubscribe"),
    ("human", r"real person|are you a (bot|robot|human)|(talk|speak) (to|with) (someone|a (human|person|real))|"
              r"hablar con (alguien|una persona)|eres un robot"),
    ("has_agent", r"have an agent|already (have|working with|work with)|my (agent|realtor)|another (agent|broker)|"
                  r"ya tengo (agente|un agente)|mi agente"),
    ("appointment", r"(see|visit|tour|show|showing|stop by|come by|meet|viewing).*(today|tomorrow|\d|weekend|monday|"
                    r"tuesday|wednesday|thursday|friday|saturday|sunday|it\b)|schedule|appointment|cita|visitar|"
                    r"verla (hoy|mañana)|\bcall me (at|tomorrow|today)"),
    ("not_interested", r"not interested|no longer (looking|interested)|bought|no thanks|no gracias|"
                       r"(no|ya no) me interesa|"
                       r"ya compr|decided to stay"),
    ("later", r"later|next (year|spring|summer|month)|not (right )?now|not yet|few months|on hold|"
              r"m[aá]s (adelante|tarde)|busy|despu[eé]s|ahora no"),
    ("question", r"\?|how much|what|when|where|is it|cu[aá]nto|d[oó]nde"),
    ("interested", r"\byes+\b|\byeah\b|interested|still looking|sure|\bs[ií]\b|me interesa|please|love to|"
                   r"tell me more"),
)  # fmt: skip
BAD = frozenset({"opt_out", "complaint", "wrong_number", "not_interested"})
GOOD = frozenset({"interested", "appointment"})
DRAFT = "Thanks for writing back. I will pass this on, and a person of the team will get in touch with you."


def read_intent(text: str) -> str:
    """What a sentence means."""
    known = meanings().get(text.lower().strip())
    if known is not None:
        return known
    lowered = text.lower()
    return next((intent for intent, pattern in INTENTS if re.search(pattern, lowered)), "other")


def fill(schema: Row, text: str, name: str = "", definitions: Row | None = None) -> Any:
    """A value of the schema that fits the text; an unknown property gets an empty value of its type."""
    found: Row = definitions if definitions is not None else schema.get("$defs") or {}
    if "$ref" in schema:
        return fill(found[schema["$ref"].rsplit("/", 1)[1]], text, name, found)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        return None if fact(name, text) is None else fill(options[0], text, name, found)
    if "enum" in schema:
        wanted = fact(name, text)
        return wanted if wanted in schema["enum"] else schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {key: fill(part, text, key, found) for key, part in schema.get("properties", {}).items()}
    if kind == "array":
        return []
    value = fact(name, text)
    if kind in {"number", "integer"}:
        number = float(value) if isinstance(value, int | float) else 0.9 if name == "confidence" else 0.0
        return number if kind == "number" else int(number)
    if kind == "boolean":
        return read_intent(text) in BAD - {"not_interested"} if name == "suppress" else False
    return str(value) if value is not None else ""


def fact(name: str, text: str) -> Any:
    """What the text says about a property by this name; None for nothing."""
    if name == "intent":
        return read_intent(text)
    if name == "sentiment":
        intent = read_intent(text)
        return "negative" if intent in BAD else "positive" if intent in GOOD else "neutral"
    if name in {"body", "draft", "answer", "reply"}:
        return DRAFT
    lowered = text.lower()
    budget = re.search(r"\$?\s?(\d{3})\s?k\b|\$\s?(\d{3}),?000", lowered)
    timeline = re.search(r"(\d+)\s*(month|mes)", lowered)
    place = re.search(r"\b(\d{5})\b", lowered)
    side = "selling" if re.search(r"\bsell|vend", lowered) else "buying" if re.search(r"\bbuy|compr", lowered) else None
    facts: Row = {
        "budget": budget.group(0).strip() if budget else None,
        "budget_usd": int(budget.group(1) or budget.group(2)) * 1000 if budget else None,
        "timeline": timeline.group(0) if timeline else None,
        "timeline_months": int(timeline.group(1)) if timeline else None,
        "place": place.group(1) if place else None, "side": side,
    }  # fmt: skip
    if name in facts:
        return facts[name]
    stem = re.sub(r"_(sentence|quote|evidence)$", "", name)
    return text.strip()[:200] if stem != name and facts.get(stem) else None
