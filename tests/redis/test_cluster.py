"""The budget in a cluster: a shard that is down stops only its own locations."""

import asyncio
import gc
import re
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lcphone_async import (
    BudgetUnavailableError,
    JournalUnavailableError,
    LCPhoneClient,
    OAuthTokens,
    TokenUnavailableError,
)
from lcphone_async.redis import RedisPurchaseJournal, RedisRateLimiter, RedisTokenStore
from lcphone_async.sandbox import Sandbox
from support.redis_server import RedisCluster as Cluster
from support.redis_server import RedisServer, free_port

pytestmark = pytest.mark.skipif(
    RedisServer.program is None, reason="neither redis-server nor valkey-server is installed"
)

LOCATIONS = [f"location-{number}" for number in range(60)]


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as cluster:
        yield cluster


@asynccontextmanager
async def limiter_of(redis, **options):
    limiter = RedisRateLimiter(redis, 10, 0.2, **options)
    async with redis:
        yield limiter
        await limiter.close()


async def take(limiter, location):
    async with limiter.slot(location):
        pass


@pytest.mark.exhaustive
async def test_a_cluster_serves_all_locations(cluster):
    """Spreads the locations over the shards, and keeps each one's window."""
    redis = RedisCluster(host="127.0.0.1", port=cluster.shards[0].port)
    async with limiter_of(redis, timeout=5) as limiter, asyncio.timeout(30):
        for _ in range(3):
            await asyncio.gather(*(take(limiter, location) for location in LOCATIONS))
        nodes = {redis.get_node_from_key(f"lcphone:budget:{each}").port for each in LOCATIONS}
        assert nodes == {shard.port for shard in cluster.shards}


async def outcomes_after(end):
    """The locations on a shard that ends, how calls end then by where they go, and the reasons."""
    with Cluster() as cluster:
        redis = RedisCluster(host="127.0.0.1", port=cluster.shards[1].port)
        async with limiter_of(redis, timeout=5) as limiter:  # also under load
            await asyncio.gather(*(take(limiter, location) for location in LOCATIONS))
            on_it = {
                location
                for location in LOCATIONS
                if redis.get_node_from_key(f"lcphone:budget:{location}").port
                == cluster.shards[0].port
            }
            end(cluster.shards[0])
            outcomes, reasons = Counter(), set()

            async def call(location):
                try:
                    await take(limiter, location)
                except BudgetUnavailableError as error:
                    outcomes[location in on_it, "refused"] += 1
                    reasons.add(error.reason)
                else:
                    outcomes[location in on_it, "answered"] += 1

            for _ in range(5):
                await asyncio.gather(*(call(location) for location in LOCATIONS))
                await asyncio.sleep(0.2)
    return on_it, outcomes, reasons


@pytest.mark.sample(1)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # redis-py's, of a lost shard
@pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.pause], ids=["dead", "hung"])
async def test_one_shard_is_down(end):
    """Answers every call of the locations on other shards, and says what the dead one met."""
    on_it, outcomes, reasons = await outcomes_after(end)
    gc.collect()  # in the only test that expects what it finds
    assert outcomes == {
        (True, "refused"): 5 * len(on_it),
        (False, "answered"): 5 * (len(LOCATIONS) - len(on_it)),
    }
    wanted = "Error 111|Connection closed|reset" if end is RedisServer.stop else "no answer within"
    assert all(re.search(wanted, reason) for reason in reasons)


async def test_the_rights_of_a_limiter():
    """Needs no more rights than the documents say."""
    with RedisServer() as server:
        async with limiter_of(Redis(**server.user("lcphone-budget"))) as limiter:
            await asyncio.gather(*(take(limiter, "a") for _ in range(25)))


async def test_tokens_in_a_cluster(cluster):
    """Keeps and locks tokens in a cluster."""
    async with RedisCluster(host="127.0.0.1", port=cluster.shards[0].port) as redis:
        store = RedisTokenStore(redis, "a", lease=0.3)
        async with store.lock():
            assert await store.replace(None, "first")
            await asyncio.sleep(0.4)
            assert not await store.replace(None, "second")
        assert await store.load() == "first"


def unreachable(server, **options):
    """Clients that cannot use a server which has a password, and the cause of each."""
    return {
        "Error 111": Redis(host="127.0.0.1", port=free_port(), **options),
        r"nowhere\.invalid": Redis(host="nowhere.invalid", **options),
        "NOAUTH": Redis(port=server.port, **options),
        "WRONGPASS": Redis(port=server.port, password="wrong", **options),
    }


@pytest.fixture(scope="module")
def guarded():
    with RedisServer("--requirepass", "right") as server:
        yield server


@pytest.mark.sample(1)
@pytest.mark.parametrize("cause", ["Error 111", r"nowhere\.invalid", "NOAUTH", "WRONGPASS"])
async def test_errors_name_their_cause(guarded, cause):
    """Says why Redis cannot be used, in the errors of the budget, the journal and the tokens."""
    stubborn = unreachable(guarded)[cause]  # it tries again for longer than a limiter waits
    redis = unreachable(guarded, retry=Retry(NoBackoff(), 0))[cause]
    source = OAuthTokens(
        client_id="id", client_secret="secret", refresh_token="r", store=RedisTokenStore(redis, "a")
    )
    clients = {
        BudgetUnavailableError: {"limiter": RedisRateLimiter(stubborn)},
        JournalUnavailableError: {"journal": RedisPurchaseJournal(redis)},
        TokenUnavailableError: {"token": source},
    }
    async with stubborn, redis, Sandbox() as sandbox:
        for error, options in clients.items():
            given = {"token": "any", "base_url": sandbox.url, **options}
            async with LCPhoneClient(given.pop("token"), **given) as client:
                with pytest.raises(error, match=f"Redis: .*{cause}"):
                    await client.purchase("a", "+18305551234")
        assert not [request for request in sandbox.requests if request.method == "POST"]
