"""Audits on a Dask cluster: the workers walk the locations, this process writes the store.

Each location is one Dask task, which returns its whole inventory as one message. Only this process
opens the store. A task of a worker that dies runs again on another. A watcher task checks the
scheduler every second: Dask itself would wait forever for a cluster without workers.
"""

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
"""Returns the client of one worker."""

_logger = logging.getLogger("lcphone_async")

_PLUGIN = "lcphone-audit"
_CONNECT_TIMEOUT = 10  # seconds
_CHECK_INTERVAL = 1.0  # seconds

# One task that runs and one that is queued, so that no thread waits for the network.
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
    """Runs an `audit` whose walks run on the workers of a Dask cluster, one task per location.

    - `scheduler`: the cluster's address, such as `tcp://10.0.0.1:8786`.
    - `make_client`: called once on each worker; returns a client, or an async context manager that
      yields one. Dask must be able to pickle it. Let the clients share rate limits and rotating
      tokens through Redis.
    - `concurrency`: how many locations are walked at a time; by default two for each thread of the
      workers, each of which walks one location (`dask worker --nthreads 16`).
    - `worker_wait`: seconds to wait for a new worker after the last one died.

    The other arguments are those of `audit`. If a worker dies, another walks its locations. The
    inventory of a location is one message, which must fit into memory: about 90 bytes a number.

    Raises the errors of `audit`, and `ClusterError` if there is no such cluster. A cluster that is
    lost later is the `error` of the returned summary.
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
            """Runs a function on a worker; raises `ClusterError` as soon as the cluster is lost."""
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

        async def search(location_id: str, phone_number: str) -> Sequence[ActiveNumber] | None:
            found: Sequence[ActiveNumber] | None = await run(_search, location_id, phone_number)
            return found

        return await run_audit(
            take,
            search,
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
        reason = getattr(error, "reason", error)  # has no internal task id in it
        raise ClusterError(
            f"the Dask cluster at {scheduler} was lost ({reason}): start its scheduler and "
            "workers again"
        ) from error


async def _watch_cluster(dask: Any, scheduler: str, worker_wait: float) -> NoReturn:
    """Raises `ClusterError` once the scheduler is gone, or all workers for `worker_wait` s."""
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
    """Connects to the scheduler; a failed client is closed, or Dask logs tracebacks later."""
    client: Any = distributed.Client  # only partly typed
    dask = client(scheduler, timeout=_CONNECT_TIMEOUT, asynchronous=True, set_as_default=False)
    try:
        return await dask
    except BaseException as error:
        await dask.close()
        if isinstance(error, Exception):  # the type depends on the address's scheme
            raise ClusterError(f"no Dask scheduler at {scheduler}: {error}") from error
        raise


class _WorkerClient(distributed.WorkerPlugin):
    """Worker plugin that holds the worker's client, and closes it when the worker ends."""

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


async def _search(location_id: str, phone_number: str) -> Sequence[ActiveNumber] | None:
    plugin: Any = distributed.get_worker().plugins[_PLUGIN]
    with bulk():
        return await search_for(plugin.client, location_id, phone_number)
