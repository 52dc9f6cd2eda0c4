"""Random histories of an agency: a diff states no change that did not happen, and misses none.

`LCPHONE_HISTORIES=1000` tries as many of them; a run of the tests tries a few.
"""

import asyncio
import os
import tempfile
from collections import defaultdict
from itertools import count
from pathlib import Path

import pytest
from attrs import define, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lcphone_async import LCPhoneClient, RateLimiter, RetryPolicy
from lcphone_async.audit import audit, compare
from lcphone_async.audit.reader import open_run
from support.agency import Agency, Place, number, pool

EXAMPLES = int(os.environ.get("LCPHONE_HISTORIES", "10"))
FIELDS = {
    "friendly_name": "friendlyName",
    "linked_user": "linkedUser",
    "address_sid": "addressSid",
    "is_default_number": "isDefaultNumber",
}
FAILURES = {"fail": 403, "disconnect": 404}
LEFT = {"released", "released or moved", "moved", "perhaps moved"}
CAME = {"added", "added or moved", "moved", "perhaps moved"}

# More than a page, so that a number that goes during a walk shifts the others.
MANY = [number(f"+1212{n:07}") for n in range(1_002)]

operations = st.tuples(
    st.sampled_from(["add", "release", "move", "suspend", *FIELDS, *FAILURES]),
    st.sampled_from("abc"),
    st.integers(0, 5),
    st.sampled_from("abc"),
)
# An operation during a run comes before the page with that index.
during = st.lists(st.tuples(st.integers(0, 8), operations), max_size=3)
failures = st.dictionaries(
    st.sampled_from("abc"), st.sampled_from([*FAILURES.values()]), max_size=1
)
runs = st.tuples(st.booleans(), failures, during)


@define
class History:
    """An agency to which things happen, and all that was true during each run."""

    agency: Agency
    seen: list = field(factory=list)
    """For each run the states that the agency was in."""
    flat: set = field(factory=set)
    """Whether its runs were under the contract that leaves out flags."""
    touched: list = field(factory=list)
    """For each run, the locations with an operation during the run."""
    failed: list = field(factory=list)
    """For each run the locations that failed in it, each with its status."""
    is_running: bool = False
    _fresh: count = field(factory=lambda: count(1))

    def happen(self, operation):
        what, place_id, index, other = operation
        place = self.agency.places[place_id]
        at = index % max(1, min(len(place.numbers), 6))
        if what in FAILURES:
            self.agency.errors[place_id] = FAILURES[what]
        elif what == "add":
            place.numbers.insert(at, number(f"+1415{next(self._fresh):07}"))
        elif what == "suspend":
            place.status = "suspended" if place.status == "active" else "active"
        elif place.numbers and what == "release":
            del place.numbers[at]
        elif place.numbers and what == "move":
            self.agency.places[other].numbers.append(place.numbers.pop(at))
        elif place.numbers:
            old = place.numbers[at]
            key = FIELDS[what]
            changed = not old[key] if what == "is_default_number" else f"x{next(self._fresh)}"
            place.numbers[at] = {**old, key: changed}
        if self.is_running:
            self.seen[-1].append(self.state())
            self.touched[-1] |= {place_id, other if what == "move" else place_id}
            self.failed[-1] |= self.agency.errors.items()

    def state(self):
        """The status and the numbers of each location, with the fields that change."""
        return {
            place_id: (
                place.status,
                {
                    one["phoneNumber"]: {name: text(one[key]) for name, key in FIELDS.items()}
                    for one in place.numbers
                },
            )
            for place_id, place in self.agency.places.items()
        }

    async def run(self, store, is_flat, failing, operations):
        """An audit during which the operations happen."""
        self.agency.is_flat, self.agency.errors = is_flat, dict(failing)
        self.flat.add(is_flat)
        self.seen.append([self.state()])
        self.touched.append(set())
        self.failed.append(set(failing.items()))
        self.is_running = True
        at, requests = defaultdict(list), count()
        for when, operation in operations:
            at[when].append(operation)

        def on_page(*_):
            for operation in at.pop(next(requests), ()):
                self.happen(operation)

        self.agency.on_page = on_page
        async with LCPhoneClient(
            "any",
            base_url=self.agency.url,
            api_version="2021-07-28" if is_flat else "v3",
            limiter=RateLimiter(10_000),
            retry=RetryPolicy(max_tries=3, initial_wait=0),
        ) as client:
            await audit(client, list("abc"), store, concurrency=1)  # a history can be repeated
        self.is_running = False

    def numbers(self, run, location_id):
        """Content of a location at each moment of a run."""
        return [state[location_id][1] for state in self.seen[run]]

    def is_elsewhere(self, run, change):
        """Whether another location had the number during all of a run."""
        return any(
            all(change.phone_number in has for has in self.numbers(run, other))
            for other in {*"abc"} - {change.location_id}
        )


def text(value):
    """A value as a diff has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return value or None


@pytest.mark.exhaustive
@pytest.mark.timeout(0)  # Hypothesis takes minutes to simplify a history that fails
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=runs, between=st.lists(operations, max_size=5), second=runs)
def test_a_history(first, between, second):
    """Reports every change that both runs could see, and no other."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_try(Path(folder) / "store", first, between, second))


async def _try(store, first, between, second):
    small = [number(f"+1310{n:07}") for n in range(3)]
    places = {
        "a": Place(list(MANY), senders=[{"number": "r", "friendlyName": "R"}]),
        "b": Place(small, [pool("p", small[0]["phoneNumber"])]),
        "c": Place(),
    }
    async with Agency(places=places).serving() as agency:
        history = History(agency)
        await history.run(store, *first)
        for operation in between:
            history.happen(operation)
        await history.run(store, *second)
    covered = []
    for run_id, (_, failing, _) in ((1, first), (2, second)):
        with open_run(store, run_id) as run:
            seen = dict(run.rows("SELECT location_id, coverage FROM locations"))
        covered.append(seen)
        quiet = set("abc") - set(failing) - history.touched[run_id - 1]
        assert {seen[place] for place in quiet} <= {"complete"}
    with compare(store, store) as comparison:
        changes = list(comparison.changes())
    for change in changes:
        check_that_it_happened(history, change)
    for place in "abc":
        if covered[0][place] == covered[1][place] == "complete":
            check_that_all_is_told(history, place, changes)


def check_that_it_happened(history, change):
    """Fails if the agency was never in a state that makes the change true."""
    place, phone_number = change.location_id, change.phone_number
    before, after = history.numbers(0, place), history.numbers(1, place)
    if change.kind in {"released", "released or moved", "not seen"}:
        assert any(phone_number in had for had in before), change
        assert any(phone_number not in has for has in after) or change.kind == "not seen", change
        assert change.drops_a2p or not history.is_elsewhere(1, change), change
    elif change.kind in {"added", "added or moved"}:
        assert any(phone_number not in had for had in before), change
        assert any(phone_number in has for has in after), change
        assert change.drops_a2p or not history.is_elsewhere(0, change), change
    elif change.kind in {"moved", "perhaps moved"}:
        assert change.drops_a2p
        assert any(phone_number in had for had in history.numbers(0, change.before)), change
        assert any(phone_number in has for has in after), change
        if change.kind == "moved":
            assert any(phone_number not in has for has in history.numbers(1, change.before)), change
            assert any(phone_number not in had for had in before), change
    elif change.kind == "status":
        assert change.before in {None, *(state[place][0] for state in history.seen[0])}, change
        assert change.after in {state[place][0] for state in history.seen[1]}, change
    elif change.field in FIELDS:
        had = {
            state[one][1].get(phone_number, {}).get(change.field)
            for state in history.seen[0]
            for one in "abc"
        }
        has = {each.get(phone_number, {}).get(change.field) for each in after}
        assert change.before in had, change
        assert change.after in has, change
    elif change.kind == "phone system disconnected":
        assert (place, 404) in history.failed[1], change
    elif change.kind == "phone system connected":
        assert (place, 404) in history.failed[0], change
    else:
        assert change.field == "pool_ids", change  # a number of the pool moved
        assert change.kind == "routing", change


def check_that_all_is_told(history, place, changes):
    """Fails if a value that was constant in each run and differs between them is not reported."""
    told = {(one.kind, one.phone_number) for one in changes if one.location_id == place}
    left = {
        (one.kind, one.phone_number)
        for one in changes
        if place == (one.before if one.field == "location_id" else one.location_id)
    }
    fields = {(one.phone_number, one.field, one.after) for one in changes}
    before, after = history.numbers(0, place), history.numbers(1, place)
    statuses = [{state[place][0] for state in seen} for seen in history.seen]
    if len(statuses[0]) == len(statuses[1]) == 1 and statuses[0] != statuses[1]:
        assert ("status", None) in told
    always_had, always_has = (set.intersection(*map(set, run)) for run in (before, after))
    ever_had, ever_has = (set.union(*map(set, run)) for run in (before, after))
    # A search for a number fails if the location does after the walk: then it is not seen.
    gone = LEFT | {"not seen"} if place in dict(history.failed[1]) else LEFT
    for phone_number in always_had - ever_has:
        assert any((kind, phone_number) in left for kind in gone), phone_number
    for phone_number in always_has - ever_had:
        assert any((kind, phone_number) in told for kind in CAME), phone_number
    for phone_number in always_had & always_has:
        for name in FIELDS:
            had = {run[phone_number][name] for run in before}
            has = {run[phone_number][name] for run in after}
            was_told = name != "is_default_number" or history.flat == {False}
            if len(had) == len(has) == 1 and had != has and was_told:
                (now,) = has
                assert (phone_number, name, now) in fields, (phone_number, name)
