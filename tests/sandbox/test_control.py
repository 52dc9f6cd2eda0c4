"""`/__sandbox__/`: state, ledger, faults and reset by HTTP and JSON; and the recorder."""

import asyncio
import json
from datetime import datetime

import aiohttp
import pytest

from lcphone_async.sandbox import Fault, OAuthSettings, Sandbox

NUMBER = "+18305551234"


@pytest.fixture
def control(session, sandbox):
    """Calls a control endpoint of the sandbox; gives the status and the body."""

    async def ask(method, name, body=None, of=sandbox):
        data = json.dumps(body).encode() if isinstance(body, dict | list) else body
        async with session.request(method, f"{of.url}/__sandbox__/{name}", data=data) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    return ask


async def test_state(control, call, sandbox):
    """The state says how the sandbox was set up, and what its locations hold."""
    await call(sandbox).purchase("loc1", phoneNumber=NUMBER)
    status, state = await control("GET", "state")
    assert status == 200
    assert (state["url"], state["strict"], state["profiles"]) == (sandbox.url, False, [])
    assert (state["max_requests"], state["period"], state["daily_quota"]) == (100, 10, 200_000)
    (location,) = state["locations"]
    assert location == {
        "id": "loc1", "numbers": 121, "pools": 2, "bought": [NUMBER],
        "account_status": "active", "under_lc": True, "connected": True,
    }  # fmt: skip


async def test_ledger(control, call, sandbox):
    """The ledger has what was bought, and the requests for tokens."""
    await call(sandbox).purchase("loc1", phoneNumber=NUMBER)
    sandbox.oauth.location_token("loc2")
    _, ledger = await control("GET", "ledger")
    (bought,), (token,) = ledger["purchases"], ledger["tokens"]
    assert (bought["location_id"], bought["phone_number"]) == ("loc1", NUMBER)
    assert datetime.fromisoformat(bought["time"]) == sandbox.ledger[0].time
    assert (token["grant_type"], token["location_id"], token["outcome"]) == (
        "location", "loc2", "issued",
    )  # fmt: skip


async def test_requests(control, call, sandbox):
    """The last requests are there, and those to the control endpoints are not among them."""
    await call(sandbox).active("loc1", page="2")
    await control("GET", "state")
    _, (record,) = await control("GET", "requests")
    assert (record["method"], record["status"]) == ("GET", 200)
    assert record["query"] == [["page", "2"]]
    assert record["seconds"] > 0


async def test_faults(control, call, sandbox):
    """Faults are added, one or several, are counted, and are cleared."""
    status, faults = await control("POST", "faults", {"operation": "active", "status": 503})
    assert (status, faults) == (
        201,
        [{"operation": "active", "status": 503, "point": "before", "probability": 1.0,
          "delay": 0.0, "struck": 0}],
    )  # fmt: skip
    await control("POST", "faults", [{"delay": 0.001}, {"damage": "reset", "nth": 99}])
    assert list(sandbox.faults) == [
        Fault(operation="active", status=503), Fault(delay=0.001), Fault(damage="reset", nth=99),
    ]  # fmt: skip
    assert (await call(sandbox).active("loc1")).status == 503
    _, faults = await control("GET", "faults")
    assert [fault["struck"] for fault in faults] == [1, 0, 0]
    assert await control("DELETE", "faults") == (200, [])
    assert (await call(sandbox).active("loc1")).status == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[1]", "expected an object"),
        ({"status": "503"}, "Expected `int | null`"),
        ({"status": 50}, "'status' must be"),
        ({"operation": "purchases", "status": 500}, "Invalid enum value"),
        ({"statuss": 500}, "unknown: 'statuss'"),
        ({"nth": 1}, "a fault needs"),
        ([{"status": 500}, {"status": True}], "got `bool`"),
    ],
)
async def test_bad_faults(control, sandbox, body, reason):
    """A fault that makes no sense is refused with the reason, and none of its list is added."""
    status, answer = await control("POST", "faults", body)
    assert status == 400
    assert reason in answer["message"]
    assert not sandbox.faults


async def test_install(control, session):
    """A program in another language gets its app's first tokens over HTTP."""
    async with Sandbox(oauth_app=OAuthSettings(expires_in=60)) as sandbox:
        status, grant = await control("POST", "install", {"location_id": "loc1"}, sandbox)
        assert (status, grant["location_id"], grant["expires_in"]) == (201, "loc1", 60)
        headers = {"Authorization": f"Bearer {grant['access_token']}", "Version": "v3"}
        url = f"{sandbox.url}/phone-system/numbers/location/loc1"
        async with session.get(url, headers=headers) as response:
            assert response.status == 200
        _, agency = await control("POST", "install", None, sandbox)
        assert agency["location_id"] is None
        for bad in (b"{", {"location_id": 1}, []):
            assert (await control("POST", "install", bad, sandbox))[0] == 400


async def test_reset(control, call):
    """A reset takes all back to the start: purchases, stock, tokens, limits and faults."""
    given = Fault(operation="pools", status=500)
    async with Sandbox(faults=[given], max_requests=2) as sandbox:
        caller = call(sandbox)
        before = await caller.page("loc1", pageSize=1000)
        sandbox.location("loc1").release(before["numbers"][0]["phoneNumber"])
        await caller.purchase("loc1", phoneNumber=NUMBER)
        token = sandbox.oauth.install("loc1").access_token
        sandbox.oauth.suspended.add("loc1")
        sandbox.faults.append(Fault(status=503))
        assert await control("POST", "reset", of=sandbox) == (204, None)
        assert await caller.page("loc1", pageSize=1000) == before
        assert (await caller.purchase("loc1", phoneNumber=NUMBER)).status == 201
        assert list(sandbox.faults) == [given]
        assert sandbox.oauth.access(token) is None
        assert not sandbox.oauth.suspended
        assert len(sandbox.ledger) == 1
        assert len(sandbox.requests) == 2


async def test_limits_and_faults_leave_control_alone(control, call):
    """A spent limit or a fault stands in nobody's way to the control endpoints."""
    async with Sandbox(max_requests=1, faults=[Fault(status=500)]) as sandbox:
        assert (await call(sandbox).active("loc1")).status == 500
        assert (await call(sandbox).active("loc1")).status == 429
        for _ in range(3):
            assert (await control("GET", "state", of=sandbox))[0] == 200


@pytest.mark.parametrize(("method", "name"), [("GET", "reset"), ("GET", "x"), ("PUT", "faults")])
async def test_endpoints_that_there_are_not(control, method, name):
    """Another path or method is 404, as everywhere."""
    assert (await control(method, name))[0] == 404


async def status_with(session, url, method="GET", **headers):
    async with session.request(method, url, headers=headers) as response:
        return response.status


@pytest.mark.parametrize("path", ["/", "/__sandbox__/state", "/__sandbox__/events"])
@pytest.mark.parametrize(
    "host",
    ["rebound.example", "localhost.rebound.example", "127.0.0.1.rebound.example", "192.0.2.1",
     "[2001:db8::1]", "sandbox", "", "localhost@rebound.example", "127.0.0.1:0:0"],
)  # fmt: skip
async def test_foreign_hosts(session, sandbox, path, host):
    """The page and the control endpoints are not there under another site's name."""
    assert await status_with(session, sandbox.url + path, Host=host) == 403


@pytest.mark.parametrize("port", ["", ":8080"])
@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "localhost.", "app.localhost", "127.0.0.1", "127.1.2.3", "[::1]"],
)
async def test_names_of_loopback(session, sandbox, host, port):
    """Every name of loopback is the sandbox's own, on any port: a container's may be published."""
    url = f"{sandbox.url}/__sandbox__/faults"
    assert await status_with(session, url, Host=host + port) == 200
    own = {"Host": host + port, "Origin": f"http://{host}{port}"}
    assert await status_with(session, url, "DELETE", **own) == 200


@pytest.mark.parametrize(
    "origin",
    ["http://elsewhere.example", "null", "", "http://127.0.0.1", "http://localhost:3000",
     "http://127.0.0.1.elsewhere.example:{port}", "http://localhost:{port}", "file://"],
)  # fmt: skip
async def test_foreign_origins(session, call, sandbox, origin):
    """What another site's page sends is refused and does nothing; other ports are other sites."""
    await call(sandbox).purchase("loc1", phoneNumber=NUMBER)
    origin = origin.format(port=sandbox.url.rpartition(":")[2])
    for method, name in (("POST", "reset"), ("POST", "install"), ("GET", "ledger")):
        url = f"{sandbox.url}/__sandbox__/{name}"
        assert await status_with(session, url, method, Origin=origin) == 403
    assert len(sandbox.ledger) == 1
    assert await status_with(session, url, Origin=sandbox.url) == 200


async def test_names_that_are_allowed(session):
    """A name that the sandbox is told of is its own, also where something stands before it."""
    async with Sandbox(allowed_hosts=["Sandbox", "lc.internal", "2001:db8::1"]) as sandbox:
        url = f"{sandbox.url}/__sandbox__/state"
        for host in ("sandbox", "SANDBOX:8080", "lc.internal", "[2001:db8::1]:80"):
            assert await status_with(session, url, Host=host) == 200
        assert await status_with(session, url, Origin="https://lc.internal") == 200
        assert await status_with(session, url, Host="lc.internal.example") == 403
        assert await status_with(session, url, Origin="https://lc.internal.example") == 403


async def test_all_interfaces(session):
    """A sandbox for all interfaces is called by any address, which no name can be rebound to."""
    async with Sandbox(host="0.0.0.0") as sandbox:  # noqa: S104
        url = f"{sandbox.url}/__sandbox__/state"
        for host, status in (("192.0.2.1", 200), ("[2001:db8::1]", 200), ("rebound.example", 403)):
            assert await status_with(session, url, Host=host) == status
        assert await status_with(session, url) == 200


@pytest.mark.parametrize("name", ["", "sandbox:8080", "http://sandbox", "sandbox/", "[::1]", "a@b"])
def test_names_that_make_no_sense(name):
    """What is allowed is a name, without a scheme and a port."""
    with pytest.raises(ValueError, match="'allowed_hosts' must be names"):
        Sandbox(allowed_hosts=[name])
    with pytest.raises(TypeError, match="'allowed_hosts'"):
        Sandbox(allowed_hosts="sandbox")


async def test_http_1_0(sandbox):
    """A program that speaks HTTP/1.0 names no host, and is answered."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /__sandbox__/state HTTP/1.0\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"200"
    writer.close()


async def test_the_service_answers_any_host(session, sandbox):
    """The service itself is called under any name: a proxy that stands before it may keep one."""
    headers = {"Authorization": "Bearer x", "Version": "v3", "Host": "services.example"}
    url = f"{sandbox.url}/phone-system/numbers/location/loc1"
    assert await status_with(session, url, **headers) == 200


async def events(response, count):
    """The next events of a stream, as data."""
    found = []
    async for line in response.content:
        if line.startswith(b"data: "):
            found.append(json.loads(line[6:]))
        if len(found) == count:
            return found
    return found


async def test_events(session, call, sandbox):
    """Whoever listens is told the state at once, and again when it has changed."""
    async with session.get(f"{sandbox.url}/__sandbox__/events") as response:
        assert response.content_type == "text/event-stream"
        (first,) = await events(response, 1)
        assert first["requests"] == []
        await call(sandbox).active("loc1")
        (second,) = await events(response, 1)
        assert [record["status"] for record in second["requests"]] == [200]


async def test_a_sandbox_closes_while_somebody_listens(session):
    """The stream ends with the sandbox, at once, and leaves no task."""
    before = asyncio.all_tasks()
    async with (
        asyncio.timeout(5),
        Sandbox() as sandbox,
        session.get(f"{sandbox.url}/__sandbox__/events") as response,
    ):
        await events(response, 1)
        await sandbox.close()
        assert await events(response, 1) == []
    assert asyncio.all_tasks() == before


async def test_a_listener_that_hangs_up(session, sandbox):
    """A listener that goes away leaves no task either."""
    before = asyncio.all_tasks()
    async with session.get(f"{sandbox.url}/__sandbox__/events") as response:
        await events(response, 1)
        response.close()
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.01)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "traffic.jsonl"


def recorded(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_the_recorder(call, file):
    """Every request and its answer is a line: method, path, query, headers, bodies, status."""
    async with Sandbox(record=file) as sandbox:
        await call(sandbox).active("loc1", pageSize="2")
        await call(sandbox).purchase("loc1", phoneNumber=NUMBER)
    listed, bought = recorded(file)
    assert listed["request"]["method"] == "GET"
    assert listed["request"]["path"] == "/phone-system/numbers/location/loc1"
    assert listed["request"]["query"] == [["pageSize", "2"]]
    assert ["Version", "v3"] in listed["request"]["headers"]
    assert listed["answer"]["status"] == 200
    assert len(listed["answer"]["body"]["data"]["numbers"]) == 2
    assert ["X-RateLimit-Remaining", "99"] in listed["answer"]["headers"]
    assert bought["request"]["body"] == {"phoneNumber": NUMBER}
    assert datetime.fromisoformat(bought["time"]).tzinfo
    assert bought["seconds"] > 0
    assert file.stat().st_mode & 0o777 == 0o600


async def test_the_recorder_keeps_no_secrets(session, call, file):
    """No token, code or client secret is in the file, wherever it stood."""
    async with Sandbox(record=file, oauth_app=OAuthSettings()) as sandbox:
        grant = sandbox.oauth.install("loc1")
        secrets = {grant.access_token, grant.refresh_token, "the-secret", sandbox.oauth.authorize()}
        caller = call(sandbox, token=grant.access_token)
        await caller.active("loc1", searchFilter=grant.access_token)
        await caller.purchase("loc1", phoneNumber="+1", note=f"my {grant.access_token}")
        for version, names in (
            ("v3", ("clientId", "clientSecret", "grantType", "refreshToken")),
            ("2021-07-28", ("client_id", "client_secret", "grant_type", "refresh_token")),
        ):
            new = sandbox.oauth.install("loc1")
            sent = dict(
                zip(names, ("a", "the-secret", "refresh_token", new.refresh_token), strict=True)
            )
            for body in ({"data": sent}, {"json": sent}):
                url, headers = f"{sandbox.url}/oauth/token", {"Version": version}
                async with session.post(url, headers=headers, **body) as response:
                    answer = await response.json()
                secrets |= {v for k, v in answer.items() if "oken" in k and k[-4:] != "Type"}
            secrets.add(new.refresh_token)
    secrets.discard("Bearer")
    text = file.read_text()
    assert len(recorded(file)) == 6
    assert {secret for secret in secrets if secret in text} == set()
    assert '"grant_type"' in text
    assert '"expires_in"' in text


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
async def test_the_recorder_keeps_no_secret_that_it_cannot_read(session, file, content_type):
    """A body that is not what it says is hidden where it was sent for a token."""
    async with Sandbox(record=file) as sandbox:
        for body in (b'{"refreshToken": "very-secret', b'"refresh_token=very-secret"'):
            headers = {"Version": "v3", "Content-Type": content_type}
            url = f"{sandbox.url}/oauth/token"
            async with session.post(url, data=body, headers=headers) as response:
                assert response.status == 400
    assert [line["request"]["body"] for line in recorded(file)] == ["…", "…"]
    assert "very-secret" not in file.read_text()


async def test_the_recorder_and_short_tokens(call, file):
    """A stand-in for a token, such as one letter, is no secret, and spoils no line."""
    async with Sandbox(record=file) as sandbox:
        await call(sandbox, token="e").active("loc1", searchFilter="e")
    (line,) = recorded(file)
    assert line["request"]["query"] == [["searchFilter", "e"]]
    assert ["Authorization", "…"] in line["request"]["headers"]


async def test_the_recorder_and_damage(session, file):
    """What did not go out whole is recorded without a body, and a body that is no JSON as text."""
    async with Sandbox(record=file, faults=[Fault(damage="hang-up", nth=1)]) as sandbox:
        url = f"{sandbox.url}/phone-system/numbers/location/loc1/purchase"
        headers = {"Authorization": "Bearer x", "Version": "v3"}
        for body in (b"{}", b"\xff{", b"[" * 5000):
            try:
                async with session.post(url, headers=headers, data=body) as response:
                    await response.read()
            except aiohttp.ServerDisconnectedError:
                continue
    first, second, third = recorded(file)
    assert (first["answer"]["status"], first["answer"]["body"]) == (0, None)
    assert second["request"]["body"] == "\ufffd{"
    assert second["answer"]["body"]["message"] == "The body is not valid JSON"
    assert third["request"]["body"] == "[" * 5000


async def test_a_file_that_cannot_be_written(tmp_path):
    """A recorder without a place to write says so at the start."""
    with pytest.raises(OSError, match="nowhere"):
        async with Sandbox(record=tmp_path / "nowhere" / "x.jsonl"):
            pytest.fail("started without its file")
