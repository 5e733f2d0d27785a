"""The one tree of errors.

::

    LeadpipeError
      TransientError          may succeed when tried again
        RateLimited           the provider said when
      AmbiguousError          it may have happened: reconcile, never repeat blindly
      PermanentError          will fail again
        ConfigurationError    a setting, key or permission is wrong; a person must act
        Rejected              the other side certainly refused this one thing
        BadRecord             input that cannot be read; it is kept aside and counted

Every message says what failed, where, and what to do. None carries a secret or a contact detail.
"""

from __future__ import annotations


class LeadpipeError(Exception):
    """Base of everything leadpipe raises on purpose."""


class TransientError(LeadpipeError):
    """The same call may succeed later."""


class RateLimited(TransientError):  # noqa: N818 - reads as the state it names
    """The provider refused for now and certainly did not act.

    Attributes:
        retry_after_seconds: how long the provider asked to wait, 0 if it did not say.
    """

    def __init__(self, message: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class AmbiguousError(LeadpipeError):
    """The call may have taken effect; look it up before any second try."""


class PermanentError(LeadpipeError):
    """The same call will fail again."""


class ConfigurationError(PermanentError):
    """A setting, key or permission is wrong; the message names it."""


class Rejected(PermanentError):  # noqa: N818 - reads as the state it names
    """The other side refused this one thing.

    Attributes:
        code: the provider's code, or the HTTP status as text.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class BadRecord(PermanentError):  # noqa: N818 - reads as the thing it names
    """Input that cannot be read; the caller keeps it aside with this reason."""
