"""Faults: every effect at every point, over a real socket, with what the ledger says afterwards."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from lcphone_async.sandbox import Fault, Sandbox
from support.until import until

NUMBER = "+18305551234"
PATH = "/phone-system/numbers/location/loc1"
BODY = json.dumps({"phoneNumber": NUMBER}).encode()
HEAD = f"POST {PATH}/purchase HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nVersion: v3\r\n"
WHOLE = f"{HEAD}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
HEADERS = {"Authorization": "Bearer x", "Version": "v3"}

at_each_point = pytest.mark.parametrize("point", ["before", "after"])


async def buy(session, sandbox, number=NUMBER, location="loc1", **options):
    """The status, headers and bytes of a purchase's answer."""
    url = f"{sandbox.url}/phone-system/numbers/location/{location}/purchase"
    order = json.dumps({"phoneNumber": number}).encode()
    async with session.post(url, data=order, headers=HEADERS, **options) as response:
        return response.status, response.headers, await response.read()


async def statuses(session, sandbox, times):
    """The statuses of purchases of several numbers, one after the other."""
    numbers = [f"+1830555{n:04}" for n in range(2000) if sandbox.stock.find(f"+1830555{n:04}")]
    return [(await buy(session, sandbox, number))[0] for number in numbers[:times]]


@asynccontextmanager
async def connected(sandbox, sent=WHOLE):
    """A plain connection over which something was sent."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    await writer.drain()
    try:
        yield reader
    finally:
        writer.close()


def nobody_is_there(sandbox):
    """Every client has hung up, as far as the server knows."""
    return all(connection.transport is None for connection in sandbox._runner.server.connections)


def assert_bought(sandbox, *, bought):
    """The ledger, the location and the stock agree on whether the number was bought."""
    entries = [(entry.location_id, entry.phone_number) for entry in sandbox.ledger]
    assert entries == ([("loc1", NUMBER)] if bought else [])
    location = sandbox.location("loc1")
    assert location.bought == ([NUMBER] if bought else [])
    assert (NUMBER in [number.phone_number for number in location.numbers]) == bought
    assert (sandbox.stock.find(NUMBER) is None) == bought


@pytest.fixture
def gate(monkeypatch):
    """Holds what the sandbox delays until `gate.open` is set, and keeps how long it asked for."""

    class Gate:
        asked: list[float]

        async def __call__(self, seconds):
            self.asked.append(seconds)
            await self.open.wait()

    gate = Gate()
    gate.asked, gate.open = [], asyncio.Event()
    monkeypatch.setattr("lcphone_async.sandbox.faulty.injection.sleep", gate)
    return gate


@at_each_point
@pytest.mark.parametrize("status", [400, 401, 404, 408, 422, 429, 500, 502, 503, 504, 520])
async def test_each_status(session, sandbox, point, status):
    """A status takes the place of the answer, in the service's words, with its limits."""
    sandbox.faults.append(Fault(operation="purchase", point=point, status=status))
    answered, headers, body = await buy(session, sandbox)
    assert answered == json.loads(body)["statusCode"] == status
    assert headers["X-RateLimit-Remaining"] == "99"
    assert "Retry-After" not in headers
    assert sandbox.requests[0].status == status
    assert_bought(sandbox, bought=point == "after")


@at_each_point
async def test_a_status_with_headers_and_json(session, sandbox, point):
    """A status may have a Retry-After and a body of its own."""
    body = {"message": ["one", "two"]}
    sandbox.faults.append(Fault(point=point, status=429, retry_after=7, body=body))
    status, headers, answered = await buy(session, sandbox)
    assert (status, headers["Retry-After"], json.loads(answered)) == (429, "7", body)
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert_bought(sandbox, bought=point == "after")


async def test_a_status_with_html(session, sandbox):
    """A body that is a string goes out as HTML."""
    sandbox.faults.append(Fault(status=503, body="<h1>Down</h1>", retry_after="soon"))
    status, headers, body = await buy(session, sandbox)
    assert (status, headers["Retry-After"], body) == (503, "soon", b"<h1>Down</h1>")
    assert headers["Content-Type"].startswith("text/html")


async def test_a_lie(session, sandbox):
    """The service may say that it sold what it did not sell."""
    sandbox.faults.append(Fault(status=201, body={"status": "success"}))
    assert (await buy(session, sandbox))[0] == 201
    assert_bought(sandbox, bought=False)


async def test_an_empty_status(session, sandbox):
    """A 204 has no body."""
    sandbox.faults.append(Fault(status=204))
    status, _, body = await buy(session, sandbox)
    assert (status, body) == (204, b"")


@at_each_point
async def test_reset(session, sandbox, point):
    """The connection is reset, and nothing was answered."""
    sandbox.faults.append(Fault(point=point, damage="reset"))
    async with connected(sandbox) as reader:
        with pytest.raises(ConnectionResetError):
            await reader.read()
    with pytest.raises(aiohttp.ClientOSError):
        await buy(session, sandbox)
    assert sandbox.requests[0].status == 0
    assert_bought(sandbox, bought=point == "after")


@at_each_point
async def test_hang_up(session, sandbox, point):
    """The connection is closed in order, and nothing was answered."""
    sandbox.faults.append(Fault(point=point, damage="hang-up"))
    async with connected(sandbox) as reader:
        assert await reader.read() == b""
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await buy(session, sandbox)
    assert_bought(sandbox, bought=point == "after")


@at_each_point
async def test_stall_until_the_client_hangs_up(session, sandbox, point):
    """Nothing is answered and nothing closed; when the client hangs up, nothing is left."""
    sandbox.faults.append(Fault(point=point, damage="stall", times=1))
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        await buy(session, sandbox, timeout=aiohttp.ClientTimeout(total=0.1))
    await until(lambda: asyncio.all_tasks() <= before)
    assert_bought(sandbox, bought=point == "after")
    assert (await buy(session, sandbox))[0] == (400 if point == "after" else 201)


async def test_stall_until_the_sandbox_closes():
    """A stall ends with the sandbox."""
    async with Sandbox(faults=[Fault(damage="stall")]) as sandbox, connected(sandbox) as reader:
        await until(lambda: sandbox.requests)
        await sandbox.close()
        assert await reader.read() == b""


@at_each_point
async def test_cut_off(session, sandbox, point):
    """The body ends in its middle, though the headers promise all of it."""
    sandbox.faults.append(Fault(point=point, damage="cut-off"))
    async with connected(sandbox) as reader:
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201" if point == "after" else b"HTTP/1.1 500")
    promised = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert 0 < len(body) < promised
    assert b"X-RateLimit-Remaining: 99" in head
    with pytest.raises(aiohttp.ClientPayloadError):
        await buy(session, sandbox)
    assert_bought(sandbox, bought=point == "after")


@at_each_point
async def test_corrupted(session, sandbox, point):
    """The body has its length and its type, but is no JSON."""
    sandbox.faults.append(Fault(point=point, damage="corrupted"))
    status, headers, body = await buy(session, sandbox)
    assert status == (201 if point == "after" else 500)
    assert headers["Content-Type"].startswith("application/json")
    with pytest.raises(ValueError, match="utf-8"):
        json.loads(body)
    assert_bought(sandbox, bought=point == "after")


@at_each_point
@pytest.mark.parametrize("status", [None, 502])
async def test_html(session, sandbox, point, status):
    """A proxy's page comes, with the status of the fault or that of the service."""
    retry_after = status and 3
    fault = Fault(point=point, status=status, retry_after=retry_after, damage="html")
    sandbox.faults.append(fault)
    answered, headers, body = await buy(session, sandbox)
    assert answered == status or (201 if point == "after" else 500)
    assert headers["Content-Type"].startswith("text/html")
    assert headers.get("Retry-After") == (status and "3")
    assert body.startswith(b"<html>")
    assert_bought(sandbox, bought=point == "after")


@at_each_point
async def test_a_damaged_status(sandbox, point):
    """A status and a damage go together."""
    sandbox.faults.append(Fault(point=point, status=201, damage="cut-off"))
    async with connected(sandbox) as reader:
        assert (await reader.read()).startswith(b"HTTP/1.1 201 Created")
    assert_bought(sandbox, bought=point == "after")


@at_each_point
async def test_latency(session, sandbox, gate, point):
    """A delay is before the service acts, or between that and its answer."""
    sandbox.faults.append(Fault(point=point, delay=1.5))
    bought = asyncio.create_task(buy(session, sandbox))
    await until(lambda: gate.asked)
    assert_bought(sandbox, bought=point == "after")
    gate.open.set()
    assert (await bought)[0] == 201
    assert gate.asked == [1.5]
    assert_bought(sandbox, bought=True)


async def test_latency_takes_time(session, sandbox):
    """Without a gate the delay passes by itself."""
    sandbox.faults.append(Fault(delay=0.01))
    assert (await buy(session, sandbox))[0] == 201


@at_each_point
@pytest.mark.parametrize("damage", [None, "reset", "hang-up", "stall", "cut-off", "html"])
async def test_late(sandbox, gate, caplog, point, damage):
    """A delayed purchase takes effect also if the client has hung up meanwhile."""
    before = asyncio.all_tasks()
    sandbox.faults.append(Fault(point=point, delay=9))
    sandbox.faults.append(Fault(point="after", damage=damage, delay=float(damage is None)))
    async with connected(sandbox):
        await until(lambda: gate.asked)
    await until(lambda: nobody_is_there(sandbox))
    assert_bought(sandbox, bought=point == "after")
    gate.open.set()
    await until(lambda: asyncio.all_tasks() <= before)
    assert_bought(sandbox, bought=True)
    assert caplog.messages == []


async def test_the_ledger_of_a_late_purchase(gate):
    """The ledger says when the service acted, not when it was asked to."""
    now = 1_750_000_000.0
    async with Sandbox(clock=lambda: now, faults=[Fault(delay=60)]) as sandbox:
        async with connected(sandbox):
            await until(lambda: gate.asked)
            now += 60
            gate.open.set()
            await until(lambda: sandbox.ledger)
        assert sandbox.ledger[0].time.timestamp() == now


@pytest.mark.parametrize("patient", [True, False])
async def test_late_and_closed(gate, caplog, patient):
    """What still waits when the sandbox closes never happens, and leaves no task."""
    before = asyncio.all_tasks()
    async with Sandbox(faults=[Fault(delay=9)]) as sandbox:
        async with connected(sandbox):
            await until(lambda: gate.asked)
            if patient:
                await sandbox.close()
        await until(lambda: patient or nobody_is_there(sandbox))
    assert asyncio.all_tasks() == before
    assert_bought(sandbox, bought=False)
    assert caplog.messages == []


@pytest.mark.parametrize("length", [f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("faults", [[], [Fault(delay=0.001, point="after")]])
async def test_an_aborted_body(caplog, length, faults):
    """A purchase whose body has not come whole does not take effect, and meets no fault."""
    chunked = "chunked" in length
    part = b"%x\r\n%s\r\n" % (len(BODY), BODY) if chunked else BODY[:-1]
    async with Sandbox(faults=faults) as sandbox:
        async with connected(sandbox, f"{HEAD}{length}\r\n\r\n".encode() + part):
            await until(lambda: sandbox._dispatcher.budgets)
        await until(lambda: sandbox.requests)
        assert_bought(sandbox, bought=False)
        assert sandbox.faults.struck == []
        assert caplog.messages == []


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(damage="reset")])
async def test_limits_count_faults(session, fault):
    """A request that meets a fault is a request, and one beyond the limits meets none."""
    async with Sandbox(max_requests=2, faults=[fault]) as sandbox:
        for _ in range(2):
            async with connected(sandbox) as reader:
                await asyncio.wait([asyncio.create_task(reader.read(1))])
        assert (await buy(session, sandbox))[0] == 429
        assert sandbox.faults.struck == [fault, fault]


async def test_which_operation_and_location(call, sandbox):
    """A fault strikes the operation and the location that it names."""
    sandbox.faults.append(Fault(operation="active", location="loc1", status=500))
    sandbox.faults.append(Fault(operation="pools", location="loc2", status=502))
    caller = call(sandbox)
    assert (await caller.active("loc1")).status == 500
    assert (await caller.active("loc2")).status == 200
    assert (await caller.available("loc1", countryCode="US")).status == 200
    assert (await caller.pools(locationId="loc1")).status == 200
    assert (await caller.pools(locationId="loc2")).status == 502
    assert (await caller.purchase("loc1", phoneNumber=NUMBER)).status == 201


async def test_nth(session, sandbox):
    """Only the nth of the requests that it is about, since it was added."""
    await statuses(session, sandbox, 1)
    sandbox.reset()
    sandbox.faults.extend([Fault(nth=2, status=502), Fault(nth=4, status=504)])
    assert await statuses(session, sandbox, 5) == [201, 502, 201, 504, 201]


async def test_times(session, sandbox):
    """So many times, one fault after the other: one that another forestalled is not spent."""
    sandbox.faults.extend([Fault(times=2, status=500), Fault(times=1, status=503)])
    assert await statuses(session, sandbox, 4) == [500, 500, 503, 201]


async def test_probability_follows_from_the_seed(session):
    """The same seed strikes the same requests; another strikes others."""
    runs = []
    for seed in (1, 1, 2):
        async with Sandbox(seed=seed, faults=[Fault(probability=0.5, status=500)]) as sandbox:
            runs.append(await statuses(session, sandbox, 30))
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {201, 500}


async def test_never_and_two_alike(session, sandbox):
    """A probability of 0 is never; two faults alike throw dice of their own."""
    sandbox.faults.append(Fault(probability=0, status=500))
    sandbox.faults.extend([Fault(probability=0.5, delay=0.001)] * 2)
    await statuses(session, sandbox, 40)
    twice = len(sandbox.faults.struck)
    assert 20 < twice < 60
    assert all(fault.delay for fault in sandbox.faults.struck)


async def test_faults_add_up(session, sandbox, gate):
    """A request meets all that are due, those before first, up to one that answers."""
    gate.open.set()
    slow, slow_too = Fault(point="after", delay=2), Fault(delay=1)
    sandbox.faults.extend(
        [slow, slow_too, Fault(point="after", status=500), Fault(point="after", delay=3)]
    )
    assert (await buy(session, sandbox))[0] == 500
    assert gate.asked == [1, 2]
    assert_bought(sandbox, bought=True)


@pytest.mark.parametrize("replays", [1, 3])
async def test_a_replay(session, sandbox, gate, replays):
    """The service acts, the request comes again later, and the last refusal is the answer."""
    gate.open.set()
    sandbox.faults.append(Fault(operation="purchase", point="after", replay=replays, delay=1))
    status, headers, body = await buy(session, sandbox)
    assert (status, json.loads(body)["message"]) == (400, "Phone number is no longer available")
    assert gate.asked == [1]
    assert headers["X-RateLimit-Remaining"] == "99"
    assert len(sandbox.requests) == 1
    assert_bought(sandbox, bought=True)


async def test_a_replay_of_a_read(session, sandbox):
    """A read that comes again is answered as the first one."""
    sandbox.faults.append(Fault(point="after", replay=1))
    async with session.get(f"{sandbox.url}{PATH}", headers=HEADERS) as response:
        assert response.status == 200


async def test_a_replay_whose_answer_is_lost(session, sandbox):
    """The same fault, or another, has the last word on the answer."""
    sandbox.faults.append(Fault(point="after", replay=1, damage="hang-up", times=1))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await buy(session, sandbox)
    assert_bought(sandbox, bought=True)
    sandbox.faults.append(Fault(point="after", replay=1))
    sandbox.faults.append(Fault(point="after", status=504))
    assert (await buy(session, sandbox))[0] == 504


async def test_a_refusal_can_be_lost_too(session, sandbox):
    """A fault after the service acted strikes also what it refused."""
    sandbox.stock.take(NUMBER)
    sandbox.faults.append(Fault(point="after", damage="html"))
    status, headers, _ = await buy(session, sandbox)
    assert (status, headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert sandbox.ledger == []


async def test_faults_come_and_go(session, sandbox):
    """A test changes the faults at any time."""
    fault = Fault(damage="hang-up")
    sandbox.faults.append(Fault(status=503))
    sandbox.faults.append(fault)
    sandbox.faults.remove(Fault(status=503))
    assert (list(sandbox.faults), len(sandbox.faults)) == ([fault], 1)
    with pytest.raises(ValueError, match="not in list"):
        sandbox.faults.remove(Fault(status=503))
    sandbox.faults.clear()
    assert not sandbox.faults
    assert (await buy(session, sandbox))[0] == 201


def test_a_constructors_faults_are_its_own():
    """A sandbox changes nothing in the list that it was given."""
    given = [Fault(status=503)]
    Sandbox(faults=given).faults.clear()
    assert given == list(Sandbox(faults=given).faults)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"point": "after"},
        {"retry_after": 1, "delay": 1},
        {"body": "x", "damage": "html"},
        {"status": 199},
        {"status": 600},
        {"delay": -1},
        {"status": 500, "operation": "purchases"},
        {"status": 500, "nth": 0},
        {"status": 500, "times": 0},
        {"status": 500, "probability": 1.1},
        {"status": 500, "point": "amid"},
        {"damage": "explode"},
        {"replay": 1},
        {"replay": 0, "point": "after"},
        {"replay": 1, "point": "after", "times": 0},
    ],
)
def test_faults_that_make_no_sense(options):
    """A fault that could not strike, or not do anything, is refused where it is made."""
    with pytest.raises(ValueError, match=r"."):
        Fault(**options)
