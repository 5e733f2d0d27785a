"""Mail as the tests of SES and SNS send it, and the clients they send it with.

What lives here: boto3 clients, one mail, the events that came of it. What does not: any expectation.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config

from leadpipe.gateway.sns import SnsVerifier
from leadpipe.settings import Settings

FROM = "Demo Realty <hello@demo-realty.example>"


def aws(sandbox: Any, service: str, *, attempts: int = 1, timeout: float = 10) -> Any:
    return _client(sandbox.url, service, attempts, timeout)


@lru_cache(maxsize=16)
def _client(url: str, service: str, attempts: int, timeout: float) -> Any:
    """A client; making one takes longer than most tests, and every sandbox here has the same address."""
    path = {"sesv2": "ses", "sns": "sns"}[service]
    session = boto3.session.Session("AKIASANDBOX", "sandbox", region_name="us-east-1")
    config = Config(
        connect_timeout=2, read_timeout=timeout, retries={"total_max_attempts": attempts, "mode": "standard"}
    )
    return session.client(service, endpoint_url=f"{url}/{path}", config=config)


def mail(to: str = "ana@example.com", **changes: Any) -> dict[str, Any]:
    headers = [{"Name": "List-Unsubscribe", "Value": "<https://u.example.com/u/abc>"},
               {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"}]  # fmt: skip
    body = {"Text": {"Data": "Hello Ana", "Charset": "UTF-8"}, "Html": {"Data": "<p>Hello Ana</p>", "Charset": "UTF-8"}}
    return {
        "FromEmailAddress": FROM, "Destination": {"ToAddresses": [to]},
        "ReplyToAddresses": ["reply+m-42@in.demo-realty.example"],
        "Content": {"Simple": {"Subject": {"Data": "Homes"}, "Body": body, "Headers": headers}},
        "EmailTags": [{"Name": "leadpipe_mid", "Value": "m-42"}, {"Name": "leadpipe_plan", "Value": "new_lead"},
                      {"Name": "leadpipe_step", "Value": "welcome_email"}, {"Name": "leadpipe_occ", "Value": "1"}],
        "ConfigurationSetName": "leadpipe",
    } | changes  # fmt: skip


def events(sandbox: Any) -> list[dict[str, Any]]:
    return [json.loads(json.loads(each.body)["Message"]) for each in sandbox.gateway.at("/ses/events")]


def kinds(sandbox: Any) -> list[str]:
    return [event["eventType"] for event in events(sandbox)]


def verifier(sandbox: Any) -> SnsVerifier:
    settings = Settings(sns_topic_arns=(sandbox.config.ses_topic_arn,), sns_cert_base_url=sandbox.url)
    return SnsVerifier(settings)
