"""What a channel is: one call for one message, and a result that says only what is certain.

What lives here: request, result and the protocol. What does not: providers (one module each), retries and states
(``drain``). A new vendor is one module with one class, named in ``build``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class SendRequest:
    """Everything a channel needs for one message; nothing is looked up during the call.

    Attributes:
        to: lower-cased email or E.164.
        is_in_session: WhatsApp only: the person wrote within the last 24 hours, so free text may go.
        variables: the template's values, frozen at enqueue.
        in_reply_to: Message-ID of the person's mail that this one answers.
    """

    message_id: str
    channel: str
    contact_point_id: int
    to: str
    subject: str
    body: str
    plan: str
    step: str
    occurrence: int
    purpose: str
    template: str = ""
    is_in_session: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    in_reply_to: str = ""


class Outcome(StrEnum):
    """What a call certainly did."""

    ACCEPTED = "accepted"  # the provider has it and gave an id
    REFUSED = "refused"  # certainly not taken, and the same message would be refused again
    NOT_SENT = "not_sent"  # certainly not taken; the same call may be made later
    UNKNOWN = "unknown"  # it may have been taken


@dataclass(frozen=True, kw_only=True)
class SendResult:
    """The result of one call.

    Attributes:
        code: the provider's code or the class of the failure; never a text that could hold an address.
        retry_after_seconds: how long the provider asked to wait, 0 if it did not say.
        needs_person: a setting, key or account is wrong: every further message would fail the same way.
        is_called: whether the provider was asked at all; what stopped us before says nothing about it.
    """

    outcome: Outcome
    provider_id: str | None = None
    code: str | None = None
    retry_after_seconds: float = 0.0
    needs_person: bool = False
    is_called: bool = True

    @staticmethod
    def accepted(provider_id: str) -> SendResult:
        """The provider took it under this id."""
        return SendResult(outcome=Outcome.ACCEPTED, provider_id=provider_id)

    @staticmethod
    def refused(code: str) -> SendResult:
        """Certainly not taken, for good."""
        return SendResult(outcome=Outcome.REFUSED, code=code)

    @staticmethod
    def not_sent(code: str, *, retry_after_seconds: float = 0.0) -> SendResult:
        """Certainly not taken; later is fine."""
        return SendResult(outcome=Outcome.NOT_SENT, code=code, retry_after_seconds=retry_after_seconds)

    @staticmethod
    def not_called(code: str) -> SendResult:
        """We did not call; the message is looked at again later."""
        return SendResult(outcome=Outcome.NOT_SENT, code=code, is_called=False)

    @staticmethod
    def misconfigured(code: str) -> SendResult:
        """Certainly not taken, and a person must put something right before anything is."""
        return SendResult(outcome=Outcome.NOT_SENT, code=code, needs_person=True)

    @staticmethod
    def unknown(code: str) -> SendResult:
        """It may have been taken: never call again for this message."""
        return SendResult(outcome=Outcome.UNKNOWN, code=code)


class Channel(Protocol):
    """One way out. Used by many threads at once."""

    @property
    def provider(self) -> str:
        """The provider's name in the ledger."""
        ...

    def send(self, request: SendRequest) -> SendResult:
        """Make at most one request to the provider; never raises for what the provider or the network did."""
        ...


SendPooled = Callable[[SendRequest], Awaitable[SendResult]]


@runtime_checkable
class PooledChannel(Channel, Protocol):
    """A channel whose calls need no thread each: many share one event loop and the connections it keeps."""

    def pooled(self, connections: int) -> AbstractAsyncContextManager[SendPooled]:
        """The same as ``send``, while the block runs, with up to so many connections kept for the next call.

        How long an answer is waited for is the caller's business (``calls``); one given up is unknown.
        """
        ...
