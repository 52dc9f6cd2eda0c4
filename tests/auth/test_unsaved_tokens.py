"""A store that cannot keep new tokens costs no installation: full, read-only or away."""

import asyncio
import logging
from contextlib import aclosing

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lcphone_async import FileTokenStore, TokenUnavailableError
from lcphone_async.auth import MemoryTokenStore
from lcphone_async.auth.refresh_marker import is_marked
from lcphone_async.redis import RedisTokenStore
from support.mounts import Disk, mounted, read_only
from support.oauth_app import HOUR
from support.redis_server import RedisServer
from support.until import until

needs_redis = pytest.mark.skipif(RedisServer.program is None, reason="redis-server is missing")

# No test waits for it: new tokens are stored again without regard to it.
LONG = 1_000


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "size=64k", "tmpfs"):
        yield Disk(folder)


class Full(MemoryTokenStore):
    """A store that has no room for new tokens, or not even for the mark of a refresh."""

    def __init__(self, *, is_full=True, for_marks=False):
        super().__init__()
        self.is_full, self.for_marks = is_full, for_marks

    async def replace(self, old, new):
        if self.is_full and (self.for_marks or not is_marked(new)):
            raise OSError(28, "No space left on device")
        return await super().replace(old, new)


class Trouble:
    """A store in front of which something happens before new tokens are kept."""

    def __init__(self, store, happen):
        self.store, self.happen = store, happen

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def replace(self, old, new):
        if not is_marked(new) and self.happen is not None:
            happen, self.happen = self.happen, None
            happen()
        return await self.store.replace(old, new)


async def test_a_disk_that_is_full_at_the_first_refresh(v3, disk):
    """Uses up no refresh token, and names the file; the next program begins with it."""
    grant, path = v3.oauth.install("loc1"), disk.folder / "tokens.json"
    disk.fill()
    async with v3.client(v3.tokens(grant, store=FileTokenStore(path))) as client:
        with pytest.raises(
            TokenUnavailableError, match=r"No space left on device: '.*tokens\.json"
        ):
            await client.number_pools("loc1")
    assert v3.asked() == 0
    assert not path.exists()
    disk.free()
    async with v3.client(v3.tokens(grant, store=FileTokenStore(path))) as client:
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_a_disk_that_is_full_at_a_later_refresh(v3, disk, clock):
    """The same where the store holds tokens."""
    grant, path = v3.oauth.install("loc1"), disk.folder / "tokens.json"
    async with v3.client(v3.tokens(grant, store=FileTokenStore(path))) as client:
        await client.number_pools("loc1")
        clock.now += HOUR
        disk.fill()
        with pytest.raises(
            TokenUnavailableError, match=r"No space left on device: '.*tokens\.json"
        ):
            await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]
    disk.free()
    async with v3.client(v3.tokens(grant, store=FileTokenStore(path))) as client:
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued", "issued"]


@pytest.mark.parametrize("is_used", [False, True])
async def test_a_folder_that_is_read_only(v3, tmp_path, clock, is_used):
    """Uses up no refresh token, and names the file."""
    grant, folder = v3.oauth.install("loc1"), tmp_path / "folder"
    folder.mkdir()
    source = v3.tokens(grant, store=FileTokenStore(folder / "tokens.json"))
    if is_used:
        async with v3.client(source) as client:
            await client.number_pools("loc1")
        clock.now += HOUR
    with read_only(folder):
        async with v3.client(source) as client:
            with pytest.raises(TokenUnavailableError, match=r"Read-only file .*tokens\.json"):
                await client.number_pools("loc1")
    assert len(v3.outcomes()) == is_used


async def test_a_store_without_room_for_the_mark(v3):
    """Uses up no refresh token where any store, though it is empty, cannot keep what it brings."""
    async with v3.client(v3.tokens(store=Full(for_marks=True))) as client:
        with pytest.raises(TokenUnavailableError, match="No space left"):
            await client.number_pools("loc1")
    assert v3.asked() == 0


async def test_a_disk_that_is_full_for_a_moment(v3, disk, caplog):
    """Stores the new tokens as soon as there is room, before another process could refresh."""
    grant, path = v3.oauth.install("loc1"), disk.folder / "tokens.json"
    store = Trouble(FileTokenStore(path), disk.fill)
    first = v3.client(v3.tokens(grant, store=store, failure_cooldown=LONG))
    second = v3.client(v3.tokens(grant, store=FileTokenStore(path)))
    async with first, second:
        with pytest.raises(TokenUnavailableError) as caught:
            await first.number_pools("loc1")
        with pytest.raises(TokenUnavailableError, match="in memory only"):
            await first.number_pools("loc1")
        other = asyncio.create_task(second.number_pools("loc1"))
        await asyncio.sleep(0.3)
        disk.free()
        async with asyncio.timeout(30):
            await other
            await first.number_pools("loc1")
    assert "in memory only" in str(caught.value)
    assert f"No space left on device: '{path}'" in str(caught.value)
    assert "let this process go on" in str(caught.value)
    assert "in memory only" in caplog.text
    assert "in the token store now" in caplog.text
    assert v3.outcomes() == ["issued"]
    assert {file.name for file in disk.folder.iterdir()} == {"tokens.json", "tokens.json.lock"}


@pytest.mark.sample(1)
@needs_redis
@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_redis_that_is_away_for_a_moment(v3, tmp_path, monkeypatch, is_gone):
    """Stores the new tokens when Redis is back, though the lock is another's by then."""
    monkeypatch.setattr("lcphone_async.auth.oauth._STORE_WAIT", 0.2)
    grant = v3.oauth.install("loc1")
    options = ["--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "always"]
    with RedisServer(*options) as server:
        leave, come_back = (server.stop, server.start) if is_gone else (server.pause, server.resume)
        at_once = {"port": server.port, "socket_timeout": 0.5, "retry": Retry(NoBackoff(), 0)}
        async with (
            aclosing(Redis(**at_once)) as redis,
            aclosing(Redis(**at_once)) as other_redis,
        ):
            store = Trouble(RedisTokenStore(redis, "loc1", lease=0.5), leave)
            other = RedisTokenStore(other_redis, "loc1", lease=0.5)
            first = v3.client(v3.tokens(grant, store=store, failure_cooldown=LONG))
            second = v3.client(v3.tokens(grant, store=other, failure_cooldown=0.01))
            async with first, second:
                with pytest.raises(TokenUnavailableError, match="in memory only"):
                    await first.number_pools("loc1")
                for _ in range(3):
                    with pytest.raises(TokenUnavailableError):
                        await second.number_pools("loc1")
                    await asyncio.sleep(0.2)
                come_back()
                async with asyncio.timeout(30):
                    while True:
                        try:
                            await second.number_pools("loc1")
                            await first.number_pools("loc1")
                        except TokenUnavailableError:
                            await asyncio.sleep(0.02)
                        else:
                            break
    assert v3.outcomes() == ["issued"]


async def test_a_store_that_gives_no_answer(v3, monkeypatch):
    """Fails the calls in time, and stores the new tokens when the store answers again."""
    monkeypatch.setattr("lcphone_async.auth.oauth._STORE_WAIT", 0.05)

    class Stuck(Full):
        async def replace(self, old, new):
            if self.is_full and not is_marked(new):
                await asyncio.Event().wait()
            return await super().replace(old, new)

    store = Stuck()
    async with v3.client(v3.tokens(store=store, failure_cooldown=LONG)) as client:
        with pytest.raises(TokenUnavailableError, match=r"in memory only.*gave no answer"):
            await client.number_pools("loc1")
        store.is_full = False
        await until(lambda: not is_marked(store._text))
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_tokens_that_are_stored_too_late(v3, clock):
    """Renews tokens once more that expired before the store could keep them."""
    store = Full()
    source = v3.tokens(store=store, failure_cooldown=LONG)
    async with v3.client(source) as client:
        with pytest.raises(TokenUnavailableError, match="in memory only"):
            await client.number_pools("loc1")
        clock.now += HOUR
        store.is_full = False
        await until(lambda: len(v3.outcomes()) == 2 and not is_marked(store._text))
        assert v3.oauth.access(await source.token("loc1"))
    assert v3.outcomes() == ["issued", "issued"]


async def test_calls_go_on_with_a_token_that_is_still_good(v3, clock):
    """Fails no call while tokens that were renewed ahead of time cannot be stored."""
    store = Full(is_full=False)
    async with v3.client(v3.tokens(store=store, failure_cooldown=LONG)) as client:
        await client.number_pools("loc1")
        clock.now += HOUR - 100
        store.is_full = True
        await client.number_pools("loc1")
        await until(lambda: len(v3.outcomes()) == 2)
        await client.number_pools("loc1")
        store.is_full = False
        await until(lambda: not is_marked(store._text))
        clock.now += 100
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued", "issued"]


async def test_a_client_that_is_closed_waits_for_the_store(v3):
    """Stores the new tokens before a client ends that is closed while they cannot be stored."""
    grant, store = v3.oauth.install("loc1"), Full()
    async with v3.client(v3.tokens(grant, store=store)) as client:
        with pytest.raises(TokenUnavailableError, match="in memory only"):
            await client.number_pools("loc1")
        asyncio.get_running_loop().call_later(0.1, setattr, store, "is_full", False)
    async with v3.client(v3.tokens(grant, store=store)) as another:
        await another.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_a_client_that_was_closed_before_the_store_worked(v3, monkeypatch):
    """Stores the new tokens at once by the next client of the source."""
    monkeypatch.setattr("lcphone_async._http.token_endpoints._TIME_TO_END", 0.05)
    store = Full()
    source = v3.tokens(store=store, failure_cooldown=LONG)
    async with v3.client(source) as client:
        with pytest.raises(TokenUnavailableError, match="in memory only"):
            await client.number_pools("loc1")
    store.is_full = False
    async with v3.client(source) as client:
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_tokens_of_another_that_are_newer(v3):
    """Uses the tokens that somebody put in the store while the new ones could not be stored."""
    store, newer = Full(), v3.oauth.install("loc1")
    async with v3.client(v3.tokens(store=store, failure_cooldown=LONG)) as client:
        with pytest.raises(TokenUnavailableError, match="in memory only"):
            await client.number_pools("loc1")
        v3.oauth.suspended.add("loc1")
        store._text = f'{{"access_token": "{newer.access_token}", "refresh_token": "other"}}'
        store.is_full = False
        async with asyncio.timeout(30):
            while True:
                try:
                    await client.number_pools("loc1")
                except TokenUnavailableError:
                    await asyncio.sleep(0.01)
                else:
                    break
    assert "other" in store._text
    assert v3.outcomes() == ["issued"]


async def test_a_program_without_a_refresh_token(v3):
    """Leaves an empty store empty where there is nothing to refresh."""
    store = MemoryTokenStore()
    async with v3.client(v3.tokens(refresh_token=None, store=store)) as client:
        with pytest.raises(TokenUnavailableError, match="authorize the app first"):
            await client.number_pools("loc1")
    assert await store.load() is None


async def test_the_tokens_are_not_logged(v3, caplog):
    """Logs that new tokens are in memory only, and none of them."""
    caplog.set_level(logging.DEBUG)
    store = Full()
    async with v3.client(v3.tokens(store=store)) as client:
        with pytest.raises(TokenUnavailableError):
            await client.number_pools("loc1")
        store.is_full = False
        await until(lambda: not is_marked(store._text))
    assert "in memory only" in caplog.text
    for secret in (*v3.oauth._accesses, *v3.oauth._refreshes):
        assert secret not in caplog.text
