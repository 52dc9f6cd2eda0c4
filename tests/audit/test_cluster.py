"""An audit on a Dask cluster of several processes, which share budgets and tokens in Redis."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import distributed
import pytest

from lcphone_async import LCPhoneClient, RateLimiter
from lcphone_async.audit import ClusterError, Coverage, audit_on_dask
from lcphone_async.sandbox import Fault, OAuthSettings, Sandbox
from support.redis_server import RedisServer


def client_for(url):
    return LCPhoneClient("any", base_url=url, limiter=RateLimiter(10_000))


@asynccontextmanager
async def cluster(**environment):
    """Two worker processes of four threads each."""
    async with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=4,
        processes=True,
        asynchronous=True,
        dashboard_address="127.0.0.1:0",
        env=environment,
    ) as local:
        yield local


@contextmanager
def redis():
    server = RedisServer()
    if server.program is None:
        pytest.skip("no redis-server")
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}"
    finally:
        server.stop()


@pytest.mark.exhaustive
async def test_several_processes_fill_one_store(store, rows):
    """Has the same inventory as an audit in one process."""
    ids = [f"loc{i}" for i in range(30)]
    bad = [Fault(location="loc3", status=403), Fault(location="loc4", damage="corrupted", nth=1)]
    with Sandbox(numbers_per_location=1_100, faults=bad).in_thread() as sandbox:
        async with cluster() as dask:
            told = []
            summary = await audit_on_dask(
                dask.scheduler_address,
                partial(client_for, sandbox.url),
                ids,
                store,
                on_progress=lambda now: told.append((now.done, now.numbers)),
            )
        there = {(i, n.phone_number) for i in ids for n in sandbox.location(i).numbers}
    assert summary.coverage == {Coverage.COMPLETE: 29, Coverage.FAILED: 1}
    found = rows("SELECT location_id, phone_number FROM numbers")
    assert len(found) == len(set(found)) == 29 * 1_100
    assert set(found) == {row for row in there if row[0] != "loc3"}
    assert told[-1] == (30, 29 * 1_100)


@pytest.mark.exhaustive
async def test_a_worker_that_dies(store, rows):
    """Has the locations of a killed worker walked by another."""
    ids = [f"loc{i}" for i in range(40)]
    with Sandbox(faults=[Fault(operation="pools", delay=0.3)]).in_thread() as sandbox:
        async with cluster() as dask:
            running = asyncio.create_task(
                audit_on_dask(dask.scheduler_address, partial(client_for, sandbox.url), ids, store)
            )
            while len(sandbox.requests) < 20:
                await asyncio.sleep(0.05)
            os.kill(next(iter(dask.workers.values())).pid, signal.SIGKILL)
            summary = await running
    assert summary.coverage == {Coverage.COMPLETE: 40}
    assert rows("SELECT count(*), count(DISTINCT (location_id, phone_number)) FROM numbers") == [
        (4_800, 4_800)
    ]


@pytest.mark.exhaustive
async def test_budgets_and_tokens_are_shared(store, tmp_path):
    """Overdraws no budget and renews the agency's token once, from the command."""
    app = OAuthSettings(
        client_id="app-1",
        client_secret="secret",
        company_id="company-1",
        locations=[f"loc{i}" for i in range(12)],
    )
    with redis() as url, Sandbox(oauth_app=app, keep_requests=10_000).in_thread() as sandbox:
        environment = {
            "LCPHONE_CLIENT_ID": "app-1",
            "LCPHONE_CLIENT_SECRET": "secret",
            "LCPHONE_COMPANY_ID": "company-1",
            "LCPHONE_REFRESH_TOKEN": sandbox.oauth.install().refresh_token,
        }
        async with cluster(**environment) as dask:
            command = [sys.executable, "-m", "lcphone_async", "audit", "run", *app.locations]
            options = {
                "--store": store,
                "--base-url": sandbox.url,
                "--redis": url,
                "--dask": dask.scheduler_address,
            }
            process = await asyncio.create_subprocess_exec(
                *command,
                "--json",
                *(part for option in options.items() for part in option),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},
            )
            out, errors = await process.communicate()
        assert process.returncode == 0, errors
        assert json.loads(out)["coverage"] == {"complete": 12}
        assert 429 not in {request.status for request in sandbox.requests}
        issued = Counter(entry.grant_type for entry in sandbox.oauth.ledger)
    assert issued["refresh_token"] == 1


@pytest.mark.exhaustive
async def test_no_cluster(store):
    """Raises an error with the address if there is no scheduler."""
    with pytest.raises(ClusterError, match="no Dask"):
        await audit_on_dask("tcp://127.0.0.1:9", partial(client_for, ""), ["a"], store)
