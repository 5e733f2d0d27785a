"""The archive of a backup: named members in one stream, each with its checksum, the list of all at the end.

What lives here: writing and reading the stream, and the proof that all of it is there. What does not: what the members
are (``backup``, ``restore``), encryption (``sealed``).

It is a tar stream, so that it can be looked into by hand. ``header.json`` comes first, to refuse early;
``manifest.json`` last, with the size and SHA-256 of every member before it.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, cast

from leadpipe.errors import PermanentError

if TYPE_CHECKING:
    from _hashlib import HASH

HEADER, MANIFEST = "header.json", "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member as the manifest lists it."""

    name: str
    size: int
    sha256: str


class Writer:
    """Members written one after the other."""

    def __init__(self, stream: IO[bytes], header: Mapping[str, Any]) -> None:
        # Mode "w|" would write once more when it is collected after an error, into a closed stream.
        self._tar = tarfile.open(fileobj=_Counted(stream), mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self.members: list[Member] = []
        self.add_bytes(HEADER, json.dumps(header).encode())

    def add_bytes(self, name: str, content: bytes) -> None:
        """Write a member that is in memory."""
        self.add(name, io.BytesIO(content), len(content))

    def add(self, name: str, source: IO[bytes], size: int) -> None:
        """Write a member of ``size`` bytes.

        Raises:
            PermanentError: the source has fewer bytes.
        """
        info = tarfile.TarInfo(name)
        info.size = size
        hashed = _Hashed(source)
        try:
            self._tar.addfile(info, hashed)  # pyright: ignore[reportArgumentType]
        except tarfile.TarError as error:  # pragma: no cover - tarfile raises OSError for short data
            raise PermanentError(f"{name} could not be put into the backup: {error}") from error
        except OSError as error:
            if "unexpected end of data" not in str(error):
                raise
            raise PermanentError(f"{name} is shorter than the {size} bytes that it must have") from error
        self.members.append(Member(name=name, size=size, sha256=hashed.sha256.hexdigest()))

    def finish(self) -> None:
        """Write the manifest and the archive's end; without them it counts as cut off."""
        content = json.dumps({"members": [vars(member) for member in self.members]}).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(content)
        self._tar.addfile(info, io.BytesIO(content))
        self._tar.close()


@dataclass(kw_only=True)
class Reader:
    """Members read one after the other, each only once, in order.

    Raises:
        PermanentError: from any of its methods: a member is missing, another than was written, or too much.
    """

    stream: IO[bytes]
    _seen: dict[str, Member] = field(default_factory=dict[str, Member])
    _is_complete: bool = False

    def header(self) -> tuple[dict[str, Any], Iterator[tuple[str, IO[bytes]]]]:
        """The header, and the members that follow; use each before asking for the next."""
        members = self._members()
        name, source = next(members, ("", io.BytesIO()))
        if name != HEADER:
            raise PermanentError("this is no backup of leadpipe: it does not begin with its header")
        return json.loads(source.read()), members

    def must_be_complete(self) -> None:
        """Prove that the manifest came, and that it lists what was read, byte for byte."""
        if not self._is_complete:
            raise PermanentError("the backup is cut off: its manifest is missing")

    def _members(self) -> Generator[tuple[str, IO[bytes]]]:
        try:
            with tarfile.open(fileobj=self.stream, mode="r|") as tar:
                for info in tar:
                    source = tar.extractfile(info)
                    if source is None or not is_safe(info.name):
                        raise PermanentError(f"the backup holds {info.name!r}, which is no file of ours")
                    if info.name == MANIFEST:
                        self._compare(json.load(source)["members"])
                        continue
                    hashed = _Hashed(source)
                    yield info.name, cast("IO[bytes]", hashed)
                    while hashed.read(1 << 20):
                        pass
                    self._seen[info.name] = Member(name=info.name, size=info.size, sha256=hashed.sha256.hexdigest())
        except tarfile.TarError as error:
            raise PermanentError(f"the backup cannot be read: {error}") from error

    def _compare(self, listed: list[dict[str, Any]]) -> None:
        wanted = {each["name"]: Member(**each) for each in listed}
        wrong = sorted(name for name in wanted.keys() | self._seen.keys() if wanted.get(name) != self._seen.get(name))
        if wrong:
            raise PermanentError(f"the backup is damaged: {len(wrong)} members are not as written, e.g. {wrong[0]}")
        self._is_complete = True


class _Counted(io.RawIOBase):
    """A stream that is only written to and knows how far it is, which is all that tar needs."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._count = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:
        self._target.write(content)
        self._count += len(content)
        return len(content)

    def tell(self) -> int:
        return self._count


class _Hashed(io.RawIOBase):
    """A stream that hashes what is read from it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._count = 0
        self.sha256: HASH = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        found = self._source.read(size)
        self.sha256.update(found)
        self._count += len(found)
        return found

    def tell(self) -> int:
        return self._count


def is_safe(name: str) -> bool:
    """Whether a member's name stays below the folder it is written to."""
    return not name.startswith("/") and ".." not in name.split("/")
