"""Fixtures for every test."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from redis_server import RedisServer
from wire.raw_server import RawServer


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
