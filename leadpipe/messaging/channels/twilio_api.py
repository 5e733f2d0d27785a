"""The Twilio SDK set up for sending: one request a call, our own base URL, and the reading of what a call did.

What lives here: client, create call, status callback address, exception table of messaging sheet 7. What does not:
what to put into a message (``sms_twilio``, ``whatsapp``).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit, urlunsplit

from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from leadpipe.errors import RateLimited
from leadpipe.messaging.channels.base import SendRequest, SendResult
from leadpipe.messaging.channels.codes import twilio_refusal
from leadpipe.messaging.under_way import CONNECT_WITHIN_SECONDS

if TYPE_CHECKING:
    from leadpipe.settings import Settings

log = logging.getLogger(__name__)
TIMEOUT_SECONDS = 15.0
# Twilio's connection overrides: three tries, after any failure of ours; by default a 5xx loses the report (sheet 2.3).
_OVERRIDES = "ct=2000&rt=5000&rc=3&rp=all"
_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")


class BaseUrlHttpClient(TwilioHttpClient):
    """Twilio's HTTP client on another base URL; a connection of its own for every call.

    An idle connection that the far side closes looks exactly like a message that was taken and then lost (sheet 7).
    """

    def __init__(self, base_url: str = "") -> None:
        super().__init__(pool_connections=False)
        # For connecting and for each read; the SDK hands on what `requests` takes and types only the one number.
        self.timeout = cast("Any", (CONNECT_WITHIN_SECONDS, TIMEOUT_SECONDS))
        self._base_url = base_url

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        """As Twilio's, with scheme, host and path prefix swapped; a 429 raises with the wait it asked for."""
        response = super().request(method, on_base_url(url, self._base_url), *args, **kwargs)
        if response.status_code == 429:
            raise asked_to_slow_down((response.headers or {}).get("Retry-After"))
        return response


def on_base_url(url: str, base_url: str) -> str:
    """The SDK's address with scheme, host and path prefix of the base URL; as it is without one."""
    if not base_url:
        return url
    base, wanted = urlsplit(base_url), urlsplit(url)
    path = base.path.rstrip("/") + wanted.path
    return urlunsplit((base.scheme, base.netloc, path, wanted.query, wanted.fragment))


def asked_to_slow_down(retry_after: str | None) -> RateLimited:
    """A 429 as the error that carries its wait."""
    from leadpipe.crm.ratelimit import retry_after_seconds

    return RateLimited("Twilio asks to slow down", retry_after_seconds=retry_after_seconds(retry_after, default=0.0))


def build_client(settings: Settings) -> Client:
    """A Twilio client for sending and for looking up; opens nothing."""
    return Client(
        settings.twilio_account_sid,
        settings.twilio_auth_token.get_secret_value(),
        http_client=BaseUrlHttpClient(settings.twilio_base_url),
    )


def form_of(values: Mapping[str, Any]) -> str:
    """Names and values as a form or a query carries them; the standard library's own costs as much as the call."""
    from yarl import URL

    return URL.build(query={name: str(value) for name, value in values.items()}).raw_query_string


def status_callback(settings: Settings, request: SendRequest) -> str:
    """Where Twilio reports on this message; the query names it, so that a report binds without Twilio's id."""
    step = _step_query(request.plan, request.step, request.occurrence)
    return f"{settings.public_base_url.rstrip('/')}/twilio/status?mid={request.message_id}&{step}#{_OVERRIDES}"


@lru_cache(maxsize=1024)
def _step_query(plan: str, step: str, occurrence: int) -> str:
    return form_of({"plan": plan, "step": step, "occ": occurrence})


def create_message(client: Client, arguments: dict[str, Any]) -> SendResult:
    """One create call, and what it certainly did; any class of failure not named here is unknown."""
    from requests import exceptions as http

    try:
        message = client.messages.create(**arguments)
    except http.ConnectTimeout:
        return SendResult.not_sent("ConnectTimeout")
    except http.ConnectionError as error:
        return _connection_outcome(error)
    except Exception as error:  # noqa: BLE001 - once the call began, what is not known to have failed is unknown
        return failed(error)
    return taken(message)


def failed(error: Exception) -> SendResult:
    """What a create call certainly did that raised this."""
    from twilio.base.exceptions import TwilioRestException

    if isinstance(error, RateLimited):
        return SendResult.not_sent("20429", retry_after_seconds=error.retry_after_seconds)
    if isinstance(error, TwilioRestException):
        return twilio_refusal(error.status, error.code)
    return SendResult.unknown(type(error).__name__)


def taken(message: Any) -> SendResult:
    """The answer of a create call; a 2xx without a body raises nothing and yields sid=None (sheet 1.7)."""
    if not isinstance(message.sid, str) or not _SID.fullmatch(message.sid):
        return SendResult.unknown("no_sid")
    return SendResult.accepted(message.sid)


def _connection_outcome(error: Exception) -> SendResult:
    """Refused or unresolved: no connection was ever made. Anything else may have carried the request."""
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError):
        return SendResult.not_sent("ConnectionRefused")
    return SendResult.unknown("ConnectionError")
