"""Mail that SES stored in S3 and whose notice never came.

What lives here: finding it and giving it the effect its notice would have had. What does not: the notice itself
(``ses``), when to look (``work.poll``). SES has no list of what it received, but a receipt rule that stores in S3
leaves one.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from leadpipe.crm import watermark
from leadpipe.errors import ConfigurationError
from leadpipe.gateway import reports, ses
from leadpipe.gateway.catch_up import aws_failure
from leadpipe.gateway.reports import Context, Report

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime
    from leadpipe.settings import Settings

# A notice comes within seconds, and says more than the mail alone: receivers and verdicts.
LEAVE_TO_NOTICE = timedelta(minutes=2)
OVERLAP = timedelta(hours=3)
FIRST = timedelta(days=1)
# SES names the object by the mail's id; its own first one says only that the rule was set up.
_ID = re.compile(r"[a-z0-9]{20,}")


class _Stored(NamedTuple):
    key: str
    at: datetime

    @property
    def provider_id(self) -> str:
        return self.key.rpartition("/")[2]


def ses_inbound(runtime: Runtime) -> int:
    """Mails in the bucket that no notice told of, read now; returns how many.

    Raises:
        TransientError: the bucket could not be read.
        ConfigurationError: AWS refuses the key, or the setting is no S3 address.
    """
    settings = runtime.settings
    if not settings.ses_inbound_path:
        return 0
    bucket, _, prefix = settings.ses_inbound_path.removeprefix("s3://").partition("/")
    if not settings.ses_inbound_path.startswith("s3://") or not bucket:
        raise ConfigurationError(
            f"LEADPIPE_SES_INBOUND_PATH is {settings.ses_inbound_path!r}; it must read s3://bucket/prefix"
        )
    now = runtime.clock.now()
    mark = watermark.read(runtime.engine, "ses_inbound")
    since = mark - OVERLAP if mark else now - FIRST
    context = Context(settings=settings, now=now)
    count = 0
    try:
        client = _client(settings)
        found = [each for each in _stored(client, bucket, prefix) if since <= each.at <= now - LEAVE_TO_NOTICE]
        for each in _unknown(runtime, found):
            raw: bytes = client.get_object(Bucket=bucket, Key=each.key)["Body"].read()
            report = _report(bucket, each, raw)
            count += reports.take(runtime.engine, report, ses.EFFECTS[report.source], context) != "known"
    except Exception as error:
        if reports.is_ledger_gone(error):
            raise
        raise aws_failure(error, "the bucket of inbound mail") from None
    watermark.write(runtime.engine, "ses_inbound", now, now=now)
    return count


def _client(settings: Settings) -> Any:
    import boto3
    from botocore.config import Config

    session = boto3.session.Session(
        region_name=settings.aws_region,
        aws_access_key_id=settings.aws_access_key_id or None,
        aws_secret_access_key=settings.aws_secret_access_key.get_secret_value() or None,
    )
    return session.client("s3", config=Config(connect_timeout=3, read_timeout=15))


def _stored(client: Any, bucket: str, prefix: str) -> Iterator[_Stored]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            stored = _Stored(key=item["Key"], at=item["LastModified"])
            if _ID.fullmatch(stored.provider_id):
                yield stored


def _unknown(runtime: Runtime, found: list[_Stored]) -> list[_Stored]:
    """Those that nobody told of, the oldest first."""
    with runtime.engine.connect() as connection:
        told = set(
            connection.execute(
                text("select dedupe_key from ledger.inbox where source = :source and dedupe_key = any(:ids)"),
                {"source": ses.INBOUND, "ids": [each.provider_id for each in found]},
            ).scalars()
        )
    return sorted((each for each in found if each.provider_id not in told), key=lambda each: (each.at, each.key))


def _report(bucket: str, stored: _Stored, raw: bytes) -> Report:
    """As its notice would have been; SES writes its verdict on viruses into the mail too."""
    mail = message_from_bytes(raw, policy=policy.default)
    named = [str(value) for name in ("To", "Cc") for value in mail.get_all(name, [])]
    recipients = [address for _, address in getaddresses(named) if "@" in address]
    verdict = str(mail.get("X-SES-Virus-Verdict") or "")
    notice = {
        "notificationType": "Received",
        "mail": {
            "messageId": stored.provider_id,
            "timestamp": stored.at.isoformat(),
            "destination": recipients,
        },
        "receipt": {
            "recipients": recipients,
            "virusVerdict": {"status": verdict},
            "action": {"type": "S3", "bucketName": bucket, "objectKey": stored.key, "encoding": "BASE64"},
        },
        "content": base64.b64encode(raw).decode(),
    }
    return Report(
        source=ses.INBOUND,
        kind="Received",
        dedupe_key=stored.provider_id,
        body=json.dumps(notice).encode(),
        headers={"found_in": "s3"},
    )
