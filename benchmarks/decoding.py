"""A page of 1000 from bytes to models, against peers that do the same and one that does less.

Ours are frozen, validated models with aware dates and open enums, as `active_number_pages` gives
them; `orjson.loads` stops at dicts. The collector is on, as it is in a program. CPU time.

    python benchmarks/decoding.py [--short]      # with the extra `bench`
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs
import cattrs
import orjson
from _measure import Figure, in_turns, is_short, show
from _pages import PAGE, active_page, rfc_2822
from cattrs.gen import make_dict_structure_fn, override
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from lcphone_async import ActiveNumber, NumberType
from lcphone_async._wire import responses
from lcphone_async._wire.names import camel
from lcphone_async._wire.requests import Request
from lcphone_async._wire.responses import Response

REQUEST = Request("GET", "", "", "location", "")


class OnTheWire(BaseModel):
    """A pydantic model, frozen and with the wire's names."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class CapabilitiesInPydantic(OnTheWire):
    """As ours, without `extra`."""

    voice: bool | None = None
    sms: bool | None = None
    mms: bool | None = None
    fax: bool | None = None


class ServiceInPydantic(OnTheWire):
    """As ours, without `extra`."""

    type: str | None = None
    value: Any = None


class NumberInPydantic(OnTheWire):
    """As ours, without `extra`."""

    phone_number: str
    friendly_name: str | None = None
    sid: str | None = None
    country_code: str | None = None
    capabilities: CapabilitiesInPydantic = CapabilitiesInPydantic()
    type: NumberType | str | None = None
    is_default_number: bool | None = None
    linked_user: str | None = None
    linked_ring_all_users: tuple[str, ...] = ()
    inbound_call_service: ServiceInPydantic | None = None
    forwarding_number: str | None = None
    is_group_conversation_enabled: bool | None = None
    address_sid: str | None = None
    bundle_sid: str | None = None
    date_added: datetime | None = None
    date_updated: datetime | None = None
    origin: str | None = None


class DataInPydantic(OnTheWire):
    """The part of a page that all of them read."""

    numbers: tuple[NumberInPydantic, ...]


class PageInPydantic(OnTheWire):
    """v3's envelope."""

    data: DataInPydantic


def plain_cattrs() -> cattrs.Converter:
    """A converter of ours models with the wire's names and no rules but dates and enums."""
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    converter.register_structure_hook(
        NumberType | str | None, lambda text, _: NumberType(text) if text else None
    )

    def with_wire_names(cls: type) -> Any:
        names = {field.name: override(rename=camel(field.name)) for field in attrs.fields(cls)}
        return make_dict_structure_fn(cls, converter, **names)  # type: ignore[arg-type]

    converter.register_structure_hook_factory(attrs.has, with_wire_names)
    return converter


def main(*, short: bool) -> None:
    """Measures, and prints the figures."""
    body, live = active_page(0, 1), active_page(0, 1, rfc_2822)
    converter = plain_cattrs()

    def with_cattrs() -> tuple[ActiveNumber, ...]:
        return converter.structure(orjson.loads(body)["data"]["numbers"], tuple[ActiveNumber, ...])

    seconds = in_turns(
        {
            "ours": lambda: responses.active_numbers(REQUEST, Response(200, {}, body), 0),
            "ours, RFC 2822": lambda: responses.active_numbers(REQUEST, Response(200, {}, live), 0),
            "orjson": lambda: orjson.loads(body),
            "pydantic": lambda: PageInPydantic.model_validate_json(body),
            "cattrs": with_cattrs,
        },
        rounds=2 if short else 200,
    )
    micro = {name: [second / PAGE * 1e6 for second in many] for name, many in seconds.items()}

    def figure(ours: str, theirs: str, against: str, goal: float | None = None) -> Figure:
        return Figure(
            f"decode a number{ours.removeprefix('ours')}",
            against,
            micro[ours],
            micro[theirs],
            "µs",
            f"at most {goal}" if goal else "",
            (lambda _, ratio: ratio <= goal) if goal else None,
        )

    show(
        figure("ours", "orjson", "orjson.loads, which gives dicts", 1.2),
        figure("ours, RFC 2822", "orjson", "orjson.loads, which gives dicts"),
        figure("ours", "pydantic", "pydantic, models with dates and enums"),
        figure("ours", "cattrs", "orjson and cattrs as it comes"),
        packages=("msgspec", "cattrs", "attrs", "orjson", "pydantic"),
    )


if __name__ == "__main__":
    main(short=is_short(__doc__))
