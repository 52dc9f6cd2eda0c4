"""Table of cases: positives and near misses of each rule."""

import pytest

from lcphone_async.audit import RULES, Rule, findings
from support.finding_cases import CASES, LOOP, OWN_RULES, TWO

_OWN = [Rule(name, "x", "x", query) for name, query in OWN_RULES.items()]
_ALL = [*RULES, *_OWN]
# Rules that look across locations, so that each of their cases needs an audit of its own.
_ACROSS = {LOOP, TWO}


@pytest.fixture
def found(take, store, agency):
    """Findings of a rule in several cases, by name."""

    async def look(cases):
        for i, case in enumerate(cases):
            agency.places |= {f"{i}-{place}": each for place, each in case.places.items()}
            agency.bodies |= {f"{i}-{place}": body for place, body in case.bodies.items()}
            agency.pool_errors |= {f"{i}-{place}": 400 for place in case.pool_errors}
        agency.errors = dict.fromkeys(agency.bodies, 500)
        await take(agency, list(agency.places))
        names = {case.name: set() for case in cases}
        for one in findings(store, rules=_ALL):
            if one.rule == cases[0].rule:
                i, place = one.location_id.split("-")
                names[cases[int(i)].name].add((place, one.phone_number))
        return names

    return look


def test_every_rule_has_its_cases():
    """Fails when a rule has no case in which it finds something, or none in which it does not."""
    for rule in _ALL:
        assert {bool(case.found) for case in CASES if case.rule == rule.name} == {True, False}


@pytest.mark.sample(2)
@pytest.mark.parametrize("rule", [rule.name for rule in _ALL if rule.name not in _ACROSS])
async def test_the_cases_of_a_rule(found, rule):
    """Finds the positives of each case, and no near miss."""
    cases = [case for case in CASES if case.rule == rule]
    assert await found(cases) == {case.name: case.found for case in cases}


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.rule in _ACROSS],
    ids=lambda case: f"{case.rule}: {case.name}",
)
async def test_a_case(found, case):
    """Finds the positives, and no near miss."""
    assert await found([case]) == {case.name: case.found}
