"""A provider that takes everything at once: ``python -m benchmarks.instant PORT``.

What lives here: the least HTTP endpoint that answers as Twilio and SES do, with a new id each time, and counts. What
does not: faithfulness (``leadpipe.sandbox``). It costs a few hundredths of a millisecond a request, so that a figure
measured against it is the sender's own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

TWILIO_PATH = b"/2010-04-01/Accounts/"
SES_PATH = b"/v2/email/outbound-emails"
COUNT_PATH = b"/count"
_TWILIO = (
    b'{"sid": "SM%032x", "status": "queued", "body": "as given", "to": "+15125550100", "from": "+15125550100", '
    b'"direction": "outbound-api", "error_code": null, "error_message": null, "num_media": "0", "num_segments": "1", '
    b'"price": null, "price_unit": "USD", "date_created": "Tue, 03 Mar 2026 16:00:00 +0000", "date_sent": null, '
    b'"date_updated": "Tue, 03 Mar 2026 16:00:00 +0000", "uri": "/2010-04-01/Accounts/AC/Messages/SM.json", '
    b'"account_sid": "AC", "api_version": "2010-04-01", "messaging_service_sid": null, "subresource_uris": {}}'
)
_SES = b'{"MessageId": "0100%028x-bench"}'


class Counted:
    """How many messages were taken, over all connections."""

    messages = 0


class Instant(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = _length(head)
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(self._answer(head.split(b" ", 2)[1]))

    def _answer(self, path: bytes) -> bytes:
        if path == COUNT_PATH:
            return _response(b"200 OK", json.dumps({"messages": self._counted.messages}).encode())
        self._counted.messages += 1
        if path.startswith(TWILIO_PATH):
            return _response(b"201 Created", _TWILIO % self._counted.messages)
        if path.startswith(SES_PATH):
            return _response(b"200 OK", _SES % self._counted.messages)
        return _response(b"404 Not Found", b"{}")


def _length(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    return int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


def _response(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


async def serve(port: int) -> None:
    """Serve on loopback until cancelled."""
    counted = Counted()
    server = await asyncio.get_running_loop().create_server(lambda: Instant(counted), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
