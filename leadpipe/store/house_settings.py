"""Which settings a home works under: a demo's own, and by name what another caller's differ in.

What lives here: the note a running system leaves in its home, and the refusal of a caller who brings other settings.
What does not: the settings themselves (``settings``), what a verdict makes of them (``policy``).

Verdicts and words depend on settings. A command in another folder reads another ``.env``, or none, and would block what
the running system may send. The note holds a hash for each such setting, of no secret.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from leadpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from leadpipe.settings import Settings

DEMO_FILE = "demo.json"
NOTE_FILE = "house_settings.json"
# What a message's verdict, words, sender and way depend on.
THAT_MATTER = (
    "team_timezone", "sending", "allowlist", "go_live_at", "welcome_imports", "import_people_per_minute",
    "shadow_first", "cap_per_run", "cap_per_hour", "cap_per_day", "cap_per_number_per_day", "cap_per_plan_per_day",
    "warm_up", "email_pauses", "min_gap_minutes", "stale_after_hours", "human_quiet_minutes", "aged_after_days",
    "stop_stages", "plans_path", "sms_provider", "brokerage_name", "postal_address", "licences", "licence_links",
    "link_domains", "email_from", "reply_domain", "assistant_name",
    "fub_base_url", "twilio_base_url", "twilio_messaging_service_sid", "sms_number",
    "whatsapp_number", "whatsapp_template_sid", "a2p_campaign_id", "sms_disabled_states", "blackouts",
    "ses_endpoint_url", "sns_endpoint_url", "public_base_url",
)  # fmt: skip


def note_demo(home: Path, environment: Mapping[str, str]) -> None:
    """Mark the home as a demo's and keep its ``LEADPIPE_*`` variables there; every key among them is invented."""
    own = {name: value for name, value in environment.items() if name.startswith("LEADPIPE_")}
    _write(home / DEMO_FILE, {"made_by": "leadpipe demo", "settings": own})


def demo_variables(home: Path) -> dict[str, str]:
    """The ``LEADPIPE_*`` variables of the demo that lives in this home; empty when none does."""
    found = _read(home / DEMO_FILE).get("settings")
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def note_house(settings: Settings) -> None:
    """Leave in the home what the system there works under; ``refuse_other_settings`` compares with it."""
    _write(settings.home / NOTE_FILE, fingerprints(settings))


def refuse_other_settings(settings: Settings) -> None:
    """Refuse to act on messages under other settings than the system that was set up in this home.

    Raises:
        ConfigurationError: names the settings that differ, never their values.
    """
    noted, own = _read(settings.home / NOTE_FILE), fingerprints(settings)
    # A setting that one version knows and the other does not is no difference.
    other = [name for name in THAT_MATTER if name in noted and noted[name] != own[name]]
    if other:
        raise ConfigurationError(
            f"the system of {settings.home.absolute()} runs under other settings than this command: "
            f"{', '.join('LEADPIPE_' + name.upper() for name in other)}; nothing was done. Run it in the folder of the "
            "system's .env, or restart `leadpipe up` if the settings were changed since"
        )


def fingerprints(settings: Settings) -> dict[str, str]:
    """A hash for each setting that matters; paths count as the place they name."""
    return {name: _hashed(getattr(settings, name)) for name in THAT_MATTER}


def _hashed(value: object) -> str:
    text = str(value.absolute()) if isinstance(value, Path) else json.dumps(value, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise ConfigurationError(f"{path} cannot be read; start the system of that home again") from error
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: Mapping[str, object]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(path)
