"""Sealed streams: what is written is encrypted on its way, and read back only with the key.

What lives here: age encryption as a file-like object, for data of any size. What does not: what is in the stream
(``archive``), where the key comes from (``settings.backup_key``).

age (https://age-encryption.org) encrypts in chunks of 64 KiB, each authenticated and the last one marked, so that a
byte changed or a tail cut off is an error, never short data. Any age program opens the same file.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from leadpipe.errors import ConfigurationError, PermanentError

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC, SECRET = "age1", "AGE-SECRET-KEY-1"


def new_key() -> tuple[str, str]:
    """A fresh secret key, and the public one that belongs to it."""
    identity = _age().x25519.Identity.generate()
    return str(identity), str(identity.to_public())


@contextmanager
def sealing(path: Path, key: str) -> Generator[IO[bytes]]:
    """A stream whose content lands encrypted in ``path``; both the public and the secret key will do.

    Raises:
        ConfigurationError: the key is none of age's.
    """
    pyrage = _age()
    recipient = _recipient(key)
    reading, writing = os.pipe()
    with path.open("xb") as target, os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as stream:
        path.chmod(0o600)
        other = _Beside(lambda: pyrage.encrypt_io(source, target, [recipient]), closes=source)
        try:
            yield stream
        finally:
            with suppress(BrokenPipeError):  # the other end has failed, and says why
                stream.close()
            other.finish()
        target.flush()
        os.fsync(target.fileno())


@contextmanager
def opening(path: Path, key: str) -> Generator[IO[bytes]]:
    """The content of a file that ``sealing`` wrote.

    Raises:
        ConfigurationError: the key is not the secret one, or not this file's.
        PermanentError: the file is damaged or cut off; also when that is why reading it failed.
    """
    pyrage = _age()
    identity = _identity(key)
    reading, writing = os.pipe()
    with path.open("rb") as source, os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb") as target:

        def decrypt() -> None:
            try:
                pyrage.decrypt_io(source, target, [identity])
                target.flush()
            except (pyrage.DecryptError, OSError) as error:
                if "No matching keys" in str(error):
                    raise ConfigurationError(f"{path} was sealed with another key than LEADPIPE_BACKUP_KEY") from error
                raise PermanentError(f"{path} is no backup, is damaged or cut off ({error})") from error

        other = _Beside(decrypt, closes=target)
        try:
            yield stream
            while stream.read(1 << 20):  # to the end, so that a tail cut off is noticed
                pass
        except BaseException:
            is_at_end = not stream.read(1)
            stream.close()
            if is_at_end:  # the stream ended before its reader was content
                other.finish()
            raise
        other.finish()


class _Beside:
    """Work in a thread of its own, which closes its end of the pipe when done; its error is raised by ``finish``."""

    def __init__(self, work: Callable[[], None], *, closes: IO[bytes]) -> None:
        self._work, self._end = work, closes
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="sealed")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            self._failed = error
        finally:
            with suppress(BrokenPipeError):
                self._end.close()

    def finish(self) -> None:
        """Wait for the end of the work."""
        self._thread.join()
        if self._failed is not None:
            raise self._failed


def is_key(key: str) -> bool:
    """Whether this is a key of age's, public or secret."""
    try:
        _recipient(key)
    except ConfigurationError:
        return False
    return True


def _age() -> Any:
    """The library, whose names its compiled module hides from the type checker."""
    return importlib.import_module("pyrage")


def _recipient(key: str) -> Any:
    pyrage = _age()
    try:
        if key.startswith(PUBLIC):
            return pyrage.x25519.Recipient.from_str(key)
        return pyrage.x25519.Identity.from_str(key).to_public()
    except (pyrage.IdentityError, pyrage.RecipientError):
        raise ConfigurationError(_NO_KEY) from None


def _identity(key: str) -> Any:
    pyrage = _age()
    if key.startswith(PUBLIC):
        raise ConfigurationError(
            "LEADPIPE_BACKUP_KEY is the public key, which can only seal; set it to the secret one (AGE-SECRET-KEY-1...)"
        )
    try:
        return pyrage.x25519.Identity.from_str(key)
    except pyrage.IdentityError:
        raise ConfigurationError(_NO_KEY) from None


_NO_KEY = (
    "LEADPIPE_BACKUP_KEY is no key of age's; set it to age1... (seals only) or AGE-SECRET-KEY-1... (`leadpipe backup "
    "--new-key` makes a pair)"
)
