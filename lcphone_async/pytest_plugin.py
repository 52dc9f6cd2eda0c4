"""The pytest fixtures that come with the package."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ._internal.lazy import LazyModule

if TYPE_CHECKING:
    from . import client, sandbox
else:
    client = LazyModule("lcphone_async.client")
    sandbox = LazyModule("lcphone_async.sandbox")


@pytest.fixture
def lcphone_sandbox() -> "Iterator[sandbox.Sandbox]":
    """Run a local LC Phone service for one test, in a thread of its own.

    It takes any token and any location id. `lcphone_sandbox.url` is where it listens, and
    `.location(id)`, `.ledger` and `.requests` are what it knows. `.faults` is what goes wrong.
    """
    with sandbox.Sandbox().in_thread() as running:
        yield running


@pytest.fixture
def lcphone_client(lcphone_sandbox: "sandbox.Sandbox") -> "client.LCPhoneClient":
    """Give a client of the test's sandbox, to open on the test's own event loop.

    ```python
    async def test_pools(lcphone_client):
        async with lcphone_client as client:
            assert await client.number_pools("any location")
    ```

    It tries again without waiting, and does not wait where the service asks for it: the error
    comes out instead. It works with any asyncio plugin, and with `asyncio.run`.
    """
    from ._http.retry import RetryPolicy

    hurried = RetryPolicy(max_time=1, initial_wait=0, max_wait=0, confirm_timeout=1)
    return client.LCPhoneClient("any", base_url=lcphone_sandbox.url, retry=hurried)
