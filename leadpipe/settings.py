"""Every setting of leadpipe, typed, in one place.

What lives here: names, types, defaults and the refusals that keep a test system from reaching real people. What does
not: how a value is read and refused (``setting_values``), where it comes from (``setting_loading``), secrets' values,
anything that opens a connection.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from leadpipe.setting_values import (
    AgeKey,
    Blackouts,
    ByState,
    CommaList,
    Contacts,
    MaybePath,
    MaybeText,
    Moment,
    Names,
    States,
    StateValue,
    Unguessable,
    Url,
    Zone,
    is_loopback,
)

__all__ = [
    "ByState",
    "Sending",
    "Settings",
    "StateValue",
    "is_loopback",
]


class Sending(StrEnum):
    """What may leave: nothing, only to listed contacts, only to a loopback sandbox, or everything lawful."""

    OFF = "off"
    ALLOWLIST = "allowlist"
    SANDBOX = "sandbox"
    LIVE = "live"


class Settings(BaseSettings):
    """All settings. ``docs/configuration.md`` is made from the field descriptions."""

    model_config = SettingsConfigDict(env_prefix="LEADPIPE_", extra="ignore", frozen=True)

    # places
    home: Path = Field(Path(".leadpipe"), description="Folder for everything the embedded services keep.")
    database_url: MaybeText = Field(
        None, description="PostgreSQL of your own (postgresql://...); empty starts the embedded server."
    )
    lake_path: MaybeText = Field(None, description="Folder or s3://bucket/prefix of the lake; empty: HOME/lake.")
    compute_logs_path: str = Field("", description="s3://bucket/prefix for the logs of runs; empty: HOME/dagster.")
    team_timezone: Zone = Field("America/Chicago", description="IANA zone of the team; business days and nightly runs.")

    # sending
    sending: Sending = Field(
        Sending.OFF, description="off records what would go; allowlist, sandbox (loopback only) or live."
    )
    allowlist: Contacts = Field((), description="Emails and E.164 numbers that may be reached with sending=allowlist.")
    go_live_at: Moment = Field(
        None, description="ISO time from which new people are welcomed; empty: the moment of the first sync."
    )
    welcome_imports: bool = Field(
        False, description="Welcome people of a bulk import as new leads; off: only those who make an inquiry."
    )
    import_people_per_minute: int = Field(
        25, ge=1, description="More people without an inquiry created within a minute are a bulk import."
    )
    shadow_first: int = Field(0, ge=0, description="First N messages of each plan wait for release by a person.")
    cap_per_run: int = Field(2_000, ge=0, description="Messages one drain may send before it yields.")
    cap_per_hour: int = Field(500, ge=0, description="Messages an hour, all channels.")
    cap_per_day: int = Field(2_000, ge=0, description="Messages a day, all channels.")
    cap_per_number_per_day: int = Field(1_000, ge=0, description="SMS a day from one sending number.")
    cap_per_plan_per_day: int = Field(1_000, ge=0, description="Messages a day for one plan, first touch excepted.")
    warm_up: bool = Field(
        True,
        description="Marketing email to aged addresses begins with few a day; off: the domain has carried such before.",
    )
    email_pauses: bool = Field(
        True, description="Marketing email rests when too much of it comes back; off: people are only told."
    )
    min_gap_minutes: int = Field(
        60, ge=0, description="Minutes between two messages to one person, whatever the plans; answers are exempt."
    )
    stale_after_hours: int = Field(24, ge=1, description="A queued message older than this past its due time expires.")
    human_quiet_minutes: int = Field(30, ge=0, description="No first touch if a person acted within these minutes.")
    aged_after_days: int = Field(90, ge=1, description="No two-way contact for so long makes a lead aged.")
    starving_after_days: int = Field(
        30,
        ge=1,
        description="Days without a touch or a stated reason that make a lead starving.",
    )
    stop_stages: Names = Field(("Under Contract", "Closed", "Trash"), description="FUB stages that end every plan.")
    optout_tags: Names = Field(
        (
            "DNC", "Do Not Contact", "Do Not Call", "Do Not Text", "Do Not Email", "No Texts", "No Calls", "No Emails",
            "Opt Out", "Opted Out", "Unsubscribe", "Unsubscribed",
        ),
        description="FUB tags by which the team notes a refusal; texts, calls or emails alone where the tag says so.",
    )  # fmt: skip
    not_interested_stage: str = Field(
        "Nurture", description="FUB stage of a lead who says they are not interested; empty moves no stage."
    )
    plans_path: MaybePath = Field(None, description="Folder of the team's plan files; empty: the built-in plans.")
    linger_seconds: int = Field(
        45, ge=0, description="A first-touch or reply run waits so long for more work before it ends."
    )
    sms_provider: Literal["twilio", "sns"] = Field("twilio", description="Who carries SMS: twilio or sns.")

    backup_key: AgeKey = Field(
        SecretStr(""), description="age key of backups: the public one seals, restoring needs the secret one."
    )

    # the team
    brokerage_name: str = Field("", description="Brokerage name as licensed; every message carries it.")
    postal_address: str = Field("", description="Postal address in every email (CAN-SPAM).")
    licences: ByState = Field(
        (),
        description="Licence number by state, e.g. CA=01234567,TX=9001234: every state the team works in (C40); "
        "empty: homes of the postal address's state.",
    )
    licence_links: ByState = Field(
        (), description="Link that a state wants in emails and first texts, e.g. TX=https://acme.example/iabs (C40)."
    )
    link_domains: CommaList = Field(
        (), description="Domains that links in words may lead to besides our mail's: own sites, listing portals."
    )
    email_from: str = Field("", description="From of every email, e.g. Demo Realty <hello@demo-realty.example>.")
    reply_domain: str = Field("", description="Domain whose MX is SES; replies come to reply+ID@DOMAIN.")
    blackouts: Blackouts = Field(
        (),
        description="Declared emergencies, in which nobody of the state is solicited (C46): "
        'JSON list of {"state": "LA", "begins_at": "2026-08-29T00:00-05:00", "ends_at": ...}.',
    )
    assistant_name: str = Field("automated assistant", description="How the assistant calls itself.")
    alert_urls: CommaList = Field((), description="Apprise URLs for alerts, comma-separated.")
    spend_csv: MaybePath = Field(None, description="CSV month,source,spend_usd for marts.source_roi.")
    marts_every_minutes: int = Field(3, ge=1, description="How often the marts are rebuilt.")

    # Follow Up Boss
    fub_base_url: Url = Field("https://api.followupboss.com/v1", description="Follow Up Boss API.")
    fub_api_key: SecretStr = Field(SecretStr(""), description="API key of the account owner.")
    fub_system: str = Field("leadpipe", description="Registered X-System name.")
    fub_system_key: SecretStr = Field(SecretStr(""), description="X-System-Key; also signs the webhooks.")
    fub_system_key_old: SecretStr = Field(SecretStr(""), description="Previous system key, still accepted on webhooks.")
    fub_webhook_token: Unguessable = Field(
        SecretStr(""), description="Unguessable part of our webhook URL, 16 characters or more."
    )

    # Twilio
    twilio_account_sid: str = Field("", description="Account sid, AC...")
    twilio_auth_token: SecretStr = Field(SecretStr(""), description="Auth token; also signs Twilio's webhooks.")
    twilio_base_url: Url = Field("", description="Other base URL (the sandbox); empty: Twilio's own hosts.")
    twilio_messaging_service_sid: str = Field("", description="Messaging Service for SMS, MG...")
    sms_number: str = Field("", description="Our SMS number, E.164.")
    whatsapp_number: str = Field("", description="Our WhatsApp sender, whatsapp:+...; empty switches WhatsApp off.")
    whatsapp_template_sid: str = Field("", description="Approved template for use outside the 24 h window.")
    a2p_campaign_id: str = Field("", description="Registered 10DLC campaign; empty blocks every SMS (C26).")
    sms_disabled_states: States = Field(("TX", "FL"), description="States where marketing SMS stays off (C47).")

    # AWS
    aws_region: str = Field("us-east-1", description="Region of SES, SNS and Secrets Manager.")
    aws_access_key_id: str = Field("", description="Access key; empty: boto's own chain.")
    aws_secret_access_key: SecretStr = Field(SecretStr(""), description="Secret key.")
    ses_endpoint_url: Url = Field("", description="Other SES endpoint (the sandbox).")
    ses_inbound_path: str = Field(
        "", description="s3://bucket/prefix where SES stores inbound mail; what no notice told of is found there."
    )
    ses_configuration_set: str = Field("leadpipe", description="SES configuration set with event publishing.")
    sns_endpoint_url: Url = Field("", description="Other SNS endpoint (the sandbox).")
    sns_topic_arns: CommaList = Field((), description="Topics whose notifications are believed; empty: none.")
    sns_cert_base_url: Url = Field("", description="Sandbox only: where signing certificates may come from.")
    secrets_manager_name: str = Field(
        "", description="AWS secret with further settings as JSON; the environment wins over it."
    )

    # OpenAI
    openai_api_key: SecretStr = Field(SecretStr(""), description="Key; empty reads replies with the local model.")
    openai_base_url: Url = Field("https://api.openai.com/v1", description="OpenAI-compatible endpoint.")
    openai_model: str = Field("gpt-5-mini", description="Model for reading and drafting.")
    openai_input_usd_per_million: float = Field(0.25, description="Price of input tokens.")
    openai_cached_usd_per_million: float = Field(0.025, description="Price of cached input tokens.")
    openai_output_usd_per_million: float = Field(2.0, description="Price of output tokens.")

    # privacy
    erase_at_crm: Literal["ask", "delete"] = Field(
        "ask",
        description="An erased person's record in FUB: ask gives the agent a task, delete deletes it there.",
    )
    erasures_path: MaybePath = Field(
        None, description="File that lists erasures for a restore, kept with the backups; empty: in HOME/privacy."
    )
    retention: Literal["dry_run", "on"] = Field(
        "dry_run", description="dry_run: the nightly run only says what it would remove; on: it removes it."
    )

    # market data
    bridge_base_url: Url = Field("https://api.bridgedataoutput.com/api/v2", description="Bridge API.")
    bridge_token: SecretStr = Field(SecretStr(""), description="Bridge server token; empty: no listings.")
    bridge_dataset: str = Field("", description="MLS dataset code.")
    zillow_base_url: Url = Field(
        "https://files.zillowstatic.com/research/public_csvs", description="Zillow Research files."
    )
    zillow_folder: MaybePath = Field(None, description="Folder of Zillow Research files to read instead.")

    # chaos (leadpipe chaos alone sets these)
    failpoints: MaybePath = Field(
        None, description="Folder of traps at which processes kill themselves; only with sending=sandbox."
    )
    chaos_without: CommaList = Field(
        (), description="Safeguards to leave out, so that duplicates appear: attempt_commit, row_lock."
    )

    # our own services
    public_base_url: Url = Field("http://127.0.0.1:8801", description="How the outside reaches the gateway.")
    gateway_port: int = Field(8801, description="Port of the gateway, loopback.")
    gateway_max_body_bytes: int = Field(
        1_000_000, ge=1_000, description="Largest body the gateway reads (413); Twilio's and leads' have smaller ones."
    )
    gateway_body_seconds: float = Field(
        10.0, gt=0, description="Seconds within which a body must have come whole (408; Amazon: 503)."
    )
    gateway_calls_per_second: int = Field(
        5_000, ge=0, description="Genuine calls a second of one provider; more come again (429; Amazon: 503). 0: any."
    )
    gateway_refusals_per_minute: int = Field(
        100, ge=0, description="Refused calls a minute of one address, before it is answered 429 only. 0: any."
    )
    gateway_trusted_proxies: CommaList = Field(
        ("127.0.0.1", "::1"), description="Proxies whose X-Forwarded-For says who called."
    )
    dagster_port: int = Field(3000, description="Port of the Dagster UI, loopback.")
    unsubscribe_secret: Unguessable = Field(
        SecretStr(""), description="Signs unsubscribe links, 16 characters or more; keep it for ever."
    )
    metrics_token: SecretStr = Field(
        SecretStr(""), description="Bearer token for the gateway's /metrics; empty: there is no such page."
    )

    @property
    def lake_url(self) -> str:
        """Data path of the lake: the setting, else ``HOME/lake``."""
        return self.lake_path or str(self.home.absolute() / "lake")

    @property
    def provider_urls(self) -> dict[str, str]:
        """Base URLs by setting name, of every provider that a message or a write-back can reach."""
        names = ("fub_base_url", "twilio_base_url", "ses_endpoint_url", "sns_endpoint_url", "bridge_base_url")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    @model_validator(mode="after")
    def _no_mixed_worlds(self) -> Settings:
        """Sandbox settings with a real host, or live with a loopback one, refuse to start (design section 8)."""
        urls = self.provider_urls
        if self.sending is Sending.SANDBOX:
            needed = ("fub_base_url", "twilio_base_url", "ses_endpoint_url", "sns_endpoint_url")
            wrong = [name for name in needed if not is_loopback(getattr(self, name))]
            if not is_loopback(self.openai_base_url) and self.openai_api_key.get_secret_value():
                wrong.append("openai_base_url")
            if wrong:
                raise ValueError(
                    f"LEADPIPE_SENDING=sandbox needs loopback addresses; "
                    f"not so: {', '.join('LEADPIPE_' + name.upper() for name in wrong)}"
                )
        if self.sending is Sending.LIVE:
            wrong = [name for name, url in urls.items() if is_loopback(url)]
            if wrong:
                raise ValueError(
                    f"LEADPIPE_SENDING=live refuses loopback addresses; "
                    f"remove {', '.join('LEADPIPE_' + name.upper() for name in wrong)}"
                )
        if self.failpoints is not None and self.sending is not Sending.SANDBOX:
            raise ValueError("LEADPIPE_FAILPOINTS kills processes and needs LEADPIPE_SENDING=sandbox; remove it")
        if self.chaos_without and self.failpoints is None:
            raise ValueError("LEADPIPE_CHAOS_WITHOUT is for tests of `leadpipe chaos`; remove it")
        if self.sns_cert_base_url and not is_loopback(self.sns_cert_base_url):
            raise ValueError("LEADPIPE_SNS_CERT_BASE_URL is for the loopback sandbox only; remove it")
        return self
