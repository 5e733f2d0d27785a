"""The Twilio SDK on kept connections: what a sender of many messages uses.

What lives here: the SDK's asynchronous HTTP client on a pool of our own, and the reading of what such a call did. What
does not: the fields of a message (``sms_twilio``, ``whatsapp``), the call on a connection of its own (``twilio_api``).

A connection that the far side closed while it idled looks exactly like a message that was taken and then lost (sheet
7). So one is used again only within ``KEPT_SECONDS``, which no provider's idle limit comes near, and the pool lives as
long as one drain. A POST is never repeated by the HTTP library, and a test holds it.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from leadpipe.messaging.channels import twilio_api
from leadpipe.messaging.channels.base import SendPooled, SendRequest, SendResult
from leadpipe.messaging.under_way import CONNECT_WITHIN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import ClientSession

    from leadpipe.settings import Settings

KEPT_SECONDS = 2.0
API_URL = "https://api.twilio.com"


class PooledHttpClient(AsyncHttpClient):
    """The SDK's HTTP client on a session of ours and another base URL."""

    def __init__(self, session: ClientSession, base_url: str) -> None:
        from aiohttp.payload import BytesPayload

        super().__init__(twilio_api.log, is_async=True)
        # Said to be bytes: aiohttp asks a dozen kinds of body in turn otherwise.
        self._as_body = BytesPayload
        self._session = session
        self._base_url = base_url
        self._addresses: dict[str, str] = {}

    async def request(self, method: str, url: str, *_: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """One request; a 429 raises with the wait it asked for."""
        address = self._addresses.get(url)
        if address is None:
            address = self._addresses[url] = twilio_api.on_base_url(url, self._base_url)
        headers = dict(kwargs.get("headers") or {})
        if auth := kwargs.get("auth"):
            headers["Authorization"] = _basic(*auth)
        form = self._as_body(twilio_api.form_of(kwargs["data"]).encode())
        async with self._session.request(method, address, data=form, headers=headers, allow_redirects=False) as answer:
            words = await answer.text("utf-8", "replace")
            if answer.status == 429:
                raise twilio_api.asked_to_slow_down(answer.headers.get("Retry-After"))
            return Response(answer.status, words, answer.headers)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@asynccontextmanager
async def pooled_sender(
    settings: Settings, connections: int, build: Callable[[SendRequest], dict[str, Any] | SendResult]
) -> AsyncGenerator[SendPooled]:
    """A function that sends one message on a kept connection.

    ``build`` makes the arguments of the create call, or says at once what becomes of a message that cannot be made.
    """
    import aiohttp

    proxy = _proxy_of(settings.twilio_base_url or API_URL)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=KEPT_SECONDS, ssl=_trusted()),
        # Whoever makes the call bounds it (``calls``): a timer of its own for each costs what a twentieth of it does.
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_WITHIN_SECONDS, sock_connect=CONNECT_WITHIN_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy,
    ) as session:
        client = Client(
            settings.twilio_account_sid,
            settings.twilio_auth_token.get_secret_value(),
            http_client=PooledHttpClient(session, settings.twilio_base_url),
        )

        async def send(request: SendRequest) -> SendResult:
            arguments = build(request)
            if isinstance(arguments, SendResult):
                return arguments
            return await _create(client, arguments)

        yield send


async def _create(client: Client, arguments: dict[str, Any]) -> SendResult:
    """One create call, and what it certainly did; any class of failure not named here is unknown."""
    import aiohttp

    try:
        message = await client.messages.create_async(**arguments)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        # Refused, unresolved, no handshake, no free line: no request was ever made.
        return SendResult.not_sent(type(error).__name__)
    except Exception as error:  # noqa: BLE001 - once the call began, what is not known to have failed is unknown
        return twilio_api.failed(error)
    return twilio_api.taken(message)


def _trusted() -> ssl.SSLContext:
    """The authorities that the SDK's own client trusts, not those that the machine happens to have."""
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def _proxy_of(url: str) -> str | None:
    """The proxy that the environment names for this address, as the SDK's own client would take it."""
    where = urlsplit(url)
    if proxy_bypass(where.hostname or ""):
        return None
    return getproxies().get(where.scheme)
