"""An OpenAI-compatible Responses endpoint: a rule-based "model" that fills any strict schema.

What lives here: the wire (messaging sheet section 6) and a deterministic reader of sentences. What does not: prices.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request, Response

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
# First hit wins; the order is from what must not be missed to what is merely likely.
INTENTS: tuple[tuple[str, str], ...] = (
    ("wrong_number", r"wrong (number|person|email)|who is this|never asked|equivocad|no soy"),
    ("complaint", r"spam|report you|lawyer|attorney|harass|lawsuit|demanda|acoso"),
    ("opt_out", r"^\W*(stop|unsubscribe|quit|end|alto|parar|basta|cancel)\W*$|take me off|remove me|stop (text|messag|"
                r"contact|email|writ|send)|don'?t (text|contact|email|message)|leave me alone|no me (escrib|mand|contact)|"
                r"d[eé]jen? de|quit (text|messag)|unsubscribe"),
    ("human", r"real person|are you a (bot|robot|human)|talk to (someone|a (human|person|real))|hablar con (alguien|una persona)|eres un robot"),
    ("has_agent", r"have an agent|already (have|working with|work with)|my (agent|realtor)|ya tengo (agente|un agente)"),
    ("appointment", r"(see|visit|tour|show|stop by|come by|meet|viewing).*(today|tomorrow|\d|weekend|saturday|sunday|monday|it)|"
                    r"schedule|appointment|cita|visitar|\bcall me (at|tomorrow|today)"),
    ("not_interested", r"not interested|no longer (looking|interested)|bought|no thanks|no gracias|no me interesa|ya compr"),
    ("later", r"later|next (year|spring|summer|month)|not (right )?now|few months|m[aá]s (adelante|tarde)|busy|despu[eé]s"),
    ("question", r"\?|how much|what|when|where|is it|cu[aá]nto|d[oó]nde"),
    ("interested", r"\byes\b|\byeah\b|interested|still looking|sure|\bs[ií]\b|me interesa|please|love to|tell me more"),
)  # fmt: skip


def read_intent(text: str) -> str:
    """The intent of a sentence by the first pattern that matches."""
    lowered = text.lower()
    return next((intent for intent, pattern in INTENTS if re.search(pattern, lowered)), "other")


class OpenAiApi:
    """``POST /openai/v1/responses`` and ``/moderations``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.count = 0

    def router(self) -> APIRouter:
        """Everything under ``/openai/v1``."""
        router = APIRouter(prefix="/openai/v1")
        router.add_api_route("/responses", self.responses, methods=["POST"])
        router.add_api_route("/moderations", self.moderations, methods=["POST"])
        return router

    async def responses(self, request: Request) -> Response:
        """One response; with a JSON schema every property is filled sensibly."""
        if request.headers.get("Authorization") != f"Bearer {self._sandbox.config.openai_api_key}":
            return _error(401, "invalid_api_key", "Incorrect API key provided.")
        if self._sandbox.faults.strikes("openai_429"):
            return _error(429, "rate_limit_exceeded", "Rate limit reached.")
        if self._sandbox.faults.strikes("openai_500"):
            return _error(500, "server_error", "The server had an error.")
        body: Row = await request.json()
        text = _user_text(body.get("input", ""))
        form = body.get("text", {}).get("format", {"type": "text"})
        words = (
            json.dumps(fill(form["schema"], text)) if form.get("type") == "json_schema" else "Thanks for your message."
        )
        self.count += 1
        prompt_tokens = len(json.dumps(body)) // 4
        answer = {
            "id": f"resp_{self.count}", "object": "response", "created_at": int(self._sandbox.now().timestamp()),
            "status": "completed", "error": None, "incomplete_details": None, "instructions": None,
            "max_output_tokens": body.get("max_output_tokens"), "model": body.get("model", "sandbox"),
            "output": [{"type": "message", "id": f"msg_{self.count}", "status": "completed", "role": "assistant",
                        "content": [{"type": "output_text", "text": words, "annotations": []}]}],
            "parallel_tool_calls": True, "previous_response_id": None, "store": False, "temperature": 1.0,
            "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
            "truncation": "disabled", "user": None, "metadata": {},
            "usage": {"input_tokens": prompt_tokens,
                      "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                      "output_tokens": max(1, len(words) // 4), "output_tokens_details": {"reasoning_tokens": 0},
                      "total_tokens": prompt_tokens + max(1, len(words) // 4)},
        }  # fmt: skip
        headers = {"x-request-id": f"req_{self.count}", "openai-processing-ms": "12", "x-ratelimit-limit-requests": "5000",
                   "x-ratelimit-remaining-requests": "4999", "x-ratelimit-reset-requests": "12ms"}  # fmt: skip
        return Response(orjson.dumps(answer), 200, headers, "application/json")

    async def moderations(self, request: Request) -> Response:
        """Nothing is ever flagged."""
        body: Row = await request.json()
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        rows = [{"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}] * len(
            texts
        )
        return Response(
            orjson.dumps({"id": "modr-1", "model": body.get("model"), "results": rows}), media_type="application/json"
        )


def _user_text(given: Any) -> str:
    if isinstance(given, str):
        return given
    for entry in reversed(given):
        if entry.get("role") == "user":
            content = entry["content"]
            text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
            inside = re.search(r"<(?:message|lead_message|text)>(.*?)</", text, re.DOTALL)
            return inside.group(1) if inside else text
    return ""


def fill(schema: Row, text: str, name: str = "", defs: Row | None = None) -> Any:
    """A value of the schema that fits the text; an unknown property gets an empty value of its type."""
    defs = defs or schema.get("$defs", {})
    if "$ref" in schema:
        return fill(defs[schema["$ref"].rsplit("/", 1)[1]], text, name, defs)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        value = _fact(name, text)
        return None if value is None and not options[0].get("enum") else fill(options[0], text, name, defs)
    if "enum" in schema:
        wanted = _fact(name, text)
        return wanted if wanted in schema["enum"] else schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {key: fill(part, text, key, defs) for key, part in schema.get("properties", {}).items()}
    if kind == "array":
        return []
    value = _fact(name, text)
    if kind in {"number", "integer"}:
        number = float(value) if isinstance(value, int | float) else 0.9 if name == "confidence" else 0.0
        return number if kind == "number" else int(number)
    if kind == "boolean":
        return False
    return str(value) if value is not None else ""


def _fact(name: str, text: str) -> Any:
    intent = read_intent(text)
    if name == "intent":
        return intent
    if name == "sentiment":
        bad, good = {"opt_out", "complaint", "wrong_number", "not_interested"}, {"interested", "appointment"}
        return "negative" if intent in bad else "positive" if intent in good else "neutral"
    if name == "body":
        return "Thanks for writing back. I will pass this on, and a person of the team will get in touch with you."
    budget = re.search(r"\$?\s?(\d{3})\s?k\b|\$\s?(\d{3}),?000", text.lower())
    timeline = re.search(r"(\d+)\s*(month|mes)", text.lower())
    facts: Row = {
        "budget": budget.group(0).strip() if budget else None,
        "budget_usd": int(budget.group(1) or budget.group(2)) * 1000 if budget else None,
        "timeline": timeline.group(0) if timeline else None,
        "timeline_months": int(timeline.group(1)) if timeline is not None else None,
        "side": "selling"
        if re.search(r"\bsell|vender", text.lower())
        else "buying"
        if re.search(r"\bbuy|comprar", text.lower())
        else None,
    }
    if name in facts:
        return facts[name]
    stem = name.removesuffix("_sentence").removesuffix("_quote")
    return text.strip()[:200] if stem != name and facts.get(stem) else None


def _error(status: int, code: str, message: str) -> Response:
    body = {"error": {"message": message, "type": code, "param": None, "code": code}}
    return Response(orjson.dumps(body), status, {"x-request-id": "req_error"}, "application/json")
