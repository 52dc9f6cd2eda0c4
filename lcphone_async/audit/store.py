"""Store of audits: one DuckDB file, which one process writes at a time.

A location is written in one transaction, so that the file never holds half of a visit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self

import duckdb
import pyarrow as pa
from attrs import frozen

from .._internal.paths import make_private, tighten
from .._version import __version__
from ..models import ActiveNumber, Location
from . import tables
from .database import SCHEMA_VERSION, check_version, connect, new_database, store_errors
from .errors import StoreError
from .inventory import Coverage, Inventory

# DuckDB moves larger transactions to temporary files.
_SETTINGS: Final = {"memory_limit": "128MB", "threads": 2}

# Columns of `locations` that a visit sets.
_LOCATION_FACTS: Final = ("numbers", "account_status", "is_under_lc", "pools", "rcs_sender_ids")

# Searches for each location: few beside its walk, even if it lost all of its numbers.
_MAX_SEARCHES: Final = 20
_MISSING: Final = f"""
WITH seen AS (
    SELECT location_id, max(old.run_id) AS run_id
    FROM locations AS old JOIN locations AS new USING (location_id)
    WHERE new.run_id = ? AND new.coverage = '{Coverage.COMPLETE}'
        AND old.run_id < ? AND old.coverage = '{Coverage.COMPLETE}'
    GROUP BY location_id
), missing AS (
    SELECT location_id, phone_number FROM numbers JOIN seen USING (location_id, run_id)
    ANTI JOIN (SELECT location_id, phone_number FROM numbers WHERE run_id = ?)
        USING (location_id, phone_number)
    QUALIFY row_number() OVER (PARTITION BY location_id ORDER BY phone_number) <= {_MAX_SEARCHES}
)
FROM missing
ANTI JOIN (SELECT location_id, phone_number FROM gone_numbers WHERE run_id = ?)
    USING (location_id, phone_number)
ORDER BY ALL
"""

_FINAL_COVERAGES: Final = [coverage for coverage in Coverage if coverage.is_final]


@frozen
class Run:
    """Run of an audit over a list of locations, which `resume` continues."""

    run_id: int
    """1, 2, … in the order of their start."""
    started_at: datetime
    """Start, in UTC."""
    finished_at: datetime | None
    """End, in UTC; `None` while locations are pending."""


class Store:
    """The open file, which only its owner can read.

    Raises `StoreError` if it is not a store of audits, is in use, or cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self._wal, self._temp_folder = Path(f"{path}.wal"), Path(f"{path}.tmp")
        with store_errors(self.path):
            file = self.path.resolve()
            if not file.exists():
                make_private(file, new_database(file.parent, _SETTINGS))
            elif not file.is_file():
                raise StoreError(f"{path}: it is not a file")
            settings = {**_SETTINGS, "temp_directory": str(self._temp_folder)}
            self._connection = connect(str(self.path), settings)
            try:
                self._temp_folder.mkdir(0o700, exist_ok=True)
                self._temp_folder.chmod(0o700)
                self._prepare()
                tighten(file)
            except BaseException:
                self._close()
                raise

    @property
    def folder(self) -> Path:
        """Folder of the file, in which temporary files are created too."""
        return self.path.absolute().parent

    def begin_run(self, locations: Iterable[Location]) -> Run:
        """Creates a run with these locations, all of them pending."""
        started = datetime.now(UTC)
        with self._transaction():
            run_id: int = self._rows("SELECT coalesce(max(run_id), 0) + 1 FROM runs")[0][0]
            self._execute("INSERT INTO runs VALUES (?, ?, NULL, ?)", run_id, started, __version__)
            self._insert_locations(run_id, locations, 0)
        return Run(run_id, started, None)

    def last_run(self) -> Run | None:
        """Returns the newest run, if there is one."""
        with store_errors(self.path):
            found = runs_of(self._connection)
        return found[-1] if found else None

    def add_locations(self, run_id: int, locations: Iterable[Location]) -> None:
        """Adds the locations that a run does not have yet."""
        with self._transaction():
            rows = self._rows("SELECT location_id FROM locations WHERE run_id = ?", run_id)
            known = {location_id for (location_id,) in rows}
            new = [location for location in locations if location.id not in known]
            self._insert_locations(run_id, new, len(known))

    def unfinished_locations(self, run_id: int) -> list[Location]:
        """Returns the locations of a run that another visit may see more of, in order."""
        with store_errors(self.path):
            rows = self._rows(
                "SELECT location_id, location_name FROM locations WHERE run_id = ?"
                " AND NOT list_contains(?, coverage) ORDER BY position",
                run_id,
                _FINAL_COVERAGES,
            )
        return [Location(*row) for row in rows]

    def commit(self, run_id: int, inventories: Sequence[Inventory]) -> None:
        """Writes the inventories of locations in one transaction.

        An incomplete visit replaces the tables that it saw, but never more numbers by fewer; see
        `Inventory.replaces`.
        """
        with self._transaction():
            before = self._known_facts(run_id, [each.location.id for each in inventories])
            for table in tables.CONTENTS:
                better = [
                    inventory
                    for inventory in inventories
                    if inventory.replaces(table, before[inventory.location.id]["numbers"] or 0)
                ]
                self._delete(run_id, table, [each.location.id for each in better])
                self._insert(table, chain.from_iterable(each.batches(table) for each in better))
            self._update_locations(run_id, inventories, before)

    def missing_numbers(self, run_id: int) -> dict[str, list[str]]:
        """Returns numbers to search for, by location.

        The location's last complete run before this one has them, and this run, which saw the
        location whole too, lacks them.
        """
        with store_errors(self.path):
            rows = self._rows(_MISSING, run_id, run_id, run_id, run_id)
        found: dict[str, list[str]] = {}
        for location_id, phone_number in rows:
            found.setdefault(location_id, []).append(phone_number)
        return found

    def record_searches(
        self, run_id: int, location_id: str, gone: Sequence[str], found: Sequence[ActiveNumber]
    ) -> None:
        """Records which missing numbers are gone, and adds those that a search found."""
        with self._transaction():
            now = datetime.now(UTC)
            self._insert("gone_numbers", [tables.gone_numbers(run_id, location_id, gone, now)])
            self._insert("numbers", [tables.numbers(run_id, location_id, found)])
            self._execute(
                "UPDATE locations SET numbers = numbers + ? WHERE run_id = ? AND location_id = ?",
                len(found),
                run_id,
                location_id,
            )

    def finish_run(self, run_id: int) -> None:
        """Records the end of a run, unless a location is pending."""
        with self._transaction():
            self._execute(
                "UPDATE runs SET finished_at = ? WHERE run_id = ? AND NOT EXISTS"
                " (FROM locations WHERE run_id = ? AND coverage = ?)",
                datetime.now(UTC),
                run_id,
                run_id,
                Coverage.PENDING,
            )

    def close(self) -> None:
        """Closes the file; commits survive even if closing fails."""
        with store_errors(self.path):
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _prepare(self) -> None:
        """Creates the tables of a new file, or checks the version of an existing one."""
        (catalog,) = self._rows("SELECT current_database()")[0]
        if self._rows("SHOW TABLES"):
            check_version(self._connection, self.path, f'"{catalog}"')
            return
        with self._transaction():
            for name, schema in tables.TABLES.items():
                self._connection.register("columns", schema.empty_table())
                self._execute(f"CREATE TABLE {name} AS FROM columns")
                self._connection.unregister("columns")
            self._execute(f"CREATE TABLE store AS SELECT {SCHEMA_VERSION} AS schema_version")

    def _close(self) -> None:
        self._connection.close()
        with suppress(OSError):
            self._temp_folder.rmdir()
        with suppress(FileNotFoundError):
            if not self._wal.stat().st_size:  # DuckDB leaves an empty one
                self._wal.unlink()

    def _rows(self, query: str, *values: Any) -> list[Any]:
        return self._connection.execute(query, values).fetchall()

    def _execute(self, statement: str, *values: Any) -> None:
        self._connection.execute(statement, values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with store_errors(self.path):
            make_private(self._wal)  # DuckDB would use the umask
            self._execute("BEGIN")
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error):  # no transaction is open any more, or the disk is full
                    self._execute("ROLLBACK")
                raise

    def _insert(self, table: str, batches: Iterable[pa.RecordBatch]) -> None:
        schema = tables.TABLES[table]
        self._connection.register("arriving", pa.RecordBatchReader.from_batches(schema, batches))
        try:
            self._execute(f"INSERT INTO {table} FROM arriving")
        finally:
            self._connection.unregister("arriving")

    def _insert_locations(self, run_id: int, locations: Iterable[Location], start: int) -> None:
        rows = [
            {
                "run_id": run_id,
                "location_id": location.id,
                "position": position,
                "location_name": location.name,
                "coverage": Coverage.PENDING,
            }
            for position, location in enumerate(locations, start)
        ]
        self._insert("locations", [pa.RecordBatch.from_pylist(rows, tables.LOCATIONS)])

    def _known_facts(self, run_id: int, location_ids: list[str]) -> dict[str, dict[str, Any]]:
        """Returns the stored facts of each location."""
        names = ("location_id", "coverage", *_LOCATION_FACTS)
        rows = self._rows(
            f"SELECT {', '.join(names)} FROM locations WHERE run_id = ?"
            " AND location_id IN (SELECT unnest(?))",
            run_id,
            location_ids,
        )
        return {row[0]: dict(zip(names, row, strict=True)) for row in rows}

    def _delete(self, run_id: int, table: str, location_ids: list[str]) -> None:
        if location_ids:
            self._execute(
                f"DELETE FROM {table} WHERE run_id = ? AND location_id IN (SELECT unnest(?))",
                run_id,
                location_ids,
            )

    def _update_locations(
        self,
        run_id: int,
        inventories: Iterable[Inventory],
        before: Mapping[str, Mapping[str, Any]],
    ) -> None:
        now = datetime.now(UTC)
        rows = [
            {
                "run_id": run_id,
                "location_id": inventory.location.id,
                "reason": inventory.reason,
                "finished_at": now,
                "seconds": inventory.seconds,
                **_merged_facts(inventory, before[inventory.location.id]),
            }
            for inventory in inventories
        ]
        if not rows:
            return
        names = rows[0].keys() - {"run_id", "location_id"}
        self._connection.register("seen", pa.Table.from_pylist(rows, tables.LOCATIONS))
        try:
            for_each = ", ".join(f"{name} = seen.{name}" for name in names)
            self._execute(
                f"UPDATE locations SET {for_each} FROM seen WHERE locations.run_id ="
                " seen.run_id AND locations.location_id = seen.location_id"
            )
        finally:
            self._connection.unregister("seen")


def _merged_facts(inventory: Inventory, before: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the facts of a location from this visit, or else from the one before."""
    found = {
        "numbers": inventory.numbers_seen,
        "account_status": inventory.account_status,
        "is_under_lc": inventory.is_under_lc,
        "pools": inventory.rows("pools"),
        "rcs_sender_ids": inventory.rows("rcs_sender_ids"),
    }
    if inventory.coverage is Coverage.COMPLETE:
        return {"coverage": inventory.coverage, **found}
    was_partial = before["coverage"] == Coverage.PARTIAL
    known = {name: before[name] if value is None else value for name, value in found.items()}
    if before["numbers"] is not None:
        known["numbers"] = max(inventory.numbers.rows, before["numbers"])
    return {"coverage": Coverage.PARTIAL if was_partial else inventory.coverage, **known}


def runs_of(connection: duckdb.DuckDBPyConnection, catalog: str = "") -> list[Run]:
    """Returns the runs of an open store, oldest first."""
    found = connection.execute(  # DuckDB needs pytz to return times with a zone
        "SELECT run_id, started_at AT TIME ZONE 'UTC', finished_at AT TIME ZONE 'UTC'"
        f" FROM {catalog}runs ORDER BY run_id"
    )
    return [
        Run(run_id, *(time and time.replace(tzinfo=UTC) for time in times))
        for run_id, *times in found.fetchall()
    ]
