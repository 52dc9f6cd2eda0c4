"""A lock in Redis can be lost while its holder lives: the mark in the kept text remains."""

import asyncio
import json
import secrets
from contextlib import aclosing

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from lcphone_async import AuthorizationLostError, TokenUnavailableError
from lcphone_async.auth import MemoryTokenStore
from lcphone_async.auth.refresh_marker import is_marked, wait_until_unmarked
from lcphone_async.redis import RedisTokenStore
from lcphone_async.sandbox import Fault
from support.redis_server import RedisServer, WatchedMaster

pytestmark = pytest.mark.skipif(
    RedisServer.program is None, reason="neither redis-server nor valkey-server is installed"
)

needs_sentinel = pytest.mark.skipif(
    WatchedMaster.sentinel_program is None, reason="redis-sentinel is not installed"
)

KEY = "lcphone:tokens:loc1"


@pytest.fixture(scope="module")
def small_server():
    """A Redis that has little memory, and evicts keys with a time to live: such as a lock."""
    with RedisServer("--maxmemory", "4mb", "--maxmemory-policy", "volatile-lru") as server:
        yield server


@pytest_asyncio.fixture
async def redis(small_server):
    async with aclosing(Redis(port=small_server.port)) as redis:
        await redis.flushall()
        yield redis


async def delete(redis):
    await redis.delete(f"{KEY}:lock")


async def evict(redis):
    while await redis.exists(f"{KEY}:lock"):
        async with redis.pipeline(transaction=False) as pipeline:
            for _ in range(100):
                pipeline.set(secrets.token_hex(8), "x" * 10_000, ex=600)
            await pipeline.execute()


@pytest.mark.sample(1)
@pytest.mark.parametrize("lose", [delete, evict])
async def test_a_lock_is_lost_during_a_refresh(v3, redis, small_server, lose):
    """Sends a refresh token once, whatever becomes of the lock during the refresh."""
    grant = v3.oauth.install("loc1")
    v3.sandbox.faults.append(Fault(operation="token", point="after", delay=2, times=1))
    async with aclosing(Redis(port=small_server.port)) as other_redis:
        stores = [RedisTokenStore(each, "loc1", lease=1.0) for each in (redis, other_redis)]
        await refreshed_twice(v3, grant, stores, lose(redis))
    assert v3.outcomes() == ["issued"]


async def refreshed_twice(v3, grant, stores, meanwhile):
    """Calls of two processes; while the first refreshes, something happens, and the second asks."""
    first, second = (v3.client(v3.tokens(grant, store=store)) for store in stores)
    async with first, second:
        calls = [asyncio.create_task(answered(first))]
        while not v3.outcomes():
            await asyncio.sleep(0.01)
        await meanwhile
        calls.append(asyncio.create_task(answered(second)))
        await asyncio.gather(*calls)


async def answered(client):
    """Calls until there is a token, as a failover takes a while; a lost one is not waited for."""
    while True:
        try:
            return await client.number_pools("loc1")
        except AuthorizationLostError:
            raise
        except TokenUnavailableError:
            await asyncio.sleep(0.1)


@pytest.mark.exhaustive
@needs_sentinel
async def test_a_failover_during_a_refresh(v3, tmp_path):
    """Sends a refresh token once when a replica takes the master's place meanwhile."""
    grant = v3.oauth.install("loc1")
    v3.sandbox.faults.append(Fault(operation="token", point="after", delay=3, times=1))
    with WatchedMaster(tmp_path, replicas=2) as watched:
        async with watched.client() as redis, watched.client() as other:
            stores = [RedisTokenStore(each, "loc1", replicas=1) for each in (redis, other)]
            await refreshed_twice(v3, grant, stores, asyncio.to_thread(watched.fail_over))
    assert v3.outcomes() == ["issued"]


@pytest.mark.exhaustive
@needs_sentinel
async def test_a_replica_that_lags(v3, tmp_path):
    """Sends no refresh token whose mark a failover would forget."""
    with WatchedMaster(tmp_path) as watched:
        async with watched.client() as redis:
            watched.cut_off_the_replicas()
            store = RedisTokenStore(redis, "loc1", replicas=1)
            async with v3.client(v3.tokens(store=store)) as client:
                with pytest.raises(TokenUnavailableError, match="0 of 1 replicas acknowledged"):
                    await client.number_pools("loc1")
    assert v3.asked() == 0


async def test_tokens_that_redis_may_evict(v3, caplog):
    """Warns once of a Redis that may evict the tokens, and works."""
    with RedisServer("--maxmemory-policy", "allkeys-lru") as server:
        async with aclosing(Redis(port=server.port)) as redis:
            store = RedisTokenStore(redis, "loc1")
            async with v3.client(v3.tokens(store=store)) as client:
                await client.number_pools("loc1")
            async with store.lock():
                pass
    (warning,) = [text for text in caplog.messages if "may be lost" in text]
    assert "allkeys-lru" in warning


async def test_the_rights_of_a_token_store(v3):
    """Needs no more rights than the documents say."""
    with RedisServer() as server:
        async with aclosing(Redis(**server.user("lcphone-tokens"))) as redis:
            store = RedisTokenStore(redis, "loc1", lease=0.1)
            async with v3.client(v3.tokens(store=store)) as client:
                await client.number_pools("loc1")
            async with store.lock():
                await asyncio.sleep(0.2)  # it is renewed
    assert v3.outcomes() == ["issued"]


def marked(text):
    """What a process leaves in the store that is killed during a refresh."""
    return json.dumps({**json.loads(text), "refreshing": "a mark"})


async def test_the_refresh_of_a_dead_process(v3, redis):
    """Tries the refresh token once the mark of a dead process has not been renewed for a lease."""
    grant, store = v3.oauth.install("loc1"), RedisTokenStore(redis, "loc1", lease=0.3)
    text = json.dumps({"access_token": None, "refresh_token": grant.refresh_token})
    assert await store.replace(None, marked(text))
    async with v3.client(v3.tokens(refresh_token=None, store=store)) as client:
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]
    assert not is_marked(await store.load())


@pytest.mark.exhaustive
async def test_a_store_that_stands_still_while_a_mark_is_watched():
    """Does not count the time in which the other process could not renew its mark."""
    old, new = (json.dumps({"access_token": "a", "refresh_token": token}) for token in "on")

    class Slow:
        lease = 0.2
        texts = iter([(0, marked(old)), (0.5, marked(old)), (0, new)])

        async def load(self):
            seconds, text = next(self.texts)
            await asyncio.sleep(seconds)
            return text

    assert await wait_until_unmarked(Slow()) == new


async def test_a_refresh_that_fails_leaves_no_mark(v3, redis):
    """Lets others refresh at once when a refresh has failed."""
    store = RedisTokenStore(redis, "loc1", lease=1_000.0)
    grant = v3.oauth.install("loc1")
    v3.sandbox.faults.append(Fault(operation="token", status=503, times=3))
    async with (
        v3.client(v3.tokens(grant, store=store)) as failing,
        v3.client(v3.tokens(grant, store=RedisTokenStore(redis, "loc1"))) as client,
    ):
        with pytest.raises(Exception, match="503"):
            await failing.number_pools("loc1")
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_a_mark_that_is_overtaken(v3):
    """Keeps the new tokens in the place of another's mark on the old ones."""

    class Overtaken(MemoryTokenStore):
        async def replace(self, old, new):
            if is_marked(old) and not is_marked(new):
                fields = json.loads(self._text)
                if fields["refreshing"] != "theirs":
                    self._text = json.dumps({**fields, "refreshing": "theirs"})
            return await super().replace(old, new)

    store = Overtaken()
    async with v3.client(v3.tokens(store=store)) as client:
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]
    assert v3.oauth.access(json.loads(await store.load())["access_token"])
