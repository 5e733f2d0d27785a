"""The doctor's checks of this machine and of the settings: nothing here asks anybody.

What lives here: packages, disk, manifest, settings, sending mode. What does not: stores (``checks_stores``), providers
(``checks_crm``, ``checks_senders``).
"""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from leadpipe.cli.finding import Check, Finding, note, ok, wrong
from leadpipe.settings import Sending, is_loopback

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

GIGABYTE = 1_000_000_000
DISK_WRONG_BYTES, DISK_NOTE_BYTES = 2 * GIGABYTE, 10 * GIGABYTE
# Without one of these no lawful message can leave, or nobody can answer or unsubscribe.
NEEDED = {
    "brokerage_name": "every message names the brokerage",
    "postal_address": "every email carries a postal address (CAN-SPAM)",
    "email_from": "email is the first channel of every welcome",
    "reply_domain": "replies to emails must reach leadpipe",
    "unsubscribe_secret": "unsubscribe links must work",
    "fub_webhook_token": "the webhook address must not be guessable",
}


def packages(runtime: Runtime) -> Finding:
    """Python and every declared package in the wanted version."""
    del runtime
    from packaging.requirements import Requirement

    name = "packages"
    python = sys.version.split()[0]
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        return wrong(name, f"Python {python}", "install Python 3.11 to 3.13 and run `make install PYTHON=python3.11`")
    off: list[str] = []
    wanted = [Requirement(text) for text in metadata.requires("leadpipe") or ()]
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            off.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            off.append(f"{requirement.name} {found} is not {requirement.specifier}")
    if off:
        return wrong(name, "; ".join(off), "run `make install`")
    return ok(name, f"Python {python}, {len(wanted)} packages as declared")


def dbt_manifest(runtime: Runtime) -> Finding:
    """The manifest exists and is as new as the models."""
    del runtime
    from leadpipe.store.dbt import MANIFEST, PROJECT

    name = "dbt manifest"
    if not MANIFEST.exists():
        return wrong(name, f"{MANIFEST} is missing", "run `make manifest`")
    built = MANIFEST.stat().st_mtime
    models = [path for folder in ("models", "macros", "tests") for path in (PROJECT / folder).rglob("*.*")]
    newer = [path for path in models if path.suffix in {".sql", ".yml"} and path.stat().st_mtime > built]
    if newer:
        return wrong(name, f"older than {newer[0].relative_to(PROJECT)}", "run `make manifest`")
    return ok(name, f"{len(models)} files of models, tests and macros are in it")


def disk(runtime: Runtime) -> Finding:
    """Room for the stores."""
    home = runtime.settings.home.absolute()
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    words = f"{free / GIGABYTE:.1f} GB free for {home}"
    if free < DISK_WRONG_BYTES:
        return wrong("disk", words, "free some space or set LEADPIPE_HOME to a larger disk: a full one stops every run")
    if free < DISK_NOTE_BYTES:
        return note("disk", words)
    return ok("disk", words)


def settings(runtime: Runtime) -> Finding:
    """Everything a lawful message needs is set."""
    name, found = "settings", runtime.settings
    missing = [f"LEADPIPE_{key.upper()} ({why})" for key, why in NEEDED.items() if not _text(getattr(found, key))]
    if missing:
        return wrong(name, f"missing: {', '.join(missing)}", "set them in .env; docs/configuration.md tells each")
    if found.sending is Sending.LIVE and (
        is_loopback(found.public_base_url) or not found.public_base_url.startswith("https://")
    ):
        return wrong(
            name,
            f"providers cannot reach LEADPIPE_PUBLIC_BASE_URL={found.public_base_url}",
            "set it to the https address that forwards to the gateway",
        )
    if not found.alert_urls:
        return note(name, "complete; alerts go nowhere but the ledger", "set LEADPIPE_ALERT_URLS to hear of them")
    return ok(name, "complete")


def sending(runtime: Runtime) -> Finding:
    """What may leave now; a fact, not a fault."""
    mode = runtime.settings.sending
    words = {
        Sending.OFF: "off: what would have gone is recorded; LEADPIPE_SENDING=live lets it go",
        Sending.ALLOWLIST: f"allowlist: {len(runtime.settings.allowlist)} contacts can be reached",
        Sending.SANDBOX: "sandbox: messages go to the fake providers on this machine",
        Sending.LIVE: "live",
    }[mode]
    if mode is Sending.ALLOWLIST and not runtime.settings.allowlist:
        return wrong("sending", words, "name contacts in LEADPIPE_ALLOWLIST")
    return ok("sending", words)


def _text(value: object) -> str:
    from pydantic import SecretStr

    return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")


CHECKS: list[Check] = [packages, dbt_manifest, disk, settings, sending]
