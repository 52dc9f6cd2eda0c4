"""Fixtures for every test."""

from collections.abc import AsyncIterator

import pytest_asyncio
from wire.raw_server import RawServer


@pytest_asyncio.fixture
async def raw_server() -> AsyncIterator[RawServer]:
    """A local server that records the bytes that come and sends the bytes that it is given."""
    async with RawServer() as server:
        yield server
