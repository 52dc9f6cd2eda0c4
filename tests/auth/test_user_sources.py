"""Token sources of a user's own: asked once at a time, within a limit, and checked."""

import asyncio
import traceback

import aiohttp
import pytest

from lcphone_async import AgencyTokens, LCPhoneClient, TokenUnavailableError
from lcphone_async.errors import AuthenticationError
from lcphone_async.sandbox import Sandbox, TokenSettings
from support.oauth_app import APP, COMPANY, settings
from support.until import until

TOKEN = "pit-very-secret-token"


class Vault:
    """A token source that can be told to wait, and knows what it was asked."""

    def __init__(self, given=TOKEN):
        self.given = given
        self.asked = []
        self.renewed = []
        self.cancelled = []
        self.open = asyncio.Event()
        self.may_renew = asyncio.Event()
        self.hangs = set()

    async def token(self, location_id):
        self.asked.append(location_id)
        try:
            if location_id in self.hangs:
                await asyncio.Event().wait()
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.append(location_id)
            raise
        return self.given

    async def renew(self, location_id, refused):
        self.renewed.append((location_id, refused))
        if location_id in self.hangs:
            await asyncio.Event().wait()
        await self.may_renew.wait()
        return "pit-another-one"


@pytest.fixture
def vault():
    return Vault()


@pytest.fixture(params=["object", "function"])
def source(request, vault):
    """The vault as a token source, and as an async function."""
    return vault if request.param == "object" else vault.token


def client_of(sandbox, source, **options):
    return LCPhoneClient(source, base_url=sandbox.url, **options)


@pytest.fixture
def client(lcphone_sandbox, source):
    return client_of(lcphone_sandbox, source)


async def test_calls_at_once_ask_once(client, vault):
    """Asks once for each location, whatever number of calls need its token at once."""
    async with client:
        calls = [client.number_pools(f"loc{n % 2}") for n in range(50)]
        running = asyncio.gather(*calls)
        await asyncio.sleep(0.05)
        vault.open.set()
        assert len(await running) == 50
        assert sorted(vault.asked) == ["loc0", "loc1"]


async def test_nothing_is_kept(client, vault):
    """Asks again for each later call: for how long a token is good, the source knows."""
    vault.open.set()
    async with client:
        for _ in range(3):
            await client.number_pools("loc1")
    assert vault.asked == ["loc1"] * 3


async def test_a_cancelled_call_ends_no_other(client, vault):
    """Goes on for the rest if the call that asked is cancelled, and ends with the last of them."""
    async with client:
        calls = [asyncio.create_task(client.number_pools("loc1")) for _ in range(3)]
        await asyncio.sleep(0.05)
        calls[0].cancel()
        await asyncio.sleep(0.01)
        vault.open.set()
        assert await asyncio.gather(*calls[1:])
        vault.open.clear()
        calls = [asyncio.create_task(client.number_pools("loc1")) for _ in range(3)]
        await asyncio.sleep(0.05)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        await asyncio.sleep(0)
        vault.open.set()
        assert await client.number_pools("loc1") is not None
    assert vault.asked == ["loc1"] * 3
    assert vault.cancelled == ["loc1"]


async def test_a_closed_client_leaves_nothing(lcphone_sandbox, vault):
    """Cancels the source if the client is closed under it."""
    async with client_of(lcphone_sandbox, vault) as client:
        call = asyncio.create_task(client.number_pools("loc1"))
        await asyncio.sleep(0.05)
    await asyncio.wait([call])
    await asyncio.sleep(0)
    assert vault.cancelled == ["loc1"]


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "limit",
    [0.2, aiohttp.ClientTimeout(total=0.2), aiohttp.ClientTimeout(sock_read=9, total=0.2)],
)
async def test_a_source_that_hangs(lcphone_sandbox, vault, source, limit):
    """Raises after the client's `timeout` for the location that it hangs for, and for no other."""
    vault.hangs, waited = {"loc1"}, 5
    vault.open.set()
    async with (
        asyncio.timeout(waited),
        client_of(lcphone_sandbox, source, timeout=limit) as client,
    ):
        calls = [client.number_pools(f"loc{n % 3}") for n in range(9)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        vault.hangs.clear()
        assert await client.number_pools("loc1")
    failed = [one for one in ended if isinstance(one, Exception)]
    assert [str(one) for one in failed] == [str(failed[0])] * 3
    assert "took longer than 0.2 s" in str(failed[0])
    assert {type(one) for one in failed} == {TokenUnavailableError}
    assert vault.cancelled == ["loc1"]


async def test_a_source_that_hangs_and_will_not_be_cancelled(lcphone_sandbox):
    """Raises in time also if the source goes on although it is cancelled."""
    stop = asyncio.Event()

    async def stubborn(_):
        while not stop.is_set():
            try:
                await stop.wait()
            except asyncio.CancelledError:
                continue
        return TOKEN

    async with asyncio.timeout(30), client_of(lcphone_sandbox, stubborn, timeout=0.1) as client:
        for _ in range(2):
            with pytest.raises(TokenUnavailableError, match="took longer"):
                await client.number_pools("loc1")
    stop.set()


async def test_a_timeout_without_a_total(lcphone_sandbox, vault):
    """Waits a minute, as by default, if the attempt's time is not limited as a whole."""
    client = client_of(lcphone_sandbox, vault, timeout=aiohttp.ClientTimeout(total=None))
    assert client._tokens.timeout == 60


async def test_a_renewal_that_hangs(vault):
    """Raises after the client's `timeout` if another token than the refused one does not come."""
    vault.hangs, vault.given = {"loc1"}, "refused"

    async def token(_):
        return vault.given

    vault.token = token
    async with (
        asyncio.timeout(30),
        Sandbox(tokens=["good"]) as sandbox,
        client_of(sandbox, vault, timeout=0.2) as client,
    ):
        with pytest.raises(TokenUnavailableError, match="took longer"):
            await client.number_pools("loc1")


async def test_calls_at_once_renew_once(vault):
    """Asks once for another token, whatever number of calls the same one is refused for."""
    vault.open.set()
    async with Sandbox(tokens=["pit-another-one"]) as sandbox, client_of(sandbox, vault) as client:
        running = asyncio.gather(*(client.number_pools("loc1") for _ in range(50)))
        await until(lambda: len(sandbox.requests) == 50)
        await asyncio.sleep(0.2)  # by then the last refusal was read
        vault.may_renew.set()
        await running
    assert vault.renewed == [("loc1", TOKEN)]


async def test_a_source_that_knows_no_other(vault):
    """Raises the service's refusal if the source cannot renew its token."""
    vault.open.set()
    async with Sandbox(tokens=["good"]) as sandbox, client_of(sandbox, vault.token) as client:
        with pytest.raises(AuthenticationError, match="Invalid token"):
            await client.number_pools("loc1")


async def test_an_error_of_the_source(client, vault):
    """Raises what the source raises, to all who waited for it."""

    async def refused(_):
        await asyncio.sleep(0.01)
        raise LookupError("no such secret")

    client._calls._tokens._ask = refused
    async with client:
        calls = (client.number_pools("loc1") for _ in range(5))
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [repr(one) for one in ended] == ["LookupError('no such secret')"] * 5


async def test_a_source_that_was_cancelled(lcphone_sandbox):
    """Raises an error, and cancels no call, if the source's own task was cancelled."""

    async def cancelled(_):
        raise asyncio.CancelledError

    async with client_of(lcphone_sandbox, cancelled) as client:
        with pytest.raises(TokenUnavailableError, match="was cancelled"):
            await client.number_pools("loc1")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "returned NoneType, not a string"),
        (TOKEN.encode(), "returned bytes, not a string"),
        ({"access_token": TOKEN}, "returned dict, not a string"),
        (f"Bearer {TOKEN}", 'begins with "Bearer"'),
        (f"bearer\t{TOKEN}", 'begins with "Bearer"'),
        (f"Authorization: Bearer {TOKEN}", 'begins with "Bearer"'),
        ("Bearer ", 'begins with "Bearer"'),
        ("  \n", "is empty"),
        (f"{TOKEN} {TOKEN}", "holds white space"),
        (f"{TOKEN}\r\nX: y", "holds white space"),
        ("é", "non-ASCII"),
        ("x" * 9_000, "longer than"),
    ],
)
async def test_what_is_no_token(lcphone_sandbox, given, says):
    """Raises an error that says what is wrong with what the source returned, and not the token."""

    async def source(_):
        return given

    agency = AgencyTokens(company_id=COMPANY, source=source)
    for token in (source, agency):
        async with client_of(lcphone_sandbox, token) as client:
            with pytest.raises(TokenUnavailableError, match=says) as caught:
                await client.number_pools("loc1")
            ours = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            frames = [f for f in ours.stack if "lcphone_async/" in f.filename]
            assert frames
            assert TOKEN not in str(caught.value) + repr([frame.locals for frame in frames])
    assert not lcphone_sandbox.requests


@pytest.mark.parametrize("text", ["Bearer x", "BEARER: x", "authorization: bearer x"])
def test_a_header_is_no_token(text):
    """Names the mistake also where a token is given as such."""
    with pytest.raises(ValueError, match="leave that out"):
        LCPhoneClient(text)
    assert LCPhoneClient("bearer-of-good-news")


@pytest.mark.parametrize("source", [lambda _: TOKEN, lambda _: None])
async def test_what_is_not_async(lcphone_sandbox, source):
    """Raises `TypeError` for a function that is not async."""
    async with client_of(lcphone_sandbox, source) as client:
        with pytest.raises(TypeError, match="async function"):
            await client.number_pools("loc1")


@pytest.mark.parametrize("what", ["a location", "the list"])
async def test_the_source_of_an_agency(vault, what):
    """Limits the source of an agency's own token as well, and asks it once at a time."""
    vault.hangs = {COMPANY}
    tokens = {TOKEN: TokenSettings(kind="agency")}
    app = settings(locations=["loc1", "loc2"])
    async with Sandbox(tokens=tokens, oauth_app=app) as sandbox, asyncio.timeout(30):
        agency = AgencyTokens(company_id=COMPANY, source=vault, failure_cooldown=0.01)
        async with client_of(sandbox, agency, timeout=0.2) as client:

            async def call():
                if what == "a location":
                    return await client.number_pools("loc1")
                return [each async for each in client.locations(COMPANY, APP)]

            with pytest.raises(TokenUnavailableError, match="took longer"):
                await call()
            vault.hangs.clear()
            vault.open.set()
            await asyncio.sleep(0.02)
            assert await asyncio.gather(call(), call())
    assert vault.asked == [COMPANY] * 2
