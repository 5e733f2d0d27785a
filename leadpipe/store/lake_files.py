"""The lake's files as bytes: listed by the catalog, read and written whole.

What lives here: which files a catalog names, and opening them in a folder or an S3 bucket. What does not: their
content (``lake``), the backup they go into (``backup``).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from leadpipe.errors import PermanentError, TransientError
from leadpipe.store.lake import CATALOG_SCHEMA

if TYPE_CHECKING:
    import psycopg

# Every data and delete file of every snapshot; paths below the lake's own are relative, step by step.
_FILES = f"""
    with located as (
      select t.table_id, max(
        case when t.path_is_relative then case when s.path_is_relative then s.path else '' end || t.path else t.path end
      ) as folder
      from {CATALOG_SCHEMA}.ducklake_table t join {CATALOG_SCHEMA}.ducklake_schema s using (schema_id)
      group by t.table_id
    ), named as (
      select table_id, path, path_is_relative, file_size_bytes from {CATALOG_SCHEMA}.ducklake_data_file
      union all
      select table_id, path, path_is_relative, file_size_bytes from {CATALOG_SCHEMA}.ducklake_delete_file
    )
    select distinct case when n.path_is_relative then l.folder || n.path else n.path end as path, n.file_size_bytes
    from named n join located l using (table_id)
    order by 1
"""  # noqa: S608 - our own names


@dataclass(frozen=True, kw_only=True)
class LakeFile:
    """One file of the lake: its path below the lake's, and its size in bytes."""

    path: str
    size: int


class Files(Protocol):
    """Where a lake's files lie."""

    def is_empty(self) -> bool:
        """Whether nothing lies there."""
        ...

    def open(self, path: str) -> IO[bytes]:
        """The file's content.

        Raises:
            PermanentError: it is not there.
        """
        ...

    def write(self, path: str, source: IO[bytes]) -> None:
        """Store a file whole."""
        ...


def listed(connection: psycopg.Connection[Any], data_path: str) -> list[LakeFile]:
    """The files that the catalog names in the connection's snapshot.

    Raises:
        PermanentError: one lies outside of the lake's path, where a backup would not find it again.
    """
    found: list[LakeFile] = []
    for path, size in connection.execute(_FILES.encode()).fetchall():
        name = str(path).removeprefix(data_path)
        if name.startswith("/") or "://" in name:
            raise PermanentError(f"the lake names {path}, which does not lie in {data_path}; it cannot be backed up")
        found.append(LakeFile(path=name, size=int(size)))
    return found


def files_at(data_path: str) -> Files:
    """The files below a folder, or below ``s3://bucket/prefix``."""
    return _Bucket(data_path) if data_path.startswith("s3://") else _Folder(Path(data_path))


class _Folder:
    """Files in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_empty(self) -> bool:
        return not self._folder.exists() or not any(self._folder.iterdir())

    def open(self, path: str) -> IO[bytes]:
        try:
            return (self._folder / path).open("rb")
        except FileNotFoundError:
            raise PermanentError(f"the lake's file {self._folder / path} is missing; `leadpipe doctor`") from None

    def write(self, path: str, source: IO[bytes]) -> None:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as stream:
            shutil.copyfileobj(source, stream, 1 << 20)


class _Bucket:
    """Objects below a prefix of an S3 bucket, by boto's own chain of credentials, as DuckDB uses it."""

    def __init__(self, url: str) -> None:
        import boto3

        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = prefix.rstrip("/") + "/" if prefix else ""
        self._s3: Any = boto3.client("s3")

    def is_empty(self) -> bool:
        found = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
        return found["KeyCount"] == 0

    def open(self, path: str) -> IO[bytes]:
        from botocore.exceptions import BotoCoreError, ClientError

        key = self._prefix + path
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise PermanentError(f"the lake's file s3://{self._bucket}/{key} cannot be read ({code})") from None
        except BotoCoreError as error:
            raise TransientError(f"S3 does not answer ({type(error).__name__}); run the backup again") from error

    def write(self, path: str, source: IO[bytes]) -> None:
        self._s3.upload_fileobj(source, self._bucket, self._prefix + path)
