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

# DuckDB has no error codes: it quotes the system's text within a message of its own.
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
    """Raises errors of DuckDB and of the system as `StoreError`, with advice."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise StoreError(_message(path, str(error))) from error


def _message(path: Path, problem: str) -> str:
    if "Could not set lock" in problem:
        return f"{path}: another process is using it: wait until it ends"
    if "not a valid DuckDB database" in problem:
        return f"{path}: it is not a store of audits"
    code, reason = os_error_in(problem)
    return f"{path}: {reason}: raise `ulimit -n`" if code == errno.EMFILE else f"{path}: {reason}"


def os_error_in(problem: str) -> tuple[int, str]:
    """Returns the errno and text of the system error in a message of DuckDB, or EIO."""
    for code in _OS_ERRORS:
        if (reason := os.strerror(code)) in problem:
            return code, reason
    return errno.EIO, problem.splitlines()[0]


def connect(database: str, settings: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """Connects to a database, with times in UTC, no downloads of extensions and no output."""
    quiet = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    connection = duckdb.connect(database, config={**quiet, **settings})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def check_version(connection: duckdb.DuckDBPyConnection, path: Path, catalog: str) -> None:
    """Raises `StoreError` if an open file is not a store, or has another schema version."""
    try:
        (version,) = connection.execute(f"FROM {catalog}.main.store").fetchall()[0]
    except duckdb.CatalogException:
        raise StoreError(f"{path}: it is not a store of audits") from None
    if version > SCHEMA_VERSION:
        raise StoreError(f"{path}: a newer version of lcphone_async made it")
    if version < SCHEMA_VERSION:
        raise StoreError(f"{path}: an older version of lcphone_async made it: begin a new file")


def new_database(folder: Path, settings: Mapping[str, Any]) -> bytes:
    """Returns the bytes of an empty database.

    DuckDB creates files that others can read, so the file is created in a private folder first.
    """
    with TemporaryDirectory(prefix=".lcphone-audit-", dir=folder) as private:
        draft = Path(private, "draft")
        connect(str(draft), settings).close()
        return draft.read_bytes()
