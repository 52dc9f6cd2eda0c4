"""Errors that stop an audit, and the results that it keeps."""

import asyncio
import multiprocessing
import subprocess
import sys
from contextlib import closing

import duckdb
import pytest

from lcphone_async import (
    AgencyTokens,
    AuthenticationError,
    AuthorizationLostError,
    BudgetUnavailableError,
    CircuitOpenError,
    LCPhoneClient,
    OAuthTokens,
    RateLimiter,
    RetryPolicy,
    TokenUnavailableError,
)
from lcphone_async.audit import Coverage, StoreError, audit
from lcphone_async.audit.store import Store
from lcphone_async.sandbox import Fault, LocationSettings, OAuthSettings, Sandbox

REFUSED = {"status": 401, "body": {"message": "Invalid token: access token is invalid"}}


async def test_a_revoked_token_stops(take, rows):
    """Stops when the token of three locations in a row is refused; keeps finished locations."""
    ids = [f"loc{i:02}" for i in range(40)]
    faults = [Fault(location=one, **REFUSED) for one in ids[10:]]
    async with Sandbox(numbers_per_location=5, faults=faults) as sandbox:
        summary = await take(sandbox, ids, concurrency=1)
        asked = len({request.path for request in sandbox.requests if "location/" in request.path})
    assert isinstance(summary.error, AuthenticationError)
    assert asked == 13
    assert summary.coverage[Coverage.COMPLETE] == 10
    assert summary.coverage[Coverage.PENDING] == 28
    assert rows("SELECT count(*) FROM numbers") == [(50,)]


async def test_one_refused_token_stops_nothing(take):
    """Blames the locations for refused tokens if other locations succeed between them."""
    ids = [f"loc{i}" for i in range(9)]
    faults = [Fault(location=one, **REFUSED) for one in ids[::2]]
    async with Sandbox(numbers_per_location=5, faults=faults) as sandbox:
        summary = await take(sandbox, ids, concurrency=1)
    assert summary.error is None
    assert summary.coverage == {Coverage.COMPLETE: 4, Coverage.FAILED: 5}


async def test_a_single_location_with_a_bad_token(take):
    """Reports a refused token if it was refused for all locations."""
    async with Sandbox(tokens=["good"]) as sandbox:
        summary = await take(sandbox, ["a"], token="bad")
    assert isinstance(summary.error, AuthenticationError)
    assert summary.coverage == {Coverage.PENDING: 1}


@pytest.mark.parametrize(
    "error",
    [
        AuthorizationLostError("revoked"),
        TokenUnavailableError("the token store failed"),
        BudgetUnavailableError("redis is down"),
    ],
)
async def test_what_concerns_all_locations_stops(store, error):
    """Stops if the authorization is lost, or if a token or the rate limit is unavailable."""

    class Source:
        async def token(self, location_id):
            if location_id != "a":
                raise error
            return "token"

    async with (
        Sandbox() as sandbox,
        LCPhoneClient(Source(), base_url=sandbox.url) as client,
    ):
        summary = await audit(client, ["a", "b", "c", "d", "e", "f"], store, concurrency=1)
    assert type(summary.error) is type(error)
    assert summary.coverage[Coverage.COMPLETE] == 1
    assert summary.coverage[Coverage.PENDING] >= 3


@pytest.mark.exhaustive
async def test_a_service_that_goes_down_stops(store):
    """Stops if the circuit stays open, leaves the other locations, and resumes later."""
    ids = [f"loc{i:02}" for i in range(30)]
    retry = RetryPolicy(max_tries=2, initial_wait=0, max_time=0.1, failure_budget=10)

    async def take(sandbox, **options):
        async with LCPhoneClient("any", base_url=sandbox.url, retry=retry) as client:
            return await audit(client, ids, store, concurrency=1, **options)

    async with Sandbox(numbers_per_location=5) as sandbox:
        sandbox.faults.extend(Fault(location=one, status=503) for one in ids[10:])
        stopped = await take(sandbox)
        sandbox.faults.clear()
        resumed = await take(sandbox, resume=True)
    assert isinstance(stopped.error, CircuitOpenError)
    assert stopped.coverage[Coverage.COMPLETE] == 10
    assert stopped.coverage[Coverage.PENDING] >= 15
    assert resumed.coverage == {Coverage.COMPLETE: 30}


@pytest.mark.exhaustive
async def test_an_agency_that_takes_its_permission_back(store):
    """Stops if the agency's installation is revoked, and resumes with a new one."""
    app = OAuthSettings(
        client_id="app",
        client_secret="secret",
        company_id="company",
        locations=[f"loc{i:02}" for i in range(30)],
    )
    slow = Fault(operation="pools", delay=0.05)
    async with Sandbox(oauth_app=app, numbers_per_location=5, faults=[slow]) as sandbox:

        def client(installed):
            source = OAuthTokens(
                client_id="app", client_secret="secret", refresh_token=installed.refresh_token
            )
            tokens = AgencyTokens(company_id="company", source=source)
            return LCPhoneClient(tokens, base_url=sandbox.url)

        def revoke_it_in_the_middle(progress):
            if progress.done >= 5:
                sandbox.oauth.uninstall(installed.refresh_token)

        installed = sandbox.oauth.install()
        async with client(installed) as revoked:
            summary = await audit(
                revoked,
                app.locations,
                store,
                concurrency=1,
                on_progress=revoke_it_in_the_middle,
            )
        assert isinstance(summary.error, TokenUnavailableError)
        assert 5 <= summary.coverage[Coverage.COMPLETE] < 30
        async with client(sandbox.oauth.install()) as renewed:
            summary = await audit(renewed, None, store, resume=True)
    assert summary.is_complete


async def test_a_token_source_may_raise_anything(store):
    """Fails a location if the token source raises for it."""

    class Source:
        async def token(self, location_id):
            if location_id == "b":
                raise RuntimeError("no such key")
            return "token"

    async with Sandbox() as sandbox, LCPhoneClient(Source(), base_url=sandbox.url) as client:
        summary = await audit(client, ["a", "b", "c"], store)
    assert summary.error is None
    assert summary.coverage == {Coverage.COMPLETE: 2, Coverage.FAILED: 1}
    assert "RuntimeError: no such key" in summary.incomplete[0].reason


@pytest.mark.exhaustive
async def test_a_token_source_may_hang(store):
    """Takes a token that does not come in time as that location's failure, and goes on."""

    async def source(location_id):
        if location_id == "b":
            await asyncio.Event().wait()
        return "token"

    async with (
        asyncio.timeout(20),
        Sandbox() as sandbox,
        LCPhoneClient(source, base_url=sandbox.url, timeout=1) as client,
    ):
        summary = await audit(client, ["a", "b", "c"], store)
    assert summary.error is None
    assert summary.coverage == {Coverage.COMPLETE: 2, Coverage.FAILED: 1}
    assert "took longer than 1 s" in summary.incomplete[0].reason


async def test_a_spent_day_ends_that_location_only(take, rows):
    """Notes the locations whose requests of the day are spent, and visits the others."""
    sizes = {"big": LocationSettings(numbers=9_000), "small": LocationSettings(numbers=10)}
    async with Sandbox(locations=sizes, daily_quota=5) as sandbox:
        summary = await take(sandbox, ["big", "small"], limiter=RateLimiter())
    assert summary.error is None
    assert summary.days_spent == 1
    assert rows("SELECT location_id, coverage FROM locations ORDER BY position") == [
        ("big", "partial"),
        ("small", "complete"),
    ]


FULL_DISK = """
import asyncio, resource, sys
from lcphone_async import LCPhoneClient, RateLimiter
from lcphone_async.audit import audit

async def main(url, store):
    async with LCPhoneClient("t", base_url=url, limiter=RateLimiter(10_000)) as client:
        summary = await audit(client, [f"loc{i:02}" for i in range(30)], store, concurrency=2)
    print(type(summary.error).__name__, summary.coverage.get("complete", 0), summary.numbers)

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
asyncio.run(main(*sys.argv[1:3]))
"""


@pytest.mark.sample(1)
@pytest.mark.parametrize("room", [2_000_000, 700_000])
async def test_a_full_disk_stops(take, rows, store, room):
    """Stops if the disk is full, keeps whole locations, and resumes when there is room."""
    ids = [f"loc{i:02}" for i in range(30)]
    with Sandbox(numbers_per_location=3_000, max_requests=10_000).in_thread() as sandbox:
        run = [sys.executable, "-W", "error", "-c", FULL_DISK, sandbox.url, store, str(room)]
        done = await asyncio.to_thread(
            subprocess.run, run, capture_output=True, text=True, check=False
        )
        name, complete, numbers = done.stdout.split()
        assert name == "StoreError", done
        assert int(complete) < 30
        assert int(numbers) == 3_000 * int(complete)
        assert rows("SELECT count(*) FROM numbers") == [(int(numbers),)]
        summary = await take(sandbox, None, resume=True)
    assert summary.is_complete
    assert rows("SELECT count(*), count(DISTINCT (location_id, phone_number)) FROM numbers") == [
        (90_000, 90_000)
    ]
    assert len(ids) == summary.coverage[Coverage.COMPLETE]


SPOOLED = """
import os, resource, sys
from pathlib import Path
from lcphone_async import ActiveNumber
from lcphone_async.audit import tables
from lcphone_async.audit.spool import Spool

spool = Spool(Path(sys.argv[1]))
for page in range(40):
    names = [os.urandom(20).hex() for _ in range(1_000)]
    spool.add(tables.numbers(1, "a", [ActiveNumber("+1", friendly_name=name) for name in names]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
spool.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(spool.rows)
"""


async def test_a_full_disk_is_no_hindrance_to_what_is_thrown_away(tmp_path):
    """Lets go of a spool whose last bytes find no room."""
    run = [sys.executable, "-W", "error", "-c", SPOOLED, str(tmp_path)]
    done = await asyncio.to_thread(subprocess.run, run, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("40000\n", "")


async def test_cancelled_it_keeps_what_was_done(take, rows):
    """Ends at once when it is cancelled; commits are kept."""
    slow = Fault(location="slow", delay=60)
    async with Sandbox(numbers_per_location=5, faults=[slow]) as sandbox:
        seen = asyncio.Event()

        def look(progress):
            if progress.done == 3:
                seen.set()

        running = asyncio.create_task(take(sandbox, ["a", "b", "c", "slow"], on_progress=look))
        await seen.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert rows("SELECT location_id, coverage FROM locations ORDER BY position") == [
        ("a", "complete"),
        ("b", "complete"),
        ("c", "complete"),
        ("slow", "pending"),
    ]


async def test_a_callback_that_fails_is_no_finding(take):
    """Raises errors of the caller's callback."""

    def fail(_):
        raise ZeroDivisionError

    async with Sandbox() as sandbox:
        with pytest.raises(ZeroDivisionError):
            await take(sandbox, ["a", "b"], on_progress=fail)


def hold(path, ready, done):
    with closing(Store(path)):
        ready.set()
        done.wait()


@pytest.mark.exhaustive
async def test_a_store_in_use(take, store):
    """Reports that another process has the store."""
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    other = spawn.Process(target=hold, args=(store, ready, done))
    other.start()
    try:
        assert await asyncio.to_thread(ready.wait, 30)
        with pytest.raises(StoreError, match="another process is using it"):
            await take(_Nowhere(), ["a"])
    finally:
        done.set()
        other.join()


class _Nowhere:
    url = "http://127.0.0.1:9"


async def test_a_file_that_is_no_store(take, store):
    """Leaves alone a file that is something else, and a store that a newer version made."""
    store.write_text("important")
    with pytest.raises(StoreError, match="not a store"):
        await take(_Nowhere(), ["a"])
    assert store.read_text() == "important"
    store.unlink()
    with duckdb.connect(str(store)) as other:
        other.execute("CREATE TABLE mine AS SELECT 1 AS one")
    with pytest.raises(StoreError, match="not a store"):
        await take(_Nowhere(), ["a"])
    store.unlink()
    Store(store).close()
    with duckdb.connect(str(store)) as newer:
        newer.execute("UPDATE store SET schema_version = 99")
    with pytest.raises(StoreError, match="newer version"):
        await take(_Nowhere(), ["a"])


async def test_a_store_whose_folder_is_missing(take, tmp_path):
    """Reports that the file cannot be created."""
    with pytest.raises(StoreError):
        await take(_Nowhere(), ["a"], tmp_path / "no" / "such" / "folder.duckdb")
