"""An audit whose walks run on the workers of a Dask cluster; the store stays here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, NoReturn

import distributed

from .._internal import checks, clock
from .._internal.tasks import OwnTasks
from ..client import LCPhoneClient
from ..limiter import bulk
from ..models import ActiveNumber, Location
from .errors import ClusterError
from .inventory import Inventory, take_inventory
from .runner import AuditSummary, OnPage, Progress, check_arguments, run_audit
from .second_look import search_for
from .spool import Spool
from .store import Run

MakeClient = Callable[[], AbstractAsyncContextManager[LCPhoneClient]]

_logger = logging.getLogger("lcphone_async")

_PLUGIN = "lcphone-audit"
_CONNECT_TIMEOUT = 10  # seconds
_CHECK_INTERVAL = 1.0

# Tasks for each thread of a worker: one that runs, and one that waits its turn.
_TASKS_PER_THREAD = 2


async def audit_on_dask(
    scheduler: str,
    make_client: MakeClient,
    locations: Iterable[Location | str] | AsyncIterable[Location | str] | None,
    store: str | Path,
    *,
    resume: bool = False,
    concurrency: int | None = None,
    worker_wait: float = 60.0,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> AuditSummary:
    """An `audit` whose walks run on the workers of a Dask cluster, a task for each location.

    - `scheduler`: the cluster's address, such as `tcp://10.0.0.1:8786`.
    - `make_client`: called once on each worker, for a client or an async context manager that
      gives one; it must be a function that can be imported or pickled there. Let the clients
      share their budgets, and tokens that rotate, through Redis.
    - `concurrency`: locations side by side; by default two for each thread of the workers, which
      run as many walks as they have threads (`dask worker --nthreads 16`).
    - `worker_wait`: seconds to wait for a new worker if all of them died.

    The other arguments are those of `audit`. A worker that dies has its locations walked by
    another. A location travels as one message, which must fit into memory: some 90 bytes a
    number.

    Raises what `audit` raises, and `ClusterError` if there is no such cluster. If it is lost
    later, the summary's `error` says so.
    """
    checks.identifier("scheduler", scheduler)
    checks.function("make_client", make_client)
    check_arguments(store, resume=resume, on_progress=on_progress)
    if concurrency is not None:
        checks.whole_number("concurrency", concurrency, 1)
    wait = checks.seconds("worker_wait", worker_wait, zero=True)
    async with await _connect(scheduler) as dask, OwnTasks() as tasks:
        await dask.register_plugin(_WorkerClient(make_client), name=_PLUGIN)
        threads = sum((await dask.nthreads()).values())
        if not threads:
            raise ClusterError(f"the Dask cluster at {scheduler} has no workers")
        watch = tasks.start(_watch_cluster(dask, scheduler, wait))

        async def run(work: Callable[..., Any], *args: Any) -> Any:
            """What some work returns on a worker; raises what `watch` does."""
            task = dask.submit(work, *args, pure=False)
            result = tasks.start(_result(task, scheduler))
            await asyncio.wait([result, watch], return_when=asyncio.FIRST_COMPLETED)
            return await (watch if watch.done() else result)

        async def take(location: Location, run_: Run, _: Path, on_page: OnPage) -> Inventory:
            try:
                inventory: Inventory = await run(_take, location, run_.run_id)
            except distributed.KilledWorker as error:
                return Inventory(location, Spool(), error=error)
            on_page(inventory.numbers.rows)
            return inventory

        async def look(location_id: str, phone_number: str) -> Sequence[ActiveNumber] | None:
            found: Sequence[ActiveNumber] | None = await run(_look, location_id, phone_number)
            return found

        return await run_audit(
            take,
            look,
            locations,
            store,
            resume=resume,
            concurrency=concurrency or _TASKS_PER_THREAD * threads,
            on_progress=on_progress,
        )


async def _result(task: Any, scheduler: str) -> Any:
    try:
        return await task
    except (OSError, distributed.client.FutureCancelledError) as error:
        reason = getattr(error, "reason", error)  # without the id of Dask's task
        raise ClusterError(
            f"the Dask cluster at {scheduler} was lost ({reason}): start its scheduler and "
            "workers again"
        ) from error


async def _watch_cluster(dask: Any, scheduler: str, worker_wait: float) -> NoReturn:
    """Raises `ClusterError` once the scheduler is gone, or all workers for some time."""
    without_since: float | None = None
    while True:
        await asyncio.sleep(_CHECK_INTERVAL)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                workers = await dask.nthreads()
        except Exception as error:
            raise ClusterError(
                f"the Dask scheduler at {scheduler} is gone: start it and its workers again"
            ) from error
        if workers:
            without_since = None
            continue
        if without_since is None:
            without_since = clock.seconds()
            _logger.warning(
                "all workers of the Dask cluster at %s ended: waiting %g s for a new one",
                scheduler,
                worker_wait,
            )
        if clock.seconds() - without_since >= worker_wait:
            raise ClusterError(
                f"all workers of the Dask cluster at {scheduler} ended: start some again"
            )


async def _connect(scheduler: str) -> Any:
    """Dask's client; one that cannot connect is closed, or it would complain in its own words."""
    client: Any = distributed.Client  # of which not all has types
    dask = client(scheduler, timeout=_CONNECT_TIMEOUT, asynchronous=True, set_as_default=False)
    try:
        return await dask
    except BaseException as error:
        await dask.close()
        if isinstance(error, Exception):  # of any kind: each scheme has its own
            raise ClusterError(f"no Dask scheduler at {scheduler}: {error}") from error
        raise


class _WorkerClient(distributed.WorkerPlugin):
    """The one client of a worker, closed when the worker ends."""

    client: LCPhoneClient

    def __init__(self, make_client: MakeClient) -> None:
        self._make_client = make_client

    async def setup(self, worker: Any) -> None:
        del worker
        self._opened = AsyncExitStack()
        self.client = await self._opened.enter_async_context(self._make_client())

    async def teardown(self, worker: Any) -> None:
        del worker
        await self._opened.aclose()


async def _take(location: Location, run_id: int) -> Inventory:
    plugin: Any = distributed.get_worker().plugins[_PLUGIN]
    with bulk():
        return await take_inventory(plugin.client, location, run_id)


async def _look(location_id: str, phone_number: str) -> Sequence[ActiveNumber] | None:
    plugin: Any = distributed.get_worker().plugins[_PLUGIN]
    with bulk():
        return await search_for(plugin.client, location_id, phone_number)
