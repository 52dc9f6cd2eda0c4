"""Documents that nobody wrote: what fits the schemas is kept whole, what does not is our error."""

import json
import string
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from lcphone_async._wire import responses
from lcphone_async._wire.requests import Request
from lcphone_async._wire.responses import Answer

from .any_answer import OPERATIONS, SAMPLES, assert_good, from_text, to_text
from .fuzz import HEADER_VALUES, HEADERS, mutated
from .holds import assert_holds

FAST = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
REQUEST = Request("GET", "/route", "/path", "loc1", "a.scope")


def decode_list(body: bytes) -> Any:
    return responses.active_numbers(REQUEST, Answer(200, {}, body), 0)


def decode_search(body: bytes) -> Any:
    return responses.available_numbers(REQUEST, Answer(200, {}, body))


def decode_pools(body: bytes) -> Any:
    return responses.number_pools(REQUEST, Answer(200, {}, body))


FIELDS: set[str] = set()
text = st.text(max_size=12)
word = st.text(string.ascii_letters, min_size=1, max_size=8)
flag = st.none() | st.booleans()
phone = st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True)
optional = st.none() | text
whole = st.integers(0, 10**6)
count = st.none() | whole | whole.map(float)
scalar = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | text
any_json = st.recursive(
    scalar | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=4,
)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001  its zone is text
date = (
    st.none()
    | moments.map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")
    | moments.map(lambda moment: moment.isoformat(timespec="seconds") + "+05:30")
    | moments.map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S +0000"))
    | st.just("")
)


def record(
    required: dict[str, st.SearchStrategy[Any]], maybe: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of the known fields, some of them, and of some that nobody knows."""
    # a Python name, a name of Python's own and one that the model uses itself are as unknown
    unknown = word.map("x-".__add__) | st.sampled_from(["extra", "phone_number", "self", "class"])
    FIELDS.update(required, maybe)
    known = st.fixed_dictionaries(required, optional=maybe)
    return st.builds(
        lambda some, more: {**more, **some}, known, st.dictionaries(unknown, any_json, max_size=2)
    )


service = st.none() | record({}, {"type": optional, "value": optional})
active = record(
    {"phoneNumber": phone},
    {
        "friendlyName": optional,
        "sid": optional,
        "countryCode": optional,
        "capabilities": st.none() | record({}, dict.fromkeys(["voice", "sms", "mms", "fax"], flag)),
        "type": st.sampled_from(["local", "toll-free", "tollFree", "mobile", "national"]) | word,
        "isDefaultNumber": flag,
        "linkedUser": optional,
        "linkedRingAllUsers": st.none() | st.lists(text.filter(bool), max_size=3),
        "inboundCallService": service,
        "forwardingNumber": optional,
        "isGroupConversationEnabled": flag,
        "addressSid": optional,
        "bundleSid": optional,
        "dateAdded": date,
        "dateUpdated": date,
        "dateCreated": date,
        "origin": optional,
    },
)
sender = record(
    {"number": word},
    {
        "numberType": optional,
        "friendlyName": optional,
        "rcsMeta": st.dictionaries(text, any_json, max_size=2),
    },
)
page_fields = {
    "pageSize": count,
    "page": count,
    "accountStatus": st.sampled_from(["active", "suspended", "closed"]) | word,
}
page_v3 = record(
    {"numbers": st.lists(active, max_size=3)},
    {
        **page_fields,
        "isUnderLc": flag,
        "total": count,
        "rcsSenderIds": st.none() | st.lists(sender, max_size=2),
    },
)
page_2021 = record({"numbers": st.lists(active, max_size=3)}, {**page_fields, "isUnderGhl": flag})
price = record(
    {},
    {
        "number_type": st.sampled_from(["local", "tollFree", "mobile"]) | word,
        "price": st.none() | st.decimals(0, 10_000, places=4).map(float) | whole,
        "price_unit": optional,
    },
)
available = record(
    {"phoneNumber": phone},
    {
        **dict.fromkeys(
            (
                "friendlyName",
                "isoCountry",
                "lata",
                "locality",
                "rateCenter",
                "latitude",
                "longitude",
                "region",
                "postalCode",
                "addressRequirements",
            ),
            optional,
        ),
        "beta": flag,
        "capabilities": st.none() | record({}, dict.fromkeys(["SMS", "MMS", "voice"], flag)),
        "price": st.none() | price,
    },
)
search = record({"numbers": st.lists(available, max_size=3)}, {"fingerprintId": optional})
pool = record(
    {"id": word},
    {
        "name": optional,
        "locationId": optional,
        "numbers": st.none()
        | st.lists(record({"phoneNumber": phone}, {"friendlyName": optional}), max_size=2),
        "forwardingNumber": optional,
        "whisper": flag,
        "whisperMessage": optional,
        "callRecording": flag,
        "isActive": flag,
        "inboundCallService": service,
    },
)


def encoded(document: object, *, wrap: bool = False) -> bytes:
    envelope = {"status": "success", "data": document, "message": "OK", "statusCode": 200}
    return json.dumps(envelope if wrap else document).encode()


@pytest.mark.exhaustive
@FAST
@given(page_v3)
def test_v3_lists_are_kept_whole(document):
    """What v3's list schema allows arrives; what it does not know is in `extra`."""
    assert_holds(decode_list(encoded(document, wrap=True)), document, known=FIELDS)


@pytest.mark.exhaustive
@FAST
@given(page_2021)
def test_2021_lists_are_kept_whole(document):
    """What the 2021-07-28 list schema allows arrives; what it does not know is in `extra`."""
    assert_holds(decode_list(encoded(document)), document, known=FIELDS)


@pytest.mark.exhaustive
@FAST
@given(search, st.booleans())
def test_searches_are_kept_whole(document, wrap):
    """What the search's schema allows arrives, bare or wrapped."""
    assert_holds(decode_search(encoded(document, wrap=wrap)), document, known=FIELDS)


@FAST
@given(st.lists(pool, max_size=3), st.booleans())
def test_pools_are_kept_whole(pools, wrap):
    """What the pools' schema allows arrives, bare or wrapped."""
    document = {"success": True, "data": pools, "total": len(pools)}
    read = decode_pools(encoded(document, wrap=wrap))
    assert len(read) == len(pools)
    for model, sent in zip(read, pools, strict=True):
        assert_holds(model, sent, known=FIELDS)


@pytest.mark.parametrize(
    "value", [2**63, 2**64, -(2**63) - 1, 10**30, 1e308, 0.1, -0.0, "\u2028", "\x00", "😀"]
)
def test_extreme_values_are_kept(value):
    """A field that nobody knows is kept as it was sent."""
    page = decode_list(encoded({"numbers": [], "new": value}))
    assert page.extra == {"new": value}
    assert type(page.extra["new"]) is type(value)


# JSON made of the wire's own words goes deeper than JSON of random ones.
wire_key = st.sampled_from(sorted(FIELDS | {"data", "pools", "numberPools", "phoneNumbers"}))
wire_json = st.recursive(
    any_json | phone | date,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(wire_key, inner, max_size=5),
    max_leaves=12,
)
bent = st.one_of(
    st.binary(max_size=60),
    wire_json.map(encoded),
    any_json.map(encoded),
    st.tuples(wire_json.map(encoded), st.integers(0, 200)).map(lambda cut: cut[0][: cut[1]]),
    st.tuples(page_v3, wire_key, any_json).map(lambda bad: encoded({**bad[0], bad[1]: bad[2]})),
    st.tuples(active, wire_key, any_json).map(
        lambda bad: encoded({"data": {"numbers": [{**bad[0], bad[1]: bad[2]}]}})
    ),
    st.tuples(available, wire_key, any_json).map(
        lambda bad: encoded({"numbers": [{**bad[0], bad[1]: bad[2]}]})
    ),
    st.tuples(pool, wire_key, any_json).map(
        lambda bad: encoded({"data": [{**bad[0], bad[1]: bad[2]}]})
    ),
)


statuses = st.sampled_from([200, 201, 400, 401, 404, 409, 429, 500, 503]) | st.integers(100, 999)
headers = st.lists(
    st.tuples(st.sampled_from(HEADERS), st.sampled_from(HEADER_VALUES) | st.text()), max_size=4
).map(CIMultiDict)


@pytest.mark.sample(1)
@pytest.mark.parametrize("operation", OPERATIONS)
@FAST
@given(body=bent, status=statuses, headers=headers)
def test_only_our_errors_come_out(operation, body, status, headers):
    """Whatever an answer holds, only `LCPhoneError` ever comes out, and a value is good for use."""
    assert_good(operation, Answer(status, headers, body))
    assert_good(operation, Answer(200, headers, body))


def with_other_bytes(chance: Random) -> Callable[[bytes, int], bytes]:
    """Changes a few bytes of a text."""

    def mutate(text: bytes, _most: int) -> bytes:
        for _ in range(chance.randint(1, 3)):
            at = chance.randint(0, len(text))
            text = text[:at] + chance.randbytes(chance.randint(0, 2)) + text[at + 1 :]
        return text

    return mutate


@pytest.mark.exhaustive
@settings(FAST, max_examples=500)
@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False), st.integers(1, 5))
def test_answers_that_were_changed(sample, chance, times):
    """The same of what the documents show, changed here and there as the fuzzer does it."""
    text = to_text(*sample)
    for _ in range(times):
        text = mutated(text, chance, with_other_bytes(chance), len(text))
    assert_good(*from_text(text))
