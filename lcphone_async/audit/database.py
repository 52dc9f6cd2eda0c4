"""DuckDB files: how they are opened and checked, and their errors as `StoreError`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb

from .errors import StoreError

SCHEMA_VERSION: Final = 2

# What the system says, which DuckDB wraps in words of its own.
_OS_ERRORS: Final = (
    errno.ENOSPC,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.ENOENT,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EPIPE,
    errno.EMFILE,
)


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Gives what goes wrong with a file as a `StoreError` that says what to do."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise StoreError(_message(path, str(error))) from error


def _message(path: Path, problem: str) -> str:
    if "Could not set lock" in problem:
        return f"{path}: another process is using it: wait for its end"
    if "not a valid DuckDB database" in problem:
        return f"{path}: it is not a store of audits"
    code, reason = os_error_in(problem)
    return f"{path}: {reason}: raise `ulimit -n`" if code == errno.EMFILE else f"{path}: {reason}"


def os_error_in(problem: str) -> tuple[int, str]:
    """The system's error that DuckDB tells of (EIO if it is another), and what it says."""
    for code in _OS_ERRORS:
        if (reason := os.strerror(code)) in problem:
            return code, reason
    return errno.EIO, problem.splitlines()[0]


def connect(database: str, settings: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """DuckDB with times in UTC, which fetches nothing and prints nothing by itself."""
    quiet = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    connection = duckdb.connect(database, config={**quiet, **settings})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def check_version(connection: duckdb.DuckDBPyConnection, path: Path, catalog: str) -> None:
    """Raises `StoreError` if an open file is no store, or one of another version."""
    try:
        (version,) = connection.execute(f"FROM {catalog}.main.store").fetchall()[0]
    except duckdb.CatalogException:
        raise StoreError(f"{path}: it is not a store of audits") from None
    if version > SCHEMA_VERSION:
        raise StoreError(f"{path}: a newer version of lcphone_async made it")
    if version < SCHEMA_VERSION:
        raise StoreError(f"{path}: an older version of lcphone_async made it: begin a new file")


def new_database(folder: Path, settings: Mapping[str, Any]) -> bytes:
    """An empty database, made in a folder that only its owner may enter."""
    with TemporaryDirectory(prefix=".lcphone-audit-", dir=folder) as private:
        draft = Path(private, "draft")
        connect(str(draft), settings).close()
        return draft.read_bytes()
