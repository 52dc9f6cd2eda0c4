"""Tables of a run as CSV, JSON lines or Parquet, written by DuckDB straight from the store."""

from __future__ import annotations

import os
import shutil
from itertools import chain
from pathlib import Path
from typing import Final, Literal, get_args

import pyarrow as pa

from .._internal import checks
from .._internal.paths import checked_path, replacing
from .database import os_error_in
from .errors import StoreError
from .reader import RunReader, open_run
from .tables import TABLES

Format = Literal["csv", "jsonl", "parquet"]
Table = Literal["numbers", "locations", "pools", "pool_numbers", "rcs_sender_ids"]

# What makes the order of the rows: the same however the walk went.
_ORDERS: Final[dict[str, str]] = {
    "numbers": "location_id, phone_number",
    "locations": "position",
    "pools": "location_id, pool_id",
    "pool_numbers": "location_id, pool_id, phone_number",
    "rcs_sender_ids": "location_id, number",
}
_JSON_COLUMNS: Final = {"extra", "rcs_meta"}

# What a spreadsheet would take for a formula is kept text by an apostrophe (OWASP, CSV injection).
# A plus sign and digits are a phone number, and harmless.
_FORMULA_MACRO: Final = r"""
CREATE MACRO without_formula(cell) AS CASE
    WHEN regexp_matches(cell, '^[=+@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}-]')
        AND NOT regexp_matches(cell, '^\+[0-9]+$')
    THEN '''' || cell ELSE cell END
"""
_ISO: Final = "strftime({name} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ') AS {name}"


def export(
    store: str | Path,
    out: str | Path,
    format: Format,  # noqa: A002  # the command's own word
    *,
    table: Table = "numbers",
    run_id: int | None = None,
) -> int:
    """Writes a table of a run, the newest by default, and gives how many rows it had.

    - `out`: a file, which appears when it is whole; for `parquet` a folder, in which the part
      `run_id=…` is replaced and others stay, with parts by `country_code` for numbers.
    - `format`: `csv` for spreadsheets, `jsonl` or `parquet` for programs.

    Rows and columns are in an order that stays, so that the same inventory gives the same bytes.
    Raises `StoreError`, and `OSError` if `out` cannot be written.
    """
    kind = checks.one_of("format", format, get_args(Format))
    named = checks.one_of("table", table, get_args(Table))
    path = checked_path("out", out)
    with open_run(store, run_id) as run:
        try:
            if kind == "parquet":
                return _write_parquet(run, named, path)
            return _write_file(run, named, kind, path)
        except OSError as error:  # of a file beside it, which is gone
            raise OSError(error.errno, error.strerror, str(path)) from error


def _columns(table: str) -> list[pa.Field]:
    """A table's columns, in order; `extra` is the last of the service's own."""
    columns = [column for column in TABLES[table] if column.name != "run_id"]
    return (
        [*columns, pa.field("pool_ids", pa.list_(pa.string()))] if table == "numbers" else columns
    )


def _write_file(run: RunReader, table: str, kind: str, out: Path) -> int:
    run.execute(_FORMULA_MACRO)
    if kind == "csv":
        select = list(chain.from_iterable(map(_csv_columns, _columns(table))))
        options = "FORMAT csv, HEADER, FORCE_QUOTE *"
    else:
        select, options = list(map(_json_column, _columns(table))), "FORMAT json"
    query = f"SELECT {', '.join(select)} FROM {table} ORDER BY {_ORDERS[table]}"
    with replacing(out) as file:
        return _copy(run, query, file, options)


def _write_parquet(run: RunReader, table: str, out: Path) -> int:
    """Writes a folder beside the run's own, and puts it in its place when it is whole."""
    query = f"SELECT * EXCLUDE run_id FROM {table} ORDER BY {_ORDERS[table]}"
    whole, partial = out / f"run_id={run.run.run_id}", out / f".run_id={run.run.run_id}.partial"
    run.execute("SET threads = 1")  # several would share the rows out differently each time
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        if table == "numbers":
            rows = _copy(run, query, partial, "FORMAT parquet, PARTITION_BY (country_code)")
        else:
            rows = _copy(run, query, partial / "data_0.parquet", "FORMAT parquet")
        shutil.rmtree(whole, ignore_errors=True)
        partial.replace(whole)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return rows


def _copy(run: RunReader, query: str, out: Path, options: str) -> int:
    quoted = os.fspath(out).replace("'", "''")
    try:
        return int(run.rows(f"COPY ({query}) TO '{quoted}' ({options})")[0][0])
    except StoreError as error:
        problem = str(error.__cause__)
        if os.fspath(out) not in problem:
            raise
        raise OSError(*os_error_in(problem)) from error


def _json_column(column: pa.Field) -> str:
    name = column.name
    if name in _JSON_COLUMNS:
        return f"{name}::JSON AS {name}"
    return _ISO.format(name=name) if pa.types.is_timestamp(column.type) else name


def _csv_columns(column: pa.Field) -> list[str]:
    """Flat columns: the parts of a struct by the path that leads to them in Python."""
    name, kind = column.name, column.type
    if pa.types.is_struct(kind):
        return [
            f'without_formula({name}.{part.name}::VARCHAR) AS "{name}.{part.name}"' for part in kind
        ]
    if pa.types.is_list(kind):
        return [f"CASE WHEN {name} <> [] THEN to_json({name})::VARCHAR END AS {name}"]
    if pa.types.is_timestamp(kind):
        return [_ISO.format(name=name)]
    return [f"without_formula({name}) AS {name}" if pa.types.is_string(kind) else name]
