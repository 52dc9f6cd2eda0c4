"""A purchase is sent only once a Redis that keeps it has it."""

import asyncio
from contextlib import aclosing, asynccontextmanager, suppress
from decimal import Decimal

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lcphone_async import (
    JournalUnavailableError,
    LCPhoneClient,
    PurchaseInProgressError,
    PurchaseOutcomeUnknownError,
    PurchaseRecord,
    PurchaseState,
    RetryPolicy,
    SpendingLimit,
)
from lcphone_async.redis import RedisPurchaseJournal
from lcphone_async.redis.server import answer
from lcphone_async.sandbox import Fault, Sandbox
from support.redis_server import RedisCluster as Cluster
from support.redis_server import RedisServer, WatchedMaster, free_port

pytestmark = pytest.mark.skipif(
    RedisServer.program is None, reason="neither redis-server nor valkey-server is installed"
)
needs_sentinel = pytest.mark.skipif(
    WatchedMaster.sentinel_program is None, reason="redis-sentinel is not installed"
)

NUMBER, OTHER_NUMBER = "+18305551234", "+18305551230"


@asynccontextmanager
async def buying(redis, **options):
    """A client whose journal is in a Redis, and the sandbox where it buys."""
    journal, retry = RedisPurchaseJournal(redis, **options), RetryPolicy(max_tries=1)
    async with (
        aclosing(redis),
        Sandbox() as sandbox,
        LCPhoneClient("any", base_url=sandbox.url, journal=journal, retry=retry) as client,
    ):
        yield client, sandbox, journal


async def refused(redis, match, **options):
    """Shows that a purchase is refused, twice, that nothing is sent, and nothing left open."""
    async with buying(redis, **options) as (client, sandbox, journal):
        for _ in range(2):
            with pytest.raises(JournalUnavailableError, match=match):
                await client.purchase("a", NUMBER)
        assert not [request for request in sandbox.requests if request.method == "POST"]
        return [record.state for record in await journal.records()]


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
async def test_a_redis_that_may_evict_a_purchase(policy):
    """Sends nothing, keeps nothing, and says what to set."""
    with RedisServer("--maxmemory-policy", policy) as server:
        match = f"maxmemory-policy is {policy}.*: set maxmemory-policy to noeviction"
        assert not await refused(Redis(port=server.port), match)


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru", "volatile-ttl"])
async def test_a_redis_that_evicts_no_purchase(policy):
    """Buys where only keys with a time to live are evicted, as a purchase has none."""
    with RedisServer("--maxmemory-policy", policy) as server:
        async with buying(Redis(port=server.port)) as (client, sandbox, _):
            await client.purchase("a", NUMBER)
            assert len(sandbox.ledger) == 1


async def test_a_policy_that_changes_while_the_program_runs():
    """Asks before each purchase."""
    with RedisServer() as server:
        async with buying(Redis(port=server.port)) as (client, sandbox, _):
            await client.purchase("a", NUMBER)
            server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            with pytest.raises(JournalUnavailableError):
                await client.purchase("a", OTHER_NUMBER)
            assert len(sandbox.ledger) == 1


async def test_a_redis_that_is_out_of_memory():
    """Sends nothing while Redis takes no more."""
    with RedisServer() as server:
        server.ask("CONFIG", "SET", "maxmemory", "1")
        assert not await refused(Redis(port=server.port), "Redis: .*used memory > 'maxmemory'")


@pytest.mark.exhaustive
async def test_a_redis_that_runs_out_of_memory_during_a_purchase():
    """Returns the purchase, and keeps it as bought."""
    with RedisServer() as server:
        async with buying(Redis(port=server.port)) as (client, sandbox, journal):
            sandbox.faults.append(Fault(operation="purchase", point="after", delay=0.5))
            purchase = asyncio.create_task(client.purchase("a", NUMBER))
            while not sandbox.ledger:
                await asyncio.sleep(0.01)
            server.ask("CONFIG", "SET", "maxmemory", "1")
            await purchase
            (record,) = await journal.records()
            assert record.state == PurchaseState.BOUGHT


@pytest.mark.exhaustive
async def test_a_redis_that_goes_away_during_a_purchase():
    """Says that the number may be bought, once the POST has gone out."""
    with RedisServer() as server:
        redis = Redis(port=server.port, retry=Retry(NoBackoff(), 0))
        async with buying(redis) as (client, sandbox, _):
            sandbox.faults.append(Fault(operation="purchase", point="after", delay=0.5))
            purchase = asyncio.create_task(client.purchase("a", NUMBER))
            while not sandbox.ledger:
                await asyncio.sleep(0.01)
            server.stop()
            with pytest.raises(PurchaseOutcomeUnknownError, match=r"Error 111|Connection closed"):
                await purchase


async def test_a_redis_that_is_gone():
    """Sends nothing, and says why Redis cannot be reached."""
    async with buying(Redis(port=free_port(), retry=Retry(NoBackoff(), 0))) as (client, sandbox, _):
        with pytest.raises(
            JournalUnavailableError, match=r"Redis: Error 111 .*Connect call failed"
        ):
            await client.purchase("a", NUMBER)
        assert not sandbox.requests


async def test_a_redis_that_stands_still(monkeypatch):
    """Sends nothing, and does not wait for ever."""
    monkeypatch.setattr("lcphone_async.redis.server.ANSWERED_WITHIN", 0.2)
    with RedisServer() as server:
        async with buying(Redis(port=server.port)) as (client, sandbox, _):
            server.pause()
            with pytest.raises(JournalUnavailableError, match=r"Redis: no answer within 0\.2 s"):
                await client.purchase("a", NUMBER)
            assert not sandbox.requests
            server.resume()


async def stubborn():
    """What redis-py does now and then, by `asyncio.wait_for` before Python 3.12."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)


async def test_a_cancellation_that_redis_py_swallows():
    """Ends with the task that was cancelled, and in time."""
    waiting = asyncio.create_task(answer(stubborn(), JournalUnavailableError))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(JournalUnavailableError, match="no answer within"):
        await answer(stubborn(), JournalUnavailableError, 0.01)


@pytest.mark.exhaustive
async def test_fewer_replicas_than_asked_for():
    """Sends nothing, and closes the purchase that was kept already."""
    with RedisServer() as server:
        match = "0 of 1 replicas acknowledged"
        states = await refused(Redis(port=server.port), match, replicas=1)
        assert states == [PurchaseState.NOT_BOUGHT] * 2


@pytest.mark.exhaustive
async def test_the_wait_is_on_the_connection_that_wrote():
    """Does not take other connections' acknowledgements for those of the purchase."""
    with (
        RedisServer() as server,
        RedisServer("--replicaof", "127.0.0.1", str(server.port)) as replica,
    ):
        replica.wait_for("master_link_status:up", "INFO", "replication")
        async with buying(Redis(port=server.port), replicas=1) as (client, sandbox, _):
            await client.purchase("a", NUMBER)
            replica.pause()
            with pytest.raises(JournalUnavailableError, match="0 of 1 replicas"):
                await client.purchase("a", OTHER_NUMBER)
            replica.resume()
            assert len(sandbox.ledger) == 1


@pytest.mark.exhaustive
async def test_the_rights_of_a_journal():
    """Needs no more rights than the documents say, with replicas too."""
    with RedisServer() as server, RedisServer("--replicaof", "127.0.0.1", str(server.port)) as copy:
        copy.wait_for("master_link_status:up", "INFO", "replication")
        redis = Redis(**server.user("lcphone-purchases"))
        async with buying(redis, replicas=1) as (client, sandbox, journal):
            await client.purchase("a", NUMBER)
            sandbox.faults.append(Fault(operation="purchase", point="after", status=502, times=1))
            sandbox.faults.append(Fault(operation="active", status=500, times=1))
            with pytest.raises(PurchaseOutcomeUnknownError):
                await client.purchase("a", OTHER_NUMBER)
            await client.reconcile()
            assert {r.state for r in await journal.records()} == {PurchaseState.BOUGHT}
            record = PurchaseRecord.new("b", NUMBER, price=Decimal(1), currency="USD")
            await journal.begin(record, await journal.past("b", NUMBER), SpendingLimit(10))
            assert await journal.replace(record, record.now(PurchaseState.NOT_BOUGHT))


async def test_a_change_that_is_sent_twice():
    """Knows a change again that redis-py sends twice, as the answer to it was lost."""
    with RedisServer() as server:
        async with Redis(port=server.port) as redis:
            journal, record = RedisPurchaseJournal(redis), PurchaseRecord.new("a", NUMBER)
            await journal.begin(record, await journal.past("a", NUMBER))
            bought = record.now(PurchaseState.BOUGHT, told=True)
            assert await journal.replace(record, bought)
            assert await journal.replace(record, bought)
            assert not await journal.replace(record, record.now(PurchaseState.BOUGHT, told=True))


async def test_a_right_that_is_missing():
    """Sends nothing, and names the right, if the journal cannot learn of the policy."""
    with RedisServer() as server:
        redis = Redis(**server.user("lcphone-purchases"))
        server.ask("ACL", "SETUSER", "lcphone-purchases", "-info")
        await refused(redis, r"its user needs \+info")


@pytest.mark.exhaustive
@needs_sentinel
async def test_a_purchase_that_outlives_a_failover(tmp_path):
    """Knows an open purchase after a failover, and sends no second POST."""
    with WatchedMaster(tmp_path) as watched:
        async with (
            watched.client() as redis,
            buying(redis, replicas=1) as (client, sandbox, journal),
        ):
            sandbox.faults.append(Fault(operation="active", status=500))
            sandbox.faults.append(Fault(operation="purchase", point="after", status=502))
            with pytest.raises(PurchaseOutcomeUnknownError):
                await client.purchase("a", NUMBER)
            await asyncio.to_thread(watched.fail_over)
            with pytest.raises(PurchaseInProgressError):
                await client.purchase("a", NUMBER)
            assert [record.is_open for record in await journal.records()] == [True]
            assert len(sandbox.ledger) == 1


@pytest.mark.exhaustive
@needs_sentinel
async def test_a_failover_to_a_replica_that_lags(tmp_path):
    """Sends no purchase that the replica does not have, before the failover or after it."""
    with WatchedMaster(tmp_path) as watched:
        async with watched.client() as redis, buying(redis, replicas=1) as (client, sandbox, _):
            sandbox.faults.append(Fault(operation="active", status=500))
            sandbox.faults.append(Fault(operation="purchase", point="after", status=502))
            watched.cut_off_the_replicas()
            with pytest.raises(JournalUnavailableError, match="0 of 1 replicas"):
                await client.purchase("a", NUMBER)
            await asyncio.to_thread(watched.fail_over)
            with pytest.raises(JournalUnavailableError, match="0 of 1 replicas"):
                await client.purchase("a", NUMBER)
            assert not sandbox.ledger


def test_a_cluster_needs_a_hash_tag():
    """Refuses a prefix that a cluster would spread over its shards, before any use."""
    cluster = RedisCluster(host="127.0.0.1")
    with pytest.raises(ValueError, match="hash tag"):
        RedisPurchaseJournal(cluster, prefix="purchases:")
    RedisPurchaseJournal(cluster, prefix="{purchases}:")
    RedisPurchaseJournal(Redis(), prefix="purchases:")


@pytest.mark.exhaustive
async def test_a_journal_in_a_cluster():
    """Buys, and refuses to without a replica or where the purchase may be evicted."""
    with Cluster() as cluster:
        port = cluster.shards[0].port

        def connect():
            return RedisCluster(host="127.0.0.1", port=port)

        async with buying(connect()) as (client, sandbox, _):
            await client.purchase("a", NUMBER)
            assert len(sandbox.ledger) == 1
        async with buying(connect(), replicas=1) as (client, sandbox, _):
            with pytest.raises(JournalUnavailableError, match="0 of 1 replicas"):
                await client.purchase("b", NUMBER)
            assert not sandbox.ledger
        for shard in cluster.shards:
            shard.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        async with buying(connect()) as (client, sandbox, _):
            with pytest.raises(JournalUnavailableError, match="allkeys-lru"):
                await client.purchase("b", NUMBER)
            assert not sandbox.ledger
