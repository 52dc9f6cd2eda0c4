"""The table of cases: what each rule finds, and what only looks like it."""

import pytest

from audit.finding_cases import CASES, OWN_RULES
from lcphone_async.audit import RULES, Rule, findings

_OWN = [Rule(name, "x", "x", query) for name, query in OWN_RULES.items()]


def test_every_rule_has_its_cases():
    """Fails when a rule has no case in which it finds something, or none in which it does not."""
    for rule in [*RULES, *_OWN]:
        assert {bool(case.found) for case in CASES if case.rule == rule.name} == {True, False}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}: {case.name}")
async def test_a_case(agency, take, store, case):
    """Finds what there is to find, and nothing that only looks like it."""
    agency.places, agency.bodies = case.places, case.bodies
    agency.errors, agency.pool_errors = dict.fromkeys(case.bodies, 500), case.pool_errors
    await take(agency, list(case.places))
    found = findings(store, rules=[*RULES, *_OWN])
    assert {(one.location_id, one.phone_number) for one in found if one.rule == case.rule} == (
        case.found
    )
