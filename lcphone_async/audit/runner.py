"""The audit itself: visits many locations concurrently and writes them to a store.

`run_audit` starts `concurrency` workers, each of which takes the next location, and a `Writer` that
commits the finished ones in a thread. `take` and `search` do the network calls, here or on a Dask
cluster. An error of a location is recorded with it. The audit ends early for the errors in
`inventory.FATAL_ERRORS`, and if the token itself seems to be refused.
"""

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

# After so many consecutive refusals, the token is wrong rather than the locations.
_MAX_REFUSED_TOKENS = 3
_MAX_NAMED = 5
_PROGRESS_INTERVAL = 0.2  # seconds
_INVALID_TOKEN = "invalid token"  # noqa: S105  # a message of the service


@define
class Progress:
    """Progress of an audit."""

    locations: int
    """Locations to visit by this call of `audit`."""
    done: int = 0
    """Locations that are committed to the store."""
    numbers: int = 0
    """Phone numbers received, also for locations that are not committed yet."""
    errors: int = 0
    """Locations that are partial or failed."""
    started: float = field(factory=clock.seconds)
    """Start of the audit, on a monotonic clock in seconds."""

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return clock.seconds() - self.started

    @property
    def rate(self) -> float:
        """Phone numbers per second."""
        return self.numbers / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds left; `None` before the first location is done."""
        if not self.done:
            return None
        return self.seconds / self.done * (self.locations - self.done)


@frozen
class AuditSummary:
    """Result of an audit."""

    run_id: int
    """Run in the store."""
    coverage: dict[Coverage, int]
    """Number of locations of the whole run, by coverage."""
    numbers: int
    """Phone numbers of the whole run in the store."""
    seconds: float
    """Duration of this call of `audit`."""
    error: LCPhoneError | None = None
    """Error that ended it early; finished locations are kept."""
    days_spent: int = 0
    """Locations whose daily quota is exhausted; `resume` once it has reset."""
    incomplete: tuple[Incomplete, ...] = ()
    """The first few locations that were not seen whole, with reasons."""

    @property
    def is_complete(self) -> bool:
        """True if another visit would see no more of any location."""
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
    """Takes the inventory of many locations into a store; each location is one transaction.

    - `locations`: ids or `Location`s, also as an async iterable such as
      `client.locations(company_id, app_id)`. `None` is allowed with `resume` only. A `Location`
      with an invalid id is recorded as failed.
    - `store`: path of the store's file, which is created if it does not exist.
    - `resume`: continue the store's last run with its incomplete locations, and with those of
      `locations` that it does not have. If there is no run, a new one begins.
    - `concurrency`: how many locations are walked at a time. Each has a rate limit of its own.
    - `on_progress`: called five times a second, and at the end.

    A location that fails is recorded as failed, and the others continue. These errors end the audit
    early and become the `error` of the returned summary: a token that is refused for three
    locations in a row, a lost authorization, a store that cannot be written, a machine without file
    descriptors or threads left, a shared rate limit that cannot be reached, and a service that is
    down for longer than the calls may wait. Finished locations are kept.

    At the end, the audit searches for numbers that the location's last complete run has and this
    one lacks, up to 20 for each location. All calls are `bulk` calls.

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

    async def search(location_id: str, phone_number: str) -> Sequence[ActiveNumber] | None:
        with bulk():
            return await search_for(client, location_id, phone_number)

    return await run_audit(
        take, search, locations, store, resume=resume, concurrency=most, on_progress=on_progress
    )


async def run_audit(
    take: TakeInventory,
    search: SearchFor,
    locations: Iterable[Location | str] | AsyncIterable[Location | str] | None,
    store: str | Path,
    *,
    resume: bool,
    concurrency: int,
    on_progress: Callable[[Progress], None],
) -> AuditSummary:
    """Runs an audit; `take` and `search` do the network calls, here or on other machines.

    - `take`: returns the inventory of a location.
    - `search`: searches a location for one number, to confirm that it is gone.
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
            await confirm_missing(search, opened, run.run_id, concurrency)
            await finished_in_thread(partial(opened.finish_run, run.run_id))
        except LCPhoneError as error:
            visits.error = error
        on_progress(visits.progress)
    return await finished_in_thread(partial(_summary, opened.path, visits))


@asynccontextmanager
async def _open_store(path: str | Path) -> AsyncIterator[Store]:
    """Opens the store in a thread, and closes it at the end, also after a cancellation."""
    stores: list[Store] = []
    try:
        try:
            await finished_in_thread(lambda: stores.append(Store(path)))
        except OSError as error:  # no thread can be started
            raise StoreError(f"{path}: {error.strerror}") from error
        yield stores[0]
    finally:
        for store in stores:
            await finished_in_thread(store.close)


def check_arguments(
    store: object, *, resume: object, on_progress: Callable[[Progress], None]
) -> Path:
    """Checks the arguments of every audit; returns the path of the store."""
    checks.switch("resume", resume)
    checks.function("on_progress", on_progress)
    return checked_path("store", store)


def _begin_or_resume(store: Store, listed: list[Location] | None, *, resume: bool) -> Run:
    """Returns the run to resume, or a new run."""
    last = store.last_run() if resume else None
    if last is None:
        if listed is None:
            raise StoreError(f"{store.path}: there is no run to resume: name its locations")
        return store.begin_run(listed)
    store.add_locations(last.run_id, listed or ())
    return last


@define
class _Visits:
    """Visits of locations by one call of `audit`, and their progress."""

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
        """Visits the locations with `concurrency` workers; raises errors that end the audit."""
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
        """Counts locations that are in the store now."""
        self.progress.done += len(inventories)

    async def _report_progress(self) -> None:
        while True:
            self.on_progress(self.progress)
            await asyncio.sleep(_PROGRESS_INTERVAL)

    def _count_page(self, numbers: int) -> None:
        self.progress.numbers += numbers

    def _check(self, inventory: Inventory) -> None:
        """Counts errors; raises the error if the token is refused for too many locations."""
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
    """True if the token may be wrong, rather than the location."""
    match error:
        case AuthenticationError(message=message):
            return _INVALID_TOKEN in message.lower()
        case TokenUnavailableError(status=status):
            return status in {None, HTTPStatus.UNAUTHORIZED}
    return False


def _summary(path: Path, visits: _Visits) -> AuditSummary:
    """Reads the summary from the file: after a full disk, the open store is unusable."""
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
