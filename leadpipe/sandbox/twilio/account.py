"""The account itself: its numbers, its Messaging Service, its campaign; what a health check asks for.

What lives here: reads of configuration. What does not: messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from leadpipe.sandbox.state import iso
from leadpipe.sandbox.twilio.codes import error

if TYPE_CHECKING:
    from leadpipe.sandbox.state import Sandbox

Row = dict[str, Any]


class Account:
    """Configuration of the fake account."""

    def __init__(self, sandbox: Sandbox, is_allowed: Callable[[Request], bool]) -> None:
        self._sandbox = sandbox
        self._is_allowed = is_allowed

    def routes(self) -> list[Route]:
        """Account, numbers, service, campaign."""
        base = "/2010-04-01/Accounts/{account}"
        return [
            Route(base + ".json", self.account, methods=["GET"]),
            Route(base + "/IncomingPhoneNumbers.json", self.numbers, methods=["GET"]),
            Route("/v1/Services/{sid}", self.service, methods=["GET"]),
            Route("/v1/Services/{sid}/PhoneNumbers", self.service_numbers, methods=["GET"]),
            Route("/v1/Services/{sid}/Compliance/Usa2p", self.campaigns, methods=["GET"]),
        ]

    async def account(self, request: Request) -> Response:
        """The account."""
        sid = self._sandbox.config.twilio_account_sid
        if not self._is_allowed(request):
            return error(401, 20003)
        if request.path_params["account"] != sid:
            return error(404, 20404)
        return JSONResponse({"sid": sid, "friendly_name": "Demo Realty", "status": "active", "type": "Full"})

    async def numbers(self, request: Request) -> Response:
        """Our numbers, with where their messages go."""
        if not self._is_allowed(request):
            return error(401, 20003)
        config = self._sandbox.config
        asked = request.query_params.get("PhoneNumber")
        row: Row = {
            "sid": "PN" + "0" * 31 + "1", "phone_number": config.sms_number, "friendly_name": config.sms_number,
            "capabilities": {"sms": True, "mms": True, "voice": True}, "sms_method": "POST", "sms_fallback_url": "",
            "sms_url": f"{config.gateway_url}/twilio/inbound", "status": "in-use",
        }  # fmt: skip
        rows = [row] if asked in {None, config.sms_number} else []
        path = request.url.path.removeprefix("/twilio")
        return JSONResponse({"incoming_phone_numbers": rows, "page": 0, "page_size": 50, "first_page_uri": path,
                             "next_page_uri": None, "previous_page_uri": None, "start": 0,
                             "end": max(0, len(rows) - 1), "uri": path})  # fmt: skip

    async def service(self, request: Request) -> Response:
        """The Messaging Service."""
        config = self._sandbox.config
        if not self._is_allowed(request):
            return error(401, 20003)
        if request.path_params["sid"] != config.twilio_messaging_service_sid:
            return error(404, 20404)
        now = iso(self._sandbox.started_at)
        return JSONResponse(
            {"sid": config.twilio_messaging_service_sid, "account_sid": config.twilio_account_sid,
             "friendly_name": "Demo Realty follow-up", "inbound_request_url": f"{config.gateway_url}/twilio/inbound",
             "inbound_method": "POST", "fallback_url": None, "status_callback": None, "smart_encoding": False,
             "validity_period": 36000, "use_inbound_webhook_on_number": False, "us_app_to_person_registered": True,
             "date_created": now, "date_updated": now, "links": {}, "url": ""}
        )  # fmt: skip

    async def service_numbers(self, request: Request) -> Response:
        """The service's senders."""
        config = self._sandbox.config
        row = {"sid": "PN" + "0" * 31 + "1", "service_sid": config.twilio_messaging_service_sid,
               "phone_number": config.sms_number, "country_code": "US", "capabilities": ["SMS", "MMS"]}  # fmt: skip
        return self._listed(request, "phone_numbers", [row])

    async def campaigns(self, request: Request) -> Response:
        """The 10DLC campaign of the service."""
        config = self._sandbox.config
        row = {"sid": "QE" + "0" * 32, "campaign_id": config.campaign_sid, "campaign_status": "VERIFIED",
               "messaging_service_sid": config.twilio_messaging_service_sid,
               "us_app_to_person_usecase": "LOW_VOLUME"}  # fmt: skip
        return self._listed(request, "compliance", [row])

    def _listed(self, request: Request, key: str, rows: list[Row]) -> Response:
        if not self._is_allowed(request):
            return error(401, 20003)
        if request.path_params["sid"] != self._sandbox.config.twilio_messaging_service_sid:
            return error(404, 20404)
        url = f"https://messaging.twilio.com{request.url.path.removeprefix('/twilio')}"
        meta = {"page": 0, "page_size": 50, "first_page_url": url, "previous_page_url": None, "next_page_url": None,
                "url": url, "key": key}  # fmt: skip
        return JSONResponse({key: rows, "meta": meta})
