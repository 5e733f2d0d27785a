"""An OpenAI-compatible endpoint: Responses with structured output, moderation, models.

What lives here: the wire of messaging sheet 6. What does not: what the model understands (``fake_model``).
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadpipe.sandbox.fake_model import DRAFT, fill

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]
BASE = "/openai/v1"
# Models that reason accept no other sampling than their own.
_REASONS = re.compile(r"^(o\d|gpt-5)")
CATEGORIES = (
    "harassment harassment/threatening hate hate/threatening illicit illicit/violent self-harm self-harm/intent "
    "self-harm/instructions sexual sexual/minors violence violence/graphic"
).split()


class OpenAiApi:
    """The endpoint; ``count_tokens`` is what it charged for."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.count = 0
        self.count_tokens = 0

    def routes(self) -> list[Route]:
        """Everything under ``/openai/v1``."""
        return [
            Route(BASE + "/responses", self.responses, methods=["POST"]),
            Route(BASE + "/moderations", self.moderations, methods=["POST"]),
            Route(BASE + "/models", self.models, methods=["GET"]),
            Route(BASE + "/models/{model:path}", self.model, methods=["GET"]),
        ]

    def _is_allowed(self, request: Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self._sandbox.config.openai_api_key}"

    async def responses(self, request: Request) -> Response:
        """One response; a JSON schema is filled with what the text says."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        body: Row = json.loads(await request.body() or b"{}")
        wrong = _wrong(body)
        if wrong is not None:
            return wrong
        faults = self._sandbox.faults
        if faults.strikes("openai_garbage"):
            return Response(b"<html>", 200, media_type="application/json")
        if faults.strikes("openai_empty"):
            return Response(b"{}", 200, media_type="application/json")
        form: Row = (body.get("text") or {}).get("format") or {"type": "text"}
        text = user_text(body.get("input", ""))
        is_schema = form.get("type") == "json_schema"
        words = json.dumps(fill(form["schema"], text), ensure_ascii=False) if is_schema else DRAFT
        content: Row = {"type": "output_text", "text": words, "annotations": []}
        limit = body.get("max_output_tokens")
        is_cut = faults.strikes("openai_cut") or (limit is not None and len(words) // 4 > limit)
        if is_cut:
            content["text"] = words[: len(words) // 2]
        if faults.strikes("openai_refusal"):
            content = {"type": "refusal", "refusal": "I can't help with that."}
        return self._answer(body, form, content, is_cut=is_cut)

    def _answer(self, body: Row, form: Row, content: Row, *, is_cut: bool) -> Response:
        self.count += 1
        prompt = max(1, len(json.dumps(body)) // 4)
        written = max(1, len(str(content.get("text") or content.get("refusal"))) // 4)
        self.count_tokens += prompt + written
        cached = prompt // 128 * 128 if prompt > 1_024 else 0
        status = "incomplete" if is_cut else "completed"
        answer = {
            "id": f"resp_{self.count:08d}", "object": "response", "created_at": int(self._sandbox.now().timestamp()),
            "status": status, "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "instructions": body.get("instructions"), "max_output_tokens": body.get("max_output_tokens"),
            "model": body.get("model"), "output": [
                {"type": "message", "id": f"msg_{self.count:08d}", "status": status, "role": "assistant",
                 "content": [content]}
            ],
            "parallel_tool_calls": True, "previous_response_id": None, "store": bool(body.get("store", True)),
            "temperature": 1.0, "text": {"format": form}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
            "truncation": "disabled", "user": None, "metadata": body.get("metadata") or {},
            "usage": {"input_tokens": prompt,
                      "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
                      "output_tokens": written, "output_tokens_details": {"reasoning_tokens": 0},
                      "total_tokens": prompt + written},
        }  # fmt: skip
        headers = {
            "x-request-id": f"req_{self.count:08d}", "openai-processing-ms": "12", "openai-version": "2020-10-01",
            "openai-organization": "sandbox", "x-ratelimit-limit-requests": "5000",
            "x-ratelimit-limit-tokens": "2000000", "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-remaining-tokens": "1999000", "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-reset-tokens": "6m0s",
        }  # fmt: skip
        return Response(orjson.dumps(answer), 200, headers, "application/json")

    async def _refused(self, request: Request) -> Response | None:
        faults = self._sandbox.faults
        if not self._is_allowed(request):
            return failure(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")
        if faults.strikes("openai_hang"):
            await asyncio.sleep(faults.value("openai_hang", 60.0))
        if faults.strikes("openai_quota"):
            words = "You exceeded your current quota, please check your plan and billing details."
            return failure(429, "insufficient_quota", "insufficient_quota", words)
        if faults.strikes("openai_429"):
            return failure(429, "requests", "rate_limit_exceeded", "Rate limit reached for requests.")
        if faults.strikes("openai_500"):
            return failure(500, "server_error", None, "The server had an error while processing your request.")
        return None

    async def moderations(self, request: Request) -> Response:
        """Nothing is ever flagged."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        body: Row = json.loads(await request.body())
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        row = {"flagged": False, "categories": dict.fromkeys(CATEGORIES, False),
               "category_scores": dict.fromkeys(CATEGORIES, 0.0),
               "category_applied_input_types": {name: ["text"] for name in CATEGORIES}}  # fmt: skip
        answer = {"id": "modr-1", "model": body.get("model") or "omni-moderation-latest", "results": [row] * len(texts)}
        return Response(orjson.dumps(answer), media_type="application/json")

    async def models(self, request: Request) -> Response:
        """The models, of which the sandbox has one name too few to matter."""
        if not self._is_allowed(request):
            return failure(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")
        return Response(orjson.dumps({"object": "list", "data": [_model("gpt-5-mini")]}), media_type="application/json")

    async def model(self, request: Request) -> Response:
        """Any model by name."""
        if not self._is_allowed(request):
            return failure(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")
        return Response(orjson.dumps(_model(request.path_params["model"])), media_type="application/json")


def _model(name: str) -> Row:
    return {"id": name, "object": "model", "created": 1_767_600_000, "owned_by": "sandbox"}


def _wrong(body: Row) -> Response | None:
    """What a real endpoint refuses in a request."""
    if not body.get("model") or "input" not in body:
        name = "input" if body.get("model") else "model"
        return failure(400, "invalid_request_error", "missing_required_parameter", f"Missing '{name}'.", name)
    if _REASONS.match(body["model"]) and body.get("temperature") not in {None, 1}:
        words = "Unsupported value: 'temperature' does not support other values than 1 with this model."
        return failure(400, "invalid_request_error", "unsupported_value", words, "temperature")
    form: Row = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema" and form.get("strict"):
        schema: Row = form.get("schema") or {}
        properties: Row = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != set(properties):
            words = f"Invalid schema for response_format '{form.get('name')}': strict needs every property required."
            return failure(400, "invalid_request_error", "invalid_json_schema", words, "text.format.schema")
    return None


def user_text(given: Any) -> str:
    """The lead's own words in the input: the last user message, what stands between message marks if there are any."""
    if isinstance(given, str):
        return _marked(given)
    for entry in reversed(given):
        if entry.get("role") == "user":
            content = entry["content"]
            text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
            return _marked(text)
    return ""


def _marked(text: str) -> str:
    inside = re.search(r"<(\w*(?:message|text|reply)\w*)[^>]*>(.*?)</\1>", text, re.DOTALL)
    return inside.group(2).strip() if inside else text


def failure(status: int, kind: str, code: str | None, message: str, param: str | None = None) -> Response:
    """An error body."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Response(orjson.dumps(body), status, {"x-request-id": "req_error"}, "application/json")
