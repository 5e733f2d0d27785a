"""The sandbox's own settings: keys, numbers, limits and pace.

What lives here: the values both sides of the demo agree on. What does not: behaviour.

House convention for consent, which leadpipe reads from a person's custom fields (the CRM has none, FUB sheet 4.5):
``customConsentSms`` (pewc or inquiry), ``customConsentText``, ``customConsentAt``, ``customConsentIp`` and
``customWhatsAppOptIn``.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from leadpipe.sandbox.calendar import STARTS_AT


class SandboxConfig(BaseModel):
    """One sandbox. Every secret here is invented and opens nothing outside this process."""

    fub_api_key: str = "fka_sandbox_owner"
    fub_admin_key: str = "fka_sandbox_admin"
    fub_agent_key: str = "fka_sandbox_agent"
    fub_system: str = "leadpipe"
    fub_system_key: str = "lp-test-system-key-0001"
    fub_updated_after_works: bool = True
    twilio_account_sid: str = "AC" + "0" * 31 + "1"
    twilio_auth_token: str = "0123456789abcdef0123456789abcdef"  # noqa: S105 - the sandbox's own
    twilio_messaging_service_sid: str = "MG" + "0" * 31 + "1"
    sms_number: str = "+15005550006"
    whatsapp_number: str = "whatsapp:+15005550006"
    whatsapp_template_sid: str = "HX" + "0" * 31 + "1"
    openai_api_key: str = "sk-sandbox"
    bridge_token: str = "bridge-sandbox"  # noqa: S105 - the sandbox's own
    bridge_dataset: str = "sandbox"
    ses_topic_arn: str = "arn:aws:sns:us-east-1:123456789012:leadpipe-ses"
    zillow_folder: Path | None = None
    base_url: str = "http://127.0.0.1:8800"
    gateway_url: str = "http://127.0.0.1:8801"
    mail_domain: str = "demo-realty.example"
    starts_at: datetime = STARTS_AT
    """Simulated time at the start of the process; from there on it runs with the wall clock."""
    seed: int = 7
    pace: float = 1.0
    """Factor on every wall-clock delay of the population; 0.2 is five times as brisk."""
