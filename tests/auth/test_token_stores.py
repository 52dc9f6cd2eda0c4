"""The newest tokens are durable before they are used, and shared by all who use the store."""

import asyncio
import json
import multiprocessing
import os
import signal
from contextlib import aclosing, asynccontextmanager

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from lcphone_async import (
    AuthorizationLostError,
    FileTokenStore,
    LCPhoneClient,
    OAuthTokens,
    TokenUnavailableError,
)
from lcphone_async.auth import MemoryTokenStore
from lcphone_async.auth.refresh_marker import is_marked
from lcphone_async.redis import RedisTokenStore
from lcphone_async.sandbox import Fault
from support.oauth_app import CLIENT_ID, CLIENT_SECRET, HOUR
from support.redis_server import RedisServer

needs_redis = pytest.mark.skipif(RedisServer.program is None, reason="redis-server is missing")


@pytest_asyncio.fixture(params=["file", pytest.param("redis", marks=needs_redis)])
async def new_store(request, tmp_path):
    """Makes stores of the same tokens, as several processes would."""
    if request.param == "file":
        yield lambda: FileTokenStore(tmp_path / "tokens.json")
        return
    server = request.getfixturevalue("redis_server")
    async with aclosing(Redis(port=server.port)) as redis:
        await redis.flushall()
        yield lambda: RedisTokenStore(redis, "loc1", lease=1.0)


async def test_a_store_keeps_a_text(new_store):
    """Gives what was put there last, to all who use it, and replaces only what it still holds."""
    store, other = new_store(), new_store()
    assert await store.load() is None
    assert await store.replace(None, "first")
    assert await other.load() == "first"
    assert not await other.replace(None, "second")
    assert not await other.replace("something else", "second")
    assert await other.replace("first", "second")
    assert await store.load() == "second"


async def test_one_holds_the_lock(new_store):
    """Lets one in at a time, whichever store object it came by."""
    inside = most = 0

    async def enter(store):
        nonlocal inside, most
        async with store.lock():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.005)
            inside -= 1

    await asyncio.gather(*(enter(new_store()) for _ in range(10)))
    assert most == 1


async def test_who_waits_for_the_lock_may_be_cancelled(new_store):
    """Leaves the lock to others where one who waited for it is cancelled."""
    async with new_store().lock():
        waiting = asyncio.create_task(new_store().lock().__aenter__())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.timeout(30), new_store().lock():
        pass


@pytest.mark.sample(1)
async def test_sources_that_share_a_store_refresh_once(v3, clock, new_store):
    """Sends one refresh for all sources of a store, each of which uses the tokens it brought."""
    grant = v3.oauth.install("loc1")
    sources = [v3.tokens(grant, store=new_store()) for _ in range(5)]
    clients = [v3.client(source) for source in sources]
    for _ in range(3):
        await asyncio.gather(*(client.number_pools("loc1") for client in clients))
        clock.now += HOUR
    await asyncio.gather(*(client.close() for client in clients))
    assert v3.outcomes() == ["issued"] * 3


async def test_a_new_program_goes_on_where_the_last_one_ended(v3, clock, new_store):
    """Uses what the store holds, and not the refresh token that was used up long ago."""
    grant = v3.oauth.install("loc1")
    for _ in range(3):
        async with v3.client(v3.tokens(grant, store=new_store())) as client:
            await client.number_pools("loc1")
        clock.now += HOUR
    async with v3.client(v3.tokens(grant, refresh_token=None, store=new_store())) as client:
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"] * 4


async def test_the_tokens_are_kept_before_they_are_used(v3, new_store):
    """Uses no token that is not in the store."""
    used = []
    store = new_store()

    class Watched:
        def __getattr__(self, name):
            return getattr(store, name)

        async def replace(self, old, new):
            used.append(v3.asked("/phone-system/number-pools"))
            return await store.replace(old, new)

    async with v3.client(v3.tokens(store=Watched())) as client:
        await asyncio.gather(*(client.number_pools("loc1") for _ in range(10)))
    assert used == [0, 0]  # the mark, and the new tokens


async def test_a_store_that_was_emptied(v3, clock):
    """Goes on with the newest refresh token that is in memory, not with the one it began with."""
    store = MemoryTokenStore()
    async with v3.client(v3.tokens(store=store)) as client:
        for _ in range(3):
            await client.number_pools("loc1")
            clock.now += HOUR
            assert await store.load()
            store._text = None
    assert v3.outcomes() == ["issued"] * 3


async def test_a_store_that_is_emptied_during_a_refresh(v3, clock):
    """Keeps the new tokens in the empty store."""

    class Emptied(MemoryTokenStore):
        async def replace(self, old, new):
            if is_marked(old):
                self._text = None
            return await super().replace(old, new)

    store = Emptied()
    async with v3.client(v3.tokens(store=store)) as client:
        await client.number_pools("loc1")
        clock.now += HOUR
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued", "issued"]
    assert v3.oauth.access(json.loads(await store.load())["access_token"])


async def test_sources_that_share_a_store_in_memory(v3):
    """Sends one refresh also where the store is of one process."""
    grant, store = v3.oauth.install("loc1"), MemoryTokenStore()
    sources = [v3.tokens(grant, store=store) for _ in range(3)]
    clients = [v3.client(source) for source in sources]
    await asyncio.gather(*(client.number_pools("loc1") for client in clients))
    await asyncio.gather(*(client.close() for client in clients))
    assert v3.outcomes() == ["issued"]


async def test_the_app_is_authorized_again(v3, new_store):
    """Takes up the new refresh token where the one in the store is refused."""
    old = v3.oauth.install("loc1")
    async with v3.client(v3.tokens(old, store=new_store())) as client:
        await client.number_pools("loc1")
    v3.oauth.uninstall(old.refresh_token)
    async with v3.client(v3.tokens(old, store=new_store())) as client:
        with pytest.raises(AuthorizationLostError):
            await client.number_pools("loc1")
    new = v3.oauth.install("loc1")
    sent = v3.asked()
    for _ in range(2):
        async with v3.client(v3.tokens(new, store=new_store())) as client:
            await client.number_pools("loc1")
    assert v3.asked() == sent + 2  # the one that is refused, then the new one; then the store's


async def test_another_renews_while_a_lock_is_lost(v3, new_store):
    """Uses the tokens of another that went ahead, instead of putting its own in their place."""
    grant = v3.oauth.install("loc1")
    store, other = new_store(), v3.tokens(grant, store=new_store())

    class Slow:
        """One whose lock is lost during the refresh."""

        def __getattr__(self, name):
            return getattr(store, name)

        async def replace(self, old, new):
            if not is_marked(new):
                await store.replace(old, await self.theirs())
            return await store.replace(old, new)

        async def theirs(self):
            grant = v3.oauth.install("loc1")
            fields = {"access_token": grant.access_token, "refresh_token": grant.refresh_token}
            return json.dumps(fields)

    async with v3.client(v3.tokens(grant, store=Slow())) as client, v3.client(other) as second:
        await client.number_pools("loc1")
        await second.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_a_store_of_a_later_version(v3, tmp_path):
    """Reads past what it does not know, as another version of this package may have put it."""
    grant = v3.oauth.install("loc1")
    fields = {"access_token": grant.access_token, "refresh_token": grant.refresh_token, "new": 1}
    (tmp_path / "tokens.json").write_text(json.dumps(fields))
    source = v3.tokens(refresh_token=None, store=FileTokenStore(tmp_path / "tokens.json"))
    async with v3.client(source) as client:
        await client.number_pools("loc1")
    assert v3.asked() == 0


async def test_a_file_behind_a_link(v3, tmp_path, monkeypatch):
    """Writes to the file that a link leads to, wherever the program goes meanwhile."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "elsewhere" / "tokens.json")
    monkeypatch.chdir(tmp_path)
    store = FileTokenStore("link.json")
    monkeypatch.chdir("/")
    async with v3.client(v3.tokens(store=store)) as client:
        await client.number_pools("loc1")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "elsewhere" / "tokens.json").exists()


NO_TOKENS = [
    {"access_token": ""},
    {"access_token": "a\r\nX-Evil: 1"},
    {"access_token": "a b"},
    {"access_token": "\ud800"},
    {"access_token": {"a": 1}},
    {"access_token": 5},
    {"refresh_token": [1]},
    {"expires_at": "tomorrow"},
    {"expires_at": 10**400},
    {"due_at": float("nan")},
    {"began_with": 5},
]


@pytest.mark.parametrize(
    "text",
    [
        *("not JSON", "[]", '{"surprise": 1}', "null", "[" * 100_000),
        *(json.dumps({"access_token": "a", "refresh_token": "b", **wrong}) for wrong in NO_TOKENS),
    ],
    ids=lambda text: text[:60],
)
async def test_a_store_that_holds_something_else(v3, tmp_path, text):
    """Says so, shows none of it, and sends nothing."""
    (tmp_path / "tokens.json").write_text(text)
    source = v3.tokens(store=FileTokenStore(tmp_path / "tokens.json"))
    async with v3.client(source) as client:
        with pytest.raises(TokenUnavailableError, match="holds something else than tokens"):
            await client.number_pools("loc1")
    assert v3.asked() == 0


async def test_the_tokens_that_an_error_is_of(v3, new_store):
    """Names the file or the key in Redis, so that one knows what to delete."""
    store = new_store()
    name = getattr(store, "path", "lcphone:tokens:loc1")
    async with v3.client(v3.tokens(store=store, refresh_token=None)) as client:
        with pytest.raises(TokenUnavailableError, match=f"{name}' holds none: authorize the app"):
            await client.number_pools("loc1")
    await store.replace(None, "{}")
    async with v3.client(v3.tokens(store=store)) as client:
        with pytest.raises(TokenUnavailableError, match=f"{name}' holds something else"):
            await client.number_pools("loc1")


async def test_a_store_that_does_not_answer(v3, monkeypatch):
    """Gives up where the store gives no answer."""
    monkeypatch.setattr("lcphone_async.auth.oauth._LOCK_WAIT", 0.05)

    class Silent(MemoryTokenStore):
        async def load(self):
            await asyncio.Event().wait()

    async with asyncio.timeout(30), v3.client(v3.tokens(store=Silent())) as client:
        with pytest.raises(TokenUnavailableError, match="gave no answer"):
            await client.number_pools("loc1")
    assert v3.asked() == 0


async def test_a_store_whose_lock_cannot_be_left(v3, monkeypatch):
    """Gives up in time, and uses the tokens that are kept."""
    monkeypatch.setattr("lcphone_async.auth.oauth._STORE_WAIT", 0.05)

    class Clinging(MemoryTokenStore):
        @asynccontextmanager
        async def lock(self):
            yield
            await asyncio.Event().wait()

    source = v3.tokens(store=Clinging(), failure_cooldown=0.01)
    async with asyncio.timeout(30), v3.client(source) as client:
        with pytest.raises(TokenUnavailableError, match="or was locked"):
            await client.number_pools("loc1")
        await asyncio.sleep(0.05)
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_a_store_whose_lock_cannot_be_left_at_the_end(v3, monkeypatch):
    """Holds up nobody who breaks off a refresh for as long as another."""
    monkeypatch.setattr("lcphone_async.auth.oauth._STORE_WAIT", 50)
    monkeypatch.setattr("lcphone_async.auth.oauth._LET_GO", 0.01)
    monkeypatch.setattr("lcphone_async._http.token_endpoints._TIME_TO_BREAK_OFF", 0.01)

    class Clinging(MemoryTokenStore):
        @asynccontextmanager
        async def lock(self):
            try:
                yield
            finally:
                await asyncio.Event().wait()

    v3.sandbox.faults.append(Fault(operation="token", point="after", delay=60))
    async with asyncio.timeout(30) as limit:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), v3.client(v3.tokens(store=Clinging())) as client:
                await client.number_pools("loc1")
    assert not limit.expired()


async def test_a_store_s_own_timeout(v3):
    """Says that the store failed where it gave up by itself, and not how long that took us."""

    class Impatient(MemoryTokenStore):
        async def load(self):
            raise TimeoutError("no disk for 3 s")

    async with v3.client(v3.tokens(store=Impatient())) as client:
        with pytest.raises(TokenUnavailableError, match="failed: TimeoutError: no disk for 3 s"):
            await client.number_pools("loc1")


async def test_a_store_that_does_not_let_go(v3, new_store, monkeypatch):
    """Gives up where somebody else holds the lock for longer than any refresh takes."""
    monkeypatch.setattr("lcphone_async.auth.oauth._LOCK_WAIT", 0.05)
    async with new_store().lock(), v3.client(v3.tokens(store=new_store())) as client:
        with pytest.raises(TokenUnavailableError, match="or was locked"):
            await client.number_pools("loc1")
    assert v3.asked() == 0


@pytest.mark.exhaustive
@needs_redis
async def test_a_redis_lock_outlives_its_lease(redis_server):
    """Keeps the lock for as long as the holder works, and frees it when the holder is gone."""
    async with aclosing(Redis(port=redis_server.port)) as redis:
        store = RedisTokenStore(redis, "lease", lease=0.3)
        async with store.lock():
            await asyncio.sleep(0.6)
            assert await redis.exists("lcphone:tokens:lease:lock")
        assert not await redis.exists("lcphone:tokens:lease:lock")
        async with store.lock():
            await redis.delete("lcphone:tokens:lease:lock")  # as if it had stood still


@pytest.mark.exhaustive
@needs_redis
async def test_a_redis_that_is_away_for_a_moment(v3, redis_server):
    """Keeps the lock, and sends no second refresh, where one try to keep it fails."""
    grant = v3.oauth.install("loc1")
    v3.sandbox.faults.append(Fault(operation="token", point="after", delay=1.5, times=1))
    async with (
        aclosing(Redis(port=redis_server.port)) as redis,
        aclosing(Redis(port=redis_server.port)) as other_redis,
    ):
        await redis.flushall()
        stores = [RedisTokenStore(each, "loc1", lease=0.9) for each in (redis, other_redis)]
        first, second = (v3.client(v3.tokens(grant, store=store)) for store in stores)
        async with first, second:
            calls = [asyncio.create_task(first.number_pools("loc1"))]
            await asyncio.sleep(0.2)
            calls.append(asyncio.create_task(second.number_pools("loc1")))
            execute, redis.execute_command = redis.execute_command, away
            await asyncio.sleep(0.25)  # the lock is to be kept every 0.3 s
            redis.execute_command = execute
            await asyncio.gather(*calls)
    assert v3.outcomes() == ["issued"]


@needs_redis
async def test_a_redis_that_is_away_after_the_tokens_were_kept(v3, redis_server):
    """Uses tokens that are kept, though the lock cannot be freed before its lease ends."""
    async with aclosing(Redis(port=redis_server.port)) as redis:
        await redis.flushall()
        store = RedisTokenStore(redis, "loc1")

        class Leaving:
            def __getattr__(self, name):
                return getattr(store, name)

            async def replace(self, old, new):
                is_kept = await store.replace(old, new)
                if not is_marked(new):
                    redis.execute_command = away
                return is_kept

        async with v3.client(v3.tokens(store=Leaving())) as client:
            await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


class Pausing:
    """A store in a Redis that stands still after it has kept the new tokens."""

    def __init__(self, store, server):
        self.store, self.server = store, server

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def replace(self, old, new):
        is_kept = await self.store.replace(old, new)
        if not is_marked(new):
            self.server.pause()
        return is_kept


@needs_redis
async def test_a_redis_that_stands_still_after_the_tokens_were_kept(v3, redis_server, monkeypatch):
    """Uses tokens that are kept, and leaves the lock to its lease."""
    monkeypatch.setattr("lcphone_async.redis.tokens._RELEASE_WAIT", 0.1)
    async with aclosing(Redis(port=redis_server.port)) as redis:
        await redis.flushall()
        store = Pausing(RedisTokenStore(redis, "loc1"), redis_server)
        try:
            async with asyncio.timeout(30), v3.client(v3.tokens(store=store)) as client:
                await client.number_pools("loc1")
        finally:
            redis_server.resume()
    assert v3.outcomes() == ["issued"]


async def away(*_, **__):
    raise RedisConnectionError("Connection closed by server.")


def live_and_die(url, path, refresh_token):
    """A process that is killed between the answer to its refresh and its store."""

    class Deadly(FileTokenStore):
        async def replace(self, old, new):
            if not is_marked(new):
                os.kill(os.getpid(), signal.SIGKILL)
            return await super().replace(old, new)

    async def call():
        source = OAuthTokens(
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            refresh_token=refresh_token,
            store=Deadly(path),
        )
        async with LCPhoneClient(source, base_url=url) as client:
            await client.number_pools("loc1")

    asyncio.run(call())


async def killed(app, path, grant):
    spawn = multiprocessing.get_context("spawn").Process
    process = spawn(target=live_and_die, args=(app.sandbox.url, path, grant.refresh_token))
    process.start()
    await asyncio.to_thread(process.join)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.exhaustive
async def test_a_process_is_killed_before_it_could_keep_the_answer(lenient, tmp_path):
    """Gets the lost tokens within the service's grace, by asking for them again."""
    path, grant = tmp_path / "tokens.json", lenient.oauth.install("loc1")
    await killed(lenient, path, grant)
    async with lenient.client(lenient.tokens(grant, store=FileTokenStore(path))) as client:
        async with asyncio.timeout(30):
            await client.number_pools("loc1")
    assert lenient.outcomes() == ["issued", "repeated"]


@pytest.mark.exhaustive
async def test_a_killed_process_takes_the_installation_with_it(v3, tmp_path):
    """Says so where the service gives no lost answer again."""
    path, grant = tmp_path / "tokens.json", v3.oauth.install("loc1")
    await killed(v3, path, grant)
    async with v3.client(v3.tokens(grant, store=FileTokenStore(path))) as client:
        with pytest.raises(AuthorizationLostError, match="authorize the app again"):
            await client.number_pools("loc1")
