"""Stores, and audits of sandboxes and hand-made agencies."""

import pytest
import pytest_asyncio

from lcphone_async import LCPhoneClient, RateLimiter, RetryPolicy
from lcphone_async.audit import audit
from lcphone_async.audit.reader import open_run
from support.agency import Agency


@pytest.fixture
def store(tmp_path):
    """Path of an audit's store."""
    return tmp_path / "inventory.duckdb"


@pytest_asyncio.fixture
async def agency():
    """A service whose every number is given by hand."""
    async with Agency().serving() as serving:
        yield serving


@pytest.fixture
def take(store):
    """Runs an audit of a service, without waits and limits."""

    async def run(service, locations, path=store, **options):
        retry = RetryPolicy(max_tries=3, initial_wait=0)
        limiter = options.pop("limiter", RateLimiter(10_000))
        token = options.pop("token", "any")
        version = options.pop("api_version", "v3")
        async with LCPhoneClient(
            token,
            base_url=service.url,
            api_version=version,
            limiter=limiter,
            retry=retry,
            timeout=20,
        ) as client:
            return await audit(client, locations, path, **options)

    return run


@pytest.fixture
def rows(store):
    """The rows of a query over the newest run, or over another."""

    def look(query, path=store, run_id=None):
        with open_run(path, run_id) as run:
            return run.rows(query)

    return look
