"""Numbers that a run misses: searched for one by one before they count as gone."""

import pytest

from lcphone_async.audit import Coverage
from support.agency import Place, number

ONE, TWO, THREE = "+12125550001", "+12125550002", "+12125550003"


def searches(agency):
    return [wanted for _, wanted in agency.requests if str(wanted).startswith("+")]


@pytest.fixture
def gone(rows):
    """Numbers that the newest run, or another, recorded as gone."""

    def look(run_id=None):
        found = rows(
            "SELECT location_id, phone_number FROM gone_numbers ORDER BY ALL", run_id=run_id
        )
        return [tuple(row) for row in found]

    return look


async def test_a_released_number(take, agency, gone, rows):
    """Is gone once its own search does not show it; others are not searched for."""
    agency.places |= {"a": Place([number(ONE), number(TWO)]), "b": Place([number(THREE)])}
    await take(agency, ["a", "b"])
    assert searches(agency) == []
    del agency.places["a"].numbers[0]
    await take(agency, ["a", "b"])
    assert gone() == [("a", ONE)]
    assert searches(agency) == [ONE]
    ((found_at,),) = rows("SELECT confirmed_at IS NOT NULL FROM gone_numbers")
    assert found_at
    await take(agency, ["a", "b"])
    assert gone() == []
    assert searches(agency) == [ONE]


async def test_a_number_that_a_search_shows(take, agency, gone, rows):
    """Belongs to the run: the list left it out, and the search did not."""
    agency.places["a"] = Place([number(ONE), number(TWO)])
    await take(agency, ["a"])
    agency.unlisted = {TWO}
    summary = await take(agency, ["a"])
    assert gone() == []
    assert summary.numbers == 2
    assert rows("SELECT numbers FROM locations") == [(2,)]
    assert rows("SELECT phone_number FROM numbers ORDER BY ALL") == [(ONE,), (TWO,)]


async def test_a_service_that_does_not_filter(take, agency, gone):
    """Proves nothing: the number stays not seen."""
    agency.places["a"] = Place([number(ONE), number(TWO)])
    await take(agency, ["a"])
    agency.filters = False
    del agency.places["a"].numbers[0]
    summary = await take(agency, ["a"])
    assert gone() == []
    assert summary.is_complete


async def test_a_search_that_fails(take, agency, gone):
    """Leaves the number not seen; the run is complete, and a resumed one searches again."""
    agency.places |= {"a": Place([number(ONE), number(TWO)]), "b": Place([number(THREE)])}
    await take(agency, ["a", "b"])
    del agency.places["a"].numbers[0]
    agency.places["b"].numbers.clear()
    agency.search_errors["a"] = 403
    summary = await take(agency, ["a", "b"])
    assert summary.is_complete
    assert gone() == [("b", THREE)]
    del agency.search_errors["a"]
    await take(agency, None, resume=True)
    assert gone() == [("a", ONE), ("b", THREE)]


async def test_the_last_complete_run(take, agency, gone):
    """Is the run that counts: a later run that did not see the location is skipped."""
    agency.places["a"] = Place([number(ONE), number(TWO)])
    await take(agency, ["a"])
    agency.errors["a"] = 403
    await take(agency, ["a"])
    assert searches(agency) == []
    agency.errors.clear()
    del agency.places["a"].numbers[0]
    await take(agency, ["a"])
    assert gone() == [("a", ONE)]


@pytest.mark.parametrize("status", [403, 404])
async def test_a_location_that_was_not_seen(take, agency, gone, status):
    """Has none of its numbers searched for."""
    agency.places["a"] = Place([number(ONE)])
    await take(agency, ["a"])
    agency.errors["a"] = status
    await take(agency, ["a"])
    assert gone() == []
    assert searches(agency) == []


async def test_many_are_gone(take, agency, gone):
    """Searches for twenty of them, a request each; the others stay not seen."""
    numbers = [number(f"+1212{n:07}") for n in range(1_200)]
    agency.places["a"] = Place(numbers)
    await take(agency, ["a"])
    agency.places["a"].numbers = numbers[100:]
    summary = await take(agency, ["a"])
    assert summary.coverage == {Coverage.COMPLETE: 1}
    assert len(gone()) == len(searches(agency)) == 20
    await take(agency, None, resume=True)
    assert len(searches(agency)) == 20
