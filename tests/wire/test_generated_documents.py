"""Generated responses: valid ones are decoded completely, invalid ones raise our errors."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from lcphone_async._wire.responses import Response
from support.any_response import OPERATIONS, SAMPLES, assert_good, from_text, to_text
from support.fuzz import HEADER_VALUES, HEADERS, mutated
from support.generated_documents import (
    FAST,
    FIELDS,
    bent,
    decode_list,
    decode_pools,
    decode_search,
    encoded,
    page_2021,
    page_v3,
    pool,
    search,
)
from support.lossless import assert_lossless


@pytest.mark.exhaustive
@FAST
@given(page_v3)
def test_v3_lists_are_complete(document):
    """A list that v3's schema allows is decoded completely; unknown fields are in `extra`."""
    assert_lossless(decode_list(encoded(document, wrap=True)), document, known=FIELDS)


@pytest.mark.exhaustive
@FAST
@given(page_2021)
def test_2021_lists_are_complete(document):
    """A list that 2021-07-28 allows is decoded completely; unknown fields are in `extra`."""
    assert_lossless(decode_list(encoded(document)), document, known=FIELDS)


@pytest.mark.exhaustive
@FAST
@given(search, st.booleans())
def test_searches_are_complete(document, wrap):
    """A search that the schema allows is decoded completely, bare or wrapped."""
    assert_lossless(decode_search(encoded(document, wrap=wrap)), document, known=FIELDS)


@FAST
@given(st.lists(pool, max_size=3), st.booleans())
def test_pools_are_complete(pools, wrap):
    """Pools that the schema allows are decoded completely, bare or wrapped."""
    document = {"success": True, "data": pools, "total": len(pools)}
    read = decode_pools(encoded(document, wrap=wrap))
    assert len(read) == len(pools)
    for model, sent in zip(read, pools, strict=True):
        assert_lossless(model, sent, known=FIELDS)


@pytest.mark.parametrize(
    "value", [2**63, 2**64, -(2**63) - 1, 10**30, 1e308, 0.1, -0.0, "\u2028", "\x00", "😀"]
)
def test_extreme_values_are_kept(value):
    """An unknown field keeps its value."""
    page = decode_list(encoded({"numbers": [], "new": value}))
    assert page.extra == {"new": value}
    assert type(page.extra["new"]) is type(value)


statuses = st.sampled_from([200, 201, 400, 401, 404, 409, 429, 500, 503]) | st.integers(100, 999)
headers = st.lists(
    st.tuples(st.sampled_from(HEADERS), st.sampled_from(HEADER_VALUES) | st.text()), max_size=4
).map(CIMultiDict)


@pytest.mark.sample(1)
@pytest.mark.parametrize("operation", OPERATIONS)
@FAST
@given(body=bent, status=statuses, headers=headers)
def test_only_our_errors_are_raised(operation, body, status, headers):
    """Any response raises only `LCPhoneError`, or returns a usable value."""
    assert_good(operation, Response(status, headers, body))
    assert_good(operation, Response(200, headers, body))


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
def test_mutated_samples(sample, chance, times):
    """The same of sample documents that were mutated as by the fuzzer."""
    text = to_text(*sample)
    for _ in range(times):
        text = mutated(text, chance, with_other_bytes(chance), len(text))
    assert_good(*from_text(text))
