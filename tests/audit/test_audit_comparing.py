"""Each kind of change is found, and nothing else; and nothing is said of what was not seen."""

import pytest

from audit.agency import Place, number, pool
from lcphone_async.audit import ChangeKind, StoreError, compare

A, B, C = "+12125550001", "+12125550002", "+12125550003"


def start():
    return {
        "a": Place([number(A), number(B)], [pool("p", B)]),
        "b": Place([number(C)]),
        "c": Place(),
    }


@pytest.fixture
def changes(take, store, agency):
    """What the second audit differs in, as plain rows, and the locations not compared."""

    async def look(change):
        agency.places = start()
        await take(agency, list(agency.places))
        change(agency)
        await take(agency, list(agency.places))
        with compare(store, store) as comparison:
            found = list(comparison.changes())
            assert sum(comparison.counts().values()) == len(found)
            assert {one.kind for one in found} == set(comparison.counts())
            unseen = [one.location_id for one in comparison.not_compared()]
        rows = [
            (one.kind.value, one.location_id, one.phone_number, one.field, one.before, one.after)
            for one in found
        ]
        return rows, unseen

    return look


def put(place, index, **fields):
    def change(agency):
        agency.places[place].numbers[index].update(fields)

    return change


async def test_no_change(changes):
    """Finds nothing where nothing changed."""
    assert await changes(lambda _: None) == ([], [])


SERVICE = {"type": "voice_ai", "value": "x"}
CASES = {
    "added": (
        lambda agency: agency.places["c"].numbers.append(number("+13105550009")),
        [("added", "c", "+13105550009", None, None, None)],
    ),
    "released": (
        lambda agency: agency.places["b"].numbers.clear(),
        [("released", "b", C, None, None, None)],
    ),
    "moved": (
        lambda agency: agency.places["c"].numbers.append(agency.places["b"].numbers.pop()),
        [("moved", "c", C, "location_id", "b", "c")],
    ),
    "moved and changed": (
        lambda agency: (
            agency.places["c"].numbers.append(number(C, linkedUser=None)),
            agency.places["b"].numbers.clear(),
        ),
        [("moved", "c", C, "location_id", "b", "c")],
    ),
    "in a second location": (
        lambda agency: agency.places["c"].numbers.append(number(C)),
        [("added", "c", C, None, None, None)],
    ),
    "user": (put("b", 0, linkedUser="u2"), [("user", "b", C, "linked_user", "user-1", "u2")]),
    "no user": (put("b", 0, linkedUser=""), [("user", "b", C, "linked_user", "user-1", None)]),
    "capability": (
        put("b", 0, capabilities={"voice": True, "sms": False, "mms": False, "fax": False}),
        [
            ("capability", "b", C, "mms", "true", "false"),
            ("capability", "b", C, "sms", "true", "false"),
        ],
    ),
    "forwarding": (
        put("b", 0, forwardingNumber=A),
        [("routing", "b", C, "forwarding_number", None, A)],
    ),
    "call service": (
        put("b", 0, inboundCallService=SERVICE),
        [("routing", "b", C, "inbound_call_service", None, "voice_ai x")],
    ),
    "ring all": (
        put("b", 0, linkedRingAllUsers=["u2", "u1"]),
        [("routing", "b", C, "linked_ring_all_users", None, "u1 u2")],
    ),
    "into a pool": (
        lambda agency: agency.places["b"].pools.append(pool("q", C)),
        [("routing", "b", C, "pool_ids", None, "q")],
    ),
    "the pool's own": (
        lambda agency: agency.places["a"].pools[0].update(forwardingNumber=A),
        [("routing", "a", None, "pool p forwarding_number", None, A)],
    ),
    "status": (
        lambda agency: setattr(agency.places["b"], "status", "suspended"),
        [("status", "b", None, "account_status", "active", "suspended")],
    ),
    "location added": (
        lambda agency: agency.places.update(d=Place([number("+13105550009")])),
        [("location added", "d", None, "numbers", None, "1")],
    ),
    "location gone": (
        lambda agency: agency.places.pop("b"),
        [("location gone", "b", None, "numbers", "1", None)],
    ),
    "moved into a new location": (
        lambda agency: agency.places.update(d=Place([agency.places["b"].numbers.pop()])),
        [
            ("moved", "d", C, "location_id", "b", "d"),
            ("location added", "d", None, "numbers", None, "1"),
        ],
    ),
    "name, default and order": (
        lambda agency: (
            agency.places["a"].numbers.reverse(),
            agency.places["a"].numbers[0].update(friendlyName="new", isDefaultNumber=True),
        ),
        [],
    ),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("case", CASES)
async def test_a_change_is_found(changes, case):
    """Finds what was changed, and nothing else."""
    change, expected = CASES[case]
    assert await changes(change) == (expected, [])


def test_every_kind_is_tried():
    """Fails when a kind of change has no case here."""
    assert {kind for _, expected in CASES.values() for kind, *_ in expected} == set(ChangeKind)


async def test_a_move_drops_a2p(take, store, agency):
    """Flags a move, and no other change."""
    agency.places = start()
    await take(agency, list(agency.places))
    agency.places["c"].numbers.append(agency.places["b"].numbers.pop())
    agency.places["a"].numbers.append(number("+13105550009"))
    await take(agency, list(agency.places))
    with compare(store, store) as comparison:
        assert [(one.kind.value, one.drops_a2p) for one in comparison.changes()] == [
            ("added", False),
            ("moved", True),
        ]


@pytest.mark.parametrize("turn", [0, 1])
async def test_what_was_not_seen_is_neither_released_nor_added(take, store, agency, turn):
    """Says nothing of the numbers of a location that failed in one of the runs, but that it did."""
    agency.places = start()
    for now in range(2):
        agency.errors = {"a": 503} if now == turn else {}
        await take(agency, list(agency.places))
    with compare(store, store) as comparison:
        assert list(comparison.changes()) == []
        (unseen,) = comparison.not_compared()
    assert unseen.location_id == "a"
    assert {unseen.before, unseen.after} == {"failed", "complete"}


@pytest.mark.parametrize("turn", [0, 1])
async def test_pools_that_were_not_seen_are_no_change(take, store, agency, turn):
    """Says nothing of the pools of a location of which only the numbers could be read."""
    agency.places = start()
    for now in range(2):
        agency.pool_errors = {"a": 400} if now == turn else {}
        await take(agency, list(agency.places))
    with compare(store, store) as comparison:
        assert list(comparison.changes()) == []
        assert [one.location_id for one in comparison.not_compared()] == ["a"]


async def test_a_location_that_lost_its_phone_system(take, store, agency):
    """Counts its numbers as released, and its status as changed."""
    agency.places = start()
    await take(agency, list(agency.places))
    agency.errors = {"b": 404}
    await take(agency, list(agency.places))
    with compare(store, store) as comparison:
        found = [(one.kind.value, one.phone_number, one.after) for one in comparison.changes()]
    assert found == [("released", C, None), ("status", None, "not connected")]


async def test_two_stores_and_chosen_runs(take, tmp_path, agency):
    """Compares the newest runs of two files, or the runs that are named."""
    old, new = tmp_path / "old", tmp_path / "new"
    agency.places = start()
    await take(agency, ["a"], old)
    agency.places["a"].numbers.append(number("+13105550009"))
    await take(agency, ["a"], new)
    agency.places["a"].numbers.append(number("+13105550008"))
    await take(agency, ["a"], new)
    with compare(old, new) as comparison:
        assert comparison.counts() == {ChangeKind.ADDED: 2}
    with compare(old, new, new_run=1) as comparison:
        assert comparison.counts() == {ChangeKind.ADDED: 1}
    with compare(new, new, old_run=2, new_run=1) as comparison:
        assert comparison.counts() == {ChangeKind.RELEASED: 1}
        assert [one.phone_number for one in comparison.changes(ChangeKind.RELEASED, 5)] == [
            "+13105550008"
        ]
    with pytest.raises(StoreError, match="no run before run 1"), compare(old, old):
        pass
    with pytest.raises(StoreError, match="no run 9"), compare(old, new, new_run=9):
        pass
