"""Fixtures for every test."""

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from lcphone_async._purchases.intention import Intention
from lcphone_async.journal import Journal, MemoryJournal, PurchaseJournal
from lcphone_async.redis import RedisPurchaseJournal
from lcphone_async.sandbox import Sandbox
from support.oauth_app import App, Clock, settings
from support.raw_server import RawServer
from support.redis_server import RedisServer
from support.tunnels import ConnectProxy, TlsFront


@pytest.hookimpl(tryfirst=True)  # before `-m` deselects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks all cases of a test as exhaustive, except those that its `sample` keeps."""
    cases = defaultdict(list)
    for item in items:
        if sample := item.get_closest_marker("sample"):
            cases[item.nodeid.partition("[")[0], sample.args[0]].append(item)
    for (_, count), of_a_test in cases.items():
        kept = {number * len(of_a_test) // count for number in range(count)}
        for number, item in enumerate(of_a_test):
            if number not in kept:
                item.add_marker("exhaustive")


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    """A Redis for each module; tests that need it are skipped without it."""
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture
async def raw_server() -> AsyncIterator[RawServer]:
    """A local server that records the bytes of requests and sends the given bytes."""
    async with RawServer() as server:
        yield server


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with no proxy and no CA except the test's own."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest_asyncio.fixture
async def front(lcphone_sandbox: Sandbox) -> AsyncIterator[TlsFront]:
    """TLS in front of the sandbox."""
    async with TlsFront(urlsplit(lcphone_sandbox.url).port).serving() as serving:
        yield serving


@pytest_asyncio.fixture
async def proxy(front: TlsFront) -> AsyncIterator[ConnectProxy]:
    """A proxy in front of the TLS server."""
    async with ConnectProxy(front.front).serving() as serving:
        yield serving


@pytest_asyncio.fixture(params=["memory", "sqlite", "redis"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    """A journal of each kind."""
    if request.param == "memory":
        yield MemoryJournal()
    elif request.param == "sqlite":
        with contextlib.closing(PurchaseJournal(tmp_path / "purchases.db")) as journal:
            yield journal
    else:
        server = request.getfixturevalue("redis_server")
        async with Redis(port=server.port) as redis:
            await redis.flushall()
            yield RedisPurchaseJournal(redis)


@pytest.fixture(autouse=True)
def quick_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens leases: a reconcile detects within 0.6 s, not 6, that a purchase lost its maker."""
    monkeypatch.setattr("lcphone_async._purchases.intention.RENEWAL", 0.2)


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Purchases do not renew their leases, as if their event loop were blocked."""

    async def renew(_: Intention) -> None:
        """Does nothing."""

    monkeypatch.setattr(Intention, "renew", renew)


@pytest.fixture(params=["v3", "2021-07-28"])
def contract(request):
    """Each contract in turn."""
    return request.param


@pytest.fixture
def clock(monkeypatch):
    """The clock of the service and of the token sources; it advances only by a test."""
    clock = Clock()
    for module in ("agency", "oauth"):
        monkeypatch.setattr(f"lcphone_async.auth.{module}.time", SimpleNamespace(time=clock))
    return clock


@pytest_asyncio.fixture
async def app(clock, contract):
    """An app whose installation ends at once if a refresh token is used twice."""
    async with Sandbox(oauth_app=settings(), clock=clock, max_requests=10_000) as sandbox:
        yield App(sandbox, contract)
