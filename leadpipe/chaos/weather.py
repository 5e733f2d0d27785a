"""The weather of a chaos run: what goes wrong at the providers while processes die.

What lives here: the faults' chances. What does not: what each does (``sandbox.faults`` lists them).
"""

from __future__ import annotations

from typing import Any

# Of every provider's webhooks.
LOST, REPEATED, LATE = 0.3, 0.2, 0.1
LATE_SECONDS = 3.0
# A call that was taken and gave no answer, by each way of giving none.
TAKEN_UNTOLD = 0.02
REFUSED = 0.02
# Longer than any client of ours waits.
HANG_SECONDS = 20.0
STORM_EVERY_SECONDS, STORM_SECONDS, STORM_RETRY_AFTER = 45.0, 4.0, 1.0
LIST_LAG_SECONDS = 90.0


def bad_weather() -> dict[str, Any]:
    """Faults as ``POST /_control/faults`` takes them."""
    late = {"chance": LATE, "value": LATE_SECONDS}
    storm = {
        "chance": 0.9, "value": STORM_RETRY_AFTER, "every": STORM_EVERY_SECONDS, "lasts": STORM_SECONDS,
    }  # fmt: skip
    faults: dict[str, Any] = {
        "fub_500_after": TAKEN_UNTOLD,
        "fub_drop_after": TAKEN_UNTOLD,
        "fub_500": REFUSED,
        "fub_429": storm,
        "twilio_list_lag": {"chance": 1.0, "value": LIST_LAG_SECONDS},
        "twilio_21610_late": 0.1,
    }
    for provider in ("twilio", "ses", "sns"):
        faults |= {
            f"{provider}_429": storm,
            f"{provider}_500": REFUSED,
            f"{provider}_500_after": TAKEN_UNTOLD,
            f"{provider}_drop_after": TAKEN_UNTOLD,
            f"{provider}_hang_after": {"chance": TAKEN_UNTOLD / 4, "value": HANG_SECONDS},
        }
    for provider in ("twilio", "ses"):
        faults[f"{provider}_empty_after"] = TAKEN_UNTOLD
    for posts in ("fub_webhook", "twilio_callback", "ses_event", "twilio_inbound", "ses_inbound"):
        faults |= {f"{posts}_lost": LOST, f"{posts}_repeated": REPEATED, f"{posts}_delayed": late}
    for posts in ("fub_webhook", "twilio_callback", "ses_event"):
        faults[f"{posts}_reordered"] = LATE
    return faults
