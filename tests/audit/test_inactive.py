"""Locations that are not active, or have no phone system: noted, final, and no failure."""

import pytest

from lcphone_async import AgencyTokens, LCPhoneClient, OAuthTokens
from lcphone_async.audit import Coverage, audit, compare
from lcphone_async.sandbox import Fault, OAuthSettings, Sandbox
from support.agency import Place, number

COMPANY = "company-1"
NO_PHONE_SYSTEM = ["Phone system is not connected to this account", "No Twilio account found"]


def client_of(sandbox):
    """A client with the tokens of an agency."""
    grant = sandbox.oauth.install()
    app = OAuthTokens(client_id="app", client_secret="s", refresh_token=grant.refresh_token)
    return LCPhoneClient(AgencyTokens(company_id=COMPANY, source=app), base_url=sandbox.url)


def agency_of(*locations):
    settings = OAuthSettings(company_id=COMPANY, locations=locations)
    return Sandbox(oauth_app=settings, numbers_per_location=5)


async def test_an_inactive_location(store, rows):
    """Notes it as inactive, calls the audit complete, and does not visit it again."""
    async with agency_of("a", "b", "c") as sandbox, client_of(sandbox) as client:
        sandbox.oauth.suspended.add("b")
        summary = await audit(client, ["a", "b", "c"], store)
        assert summary.coverage == {Coverage.COMPLETE: 2, Coverage.INACTIVE: 1}
        assert summary.is_complete
        assert summary.error is None
        assert [one.location_id for one in summary.incomplete] == ["b"]
        assert "Location is not active" in summary.incomplete[0].reason
        asked = len(sandbox.requests)
        sandbox.oauth.suspended.clear()
        resumed = await audit(client, None, store, resume=True)
        assert len(sandbox.requests) == asked
    assert resumed.coverage == summary.coverage
    assert rows("SELECT count(*) FROM numbers") == [(10,)]
    assert not Coverage.INACTIVE.is_whole


async def test_all_are_inactive(store):
    """Does not take many inactive locations in a row for a token that is refused."""
    places = [f"loc{n}" for n in range(10)]
    async with agency_of(*places) as sandbox, client_of(sandbox) as client:
        sandbox.oauth.suspended.update(places)
        summary = await audit(client, places, store)
    assert summary.error is None
    assert summary.coverage == {Coverage.INACTIVE: 10}


@pytest.mark.parametrize("operation", ["active", "pools"])
async def test_an_operation_says_it(take, operation):
    """Takes the same 400 of the phone operations for the same."""
    said = {"message": "Location is not active"}
    refusal = Fault(operation=operation, location="b", status=400, body=said)
    async with Sandbox(numbers_per_location=0, faults=[refusal]) as sandbox:
        summary = await take(sandbox, ["a", "b"])
    assert summary.coverage == {Coverage.COMPLETE: 1, Coverage.INACTIVE: 1}


async def test_other_refusals_are_failures(take):
    """Takes no other status and no other text for an inactive location."""
    faults = [
        Fault(location="a", status=403, body={"message": "Location is not active"}),
        Fault(location="b", status=400, body={"message": "Number is not active"}),
    ]
    async with Sandbox(numbers_per_location=5, faults=faults) as sandbox:
        summary = await take(sandbox, ["a", "b"])
    assert summary.coverage == {Coverage.FAILED: 2}


async def test_what_was_seen_before_is_kept(take, rows):
    """Keeps the numbers of a partial location that has become inactive."""
    gone = Fault(operation="active", nth=3, status=404)
    async with Sandbox(numbers_per_location=4_500, faults=[gone]) as sandbox:
        await take(sandbox, ["a"])
        before = rows("SELECT count(*) FROM numbers")
        sandbox.faults.append(Fault(status=400, body={"message": "Location is not active"}))
        summary = await take(sandbox, None, resume=True)
    assert summary.coverage == {Coverage.PARTIAL: 1}
    assert rows("SELECT count(*) FROM numbers") == before != [(0,)]


async def test_an_inactive_location_has_released_nothing(take, tmp_path):
    """Has a change of status, and no released numbers, when runs are compared."""
    async with Sandbox(numbers_per_location=5) as sandbox:
        await take(sandbox, ["a"], path=tmp_path / "old")
        sandbox.faults.append(Fault(status=400, body={"message": "Location is not active"}))
        await take(sandbox, ["a"], path=tmp_path / "new")
    with compare(tmp_path / "old", tmp_path / "new") as comparison:
        changes = [(one.kind, one.before, one.after) for one in comparison.changes()]
    assert changes == [("status", "active", "inactive")]


@pytest.mark.parametrize("text", NO_PHONE_SYSTEM)
async def test_no_phone_system(take, text):
    """Calls an audit of locations without a phone system complete."""
    missing = Fault(status=404, body={"message": text})
    async with Sandbox(faults=[missing]) as sandbox:
        summary = await take(sandbox, ["a", "b", "c", "d"])
    assert summary.coverage == {Coverage.NOT_CONNECTED: 4}
    assert summary.is_complete
    assert summary.incomplete == ()


async def test_a_phone_system_that_has_numbers(take, rows, agency):
    """Is partial if its list is read and its pools are a 404."""
    agency.places |= {"a": Place([number("+12125550001")]), "b": Place()}
    agency.pool_errors |= {"a": 404, "b": 404}
    summary = await take(agency, ["a", "b"])
    assert summary.coverage == {Coverage.PARTIAL: 2}
    assert rows("SELECT numbers, pools FROM locations ORDER BY ALL") == [(0, None), (1, None)]
