"""Tables of the store: their schemas, and the conversion of models to Arrow batches.

The order of the columns is fixed: exports depend on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import pyarrow as pa

from ..models import ActiveNumber, InboundCallService, NumberPool, RcsSenderId

_STRING, _BOOL, _INTEGER = pa.string(), pa.bool_(), pa.int64()
_TIME = pa.timestamp("us", "UTC")
_CAPABILITIES = pa.struct([(name, _BOOL) for name in ("voice", "sms", "mms", "fax")])
_CALL_SERVICE = pa.struct([("type", _STRING), ("value", _STRING)])
_KEY = [("run_id", pa.int32()), ("location_id", _STRING)]

RUNS: Final = pa.schema(
    [
        ("run_id", pa.int32()),
        ("started_at", _TIME),
        ("finished_at", _TIME),
        ("version", _STRING),
    ]
)
LOCATIONS: Final = pa.schema(
    [
        *_KEY,
        ("position", _INTEGER),
        ("location_name", _STRING),
        ("coverage", _STRING),
        ("reason", _STRING),
        ("account_status", _STRING),
        ("is_under_lc", _BOOL),
        ("numbers", _INTEGER),
        ("pools", _INTEGER),
        ("rcs_sender_ids", _INTEGER),
        ("finished_at", _TIME),
        ("seconds", pa.float64()),
    ]
)
NUMBERS: Final = pa.schema(
    [
        *_KEY,
        ("phone_number", _STRING),
        ("friendly_name", _STRING),
        ("sid", _STRING),
        ("country_code", _STRING),
        ("capabilities", _CAPABILITIES),
        ("type", _STRING),
        ("is_default_number", _BOOL),
        ("linked_user", _STRING),
        ("linked_ring_all_users", pa.list_(_STRING)),
        ("inbound_call_service", _CALL_SERVICE),
        ("forwarding_number", _STRING),
        ("is_group_conversation_enabled", _BOOL),
        ("address_sid", _STRING),
        ("bundle_sid", _STRING),
        ("date_added", _TIME),
        ("date_updated", _TIME),
        ("origin", _STRING),
        ("extra", _STRING),
    ]
)
POOLS: Final = pa.schema(
    [
        *_KEY,
        ("pool_id", _STRING),
        ("name", _STRING),
        ("forwarding_number", _STRING),
        ("whisper", _BOOL),
        ("whisper_message", _STRING),
        ("call_recording", _BOOL),
        ("is_active", _BOOL),
        ("inbound_call_service", _CALL_SERVICE),
        ("extra", _STRING),
    ]
)
POOL_NUMBERS: Final = pa.schema(
    [
        *_KEY,
        ("pool_id", _STRING),
        ("phone_number", _STRING),
        ("friendly_name", _STRING),
        ("extra", _STRING),
    ]
)
RCS_SENDER_IDS: Final = pa.schema(
    [
        *_KEY,
        ("number", _STRING),
        ("number_type", _STRING),
        ("friendly_name", _STRING),
        ("rcs_meta", _STRING),
        ("extra", _STRING),
    ]
)
REPEATED_NUMBERS: Final = pa.schema(
    [
        *_KEY,
        ("phone_number", _STRING),
        ("times", _INTEGER),
    ]
)
GONE_NUMBERS: Final = pa.schema(
    [
        *_KEY,
        ("phone_number", _STRING),
        ("confirmed_at", _TIME),
    ]
)

CONTENTS: Final = {
    "numbers": NUMBERS,
    "pools": POOLS,
    "pool_numbers": POOL_NUMBERS,
    "rcs_sender_ids": RCS_SENDER_IDS,
    "repeated_numbers": REPEATED_NUMBERS,
    "gone_numbers": GONE_NUMBERS,
}
"""Schemas of the tables that hold the content of locations."""
TABLES: Final = {"runs": RUNS, "locations": LOCATIONS, **CONTENTS}
"""Schemas of all tables."""


def numbers(run_id: int, location_id: str, numbers: Sequence[ActiveNumber]) -> pa.RecordBatch:
    """Returns the rows of a page of numbers."""
    can = [number.capabilities for number in numbers]
    columns = {
        "capabilities": pa.StructArray.from_arrays(
            [pa.array([getattr(c, f.name) for c in can], _BOOL) for f in _CAPABILITIES],
            fields=list(_CAPABILITIES),
        ),
        "inbound_call_service": _services(numbers),
        "extra": pa.array(map(_number_extra, numbers), _STRING),
    }
    return _batch(NUMBERS, run_id, location_id, numbers, columns)


def pools(run_id: int, location_id: str, pools: Sequence[NumberPool]) -> pa.RecordBatch:
    """Returns the rows of a location's pools."""
    columns = {
        "pool_id": pa.array([pool.id for pool in pools], _STRING),
        "inbound_call_service": _services(pools),
    }
    return _batch(POOLS, run_id, location_id, pools, columns)


def pool_numbers(run_id: int, location_id: str, pools: Iterable[NumberPool]) -> pa.RecordBatch:
    """Returns the rows of the numbers in a location's pools."""
    members = [(pool.id, number) for pool in pools for number in pool.numbers]
    columns = {"pool_id": pa.array([pool_id for pool_id, _ in members], _STRING)}
    return _batch(POOL_NUMBERS, run_id, location_id, [number for _, number in members], columns)


def repeated_numbers(run_id: int, location_id: str, repeated: Mapping[str, int]) -> pa.RecordBatch:
    """Returns rows of repeated numbers; `repeated` counts the repetitions after the first."""
    columns = {
        "phone_number": pa.array(repeated, _STRING),
        "times": pa.array([again + 1 for again in repeated.values()], _INTEGER),
    }
    return _batch(REPEATED_NUMBERS, run_id, location_id, list(repeated), columns)


def gone_numbers(
    run_id: int, location_id: str, phone_numbers: Sequence[str], confirmed_at: datetime
) -> pa.RecordBatch:
    """Returns rows of numbers that a search at `confirmed_at` did not find."""
    columns = {
        "phone_number": pa.array(phone_numbers, _STRING),
        "confirmed_at": pa.array([confirmed_at] * len(phone_numbers), _TIME),
    }
    return _batch(GONE_NUMBERS, run_id, location_id, phone_numbers, columns)


def rcs_sender_ids(run_id: int, location_id: str, senders: Sequence[RcsSenderId]) -> pa.RecordBatch:
    """Returns the rows of a location's RCS senders."""
    columns = {"rcs_meta": pa.array([_json(sender.rcs_meta) for sender in senders], _STRING)}
    return _batch(RCS_SENDER_IDS, run_id, location_id, senders, columns)


def _batch(
    schema: pa.Schema,
    run_id: int,
    location_id: str,
    models: Sequence[Any],
    columns: dict[str, pa.Array],
) -> pa.RecordBatch:
    """Builds a batch from `columns`, and from the models' attributes for all other fields."""
    columns = columns | {
        "run_id": pa.repeat(pa.scalar(run_id, pa.int32()), len(models)),
        "location_id": pa.repeat(location_id, len(models)),
    }
    for field in schema:
        if field.name not in columns:
            values = map(attrgetter(field.name), models)
            if field.name == "extra":
                values = map(_json, values)
            columns[field.name] = pa.array(values, field.type)
    return pa.record_batch([columns[name] for name in schema.names], schema=schema)


def _services(owners: Iterable[Any]) -> pa.Array:
    return pa.array([_service(owner.inbound_call_service) for owner in owners], _CALL_SERVICE)


def _service(service: InboundCallService | None) -> dict[str, str | None] | None:
    if service is None:
        return None
    value = service.value
    as_text = value if value is None or isinstance(value, str) else _canonical(value)
    return {"type": service.type, "value": as_text}


def _number_extra(number: ActiveNumber) -> str | None:
    """Returns the fields without a column, including those of nested objects, as JSON."""
    parts = {"capabilities": number.capabilities, "inboundCallService": number.inbound_call_service}
    nested = {name: part.extra for name, part in parts.items() if part is not None and part.extra}
    return _json({**number.extra, **nested})


def _json(value: Mapping[str, Any]) -> str | None:
    return _canonical(value) if value else None


def _canonical(value: Any) -> str:
    """Returns JSON with sorted keys and `1` for `1.0`, so that equal values are equal text."""
    return json.dumps(_without_zeros(value), ensure_ascii=False, sort_keys=True)


def _without_zeros(value: Any) -> Any:
    match value:
        case Mapping():
            return {key: _without_zeros(part) for key, part in value.items()}
        case list() | tuple():
            return [_without_zeros(part) for part in value]
        case float() if value.is_integer():
            return int(value)
    return value
