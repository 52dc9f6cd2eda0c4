"""The readable fields of a JSON object that no decoder accepts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcphone_async._wire.legible import legible
from support.generated_documents import FAST

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.text() | st.just("data"), values, max_size=5)


@FAST
@given(objects)
def test_whole_objects(document):
    """Reads a valid object as a decoder does."""
    assert legible(json.dumps(document)) == (document, True)
    assert legible(json.dumps(document, ensure_ascii=False, indent=1)) == (document, True)


@FAST
@given(objects, st.sampled_from(["NaN", "01", "1e999", '[{"a": NaN}]']))
def test_fields_beside_a_broken_value(document, broken):
    """Reads every other field of the object, and of the objects within its `data`."""
    document.pop("new", None)
    text = f'{{"new": {broken}, {json.dumps(document)[1:]}'
    assert legible(text) == ({"new": ..., **document}, True)
    assert legible(f'{{"data": {{"data": {text}}}}}') == (
        {"data": {"data": {"new": ..., **document}}},
        True,
    )


@FAST
@given(st.text(st.sampled_from('[]{}:,"\\\\ a1')))
def test_any_text(text):
    """Returns a result for any text, and the whole object only if it is complete."""
    fields, is_whole = legible(text)
    assert isinstance(fields, dict)
    assert not is_whole or "}" in text


@pytest.mark.parametrize("text", ['{"a":', "{", "[", '{"', '{"\\"', "{[", "}", '{"data":{'])
def test_long_texts(text):
    """Takes time in proportion to the length of the text."""
    legible(text * 100_000)
