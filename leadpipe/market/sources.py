"""Where Zillow Research files are and how their bytes get here.

What lives here: the two published files, fetching one by HTTP or from a folder, and telling whether it changed. What
does not: what the bytes mean (``research``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import httpx

from leadpipe.errors import ConfigurationError, Rejected, TransientError
from leadpipe.market import tables

if TYPE_CHECKING:
    from leadpipe.settings import Settings

ATTRIBUTION = "Data Provided by Zillow Group"
# The ZHVI file had 121 MB in 2026-03; a stalled read is worth ending, a slow one is not.
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Source:
    """One published file: its metric, its path below the base URL, the lake table it fills."""

    metric: str
    path: str
    table: str

    @property
    def file_name(self) -> str:
        """The name under which a folder holds it."""
        return self.path.rpartition("/")[2]


SOURCES: dict[str, Source] = {
    source.metric: source
    for source in (
        Source(
            metric="zhvi", path="zhvi/Zip_zhvi_uc_sfrcondo_tier_0.33_0.67_sm_sa_month.csv", table=tables.ZHVI
        ),
        Source(metric="zori", path="zori/Zip_zori_uc_sfrcondomfr_sm_month.csv", table=tables.ZORI),
    )
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """One file at hand. ``path`` is None when the publisher says it has not changed."""

    path: Path | None
    url: str
    etag: str
    content_hash: str
    count_bytes: int


@contextmanager
def fetch(
    source: Source, settings: Settings, *, etag: str, transport: httpx.BaseTransport | None = None
) -> Generator[Fetched]:
    """The file as it is now, kept until the block ends.

    Args:
        source: which file.
        settings: ``zillow_folder`` when set, else ``zillow_base_url``.
        etag: what the publisher called the version read last; empty reads in any case.
        transport: another wire, for tests.

    Raises:
        ConfigurationError: the folder lacks the file, or the publisher answers 404 (its paths move now and then).
        TransientError: no answer, a server error or an answer cut short.
        Rejected: any other refusal.
    """
    if settings.zillow_folder is not None:
        path = settings.zillow_folder / source.file_name
        if not path.is_file():
            raise ConfigurationError(f"LEADPIPE_ZILLOW_FOLDER holds no {source.file_name}")
        digest = _hash(path)
        yield Fetched(
            path=path,
            url=f"file:{source.file_name}",
            etag="",
            content_hash=digest,
            count_bytes=path.stat().st_size,
        )
        return
    with TemporaryDirectory(prefix="leadpipe-zillow-") as folder:
        yield _download(source, settings.zillow_base_url, Path(folder) / source.file_name, etag, transport)


def _download(source: Source, base_url: str, path: Path, etag: str, transport: httpx.BaseTransport | None) -> Fetched:
    url = f"{base_url.rstrip('/')}/{source.path}"
    headers = {"If-None-Match": etag} if etag else {}
    digest = hashlib.sha256()
    try:
        with (
            httpx.Client(timeout=TIMEOUT, transport=transport, follow_redirects=True) as http,
            http.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code == 304:
                return Fetched(path=None, url=url, etag=etag, content_hash="", count_bytes=0)
            _refuse(response.status_code, source)
            with path.open("wb") as out:
                for chunk in response.iter_bytes(_CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
            new_etag = response.headers.get("ETag", "")
    except httpx.TransportError as error:
        raise TransientError(f"Zillow Research {source.file_name}: {type(error).__name__}") from error
    return Fetched(
        path=path, url=url, etag=new_etag, content_hash=digest.hexdigest(), count_bytes=path.stat().st_size
    )  # fmt: skip


def _refuse(status: int, source: Source) -> None:
    if status == 404:
        raise ConfigurationError(
            f"Zillow Research has no {source.path} (404); look the new path up and set LEADPIPE_ZILLOW_BASE_URL, "
            "or put the file into LEADPIPE_ZILLOW_FOLDER"
        )
    if status == 429 or status >= 500:
        raise TransientError(f"Zillow Research {source.file_name}: HTTP {status}")
    if status != 200:
        raise Rejected(f"Zillow Research {source.file_name}: HTTP {status}", code=str(status))


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
