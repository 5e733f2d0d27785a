"""Twilio's error codes as the fake uses them, and the numbers that are on other ground.

What lives here: words and tables. What does not: when which one is answered (``messages``).
"""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

WORDS = {
    20003: "Authenticate", 20404: "The requested resource was not found", 20429: "Too Many Requests",
    20500: "An internal server error has occurred", 21211: "Invalid 'To' Phone Number",
    21212: "Invalid 'From' Phone Number", 21408: "Permission to send an SMS has not been enabled for the region",
    21602: "Message body is required", 21603: "A 'From' or 'MessagingServiceSid' parameter is required",
    21604: "A 'To' phone number is required", 21606: "The 'From' number is not a valid, SMS-capable number",
    21608: "The number is unverified. Trial accounts cannot send messages to unverified numbers",
    21609: "Invalid 'StatusCallback' URL", 21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The 'To' phone number is not currently reachable via SMS",
    21614: "'To' number is not a valid mobile number", 21617: "The concatenated message body exceeds the 1600 "
    "character limit", 21635: "'To' number cannot be a landline", 21654: "ContentSid Required",
    21656: "The ContentVariables Parameter is invalid",
    21703: "The Messaging Service does not exist or has no senders", 35114: "SendAt time must be more than 300 seconds "
    "and at most 35 days ahead", 35117: "Message scheduling needs a Messaging Service and ScheduleType fixed",
    90007: "ValidityPeriod must be between 1 and 36000 seconds",
}  # fmt: skip
MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
MAGIC_TO = {
    "+15005550001": 21211, "+15005550002": 21612, "+15005550003": 21408, "+15005550004": 21610, "+15005550009": 21614,
}  # fmt: skip
# A later code that means the message never left Twilio; any other one was refused by a carrier or handset.
NEVER_LEFT = frozenset({21610, 30001, 30002, 30036, 30500, 63003, 63016, 63018, 63049})
# +1 without Canada is taken for the United States; WhatsApp marketing does not reach it (63049).
CANADA = frozenset(
    "204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 403 416 418 428 431 437 438 450 468 474 506 514 519 "
    "548 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879 902 905 "
    "942".split()
)
STOP_WORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
START_WORDS = frozenset({"start", "yes", "unstop"})
HELP_WORDS = frozenset({"help", "info"})
STOP_ANSWER = (
    "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe."
)
START_ANSWER = (
    "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe."
)
HELP_ANSWER = "Reply STOP to unsubscribe. Msg&Data Rates May Apply."


def error(status: int, code: int) -> Response:
    """An error body."""
    body = {"code": code, "message": WORDS.get(code, "Internal error"), "status": status,
            "more_info": f"https://www.twilio.com/docs/errors/{code}"}  # fmt: skip
    return JSONResponse(body, status)
