"""Fixtures for every test."""

import shutil
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio

from lcphone_async._purchases.intention import Intention
from lcphone_async.sandbox import Sandbox
from support.oauth_app import App, Clock, settings
from support.raw_server import RawServer
from support.redis_server import RedisServer


@pytest.hookimpl(tryfirst=True)  # before `-m` deselects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the cases of a test as exhaustive, all but those that its `sample` keeps."""
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
    """A Redis of the module's own, for tests that are skipped where none is installed."""
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture
async def raw_server() -> AsyncIterator[RawServer]:
    """A local server that records the bytes that come and sends the bytes that it is given."""
    async with RawServer() as server:
        yield server


@pytest.fixture
def read_only() -> Callable[..., AbstractContextManager[None]]:
    """Makes a folder a read-only mount while a block runs, there or `at` another place."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("no mount")

    @contextmanager
    def mounted(folder: Path, at: Path | None = None) -> Iterator[None]:
        at = at or folder
        at.mkdir(exist_ok=True)
        bound = subprocess.run([mount, "--bind", folder, at], check=False, capture_output=True)
        if bound.returncode:
            pytest.skip(f"only root can mount: {bound.stderr.decode().strip()}")
        try:
            subprocess.run([mount, "-o", "remount,bind,ro", at], check=True)
            yield
        finally:
            subprocess.run([umount, "--lazy", at], check=True)

    return mounted


@pytest.fixture(autouse=True)
def quick_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a reconcile see within 0.6 s, rather than 6, that a purchase has no living maker."""
    monkeypatch.setattr("lcphone_async._purchases.intention.RENEWAL", 0.2)


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makers of purchases that do not show that they live, as if their event loop stood still."""

    async def renew(_: Intention) -> None:
        """Does nothing."""

    monkeypatch.setattr(Intention, "renew", renew)


@pytest.fixture(params=["v3", "2021-07-28"])
def contract(request):
    """Both contracts, one after the other."""
    return request.param


@pytest.fixture
def clock(monkeypatch):
    """The time of day, of the service and of the sources: it stands until a test moves it."""
    clock = Clock()
    for module in ("agency", "oauth"):
        monkeypatch.setattr(f"lcphone_async.auth.{module}.time", SimpleNamespace(time=clock))
    return clock


@pytest_asyncio.fixture
async def app(clock, contract):
    """An app whose used refresh tokens end their installation, at once."""
    async with Sandbox(oauth_app=settings(), clock=clock, max_requests=10_000) as sandbox:
        yield App(sandbox, contract)
