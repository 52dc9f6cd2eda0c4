"""Compares a model with the JSON that it was decoded from, without the client's own code."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

NAMES = {
    "isUnderGhl": "is_under_lc",
    "under_ghl_account": "under_lc_account",
    "SMS": "sms",
    "MMS": "mms",
    "dateCreated": "date_added",
}
ABSENT = (None, "", [], {})
ENVELOPE = ("status", "message", "statusCode")


def snake(name: str) -> str:
    return NAMES.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def assert_lossless(model: Any, sent: Mapping[str, Any], *, known: AbstractSet[str]) -> None:
    """Each field of `sent` is in `model`: under its Python name if `known`, else in `extra`."""
    unknown = {name: value for name, value in sent.items() if name not in known}
    assert dict(model.extra) == unknown
    other_twin = "dateCreated" if sent.get("dateAdded") not in ABSENT else "dateAdded"
    for name, value in sent.items():
        if name in known and (name != other_twin or "dateCreated" not in sent):
            assert_same(getattr(model, snake(name)), value, name, known)


def assert_same(read: Any, sent: Any, name: str, known: AbstractSet[str]) -> None:
    """`read` equals `sent`, in the documented type of the field."""
    if sent in ABSENT:
        assert not read or not any(
            getattr(read, field.name) for field in type(read).__attrs_attrs__
        ), name
    elif name in {"rcsMeta", "value"}:
        assert read == sent, name
    elif isinstance(sent, dict):
        assert_lossless(read, sent, known=known)
    elif isinstance(sent, list):
        assert isinstance(read, tuple), name
        assert len(read) == len(sent), name
        for part, value in zip(read, sent, strict=True):
            assert_same(part, value, name, known)
    elif name.startswith("date"):
        assert read == moment(sent), name
        assert read.utcoffset() is not None, name
    elif name == "price":
        assert read == Decimal(str(sent)), name
        assert isinstance(read, Decimal), name
    elif name in {"type", "number_type"} and sent in {"toll-free", "toll free"}:
        assert read in {sent, "tollFree"}, name
    else:
        assert read == sent, name
        assert type(read) is int or not isinstance(sent, float), name


def moment(text: str) -> datetime:
    """Parses ISO 8601 or RFC 2822."""
    return parsedate_to_datetime(text) if "," in text else datetime.fromisoformat(text)
