"""`audit`: many locations side by side, into a store, with what stops it and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

from attrs import define, field, frozen

from .._internal import checks, clock
from .._internal.paths import checked_path
from .._internal.tasks import OwnTasks, finished_in_thread
from ..client import LCPhoneClient
from ..errors import (
    AuthenticationError,
    DailyQuotaExhaustedError,
    LCPhoneError,
    TokenUnavailableError,
)
from ..limiter import bulk
from ..models import ActiveNumber, Location
from .errors import StoreError
from .inventory import Coverage, Inventory, take_inventory
from .locations import unique_locations
from .reader import Incomplete, open_run
from .second_look import SearchFor, confirm_missing, search_for
from .store import Run, Store
from .writer import Writer

OnPage = Callable[[int], None]
TakeInventory = Callable[[Location, Run, Path, OnPage], Awaitable[Inventory]]

# So many locations in a row whose token is refused, and it is the token, not the locations.
_MAX_REFUSED_TOKENS = 3
_MAX_NAMED = 5
_PROGRESS_INTERVAL = 0.2
_INVALID_TOKEN = "invalid token"  # noqa: S105  # the service's words


@define
class Progress:
    """How far an audit is."""

    locations: int
    """To visit in all, by this call."""
    done: int = 0
    """Locations in the store."""
    numbers: int = 0
    """Numbers that came, those of locations under way included."""
    errors: int = 0
    """Locations that are partial or failed."""
    started: float = field(factory=clock.seconds)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return clock.seconds() - self.started

    @property
    def rate(self) -> float:
        """Numbers a second."""
        return self.numbers / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """If all goes on as it did; `None` before the first location."""
        if not self.done:
            return None
        return self.seconds / self.done * (self.locations - self.done)


@frozen
class AuditSummary:
    """What became of an audit."""

    run_id: int
    coverage: dict[Coverage, int]
    """Locations of the whole run, by how far they were seen."""
    numbers: int
    """In the store for this run."""
    seconds: float
    """Of this call."""
    error: LCPhoneError | None = None
    """What stopped it before its end; what was done by then is kept."""
    days_spent: int = 0
    """Locations whose requests for the day are spent; `resume` once their limits have reset."""
    incomplete: tuple[Incomplete, ...] = ()
    """The first few that were not seen whole, and why."""

    @property
    def is_complete(self) -> bool:
        """Whether no location is left of which another visit may see more."""
        return all(coverage.is_final for coverage in self.coverage)


async def audit(
    client: LCPhoneClient,
    locations: Iterable[Location | str] | AsyncIterable[Location | str] | None,
    store: str | Path,
    *,
    resume: bool = False,
    concurrency: int = 32,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> AuditSummary:
    """Takes the inventory of many locations into a store, each whole or not at all.

    - `locations`: ids or `Location`s, also as an async iterable such as
      `client.locations(company_id, app_id)`. `None` only with `resume`. A listed `Location` whose
      id cannot be one is noted as failed.
    - `store`: the path of a file; it is made if there is none.
    - `resume`: go on with the store's last run: its locations that are not complete, and those of
      `locations` that it does not have. Without a run, one begins.
    - `concurrency`: locations side by side. Each has its own budget.
    - `on_progress`: called five times a second, and at the end.

    A location that fails is noted as such and stops no other. What stops the audit is in the
    summary's `error`, and what was done by then is kept: a token that is refused for three
    locations in a row, an authorization that is lost, a store that cannot be written, a
    machine without file descriptors or threads left, a shared budget that cannot be reached, a
    service that is down for longer than the calls may wait.
    At the end, numbers that the location's last complete run had and this one has not are searched
    for, up to 20 of each location. All calls are `bulk` calls.

    Raises `StoreError` if the store cannot be opened, `ValueError` or `TypeError` for bad
    arguments.

    >>> async def inventory(client):
    ...     summary = await audit(client, ["loc1", "loc2"], "inventory.duckdb")
    ...     print(summary.numbers, summary.coverage)
    """
    checks.instance("client", client, LCPhoneClient)
    most = checks.whole_number("concurrency", concurrency, 1)

    async def take(location: Location, run: Run, folder: Path, on_page: OnPage) -> Inventory:
        with bulk():
            return await take_inventory(client, location, run.run_id, folder, on_page)

    async def look(location_id: str, phone_number: str) -> Sequence[ActiveNumber] | None:
        with bulk():
            return await search_for(client, location_id, phone_number)

    return await run_audit(
        take, look, locations, store, resume=resume, concurrency=most, on_progress=on_progress
    )


async def run_audit(
    take: TakeInventory,
    look: SearchFor,
    locations: Iterable[Location | str] | AsyncIterable[Location | str] | None,
    store: str | Path,
    *,
    resume: bool,
    concurrency: int,
    on_progress: Callable[[Progress], None],
) -> AuditSummary:
    """The audit whose inventories come from `take`, be it here or on other machines.

    At its end `look` searches for the numbers that it misses.
    """
    path = check_arguments(store, resume=resume, on_progress=on_progress)
    if locations is None and not resume:
        raise ValueError("there are no locations to audit")
    listed = None if locations is None else await unique_locations(locations)
    async with _open_store(path) as opened:
        run = await finished_in_thread(partial(_begin_or_resume, opened, listed, resume=resume))
        visits = _Visits(run, opened.unfinished_locations(run.run_id), on_progress)
        try:
            async with Writer(opened, run.run_id, concurrency, visits.committed) as writer:
                await visits.all(take, opened.folder, writer, concurrency)
            await confirm_missing(look, opened, run.run_id, concurrency)
            await finished_in_thread(partial(opened.finish_run, run.run_id))
        except LCPhoneError as error:
            visits.error = error
        on_progress(visits.progress)
    return await finished_in_thread(partial(_summary, opened.path, visits))


@asynccontextmanager
async def _open_store(path: str | Path) -> AsyncIterator[Store]:
    """The store, closed at the end; a thread is never left at work on it."""
    stores: list[Store] = []
    try:
        try:
            await finished_in_thread(lambda: stores.append(Store(path)))
        except OSError as error:  # there is no thread for it
            raise StoreError(f"{path}: {error.strerror}") from error
        yield stores[0]
    finally:
        for store in stores:
            await finished_in_thread(store.close)


def check_arguments(
    store: object, *, resume: object, on_progress: Callable[[Progress], None]
) -> Path:
    """What every audit may be told; gives the path of its store."""
    checks.switch("resume", resume)
    checks.function("on_progress", on_progress)
    return checked_path("store", store)


def _begin_or_resume(store: Store, listed: list[Location] | None, *, resume: bool) -> Run:
    """The run to go on with, or a new one."""
    last = store.last_run() if resume else None
    if last is None:
        if listed is None:
            raise StoreError(f"{store.path}: there is no run to resume: name its locations")
        return store.begin_run(listed)
    store.add_locations(last.run_id, listed or ())
    return last


@define
class _Visits:
    """The visits of one call of `audit`."""

    run: Run
    locations: list[Location]
    on_progress: Callable[[Progress], None]
    error: LCPhoneError | None = None
    days_spent: int = 0
    progress: Progress = field(init=False)
    _refused_tokens: int = 0

    @progress.default
    def _no_progress(self) -> Progress:
        return Progress(len(self.locations))

    async def all(
        self, take: TakeInventory, folder: Path, writer: Writer, concurrency: int
    ) -> None:
        """Visits them, so many side by side; raises what ends the audit."""
        to_visit = iter(self.locations)
        workers = min(concurrency, len(self.locations))

        async def work() -> None:
            for location in to_visit:
                inventory = await take(location, self.run, folder, self._count_page)
                try:
                    self._check(inventory)
                    await writer.put(inventory)
                except BaseException:
                    inventory.numbers.close()
                    raise

        async def work_all() -> None:
            await asyncio.gather(*(tasks.start(work()) for _ in range(workers)))

        async with OwnTasks() as tasks:
            # If `on_progress` raises, reporting ends first.
            both = [tasks.start(work_all()), tasks.start(self._report_progress())]
            ended, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                await task

    def committed(self, inventories: Sequence[Inventory]) -> None:
        """Counts what is in the store now."""
        self.progress.done += len(inventories)

    async def _report_progress(self) -> None:
        while True:
            self.on_progress(self.progress)
            await asyncio.sleep(_PROGRESS_INTERVAL)

    def _count_page(self, numbers: int) -> None:
        self.progress.numbers += numbers

    def _check(self, inventory: Inventory) -> None:
        """Counts what went wrong, and raises what is wrong with more than this location."""
        error = inventory.error
        self.progress.errors += inventory.coverage in {Coverage.PARTIAL, Coverage.FAILED}
        self.days_spent += isinstance(error, DailyQuotaExhaustedError)
        if error is None or not _may_concern_token(error):
            self._refused_tokens = 0
            return
        self._refused_tokens += 1
        if self._refused_tokens >= min(_MAX_REFUSED_TOKENS, len(self.locations)):
            raise error


def _may_concern_token(error: Exception) -> bool:
    """Whether it may be the token that is wrong, rather than the location."""
    match error:
        case AuthenticationError(message=message):
            return _INVALID_TOKEN in message.lower()
        case TokenUnavailableError(status=status):
            return status in {None, HTTPStatus.UNAUTHORIZED}
    return False


def _summary(path: Path, visits: _Visits) -> AuditSummary:
    """What the store has, read from the file: a full disk makes an open one unusable."""
    with open_run(path, visits.run.run_id) as run:
        ((numbers,),) = run.rows("SELECT count(*) FROM numbers")
        return AuditSummary(
            visits.run.run_id,
            run.coverage(),
            numbers,
            visits.progress.seconds,
            visits.error,
            visits.days_spent,
            tuple(run.incomplete(_MAX_NAMED)),
        )
