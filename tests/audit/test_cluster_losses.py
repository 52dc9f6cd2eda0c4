"""A Dask cluster or a Redis that is lost during an audit: the command's own words, and its end."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from lcphone_async.sandbox import Fault, Sandbox
from support.redis_server import RedisServer

SLOW = Fault(operation="pools", delay=0.5)


@pytest.fixture
def redis():
    server = RedisServer()
    if server.program is None:
        pytest.skip("no redis-server")
    server.start()
    yield server
    server.stop()


async def started(*command, **options):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *map(str, command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        **options,
    )


async def end(process):
    if process.returncode is None:
        process.kill()
    await process.communicate()


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, address):
        self.address = address
        self.workers = []

    async def add_worker(self):
        command = ("distributed.cli.dask_worker", self.address, "--nthreads", "4", "--no-nanny")
        environment = {**os.environ, "LCPHONE_TOKEN": "any"}
        self.workers.append(await started(*command, "--no-dashboard", env=environment))

    def kill_workers(self):
        for worker in self.workers:
            worker.send_signal(signal.SIGKILL)


@pytest_asyncio.fixture
async def cluster():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    it = Cluster(f"tcp://127.0.0.1:{port}")
    it.scheduler = await started(
        "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"
    )
    await it.add_worker()
    yield it
    for process in (*it.workers, it.scheduler):
        await end(process)


@asynccontextmanager
async def audit(cluster, redis, sandbox, store, *options, locations=60):
    """The command, once walks are under way."""
    process = await started(
        "lcphone_async",
        *("audit", "run", *(f"loc{n}" for n in range(locations)), "--store", store),
        *("--dask", cluster.address, "--redis", f"redis://127.0.0.1:{redis.port}"),
        *("--base-url", sandbox.url, *options),
        env={**os.environ, "XDG_CONFIG_HOME": str(store.parent)},
    )
    try:
        async with asyncio.timeout(60):
            while len(sandbox.requests) < 8:
                if process.returncode is not None:
                    raise AssertionError(await process.communicate())
                await asyncio.sleep(0.05)
        yield process
    finally:
        await end(process)


async def ended(process):
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    return process.returncode, [
        line for line in errors.decode().splitlines() if " a second, " not in line
    ]


@pytest.mark.exhaustive
async def test_all_workers_die(cluster, redis, store):
    """Warns at once, and ends after a while with advice; finished locations are kept."""
    with Sandbox(faults=[SLOW]).in_thread() as sandbox:
        async with audit(cluster, redis, sandbox, store, "--worker-wait", "2") as process:
            cluster.kill_workers()
            code, lines = await ended(process)
    assert code == 1
    assert len(lines) == 2, lines
    assert "all workers of the Dask cluster" in lines[0]
    assert "waiting 2 s for a new one" in lines[0]
    assert lines[1].startswith("Error: stopped: all workers of the Dask cluster")
    assert "--resume continues" in lines[1]


@pytest.mark.exhaustive
async def test_a_new_worker_comes(cluster, redis, store):
    """Goes on with a worker that comes after all of them died."""
    with Sandbox(faults=[SLOW]).in_thread() as sandbox:
        async with audit(cluster, redis, sandbox, store, locations=12) as process:
            cluster.kill_workers()
            await cluster.add_worker()
            code, lines = await ended(process)
    assert code == 0, lines


@pytest.mark.exhaustive
async def test_the_scheduler_ends(cluster, redis, store):
    """Prints one line, and none of Dask's tracebacks."""
    with Sandbox(faults=[SLOW]).in_thread() as sandbox:
        async with audit(cluster, redis, sandbox, store) as process:
            cluster.scheduler.kill()
            code, lines = await ended(process)
    assert code == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: stopped: the Dask ")
    assert f"at {cluster.address} " in lines[0]
    assert "start " in lines[0]
    assert "--resume continues" in lines[0]
    assert "_take" not in lines[0]


@pytest.mark.exhaustive
async def test_redis_is_away_for_a_second(cluster, redis, store):
    """Is waited for."""
    with Sandbox(faults=[SLOW]).in_thread() as sandbox:
        async with audit(cluster, redis, sandbox, store, locations=20) as process:
            redis.stop()
            await asyncio.sleep(1.5)
            redis.start()
            code, lines = await ended(process)
    assert code == 0, lines


@pytest.mark.exhaustive
async def test_redis_is_away_for_longer(cluster, redis, store):
    """Ends the audit after `--redis-wait`."""
    with Sandbox(faults=[SLOW]).in_thread() as sandbox:
        async with audit(cluster, redis, sandbox, store, "--redis-wait", "0.5") as process:
            redis.stop()
            code, lines = await ended(process)
    assert code == 1
    assert "the shared request budget cannot be reached" in lines[-1]
