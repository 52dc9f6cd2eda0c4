"""Hypothesis strategies for response bodies, valid and broken."""

import json
import string
from datetime import datetime
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lcphone_async._wire import responses
from lcphone_async._wire.requests import Request
from lcphone_async._wire.responses import Response

FAST = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
REQUEST = Request("GET", "/route", "/path", "loc1", "a.scope")


def decode_list(body: bytes) -> Any:
    return responses.active_numbers(REQUEST, Response(200, {}, body), 0)


def decode_search(body: bytes) -> Any:
    return responses.available_numbers(REQUEST, Response(200, {}, body))


def decode_pools(body: bytes) -> Any:
    return responses.number_pools(REQUEST, Response(200, {}, body))


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
    """Objects with the required fields, some of the optional ones and some unknown ones."""
    # keys that look like an attribute, a keyword or a method are unknown keys, too
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


# JSON with known keys reaches more code than JSON with random keys.
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
