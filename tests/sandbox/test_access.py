"""Tokens, versions, scopes, locations, paths."""

import pytest

from lcphone_async.sandbox import LocationSettings, Sandbox, TokenSettings

PATH = "/phone-system/numbers/location/loc1"


async def get(session, sandbox, path=PATH, method="GET", **headers):
    async with session.request(method, sandbox.url + path, headers=headers) as response:
        return response.status, await response.json(), response.headers


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic abc", "abc"])
async def test_any_token_but_none(session, sandbox, authorization):
    """Gives 401 without a bearer token, also where any token will do."""
    headers = {"Version": "v3"} | ({"Authorization": authorization} if authorization else {})
    status, body, _ = await get(session, sandbox, **headers)
    assert (status, body["message"]) == (401, "Invalid token: access token is invalid")
    assert body["error"] == "Unauthorized"


async def test_known_tokens(call):
    """Where tokens are named, others are invalid."""
    async with Sandbox(tokens=["pit-a", "pit-b"]) as sandbox:
        assert (await call(sandbox, token="pit-a").active("loc1")).status == 200
        answer = await call(sandbox, token="pit-c").active("loc1")
        assert (answer.status, answer.body["message"]) == (
            401,
            "Invalid token: access token is invalid",
        )


def test_one_string_is_not_a_list_of_tokens():
    """Refuses a lone string where several names belong."""
    with pytest.raises(TypeError, match="must be several values"):
        Sandbox(tokens="pit-a")
    with pytest.raises(TypeError, match="must be several values"):
        TokenSettings(locations="loc1")


async def test_version_is_required(session, sandbox):
    """Gives 401 "version header was not found." without one."""
    status, body, _ = await get(session, sandbox, Authorization="Bearer x")
    assert (status, body["message"]) == (401, "version header was not found.")


async def test_version_is_one_of_two(call, sandbox):
    """Gives 401 "version header is invalid" for another."""
    for version in ("v2", "2021-04-15", "V3"):
        answer = await call(sandbox, version=version).active("loc1")
        assert (answer.status, answer.body["message"]) == (401, "version header is invalid")


async def test_the_version_of_an_sdk(call):
    """Takes for 2021-07-28 what the vendor's TypeScript SDK sends, but not strictly."""
    for strict, status in ((False, 200), (True, 401)):
        async with Sandbox(strict=strict) as sandbox:
            assert (await call(sandbox, version="2023-02-21").active("loc1")).status == status


@pytest.mark.parametrize("name", ["version", "Version", "VERSION"])
async def test_version_in_any_case(session, sandbox, name):
    """The header's name may be in any case."""
    status, _, _ = await get(session, sandbox, Authorization="bearer x", **{name: "v3"})
    assert status == 200


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("numberpools.read", {"pools"}),
        ("phonenumbers.read", {"available", "active"}),
        ("phonenumbers.write", {"purchase"}),
    ],
)
async def test_scopes(call, version, scope, allowed):
    """Each operation wants the scope that its document names."""
    async with Sandbox(tokens={"pit-a": TokenSettings(scopes=[scope])}) as sandbox:
        caller = call(sandbox, version=version, token="pit-a")
        answers = {
            "pools": await caller.pools(locationId="loc1"),
            "available": await caller.available("loc1", countryCode="US"),
            "purchase": await caller.purchase("loc1", phoneNumber="+18305551234"),
            "active": await caller.active("loc1"),
        }
        assert {name for name, answer in answers.items() if answer.status < 300} == allowed
        refused = [answer for name, answer in answers.items() if name not in allowed]
        assert {answer.status for answer in refused} == {401}
        assert {answer.body["message"] for answer in refused} == {"not authorized for this scope"}
        assert len(sandbox.ledger) == ("purchase" in allowed)


async def test_token_of_another_location(call, version):
    """Gives 403 for a location that is there but not the token's."""
    async with Sandbox(tokens={"pit-a": TokenSettings(locations=["loc1"])}) as sandbox:
        caller = call(sandbox, version=version, token="pit-a")
        assert (await caller.active("loc1")).status == 200
        answer = await caller.active("loc2")
        assert (answer.status, answer.body["message"]) == (
            403,
            "token does not have access to this location",
        )
        assert answer.body["error"] == "Forbidden"


async def test_a_tokens_own_pools(call):
    """2021-07-28 gives the pools of the token's locations when none is named."""
    async with Sandbox(tokens={"pit-a": TokenSettings(locations=["loc1"])}) as sandbox:
        sandbox.location("loc2")
        answer = await call(sandbox, version="2021-07-28", token="pit-a").pools()
        assert {pool["locationId"] for pool in answer.body["data"]} == {"loc1"}


async def test_unknown_location(call, version):
    """Where locations are named, another is "not accessible from this token"."""
    async with Sandbox(locations={"loc1": LocationSettings()}) as sandbox:
        caller = call(sandbox, version=version)
        for answer in (
            await caller.active("loc2"),
            await caller.pools(locationId="loc2"),
            await caller.available("loc2", countryCode="US"),
            await caller.purchase("loc2", phoneNumber="+18305551234"),
        ):
            assert answer.status == 401
            assert answer.body["message"] == "This location is not accessible from this token!"
        with pytest.raises(LookupError, match="loc2"):
            sandbox.location("loc2")


async def test_phone_system_not_connected(call, version):
    """Gives 404 where LC Phone is not connected, until it is."""
    settings = {"loc1": LocationSettings(connected=False)}
    async with Sandbox(locations=settings) as sandbox:
        caller = call(sandbox, version=version)
        answer = await caller.active("loc1")
        assert answer.status == 404
        assert answer.body["message"] == "Phone system is not connected to this account"
        sandbox.location("loc1").connected = True
        assert (await caller.active("loc1")).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("GET", "/phone-system/nothing"), ("POST", PATH), ("GET", f"{PATH}/purchase")],
)
async def test_unknown_paths(session, sandbox, method, path):
    """Gives 404, with a body, for a path or a method that there is not."""
    status, body, _ = await get(session, sandbox, path, method)
    assert (status, body["message"]) == (404, f"Cannot {method} {path}")


async def test_trace_ids_differ(session, sandbox):
    """Each refusal has a trace id of its own."""
    ids = {(await get(session, sandbox))[1]["traceId"] for _ in range(3)}
    assert len(ids) == 3
