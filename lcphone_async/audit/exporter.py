"""Export of a run's tables as CSV, JSON lines or Parquet; DuckDB writes the files."""

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

# Row order by key, so that it does not depend on the order of the walk.
_ORDERS: Final[dict[str, str]] = {
    "numbers": "location_id, phone_number",
    "locations": "position",
    "pools": "location_id, pool_id",
    "pool_numbers": "location_id, pool_id, phone_number",
    "rcs_sender_ids": "location_id, number",
}
_JSON_COLUMNS: Final = {"extra", "rcs_meta"}

# An apostrophe keeps a spreadsheet from evaluating text as a formula (OWASP, CSV injection). A plus
# sign and digits are a phone number, and harmless.
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
    format: Format,  # noqa: A002  # as the command's option
    *,
    table: Table = "numbers",
    run_id: int | None = None,
) -> int:
    """Writes a table of a run, the newest by default; returns the number of rows.

    - `out`: a file, which is replaced when the new one is complete. For `parquet` a folder: its
      partition `run_id=…` is replaced, others stay; numbers are partitioned by `country_code` too.
    - `format`: `csv` for spreadsheets, `jsonl` or `parquet` for programs.

    The order of rows and columns is fixed, so that the same inventory makes the same bytes.
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
        except OSError as error:  # it names the temporary file, which no longer exists
            raise OSError(error.errno, error.strerror, str(path)) from error


def _columns(table: str) -> list[pa.Field]:
    """Returns a table's columns in order, with `pool_ids` last for numbers."""
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
    """Writes a temporary folder, and renames it to the run's partition when it is complete."""
    query = f"SELECT * EXCLUDE run_id FROM {table} ORDER BY {_ORDERS[table]}"
    whole, partial = out / f"run_id={run.run.run_id}", out / f".run_id={run.run.run_id}.partial"
    run.execute("SET threads = 1")  # with several, the split of rows into files varies
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
    """Returns flat columns: the fields of a struct by their attribute path in Python."""
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
