"""Clients of the raw server, under both contracts."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio

from lcphone_async import LCPhoneClient, RetryPolicy
from support.raw_server import RawServer

TOKEN = "pit-secret"
NewClient = Callable[..., LCPhoneClient]


@pytest_asyncio.fixture
async def new_client(raw_server: RawServer) -> AsyncIterator[NewClient]:
    """Creates clients of the raw server without retries; the end of the test closes them."""
    async with AsyncExitStack() as stack:

        def new(token: str = TOKEN, **options: Any) -> LCPhoneClient:
            options = {
                "base_url": raw_server.url,
                "retry": RetryPolicy(max_tries=1, confirm_timeout=0),
                **options,
            }
            client = LCPhoneClient(token, **options)
            stack.push_async_callback(client.close)
            return client

        yield new


@pytest_asyncio.fixture
async def client(new_client: NewClient, contract: str) -> LCPhoneClient:
    """A client without retries, under each contract."""
    return new_client(api_version=contract)


@pytest_asyncio.fixture
async def v3(new_client: NewClient) -> LCPhoneClient:
    return new_client()


@pytest_asyncio.fixture
async def v2021(new_client: NewClient) -> LCPhoneClient:
    return new_client(api_version="2021-07-28")
