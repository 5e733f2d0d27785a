"""The settings with which leadpipe talks to a sandbox.

What lives here: the pairing of the sandbox's invented keys with leadpipe's settings. What does not: starting either.
"""

from __future__ import annotations

from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.places import PLACES

# The invented brokerage may work wherever the sandbox's people and homes are.
_STATES = sorted({place.state for place in PLACES})


def sandbox_environment(config: SandboxConfig) -> dict[str, str]:
    """``LEADPIPE_*`` variables of a leadpipe that works against this sandbox; the gateway listens where it posts to."""
    url = config.base_url.rstrip("/")
    values = {
        "sending": "sandbox",
        "fub_base_url": f"{url}/fub/v1",
        "fub_api_key": config.fub_api_key,
        "fub_system": config.fub_system,
        "fub_system_key": config.fub_system_key,
        "fub_webhook_token": "sandbox-webhook-token",
        "twilio_account_sid": config.twilio_account_sid,
        "twilio_auth_token": config.twilio_auth_token,
        "twilio_base_url": f"{url}/twilio",
        "twilio_messaging_service_sid": config.twilio_messaging_service_sid,
        "sms_number": config.sms_number,
        "whatsapp_number": config.whatsapp_number,
        "whatsapp_template_sid": config.whatsapp_template_sid,
        "a2p_campaign_id": config.campaign_sid,
        "aws_access_key_id": "AKIASANDBOX0000000000",
        "aws_secret_access_key": "sandbox",
        "ses_endpoint_url": f"{url}/ses",
        "sns_endpoint_url": f"{url}/sns",
        "sns_topic_arns": config.ses_topic_arn,
        "sns_cert_base_url": url,
        "openai_api_key": config.openai_api_key,
        "openai_base_url": f"{url}/openai/v1",
        "bridge_base_url": f"{url}/bridge/api/v2",
        "bridge_token": config.bridge_token,
        "bridge_dataset": config.bridge_dataset,
        "zillow_base_url": f"{url}/zillow/research/public_csvs",
        "public_base_url": config.gateway_url.rstrip("/"),
        "unsubscribe_secret": "sandbox-unsubscribe-secret",
        "metrics_token": "sandbox-metrics-token",
        "brokerage_name": "Demo Realty",
        "postal_address": "1 Example Street, Austin, TX 78701",
        "email_from": f"Demo Realty <hello@{config.mail_domain}>",
        "reply_domain": f"in.{config.mail_domain}",
        "licences": ",".join(f"{state}={number}" for number, state in enumerate(_STATES, start=1_000_001)),
        "licence_links": f"TX=https://{config.mail_domain}/iabs",
    }
    return {f"LEADPIPE_{name.upper()}": value for name, value in values.items()}
