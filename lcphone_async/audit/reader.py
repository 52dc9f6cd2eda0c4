"""Reading a store: `RunReader`, whose views show one run only.

The store's file is attached read-only to an in-memory database, so that several processes can read
it and a reader can create tables of its own. Views join what rules and exports need: phone numbers
in E.164 format (`as_numbers`), and the pools of each number. Python normalizes only the numbers
that are not in E.164 format already (table `unusual`), as a call per row would take most of the
time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb
import pyarrow as pa
from attrs import frozen

from .._internal.checks import whole_number
from .._internal.paths import checked_path
from . import tables
from .database import check_version, connect, store_errors
from .dialing import E164_PATTERN, country_of, e164
from .errors import StoreError
from .inventory import Coverage
from .store import Run, runs_of

# Enough to sort a million numbers; DuckDB moves more to temporary files beside the store.
_SETTINGS: Final = {"memory_limit": "512MB"}

# Phone numbers that are not in E.164 format, or whose country code is not two capital letters. The
# service states no country for numbers of pools: they are parsed for each country of the location.
_COUNTRIES: Final = """
CREATE VIEW {schema}.countries AS
SELECT DISTINCT location_id, coalesce(country_code, '') AS country_code
FROM {catalog}.numbers WHERE run_id = {run_id}
"""
_UNUSUAL_SCHEMA: Final = pa.schema(
    [(name, pa.string()) for name in ("text", "country_code", "number", "country")]
)
_UNUSUAL: Final = """
SELECT DISTINCT phone_number, coalesce(country_code, '') FROM {catalog}.numbers
WHERE run_id = {run_id} AND NOT coalesce(regexp_full_match(phone_number, '{e164}')
    AND regexp_full_match(country_code, '[A-Z]{{2}}'), false)
UNION
SELECT DISTINCT phone_number, country_code FROM {catalog}.pool_numbers
JOIN {schema}.countries USING (location_id)
WHERE run_id = {run_id} AND NOT regexp_full_match(phone_number, '{e164}')
"""
_NUMBER_VIEWS: Final = """
CREATE VIEW {schema}.as_numbers AS
SELECT location_id, phone_number, coalesce(unusual.number, phone_number) AS number,
    CASE WHEN unusual.text IS NULL THEN found.country_code ELSE unusual.country END AS country
FROM {catalog}.numbers AS found LEFT JOIN {schema}.unusual
    ON unusual.text = phone_number AND unusual.country_code = coalesce(found.country_code, '')
WHERE run_id = {run_id};
CREATE VIEW {schema}.numbers AS
SELECT found.*, coalesce(pool_ids, []) AS pool_ids
FROM {catalog}.numbers AS found
LEFT JOIN (
    SELECT location_id, own.phone_number, list(DISTINCT pool_id ORDER BY pool_id) AS pool_ids
    FROM {schema}.as_numbers AS own JOIN (
        SELECT DISTINCT location_id, pool_id, coalesce(unusual.number, phone_number) AS number
        FROM {catalog}.pool_numbers JOIN {schema}.countries USING (location_id)
        LEFT JOIN {schema}.unusual
            ON unusual.text = phone_number AND unusual.country_code = countries.country_code
        WHERE run_id = {run_id}
    ) AS member USING (location_id, number)
    GROUP BY ALL
) USING (location_id, phone_number)
WHERE found.run_id = {run_id}
"""
_OTHER_VIEWS: Final = (
    "CREATE VIEW {schema}.{table} AS FROM {catalog}.{table} WHERE run_id = {run_id}"
)

# A run between the two may have confirmed that a number is gone.
_GONE: Final = "CREATE VIEW gone AS FROM new_store.gone_numbers WHERE run_id <= {run_id}"


RowFactory = Callable[..., tuple[object, ...]]
"""Returns a row for the columns of a query's row."""


@frozen
class Incomplete:
    """A location that was not seen whole."""

    location_id: str
    """The location."""
    coverage: Coverage
    """How much of it was seen."""
    reason: str | None
    """Error message; `None` if the location was not visited yet."""


@frozen
class RunReader:
    """An open run.

    Its views are `numbers` (with the `pool_ids` of each), `locations`, `pools`, `pool_numbers`,
    `rcs_sender_ids`, `repeated_numbers` and `gone_numbers`; `as_numbers` has the `number` of each
    `phone_number` in E.164 format, and its `country`.
    """

    path: Path
    """The store's file."""
    run: Run
    """The run that is read."""
    connection: duckdb.DuckDBPyConnection
    """In-memory database to which the store is attached."""

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Returns all rows of a query."""
        with store_errors(self.path):
            return self.connection.execute(query, values).fetchall()

    def records(self, query: str, *values: Any) -> Iterator[dict[str, Any]]:
        """Yields the rows of a query as dicts, with 1000 in memory at a time."""
        with store_errors(self.path):
            found = self.connection.execute(query, values)
            names = [column[0] for column in found.description or ()]
            while rows := found.fetchmany(1000):
                for row in rows:
                    yield dict(zip(names, row, strict=True))

    def make_table(self, name: str, schema: pa.Schema, query: str, make_row: RowFactory) -> None:
        """Creates a table, in memory only, from `make_row` of each row of a query."""
        with store_errors(self.path):
            _make_table(self.connection, name, schema, query, make_row)

    def execute(self, statement: str, *values: Any) -> None:
        """Runs a statement; new tables are in memory only."""
        with store_errors(self.path):
            self.connection.execute(statement, values)

    def coverage(self) -> dict[Coverage, int]:
        """Returns the number of locations by coverage, without zeros."""
        found = dict(self.rows("SELECT coverage, count(*) FROM locations GROUP BY coverage"))
        return {kind: found[kind] for kind in Coverage if kind in found}

    def incomplete(self, most: int) -> list[Incomplete]:
        """Returns up to `most` incomplete locations: failed first, then inactive, then pending."""
        rows = self.rows(
            "SELECT location_id, coverage, reason FROM locations"
            " WHERE NOT list_contains(?, coverage)"
            " ORDER BY coverage = ?, coverage = ?, position LIMIT ?",
            [kind for kind in Coverage if kind.is_whole],
            Coverage.PENDING,
            Coverage.INACTIVE,
            most,
        )
        return [Incomplete(place, Coverage(seen), reason) for place, seen, reason in rows]


def checked_run(name: str, run_id: object) -> int | None:
    """Returns a valid run id, or `None` for the default run."""
    return None if run_id is None else whole_number(name, run_id, 1)


@contextmanager
def open_run(store: str | Path, run_id: int | None = None) -> Iterator[RunReader]:
    """Opens a run of a store, the newest by default; raises `StoreError`."""
    path, requested = checked_path("store", store), checked_run("run_id", run_id)
    with _connect(path) as connection:
        _attach(connection, path, "store")
        run = _find_run(connection, path, "store", requested)
        _make_views(connection, "store", run, "main")
        yield RunReader(path, run, connection)


def coverage(store: str | Path, *, run_id: int | None = None) -> dict[Coverage, int]:
    """Returns the number of locations by coverage in a run, the newest by default.

    Raises `StoreError`.
    """
    with open_run(store, run_id) as run:
        return run.coverage()


@contextmanager
def open_two_runs(
    old: str | Path, new: str | Path, old_run: int | None, new_run: int | None
) -> Iterator[tuple[RunReader, Run]]:
    """Opens two runs, of one store or of two, as views in the schemas `old` and `new`.

    Yields a reader of the new run, and the old run. By default, `new_run` is the newest run, and
    `old_run` the one before it or, in another store, the newest there. The view `gone` has the
    numbers that runs of the new store found gone, up to the new run. Raises `StoreError`, also if
    both are the same run or in the wrong order.
    """
    old_path, new_path = checked_path("old", old), checked_path("new", new)
    old_run, new_run = checked_run("old_run", old_run), checked_run("new_run", new_run)
    is_one = old_path.resolve() == new_path.resolve()
    with _connect(new_path) as connection:
        _attach(connection, new_path, "new_store")
        later = _find_run(connection, new_path, "new_store", new_run)
        if is_one:
            earlier_id = later.run_id - 1 if old_run is None else old_run
            if earlier_id == 0:
                raise StoreError(f"{new_path}: there is no run before run {later.run_id}")
            earlier = _find_run(connection, new_path, "new_store", earlier_id)
        else:
            _attach(connection, old_path, "old_store")
            earlier = _find_run(connection, old_path, "old_store", old_run)
        if earlier.started_at == later.started_at:
            raise StoreError(f"{new_path}: run {later.run_id} is the same run: name two runs")
        if earlier.started_at > later.started_at:
            raise StoreError(
                f"{new_path}: run {later.run_id} began before run {earlier.run_id} of {old_path},"
                " which is given as the old one: swap them"
            )
        for schema in ("old", "new"):
            connection.execute(f"CREATE SCHEMA {schema}")
        _make_views(connection, "new_store" if is_one else "old_store", earlier, "old")
        _make_views(connection, "new_store", later, "new")
        connection.execute(_GONE.format(run_id=later.run_id))
        yield RunReader(new_path, later, connection), earlier


@contextmanager
def _connect(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Opens an in-memory database, whose temporary files go to a private folder."""
    with ExitStack() as stack:
        folder = f"{path}.tmp"
        with suppress(OSError):  # on a read-only mount, queries that fit into memory still work
            folder = stack.enter_context(
                TemporaryDirectory(
                    prefix=f".{path.name}-", dir=path.parent, ignore_cleanup_errors=True
                )
            )
        settings = {**_SETTINGS, "temp_directory": folder}
        yield stack.enter_context(connect(":memory:", settings))


def _attach(connection: duckdb.DuckDBPyConnection, path: Path, catalog: str) -> None:
    quoted = str(path).replace("'", "''")
    with store_errors(path):
        if not path.exists():
            raise StoreError(f"{path}: there is no such file")
        if not path.is_file():
            raise StoreError(f"{path}: it is not a file")
        connection.execute(f"ATTACH '{quoted}' AS {catalog} (READ_ONLY)")
        check_version(connection, path, catalog)


def _find_run(
    connection: duckdb.DuckDBPyConnection, path: Path, catalog: str, run_id: int | None
) -> Run:
    with store_errors(path):
        runs = {run.run_id: run for run in runs_of(connection, f"{catalog}.")}
    wanted = max(runs, default=None) if run_id is None else run_id
    if wanted not in runs:
        existing = ", ".join(map(str, runs)) or "none"
        requested = "run" if wanted is None else f"run {wanted}"
        raise StoreError(f"{path}: there is no {requested} in it (runs: {existing})")
    return runs[wanted]


def _make_table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    schema: pa.Schema,
    query: str,
    make_row: RowFactory,
) -> None:
    connection.register("arriving", schema.empty_table())
    connection.execute(f"CREATE TABLE {name} AS FROM arriving")
    found = connection.cursor().execute(query)
    while rows := found.fetchmany(10_000):
        columns = zip(*(make_row(*row) for row in rows), strict=True)
        batch = [
            pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)
        ]
        connection.register("arriving", pa.table(batch, schema=schema))
        connection.execute(f"INSERT INTO {name} FROM arriving")
    connection.unregister("arriving")


def _make_views(connection: duckdb.DuckDBPyConnection, catalog: str, run: Run, schema: str) -> None:
    names = {"catalog": catalog, "schema": schema, "run_id": run.run_id, "e164": E164_PATTERN}
    connection.execute(_COUNTRIES.format(**names))
    _make_table(
        connection,
        f"{schema}.unusual",
        _UNUSUAL_SCHEMA,
        _UNUSUAL.format(**names),
        lambda text, country: (text, country, e164(text, country), country_of(text, country)),
    )
    connection.execute(_NUMBER_VIEWS.format(**names))
    for table in tables.TABLES:
        if table not in {"runs", "numbers"}:
            connection.execute(_OTHER_VIEWS.format(table=table, **names))
