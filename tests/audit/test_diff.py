"""Comparisons: each kind of change is found, no other is, and unseen data is no change."""

from shutil import copy

import pytest

from lcphone_async.audit import ChangeKind, StoreError, compare
from support.agency import Place, number, pool

A, B, C = "+12125550001", "+12125550002", "+12125550003"


def start():
    sender = {
        "number": "r",
        "numberType": "rcs",
        "friendlyName": "Sender",
        "rcsMeta": {"brand": "A"},
    }
    first = number(A, inboundCallService={"type": "ivr", "value": {"x": 1, "y": 2}})
    return {
        "a": Place(
            [first, number(B, forwardingNumber="+12125550009")], [pool("p", B)], senders=[sender]
        ),
        "b": Place([number(C, addressSid="AD1", bundleSid="BU1", new={"a": 1, "b": 1})]),
        "c": Place(status=None),
        "x": Place([number("+13105550007")]),
    }


@pytest.fixture
def changes(take, store, agency):
    """Changes of the second audit as plain rows, and the locations not compared."""

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
        [
            ("papers", "c", C, "address_sid", "AD1", None),
            ("papers", "c", C, "bundle_sid", "BU1", None),
            ("moved", "c", C, "location_id", "b", "c"),
            ("user", "c", C, "linked_user", "user-1", None),
        ],
    ),
    "in a second location": (
        lambda agency: agency.places["c"].numbers.append(number(C)),
        [("perhaps moved", "c", C, "location_id", "b", "c")],
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
        [
            ("routing", "b", C, "pool_ids", None, "q"),
            ("pool", "b", None, "pool q", None, "Pool q"),
        ],
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
            ("perhaps moved", "d", C, "location_id", "b", "d"),
            ("location added", "d", None, "numbers", None, "1"),
        ],
    ),
    "left for a location that the new run does not list": (
        lambda agency: (agency.places["b"].numbers.clear(), agency.places.pop("c")),
        [
            ("released or moved", "b", C, None, None, None),
            ("location gone", "c", None, "numbers", "0", None),
        ],
    ),
    "papers": (
        put("b", 0, addressSid=None, bundleSid="BU2"),
        [
            ("papers", "b", C, "address_sid", "AD1", None),
            ("papers", "b", C, "bundle_sid", "BU1", "BU2"),
        ],
    ),
    "default number": (
        put("b", 0, isDefaultNumber=True),
        [("default number", "b", C, "is_default_number", "false", "true")],
    ),
    "group conversation": (
        put("b", 0, isGroupConversationEnabled=True),
        [("capability", "b", C, "is_group_conversation_enabled", "false", "true")],
    ),
    "type and origin": (
        put("b", 0, type="mobile", origin="ported", countryCode="CA"),
        [
            ("type", "b", C, "country_code", "US", "CA"),
            ("type", "b", C, "origin", "twilio", "ported"),
            ("type", "b", C, "type", "local", "mobile"),
        ],
    ),
    "fields that no column knows": (
        put("b", 0, sid="PN2", dateAdded="2026-03-01T00:00:00.000Z", new={"a": 2, "b": 1}),
        [
            ("detail", "b", C, "date_added", "2026-02-23 22:00:52+00", "2026-03-01 00:00:00+00"),
            ("detail", "b", C, "extra", 'new: {"a":1,"b":1}', 'new: {"a":2,"b":1}'),
            ("detail", "b", C, "sid", f"PN{C}", "PN2"),
        ],
    ),
    "name and order": (
        lambda agency: (
            agency.places["a"].numbers.reverse(),
            agency.places["a"].numbers[0].update(friendlyName="new"),
        ),
        [("name", "a", B, "friendly_name", "Front desk", "new")],
    ),
    "a pool": (
        lambda agency: (
            agency.places["a"]
            .pools[0]
            .update(
                name="P", whisper=True, whisperMessage="Hello", callRecording=True, isActive=False
            )
        ),
        [
            ("pool", "a", None, "pool p call_recording", "false", "true"),
            ("pool", "a", None, "pool p is_active", "true", "false"),
            ("pool", "a", None, "pool p whisper", "false", "true"),
            ("pool", "a", None, "pool p whisper_message", None, "Hello"),
            ("name", "a", None, "pool p name", "Pool p", "P"),
        ],
    ),
    "a number's name in its pool": (
        lambda agency: agency.places["a"].pools[0]["numbers"][0].update(friendlyName="x"),
        [("name", "a", B, "pool p friendly_name", B, "x")],
    ),
    "a pool less": (
        lambda agency: agency.places["a"].pools.clear(),
        [
            ("routing", "a", B, "pool_ids", "p", None),
            ("pool", "a", None, "pool p", "Pool p", None),
        ],
    ),
    "an RCS sender": (
        lambda agency: (
            agency.places["a"]
            .senders[0]
            .update(numberType="x", friendlyName="New", rcsMeta={"brand": "B"})
        ),
        [
            ("RCS sender", "a", None, "RCS sender r number_type", "rcs", "x"),
            ("RCS sender", "a", None, "RCS sender r rcs_meta", 'brand: "A"', 'brand: "B"'),
            ("name", "a", None, "RCS sender r friendly_name", "Sender", "New"),
        ],
    ),
    "another RCS sender": (
        lambda agency: agency.places["a"].senders[0].update(number="q"),
        [
            ("RCS sender", "a", None, "RCS sender q", None, "Sender"),
            ("RCS sender", "a", None, "RCS sender r", "Sender", None),
        ],
    ),
    "a status that was not known": (
        lambda agency: setattr(agency.places["c"], "status", "suspended"),
        [("status", "c", None, "account_status", None, "suspended")],
    ),
    "disconnected": (
        lambda agency: agency.errors.update(b=404),
        [("phone system disconnected", "b", None, "numbers", "1", None)],
    ),
    "disconnected, and its number elsewhere": (
        lambda agency: (
            agency.errors.update(b=404),
            agency.places["c"].numbers.extend(agency.places["b"].numbers),
        ),
        [
            ("phone system disconnected", "b", None, "numbers", "1", None),
            ("perhaps moved", "c", C, "location_id", "b", "c"),
        ],
    ),
}
NO_CHANGES = {
    "nothing": lambda _: None,
    "key order": put("b", 0, new={"b": 1.0, "a": 1}),
    "key order of a service": put(
        "a", 0, inboundCallService={"value": {"y": 2, "x": 1}, "type": "ivr"}
    ),
    "an empty service": put("b", 0, inboundCallService={"type": None, "value": ""}),
    "no service": put("b", 0, inboundCallService={"type": "none"}),
    "not told": lambda agency: [
        agency.places["b"].numbers[0].pop(field)
        for field in ("isDefaultNumber", "isGroupConversationEnabled", "capabilities", "type")
    ],
    "no pool flags": lambda agency: [
        agency.places["a"].pools[0].pop(field) for field in ("whisper", "callRecording", "isActive")
    ],
    "spelling of the type": put("b", 0, type="Local", countryCode="us"),
    "a date's format": put("b", 0, dateAdded="Mon, 23 Feb 2026 22:00:52 +0000"),
    "a number's format": put("b", 0, phoneNumber="+1 (212) 555-0003"),
    "a forwarding's format": put("a", 1, forwardingNumber="(212) 555-0009"),
    "with an international prefix": put("a", 1, forwardingNumber="0012125550009"),
    "with another": put("a", 1, forwardingNumber="01112125550009"),
    "a status in capitals": lambda agency: setattr(agency.places["b"], "status", "Active"),
    "active, not told before": lambda agency: setattr(agency.places["c"], "status", "active"),
    "date_updated alone": put("b", 0, dateUpdated="2026-03-01T00:00:00.000Z"),
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("case", NO_CHANGES)
async def test_no_change(changes, case):
    """Finds nothing if nothing changed, however it is written."""
    assert await changes(NO_CHANGES[case]) == ([], [])


@pytest.mark.sample(1)
@pytest.mark.parametrize("case", CASES)
async def test_a_change_is_found(changes, case):
    """Finds the change, and no other."""
    change, expected = CASES[case]
    assert await changes(change) == (expected, [])


def test_every_kind_is_tried():
    """Fails if a kind of change has no case here; three have a test of their own below."""
    tried = {kind for _, expected in CASES.values() for kind, *_ in expected}
    others = {ChangeKind.NOT_SEEN, ChangeKind.ADDED_OR_MOVED, ChangeKind.CONNECTED}
    assert tried | others == set(ChangeKind)


@pytest.mark.exhaustive
async def test_a_move_drops_a2p(take, store, agency):
    """Flags a move, and no other change."""
    agency.places = start()
    await take(agency, list(agency.places))
    agency.places["c"].numbers.append(agency.places["b"].numbers.pop())
    agency.places["a"].numbers.append(number("+13105550009"))
    await take(agency, list(agency.places))
    with compare(store, store) as comparison:
        assert [(one.kind.value, one.drops_a2p) for one in comparison.changes()] == [
            ("moved", True),
            ("added", False),
        ]


@pytest.mark.sample(1)
@pytest.mark.parametrize("turn", [0, 1])
async def test_what_was_not_seen_is_neither_released_nor_added(take, store, agency, turn):
    """Has no changes of a location that failed in one of the runs, but lists it."""
    agency.places = start()
    for now in range(2):
        agency.errors = {"a": 503} if now == turn else {}
        await take(agency, list(agency.places))
    with compare(store, store) as comparison:
        assert list(comparison.changes()) == []
        (unseen,) = comparison.not_compared()
    assert unseen.location_id == "a"
    assert {unseen.before, unseen.after} == {"failed", "complete"}


@pytest.mark.sample(1)
@pytest.mark.parametrize("turn", [0, 1])
async def test_pools_that_were_not_seen_are_no_change(take, store, agency, turn):
    """Has no changes of the pools of a location if only its numbers could be read."""
    agency.places = start()
    for now in range(2):
        agency.pool_errors = {"a": 400} if now == turn else {}
        await take(agency, list(agency.places))
    with compare(store, store) as comparison:
        assert list(comparison.changes()) == []
        assert [one.location_id for one in comparison.not_compared()] == ["a"]


@pytest.mark.exhaustive
async def test_a_number_that_left_a_location_that_failed(take, store, agency):
    """Calls it perhaps moved, also if it is the other location that was not seen before."""
    agency.places = start()
    agency.errors = {"b": 503}
    await take(agency, list(agency.places))
    for failing in ("c", "b"):
        agency.errors = {failing: 503}
        await take(agency, list(agency.places))
        agency.places["c"].numbers += agency.places["b"].numbers
        agency.places["b"].numbers.clear()
    await take(agency, list(agency.places))
    agency.errors = {"b": 503}
    await take(agency, list(agency.places))
    for old, new in ((2, 3), (2, 4)):
        with compare(store, store, old_run=old, new_run=new) as comparison:
            (change,) = comparison.changes()
            assert (change.kind, change.before, change.after, change.drops_a2p) == (
                ChangeKind.PERHAPS_MOVED,
                "b",
                "c",
                True,
            )


@pytest.mark.sample(1)
@pytest.mark.parametrize("status", [503, 404])
async def test_a_number_that_may_be_in_a_location_that_was_not_seen(take, store, agency, status):
    """Does not call it released, nor added if it may have been there before."""
    agency.places = start()
    await take(agency, list(agency.places))
    agency.places["b"].numbers.clear()
    agency.errors = {"a": status}
    await take(agency, list(agency.places))
    agency.errors = {}
    agency.places["c"].numbers.append(number(A))
    await take(agency, list(agency.places))
    for old, kind, place in ((1, "released or moved", "b"), (2, "added or moved", "c")):
        with compare(store, store, old_run=old, new_run=old + 1) as comparison:
            found = [one for one in comparison.changes() if one.phone_number]
        assert [(str(one.kind), one.location_id, one.drops_a2p) for one in found] == [
            (kind, place, True)
        ]


@pytest.mark.exhaustive
async def test_a_phone_system_that_was_connected(take, store, agency):
    """Is one change of the location, none of each number."""
    agency.places, agency.errors = start(), {"b": 404}
    await take(agency, list(agency.places))
    agency.errors = {}
    await take(agency, list(agency.places))
    with compare(store, store) as comparison:
        found = [(one.kind, one.location_id, one.after) for one in comparison.changes()]
    assert found == [(ChangeKind.CONNECTED, "b", "1")]


@pytest.mark.exhaustive
async def test_a_number_that_no_search_confirmed(take, tmp_path, agency):
    """Calls it not seen, as in another file, if no run had it before."""
    old, new = tmp_path / "old", tmp_path / "new"
    agency.places = start()
    await take(agency, list(agency.places), old)
    agency.places["b"].numbers.clear()
    await take(agency, list(agency.places), new)
    with compare(old, new) as comparison:
        assert comparison.counts() == {ChangeKind.NOT_SEEN: 1}


@pytest.mark.exhaustive
async def test_a_number_that_left_one_of_two_locations(take, store, agency):
    """Calls it perhaps moved, not released: the other location has it."""
    agency.places = start()
    agency.places["c"].numbers += agency.places["b"].numbers
    await take(agency, list(agency.places))
    agency.places["b"].numbers.clear()
    await take(agency, list(agency.places))
    with compare(store, store) as comparison:
        found = [(one.kind, one.before, one.after) for one in comparison.changes()]
    assert found == [(ChangeKind.PERHAPS_MOVED, "b", "c")]


@pytest.mark.exhaustive
async def test_a_contract_that_tells_no_rcs_senders(take, store, agency):
    """Has no changes of RCS senders if one run used the 2021-07-28 contract."""
    agency.places = start()
    for is_flat, version in ((False, "v3"), (True, "2021-07-28"), (False, "v3")):
        agency.is_flat = is_flat
        await take(agency, list(agency.places), api_version=version)
    for runs in ({"old_run": 1, "new_run": 2}, {"old_run": 2, "new_run": 3}):
        with compare(store, store, **runs) as comparison:
            assert list(comparison.changes()) == []


async def test_a_new_location_that_was_not_seen(take, store, agency):
    """Is a change without a count of numbers, as is a lost location that was not seen."""
    agency.places = start()
    agency.errors = {"a": 403}
    await take(agency, ["a", "b"])
    agency.errors = {"c": 403}
    await take(agency, ["b", "c"])
    with compare(store, store) as comparison:
        found = [(one.kind, one.location_id, one.before, one.after) for one in comparison.changes()]
    assert found == [
        (ChangeKind.LOCATION_ADDED, "c", None, None),
        (ChangeKind.LOCATION_GONE, "a", None, None),
    ]


async def test_a_list_that_tells_no_rcs_senders(take, store, agency):
    """Has no changes of RCS senders if a v3 list omits them."""
    agency.places = start()
    await take(agency, list(agency.places))
    agency.places["a"].senders = None
    await take(agency, list(agency.places))
    with compare(store, store) as comparison:
        assert list(comparison.changes()) == []


@pytest.mark.exhaustive
async def test_a_run_between_confirmed_it(take, store, agency):
    """Counts a number as released if a run between the two found it gone."""
    agency.places = start()
    await take(agency, list(agency.places))
    agency.places["b"].numbers.clear()
    for _ in range(2):
        await take(agency, list(agency.places))
    with compare(store, store, old_run=1) as comparison:
        assert comparison.counts() == {ChangeKind.RELEASED: 1}
        assert comparison.compared == 4


@pytest.mark.exhaustive
async def test_a_number_that_came_back_and_is_missed_again(take, store, agency):
    """Does not count it as released for a search of before it came back."""
    agency.places = start()
    there = agency.places["b"].numbers
    for numbers, search_errors in (there, {}), ([], {}), (there, {}), ([], {"b": 403}):
        agency.places["b"].numbers, agency.search_errors = numbers, search_errors
        await take(agency, list(agency.places))
    with compare(store, store, old_run=1, new_run=2) as comparison:
        assert comparison.counts() == {ChangeKind.RELEASED: 1}
    with compare(store, store, old_run=3, new_run=4) as comparison:
        assert comparison.counts() == {ChangeKind.NOT_SEEN: 1}


@pytest.mark.exhaustive
async def test_kinds_that_are_wanted(take, store, agency):
    """Keeps only some kinds of change, or leaves some out; refuses kinds that do not exist."""
    agency.places = start()
    await take(agency, list(agency.places))
    agency.places["b"].numbers[0].update(friendlyName="x", addressSid="", linkedUser="u2")
    await take(agency, list(agency.places))
    for options, kinds in (
        ({}, ["papers", "user", "name"]),
        ({"only": ["name", ChangeKind.PAPERS]}, ["papers", "name"]),
        ({"ignore": ["user"]}, ["papers", "name"]),
        ({"only": ["user"], "ignore": ["user"]}, []),
    ):
        with compare(store, store, **options) as comparison:
            assert [one.kind for one in comparison.changes()] == kinds
    for wrong, error in ((["x"], ValueError), ("moved", TypeError)):
        with pytest.raises(error, match="only must be"), compare(store, store, only=wrong):
            pass


@pytest.mark.exhaustive
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
    with compare(new, new) as comparison:
        assert [one.phone_number for one in comparison.changes(ChangeKind.ADDED, 5)] == [
            "+13105550008"
        ]
    for runs, problem in (
        ((new, new, 2, 1), "run 1 began before run 2"),
        ((new, old, None, None), "began before"),
        ((new, new, 2, 2), "the same run"),
        ((old, copy(old, tmp_path / "copy"), None, None), "the same run"),
    ):
        files, (old_run, new_run) = runs[:2], runs[2:]
        with (
            pytest.raises(StoreError, match=problem),
            compare(*files, old_run=old_run, new_run=new_run),
        ):
            pass
    with pytest.raises(StoreError, match="no run before run 1"), compare(old, old):
        pass
    with pytest.raises(StoreError, match="no run 9"), compare(old, new, new_run=9):
        pass
