"""The fast decoder and the converter: the same results for every input."""

import gc
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcphone_async import ActiveNumbersPage, AvailableNumbers
from lcphone_async._wire.fast_decoder import FastDecoder
from support.any_response import exactly, outcome, slowly
from support.generated_documents import (
    FAST,
    bent,
    decode_list,
    decode_search,
    encoded,
    page_2021,
    page_v3,
    search,
)

NUMBER = {
    "phoneNumber": "+18305551234",
    "capabilities": {"voice": True, "sms": True, "mms": False, "fax": False},
    "type": "toll-free",
    "linkedUser": "",
    "linkedRingAllUsers": ["u1"],
    "inboundCallService": {"type": "ivr", "value": "flow"},
    "dateAdded": "2024-01-01T00:00:00.123Z",
}
PAGE = {"numbers": [NUMBER], "page": 0.0, "pageSize": 50, "total": 1, "accountStatus": "new"}
FOUND = {
    "fingerprintId": "f1",
    "numbers": [{"phoneNumber": "+18305551234", "price": {"price": 1.15, "price_unit": "USD"}}],
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("decode", [decode_list, decode_search])
@settings(FAST, max_examples=500)
@given(body=bent)
def test_any_input(decode, body):
    """Both return the same for every input, invalid ones included."""
    assert outcome(decode, body) == slowly(decode, body)


@pytest.mark.sample(1)
@pytest.mark.parametrize("wrap", [True, False])
@settings(FAST, max_examples=200)
@given(document=st.one_of(page_v3, page_2021))
def test_lists(document, wrap):
    """Both return the same list, even with unknown keys."""
    body = encoded(document, wrap=wrap)
    for _ in range(2):  # the second time the fast decoder knows the new keys
        assert outcome(decode_list, body) == slowly(decode_list, body)


@pytest.mark.sample(1)
@pytest.mark.parametrize("wrap", [True, False])
@settings(FAST, max_examples=200)
@given(document=search)
def test_searches(document, wrap):
    """Both return the same search, even with unknown keys."""
    body = encoded(document, wrap=wrap)
    for _ in range(2):
        assert outcome(decode_search, body) == slowly(decode_search, body)


ODD_DATES = [
    "2023-01-15T10:30:00.1234567Z",
    "2023-01-15T10:30:00.9999999-05:30",
    "2023-01-15t10:30:00z",
    "2023-01-15 10:30:00+0530",
    "2023-01-15T10:30:00",
    "2023-01-15T10:30:60Z",
    "2023-01-15T24:00:00Z",
    "2023-01-15T10:30Z",
    "2023-01-15",
    "20230115T103000Z",
    "2023-W03-7",
    "0001-01-01T00:00:00+14:00",
    "Mon, 23 Feb 2026 22:00:52 -0000",
    "Mon, 23 Feb 2026 22:00:52 GMT",
    "Mon, 3 Feb 2026 22:00:52 +0000",
    "Mon, 23 Feb 26 22:00:52 +0000",
    "Mon, 30 Feb 2026 22:00:52 +0000",
    "23 Feb 2026 22:00:52 +0000",
    "",
    "\u0663",
]


@pytest.mark.parametrize("sent", ODD_DATES)
def test_odd_dates(sent):
    """Both decode a date to the same time."""
    body = encoded({**PAGE, "numbers": [{**NUMBER, "dateAdded": sent}]})
    assert outcome(decode_list, body) == slowly(decode_list, body)


@pytest.mark.parametrize("date", ["2024-01-01T00:00:00.123Z", "Mon, 23 Feb 2026 22:00:52 +0000"])
@pytest.mark.parametrize("wrap", [True, False])
def test_documented_bodies_are_decoded_fast(wrap, date):
    """Decodes both contracts' lists and searches without the converter, dates in both formats."""
    page = {**PAGE, "numbers": [{**NUMBER, "dateAdded": date}]}
    pages = FastDecoder(ActiveNumbersPage, "numbers", "page")
    assert exactly(pages.read(encoded(page, wrap=wrap))) == slowly(decode_list, encoded(page))
    searches = FastDecoder(AvailableNumbers, "numbers")
    assert exactly(searches.read(encoded(FOUND, wrap=wrap))) == slowly(
        decode_search, encoded(FOUND)
    )


UNKNOWN = {"new": [1, {"a": None}], "x-y": 1.0, "class": "c", "extra": {}, "unknown_0": True}


@pytest.mark.parametrize("wrap", [True, False])
def test_unknown_keys_are_learned(wrap):
    """Keeps unknown keys at any level, and decodes them without the converter the next time."""
    service = {"type": "ivr", "value": "v", **UNKNOWN}
    number = {**NUMBER, **UNKNOWN, "capabilities": UNKNOWN, "inboundCallService": service}
    body = encoded({**PAGE, **UNKNOWN, "numbers": [number, NUMBER]}, wrap=wrap)
    around = encoded({**json.loads(body), "traceId": "t1"})
    reader = FastDecoder(ActiveNumbersPage, "numbers", "page")
    for sent in (body, around):
        assert reader.read(sent) is None
        page = decode_list(sent)
        reader.learn(page)
        assert exactly(reader.read(sent)) == exactly(page)
    assert page.extra == {**UNKNOWN, "traceId": "t1"}
    assert page.numbers[0].extra == page.numbers[0].capabilities.extra == UNKNOWN
    assert page.numbers[1].extra == {}


def test_learned_keys_are_bounded():
    """Learns a bounded number of keys, and copes with odd ones."""
    reader = FastDecoder(ActiveNumbersPage, "numbers", "page")
    assert reader.read(encoded(PAGE)) is not None
    for index in range(50):
        reader.learn(ActiveNumbersPage(extra={f"key{index}": 1, 'od"d\\ \n': 2, "": 3}))
    assert reader.read(encoded({**PAGE, "key0": 1})) is not None
    assert reader.read(encoded({**PAGE, "key49": 1})) is None
    assert reader.read(encoded(PAGE)) is not None


def test_the_garbage_collector_is_unchanged():
    """Leaves the garbage collector as the caller configured it."""
    for switch in (gc.disable, gc.enable):
        switch()
        was = gc.isenabled()
        decode_list(encoded({**PAGE, "numbers": [NUMBER] * 2000}))
        assert gc.isenabled() == was
