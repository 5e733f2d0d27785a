"""The doctor's checks of this machine and of the settings: nothing here asks anybody.

What lives here: packages, disk, manifest, services, settings, sending mode. What does not: stores
(``checks_stores``), providers (``checks_crm``, ``checks_senders``).
"""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from leadpipe import readiness
from leadpipe.cli.finding import Check, Finding, note, ok, wrong
from leadpipe.settings import Sending

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime

GIGABYTE = 1_000_000_000
DISK_WRONG_BYTES, DISK_NOTE_BYTES = 2 * GIGABYTE, 10 * GIGABYTE
# Variables that no setting has: the build, dbt and the extensions' mirror read them.
NOT_SETTINGS = (
    "LEADPIPE_DUCKDB_EXTENSIONS",
    "LEADPIPE_LAKE_CATALOG",
    "LEADPIPE_LAKE_DATA",
    "LEADPIPE_LAKE_STANDS_STILL",
)


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
    if file := next((path for path in (home, *home.parents) if path.exists() and not path.is_dir()), None):
        return wrong("disk", f"LEADPIPE_HOME={home}: {file} is a file", "set LEADPIPE_HOME to a folder")
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
    off: list[str] = []
    cures: list[str] = []
    if missing := readiness.missing(found):
        off.append(f"missing: {', '.join(missing)}")
        cures.append("set them in .env; docs/configuration.md tells each")
    if words := readiness.unreachable(found):
        off.append(words)
        cures.append("set the URL to the https address that forwards to the gateway")
    if paths := _paths_that_are_not(runtime):
        off += paths
        cures.append("correct the path, or leave the variable out")
    if off:
        return wrong(name, "; ".join(off), "; ".join(cures))
    if not found.alert_urls:
        return note(name, "complete; alerts go nowhere but the ledger", "set LEADPIPE_ALERT_URLS to hear of them")
    return ok(name, "complete")


def alerts(runtime: Runtime) -> Finding:
    """Every alert URL is one that apprise understands; nothing is sent, and no URL repeated: it may hold a password."""
    from apprise import Apprise

    name, urls = "alert URLs", runtime.settings.alert_urls
    off = [str(number) for number, url in enumerate(urls, 1) if Apprise.instantiate(url) is None]
    if off:
        return wrong(
            name,
            f"LEADPIPE_ALERT_URLS: no. {', '.join(off)} of {len(urls)} is no URL that apprise understands",
            "write it like mailto://... or slack://...; https://github.com/caronc/apprise lists them",
        )
    return ok(name, f"{len(urls)} can be read" if urls else "none set")


def unknown_settings(env_file: Path | None) -> Finding:
    """Every LEADPIPE_ variable of the environment and of the file is a setting; a mistyped one would do nothing."""
    from leadpipe.setting_sources import read_env_file
    from leadpipe.settings import Settings

    known = [f"LEADPIPE_{field.upper()}" for field in Settings.model_fields]
    written = (f"LEADPIPE_{name}" for name in read_env_file(env_file).values)
    named = {name.upper() for name in (*os.environ, *written)}
    said: list[str] = []
    for name in sorted(name for name in named if name.startswith("LEADPIPE_")):
        if name not in (*known, *NOT_SETTINGS):
            close = difflib.get_close_matches(name, known, n=1)
            said.append(f"{name} (did you mean {close[0]}?)" if close else name)
    if said:
        words = f"no setting, so without effect: {', '.join(said)}"
        return note("names of settings", words, "correct the name; docs/configuration.md has all")
    return ok("names of settings", "each LEADPIPE_ variable is one")


def services(runtime: Runtime) -> Finding:
    """What `leadpipe up` started in this home is alive, and the gateway answers."""
    from leadpipe.cli.services import HOST, answers
    from leadpipe.cli.supervisor import is_supervised, services_alive

    name, home = "services", runtime.settings.home
    if not is_supervised(home):
        return note(name, f"nothing runs in {home.absolute()}", "`leadpipe up` starts everything")
    alive = services_alive(home)
    down = [service for service, is_alive in alive.items() if not is_alive]
    if "gateway" in alive and not down and not answers(f"http://{HOST}:{runtime.settings.gateway_port}/healthz")():
        down = ["gateway"]
    if down:
        return wrong(name, f"not running: {', '.join(down)}", f"see {home.absolute() / 'logs'}; they are restarted")
    return ok(name, f"{', '.join(alive)} run")


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


def _paths_that_are_not(runtime: Runtime) -> list[str]:
    found = runtime.settings
    folders = {"LEADPIPE_PLANS_PATH": found.plans_path, "LEADPIPE_ZILLOW_FOLDER": found.zillow_folder}
    off = [f"{name}={path} is no folder" for name, path in folders.items() if path is not None and not path.is_dir()]
    if found.spend_csv is not None and not found.spend_csv.is_file():
        off.append(f"LEADPIPE_SPEND_CSV={found.spend_csv} is no file")
    return off


CHECKS: list[Check] = [packages, dbt_manifest, disk, services, settings, alerts, sending]
