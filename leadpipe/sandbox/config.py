"""The sandbox's own settings: keys, numbers, limits and pace.

What lives here: the values both sides of the demo agree on. What does not: behaviour.

House convention for consent, which leadpipe reads from a person's custom fields (the CRM has none, FUB sheet 4.5):
``customConsentSms`` (pewc or inquiry), ``customConsentText``, ``customConsentAt``, ``customConsentIp`` and
``customWhatsAppOptIn``.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from leadpipe.sandbox.calendar import STARTS_AT


class SandboxConfig(BaseModel):
    """One sandbox. Every secret here is invented and opens nothing outside this process."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    # where and when
    base_url: str = "http://127.0.0.1:8800"
    gateway_url: str = "http://127.0.0.1:8801"
    starts_at: datetime = STARTS_AT
    """Simulated time at the start of the process; from there on it runs with the wall clock."""
    jump_hold_seconds: float = 1.2
    """After a jump nothing is posted for so long: every process of leadpipe has read the new offset by then."""
    seed: int = 7

    # the population
    pace: float = 1.0
    """Factor on every wall-clock delay of the population; 0.2 is five times as brisk."""
    carrier_pace: float = 1.0
    """Factor on the wall-clock delays of carriers and mail servers: receipts, bounces, callbacks."""
    new_answer_share: float = 0.45
    """Share of new leads' messages that are answered; a second or later one half as often."""
    aged_answer_share: float = 0.08
    """The same for people of the past."""

    # Follow Up Boss
    fub_api_key: str = "fka_sandbox_owner"
    fub_admin_key: str = "fka_sandbox_admin"
    fub_agent_key: str = "fka_sandbox_agent"
    """The key of user 2, who sees only their own people."""
    fub_system: str = "leadpipe"
    fub_system_key: str = "lp-test-system-key-0001"
    fub_window_seconds: float = 10
    """The window of the rate limits. A shorter one makes a long reading bearable without changing its shape."""
    fub_updated_after_works: bool = True
    """False: the documented filter finds nothing, as one integrator met it (sheet 3.3)."""
    fub_deep_tokens_work: bool = True
    """False: offset tokens are refused beyond the wall too, not only the ``offset`` parameter."""
    fub_is_expired: bool = False
    """True: an expired account; everything but POST /events is refused."""
    fub_archived_sources: tuple[str, ...] = ("Archived Portal",)

    # Twilio
    twilio_account_sid: str = "AC" + "0" * 31 + "1"
    twilio_auth_token: str = "0123456789abcdef0123456789abcdef"  # noqa: S105 - the sandbox's own
    twilio_api_key: str = "SK" + "0" * 31 + "1"
    twilio_api_secret: str = "fedcba9876543210fedcba9876543210"  # noqa: S105 - the sandbox's own
    twilio_messaging_service_sid: str = "MG" + "0" * 31 + "1"
    twilio_advanced_opt_out: bool = False
    sms_number: str = "+15005550006"
    whatsapp_number: str = "whatsapp:+15005550006"
    whatsapp_template_sid: str = "HX" + "0" * 31 + "1"
    campaign_sid: str = "CM" + "0" * 31 + "1"
    twilio_disorder: float = 0.04
    """Share of callbacks that come twice or out of order without any fault (messaging sheet 2.2)."""

    # AWS
    mail_domain: str = "demo-realty.example"
    """The verified domain; replies come to a subdomain of it."""
    configuration_set: str = "leadpipe"
    ses_topic_arn: str = "arn:aws:sns:us-east-1:123456789012:leadpipe-ses"
    ses_events_path: str = "/ses/events"
    ses_inbound_path: str = "/ses/inbound"
    ses_max_send_rate: float = 500.0
    ses_max_24_hour_send: float = 500_000.0
    sns_signature_version: str = "2"

    # the rest
    openai_api_key: str = "sk-sandbox"
    bridge_token: str = "bridge-sandbox"  # noqa: S105 - the sandbox's own
    bridge_dataset: str = "sandbox"
    bridge_hourly_limit: int = 5_000
    zillow_folder: Path | None = None
    """Folder of Zillow Research files to serve as they are; None serves the built-in cut, its months moved to now."""
