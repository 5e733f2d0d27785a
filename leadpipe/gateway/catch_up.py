"""What providers know and may not have told us: asked for, in case a webhook was lost.

What lives here: Twilio's list of inbound messages, the suppression list of SES, the opt-out list of SNS, and reports
that had no effect yet. What does not: when to ask (``work.poll``), the webhooks themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from leadpipe.crm import watermark
from leadpipe.errors import ConfigurationError, TransientError
from leadpipe.gateway import reports, ses, twilio
from leadpipe.gateway.reports import Context
from leadpipe.leads.identity import normalise_email, normalise_phone
from leadpipe.messaging.suppression import PHONE_CHANNELS, lock_point, suppress
from leadpipe.messaging.under_way import AT_ONCE

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from leadpipe.runtime import Runtime

EFFECTS: dict[str, reports.Effect] = {**twilio.EFFECTS, **ses.EFFECTS}
# New messages can be missing from Twilio's list for minutes, at times for hours (messaging sheet 1.3).
TWILIO_OVERLAP = timedelta(hours=3)
TWILIO_FIRST = timedelta(days=1)
# Once a day the list is read back further, in case it lagged by more than that.
TWILIO_DEEP, TWILIO_DEEP_EVERY = timedelta(days=3), timedelta(days=1)
PAGE_SIZE = 200
MAX_ATTEMPTS = 5


def twilio_inbound(runtime: Runtime) -> int:
    """Messages to our numbers that no webhook brought, given the effect it would have had; returns how many.

    Raises:
        TransientError: Twilio's list could not be read.
        ConfigurationError: Twilio refuses the account.
    """
    from leadpipe.messaging.channels.twilio_api import build_client

    settings = runtime.settings
    numbers = [number for number in (settings.sms_number, settings.whatsapp_number) if number]
    if not settings.twilio_account_sid or not numbers:
        return 0
    now = runtime.clock.now()
    mark = watermark.read(runtime.engine, "twilio_inbound")
    deep = watermark.read(runtime.engine, "twilio_inbound_deep")
    is_deep = mark is not None and (deep is None or now - deep >= TWILIO_DEEP_EVERY)
    since = mark - (TWILIO_DEEP if is_deep else TWILIO_OVERLAP) if mark else now - TWILIO_FIRST
    client = build_client(settings)
    context = Context(settings=settings, now=now)
    count = 0
    for number in numbers:
        # The oldest first, as they were written: a START means the STOP before it.
        for row in reversed(list(_inbound_rows(client, number, since))):
            report = twilio.inbound_report(row["sid"], row["from"], json.dumps(row).encode())
            count += reports.take(runtime.engine, report, EFFECTS[report.source], context) != "known"
    watermark.write(runtime.engine, "twilio_inbound", now, now=now)
    if is_deep:
        watermark.write(runtime.engine, "twilio_inbound_deep", now, now=now)
    return count


def _inbound_rows(client: Any, number: str, since: datetime) -> Iterator[dict[str, str]]:
    """Newest first, all of them down to ``since``: what is left out here is never asked for again."""
    try:
        for message in client.messages.stream(to=number, page_size=PAGE_SIZE):
            created = message.date_created
            if isinstance(created, datetime):
                created = created if created.tzinfo else created.replace(tzinfo=UTC)
                if created < since:
                    return
            if str(message.direction) == "inbound" and message.sid and message.from_:
                yield {
                    "sid": str(message.sid),
                    "from": str(message.from_),
                    "to": str(message.to or number),
                    "body": str(message.body or ""),
                    "at": created.isoformat() if isinstance(created, datetime) else "",
                }
    except Exception as error:
        # The SDK raises four families of errors here; each means that the list is not known.
        if _twilio_status(error) in {401, 403}:
            raise ConfigurationError(
                "Twilio refuses the account; check LEADPIPE_TWILIO_ACCOUNT_SID and LEADPIPE_TWILIO_AUTH_TOKEN"
            ) from None
        raise TransientError(f"Twilio's list of messages could not be read ({type(error).__name__})") from None


def _twilio_status(error: Exception) -> int | None:
    """The HTTP status in an error of the SDK: its own attribute, or the response that a failed page carries."""
    status = getattr(error, "status", None)
    response = error.args[1] if len(error.args) > 1 else None
    return status if isinstance(status, int) else getattr(response, "status_code", None)


_REFUSED_BY_AWS = frozenset(
    "AccessDenied AccessDeniedException AuthorizationError ExpiredToken ExpiredTokenException InvalidClientTokenId "
    "SignatureDoesNotMatch UnrecognizedClientException InvalidSignatureException NoCredentialsError".split()
)


def aws_failure(error: Exception, what: str) -> TransientError | ConfigurationError:
    """What a failed read at AWS means: a refused key is a person's business, anything else passes."""
    response: Any = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else type(error).__name__
    if code in _REFUSED_BY_AWS:
        return ConfigurationError(
            f"AWS refuses to show {what} ({code}); check LEADPIPE_AWS_ACCESS_KEY_ID, its secret and its permissions"
        )
    return TransientError(f"AWS: {what} could not be read ({type(error).__name__})")


def ses_suppressions(runtime: Runtime) -> int:
    """Addresses on the account's suppression list that are ours, suppressed; returns how many are new.

    Raises:
        TransientError: the list could not be read.
        ConfigurationError: AWS refuses the key.
    """
    from leadpipe.messaging.channels.aws import sending_client

    settings = runtime.settings
    if not settings.email_from:
        return 0
    now = runtime.clock.now()
    mark = watermark.read(runtime.engine, "ses_suppressions")
    client = sending_client("sesv2", settings, endpoint_url=settings.ses_endpoint_url, connections=1)
    query: dict[str, Any] = {"PageSize": 1000}
    if mark is not None:
        query["StartDate"] = mark - timedelta(days=1)
    found: dict[str, str] = {}
    try:
        while True:
            page = client.list_suppressed_destinations(**query)
            for row in page.get("SuppressedDestinationSummaries", []):
                found[normalise_email(row["EmailAddress"]).address] = f"ses_{str(row['Reason']).lower()}"
            if not page.get("NextToken"):
                break
            query["NextToken"] = page["NextToken"]
    except Exception as error:
        raise aws_failure(error, "SES's suppression list") from None
    count = _suppress_all(runtime.engine, "email", found, ("email",), now)
    watermark.write(runtime.engine, "ses_suppressions", now, now=now)
    return count


def sns_optouts(runtime: Runtime) -> int:
    """Numbers on SNS's account-wide opt-out list, suppressed on every phone channel; returns how many are new.

    Raises:
        TransientError: the list could not be read.
        ConfigurationError: AWS refuses the key.
    """
    from leadpipe.messaging.channels.aws import sending_client

    settings = runtime.settings
    if settings.sms_provider != "sns":
        return 0
    now = runtime.clock.now()
    client = sending_client("sns", settings, endpoint_url=settings.sns_endpoint_url, connections=1)
    found: dict[str, str] = {}
    query: dict[str, Any] = {}
    try:
        while True:
            page = client.list_phone_numbers_opted_out(**query)
            found |= {normalise_phone(number).address: "sns_opt_out" for number in page.get("phoneNumbers", [])}
            if not page.get("nextToken"):
                break
            query["nextToken"] = page["nextToken"]
    except Exception as error:
        raise aws_failure(error, "SNS's opt-out list") from None
    return _suppress_all(runtime.engine, "phone", found, PHONE_CHANNELS, now)


def _suppress_all(engine: Engine, kind: str, found: dict[str, str], channels: tuple[str, ...], now: datetime) -> int:
    """Suppress these addresses; a stranger's gets a contact point too, so that the refusal is known when they come."""
    named = sorted((address, source) for address, source in found.items() if address)
    parts = (dict(named[start : start + AT_ONCE]) for start in range(0, len(named), AT_ONCE))
    return sum(_suppress_some(engine, kind, wanted, channels, now) for wanted in parts)


def _suppress_some(engine: Engine, kind: str, wanted: dict[str, str], channels: tuple[str, ...], now: datetime) -> int:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.contact_points (kind, address, created_at) "
                "select :kind, address, :now from unnest(cast(:addresses as text[])) address order by address "
                "on conflict (kind, address) do nothing"
            ),
            {"kind": kind, "now": now, "addresses": sorted(wanted)},
        )
        points = connection.execute(_FRESH, {"kind": kind, "addresses": sorted(wanted), "channels": list(channels)})
        fresh = points.all()
        lock_point(connection, [point.id for point in fresh])
        for point in fresh:
            suppress(
                connection, contact_point_id=point.id, channels=channels, source=wanted[point.address], at=now, now=now
            )
        return len(fresh)


# Those that no list of ours names yet: a list of thousands is read every few minutes and nearly all of it is known.
_FRESH = text(
    """
    select c.id, c.address from ledger.contact_points c
    where c.kind = :kind and c.address = any(cast(:addresses as text[])) and not exists (
      select 1 from ledger.suppressions s where s.contact_point_id = c.id and s.channel = any(:channels)
        and s.action = 'suppress' and s.source in ('ses_bounce', 'ses_complaint', 'sns_opt_out', 'bounce', 'complaint'))
    order by c.id
    """
)


def failed_reports(runtime: Runtime) -> int:
    """Reports that were stored but had no effect, tried again; returns how many now had one.

    After too many attempts a report is kept aside with its reason; ``leadpipe inbox replay`` still takes it.
    """
    with runtime.engine.connect() as connection:
        ids = connection.execute(
            text("select id from ledger.inbox where state = 'new' and source = any(:sources) order by id limit 200"),
            {"sources": list(EFFECTS)},
        ).scalars()
        waiting = list(ids)
    context = Context(settings=runtime.settings, now=runtime.clock.now())
    count = 0
    for row_id in waiting:
        try:
            reports.again(runtime.engine, row_id, EFFECTS, context)
            count += 1
        except Exception as error:
            if reports.is_ledger_gone(error):
                raise
            with runtime.engine.begin() as connection:
                _count_attempt(connection, row_id, f"failed: {type(error).__name__}")
    return count


def _count_attempt(connection: Connection, row_id: int, reason: str) -> None:
    connection.execute(
        text(
            "update ledger.inbox set attempts = attempts + 1, reason = :reason, "
            "state = case when attempts + 1 >= :most then 'kept_aside' else state end where id = :id"
        ),
        {"id": row_id, "reason": reason, "most": MAX_ATTEMPTS},
    )
