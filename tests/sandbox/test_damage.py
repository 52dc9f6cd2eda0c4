"""Damaged answers, lower limits and changing lists: what comes over the socket, and what the
client makes of it."""

import asyncio
import json

import aiohttp
import pytest

from lcphone_async import (
    IncompleteListError,
    LCPhoneClient,
    RateLimitedError,
    ResponseFormatError,
    RetryPolicy,
    TransportError,
)
from lcphone_async.sandbox import Fault, LocationSettings, Sandbox

PATH = "/phone-system/numbers/location/loc1"
HEADERS = {"Authorization": "Bearer x", "Version": "v3"}
ASK = f"GET {PATH}?pageSize=5 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nVersion: v3\r\n\r\n"


async def read_raw(sandbox):
    """What comes over a plain connection until it ends, and whether it ends with a reset."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(ASK.encode())
    received = b""
    try:
        while part := await reader.read(4096):
            received += part
    except ConnectionResetError:
        return received, True
    finally:
        writer.close()
    return received, False


def body_of(received):
    """The body that came, and how long the headers said it would be."""
    head, _, body = received.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return body, int(length)


@pytest.fixture
async def client(sandbox):
    """A client that tries once."""
    retry = RetryPolicy(max_tries=1)
    async with LCPhoneClient("any", base_url=sandbox.url, retry=retry) as client:
        yield client


async def test_reset_within_the_answer(sandbox, client):
    """Half of the body comes, then a reset; the client says that the connection broke."""
    sandbox.faults.append(Fault(point="after", damage="reset-within"))
    received, was_reset = await read_raw(sandbox)
    body, length = body_of(received)
    assert was_reset
    assert 0 < len(body) < length
    with pytest.raises(TransportError):
        await client.active_numbers_page("loc1")


async def test_reset_after_the_answer(sandbox, client):
    """The whole body comes, then a reset; the client has its answer, and goes on."""
    sandbox.faults.append(Fault(point="after", damage="reset-after"))
    received, was_reset = await read_raw(sandbox)
    body, length = body_of(received)
    assert was_reset
    assert len(body) == length
    assert (await client.active_numbers_page("loc1")).numbers
    await asyncio.sleep(0.2)
    assert (await client.active_numbers_page("loc1")).numbers


async def test_empty(session, sandbox, client):
    """There is a status and no body."""
    sandbox.faults.append(Fault(point="after", damage="empty"))
    async with session.get(sandbox.url + PATH, headers=HEADERS) as response:
        assert (response.status, await response.read()) == (200, b"")
    with pytest.raises(ResponseFormatError, match="empty"):
        await client.active_numbers_page("loc1")


async def test_oversized(session, sandbox, client):
    """The body is 32 MiB longer than it need be, and still says what it says."""
    sandbox.faults.append(Fault(point="after", damage="oversized"))
    async with session.get(sandbox.url + PATH, headers=HEADERS) as response:
        body = await response.read()
    assert len(body) > 32 << 20
    assert json.loads(body)["status"] == "success"
    assert (await client.active_numbers_page("loc1")).numbers


async def test_oversized_and_nobody_reads(session, sandbox):
    """A client that hangs up in the middle of it leaves nothing behind."""
    sandbox.faults.append(Fault(point="after", damage="oversized", times=1))
    before = asyncio.all_tasks()
    async with session.get(sandbox.url + PATH, headers=HEADERS) as response:
        await response.content.read(10)
        response.close()
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.001)
    async with session.get(sandbox.url + PATH, headers=HEADERS) as response:
        assert response.status == 200


async def test_deeply_nested(session, sandbox, client):
    """The body is JSON that no parser with a stack can read."""
    sandbox.faults.append(Fault(point="after", damage="deeply-nested"))
    async with session.get(sandbox.url + PATH, headers=HEADERS) as response:
        assert (await response.read()).startswith(b"[" * 100_000 + b"]")
    with pytest.raises(ResponseFormatError):
        await client.active_numbers_page("loc1")


async def test_wrong_type(session, sandbox, client):
    """JSON that says it is plain text is JSON to the client."""
    sandbox.faults.append(Fault(point="after", damage="wrong-type"))
    async with session.get(sandbox.url + PATH, headers=HEADERS) as response:
        assert response.content_type == "text/plain"
        assert (await response.json(content_type=None))["status"] == "success"
    assert (await client.active_numbers_page("loc1")).numbers


async def test_wrong_encoding(session, sandbox, client):
    """A body that says it is compressed, and is not, cannot be read."""
    sandbox.faults.append(Fault(point="after", damage="wrong-encoding"))
    with pytest.raises(aiohttp.ClientPayloadError):
        async with session.get(sandbox.url + PATH, headers=HEADERS) as response:
            await response.read()
    with pytest.raises(TransportError):
        await client.active_numbers_page("loc1")


async def test_wrong_charset(session, sandbox, client):
    """A body in UTF-16 that says it is UTF-8 is no JSON to the client."""
    sandbox.faults.append(Fault(point="after", damage="wrong-charset"))
    async with session.get(sandbox.url + PATH, headers=HEADERS) as response:
        assert json.loads((await response.read()).decode("utf-16"))["status"] == "success"
        assert response.charset == "utf-8"
    with pytest.raises(ResponseFormatError):
        await client.active_numbers_page("loc1")


async def test_duplicate_headers(session, sandbox, client):
    """Headers come several times and disagree; the client reads the body all the same."""
    sandbox.faults.append(Fault(point="after", damage="duplicate-headers"))
    async with session.get(sandbox.url + PATH, headers=HEADERS) as response:
        assert response.headers.getall("X-RateLimit-Remaining") == ["0", "1", "99"]
        assert len(response.headers.getall("Content-Type")) == 2
    assert (await client.active_numbers_page("loc1")).numbers


async def test_duplicate_headers_of_an_answer_without_limits(session, sandbox):
    """They disagree also where the service tells no limits, so that none of them is believed."""
    sandbox.faults.append(Fault(operation="token", damage="duplicate-headers"))
    async with session.post(f"{sandbox.url}/oauth/token") as response:
        limits = {name for name in response.headers if name.startswith("X-RateLimit-")}
        assert len(limits) == 6
        assert all(len(set(response.headers.getall(name))) == 2 for name in limits)


@pytest.mark.exhaustive
async def test_a_lower_limit_than_the_headers_say(session, sandbox, client):
    """429 comes after a few requests to a location, though the headers promise many more."""
    sandbox.faults.append(Fault(operation="active", limit=2))
    statuses = []
    for location in ("loc1", "loc1", "loc2", "loc1"):
        url = f"{sandbox.url}/phone-system/numbers/location/{location}"
        async with session.get(url, headers=HEADERS) as response:
            statuses.append(response.status)
            promised = int(response.headers["X-RateLimit-Remaining"])
    assert statuses == [200, 200, 200, 429]
    assert promised == 97
    with pytest.raises(RateLimitedError):
        await client.active_numbers_page("loc1")
    assert await client.number_pools("loc1")


async def test_a_lower_limit_slides(session):
    """The lower limit is of a period, like the one in the headers."""
    now = 1_750_000_000.0
    fault = Fault(limit=1, status=503, retry_after=2)
    async with Sandbox(clock=lambda: now, period=10, faults=[fault]) as sandbox:
        statuses = []
        for wait in (0, 9.9, 0.1):
            now += wait
            async with session.get(sandbox.url + PATH, headers=HEADERS) as response:
                statuses.append(response.status)
        assert statuses == [200, 503, 200]


async def test_a_release_during_a_walk(client, sandbox):
    """A number that is released during a walk shifts the pages: the client sees the list end
    early by one, or nothing, but no number twice."""
    sandbox.faults.append(Fault(operation="active", nth=2, change="release"))
    before = [number.phone_number for number in sandbox.location("loc1").numbers]
    walk = client.active_numbers("loc1", page_size=50, skip_number_pool=False, prefetch=0)
    seen = [number.phone_number async for number in walk]
    assert len(set(seen)) == len(seen)
    assert seen == before[:50] + before[51:]  # the one that slid to the page before is missed
    assert len(sandbox.location("loc1").numbers) == 119


async def test_an_addition_during_a_walk():
    """A number that comes in front during a walk is missed, and the client says so at the end."""
    fault = Fault(operation="active", nth=2, change="add")
    async with (
        Sandbox(profile="newest-first", faults=[fault]) as sandbox,
        LCPhoneClient("any", base_url=sandbox.url) as client,
    ):
        before = [number.phone_number for number in sandbox.location("loc1").numbers]
        walk = client.active_numbers("loc1", page_size=50, skip_number_pool=False, prefetch=0)
        seen = []
        with pytest.raises(IncompleteListError, match="120 of 121"):
            async for number in walk:
                seen.append(number.phone_number)  # noqa: PERF401  # it keeps what came before
        assert seen == before
        assert sandbox.ledger == []
        added = sandbox.location("loc1").numbers[-1].phone_number
        assert sandbox.stock.find(added) is None


async def test_changes_that_cannot_be(call):
    """A list that is empty, or of no location, stays as it is."""
    fault = Fault(change="release")
    async with Sandbox(locations={"loc1": LocationSettings(numbers=0)}, faults=[fault]) as sandbox:
        assert (await call(sandbox).active("loc1")).status == 200
        assert (await call(sandbox).active("loc2")).status == 401
        assert (await call(sandbox, version="2021-07-28").pools()).status == 200
