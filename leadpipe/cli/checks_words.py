"""The doctor's checks of what messages must and may say: licences, links, the size of texts.

What lives here: whether the settings hold what the rules about words want. What does not: the rules (``policy``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadpipe.cli.finding import Check, Finding, note, ok, wrong

if TYPE_CHECKING:
    from leadpipe.runtime import Runtime
    from leadpipe.settings import Settings


def licences(runtime: Runtime) -> Finding:
    """Every state that wants a licence text can have it, and it is known in which states homes may be written about."""
    from leadpipe.policy.pack_file import load_pack

    settings, name = runtime.settings, "licences"
    have = {"number": dict(settings.licences), "link": dict(settings.licence_links)}
    missing = sorted(
        state
        for state, wanted in load_pack(runtime.clock.now().date()).licences.items()
        if any(state not in have[kind] for kind in wanted)
    )
    cure = "set LEADPIPE_LICENCES and LEADPIPE_LICENCE_LINKS (docs/policy.md)"
    homes = _homes(settings)
    blocked = [f"emails and first texts to {', '.join(missing)} are blocked: missing_license"] if missing else []
    if not homes:
        unknown = (
            "neither LEADPIPE_LICENCES nor LEADPIPE_POSTAL_ADDRESS shows a state, so every message about a home waits "
            "for a person: license_state"
        )
        return wrong(name, "; ".join([unknown, *blocked]), cure)
    said = "; ".join([f"homes in {homes} are written about, others wait for a person", *blocked])
    return note(name, said, cure) if blocked or not settings.licences else ok(name, said)


def _homes(settings: Settings) -> str:
    """In which states homes may be written about, in words; empty in none."""
    from leadpipe.policy.home_states import licensed_states
    from leadpipe.policy.pack import PolicySettings

    listed = ", ".join(sorted(licensed_states(PolicySettings.of(settings)) or ()))
    if not listed or settings.licences:
        return listed
    return f"{listed} (the postal address's state, as no licence is named)"


def link_domains(runtime: Runtime) -> Finding:
    """Where links in words may lead."""
    from leadpipe.policy.pack import own_domains

    name = "links"
    if not runtime.settings.link_domains:
        words = "only our mail's domains are allowed; homes are shown without their links"
        return note(name, words, "name your site and listing portal in LEADPIPE_LINK_DOMAINS")
    return ok(name, ", ".join(sorted(own_domains(runtime.settings))))


def text_templates(runtime: Runtime) -> Finding:
    """Texts whose own words cost more segments than they look."""
    del runtime
    from leadpipe.outreach.template_sizes import costly_templates

    name, costly = "text templates", costly_templates()
    if not costly:
        return ok(name, "all in the GSM alphabet")
    listed = ", ".join(f"{each.name} ({each.letters})" for each in costly)
    return note(name, f"70 letters a segment instead of 160, for letters outside the GSM alphabet: {listed}")


CHECKS: list[Check] = [licences, link_domains, text_templates]
