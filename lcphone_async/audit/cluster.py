"""An audit whose walks run on the workers of a Dask cluster; the store stays here."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import distributed

from .. import _checks as checks
from .._line import bulk
from ..client import LCPhoneClient
from ..models import Location
from .auditing import AuditSummary, OnPage, Progress, audit_with, check_shared
from .errors import ClusterError
from .spool import Spool
from .store import Run
from .walk import Inventory, take_inventory

MakeClient = Callable[[], AbstractAsyncContextManager[LCPhoneClient]]

_PLUGIN = "lcphone-audit"
_CONNECT = 10  # seconds

# Tasks for each thread of a worker: one that runs, and one that waits its turn.
_TASKS_A_THREAD = 2


async def audit_on_dask(
    scheduler: str,
    make_client: MakeClient,
    locations: Iterable[Location | str] | AsyncIterable[Location | str] | None,
    store: str | Path,
    *,
    resume: bool = False,
    concurrency: int | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> AuditSummary:
    """An `audit` whose walks run on the workers of a Dask cluster, a task for each location.

    - `scheduler`: the cluster's address, such as `tcp://10.0.0.1:8786`.
    - `make_client`: called once on each worker, for a client or an async context manager that
      gives one; it must be a function that can be imported or pickled there. Let the clients
      share their budgets, and tokens that rotate, through Redis.
    - `concurrency`: locations side by side; by default two for each thread of the workers, which
      run as many walks as they have threads (`dask worker --nthreads 16`).

    The other arguments are those of `audit`. A worker that dies has its locations walked by
    another. A location travels as one message, which must fit into memory: some 90 bytes a
    number.

    Raises what `audit` raises, and `ClusterError` if there is no such cluster.
    """
    checks.identifier("scheduler", scheduler)
    checks.function("make_client", make_client)
    check_shared(store, resume=resume, on_progress=on_progress)
    if concurrency is not None:
        checks.whole_number("concurrency", concurrency, 1)
    async with await _connected(scheduler) as dask:
        await dask.register_plugin(_ClientOfWorker(make_client), name=_PLUGIN)
        threads = sum((await dask.nthreads()).values())
        if not threads:
            raise ClusterError(f"the Dask cluster at {scheduler} has no workers")

        async def take(location: Location, run: Run, _: Path, on_page: OnPage) -> Inventory:
            walk = dask.submit(_take, location, run.run_id, pure=False)
            try:
                inventory: Inventory = await walk
            except distributed.KilledWorker as error:
                return Inventory(location, Spool(), error=error)
            except (OSError, distributed.client.FutureCancelledError) as error:
                raise ClusterError(f"the Dask cluster was lost: {error}") from error
            on_page(inventory.numbers.rows)
            return inventory

        return await audit_with(
            take,
            locations,
            store,
            resume=resume,
            concurrency=concurrency or _TASKS_A_THREAD * threads,
            on_progress=on_progress,
        )


async def _connected(scheduler: str) -> Any:
    """Dask's client; one that cannot connect is closed, or it would complain in its own words."""
    client: Any = distributed.Client  # of which not all has types
    dask = client(scheduler, timeout=_CONNECT, asynchronous=True, set_as_default=False)
    try:
        return await dask
    except BaseException as error:
        await dask.close()
        if isinstance(error, Exception):  # of any kind: each scheme has its own
            raise ClusterError(f"no Dask scheduler at {scheduler}: {error}") from error
        raise


class _ClientOfWorker(distributed.WorkerPlugin):
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
