"""What an operation is, and the four of LC Phone: pure steps from a call to status and body."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Literal

from attrs import frozen

from ..inventory.location import Location
from ..refusals import RefusedError
from ..state import State
from .bodies import CONTRACTS, JSON, Contract, available_numbers, number_pools
from .parameters import (
    OrderRules,
    Query,
    check_country,
    check_given,
    list_query,
    phone_number_to_buy,
    search_query,
)
from .profiles import Wire

Response = tuple[int, JSON]
OperationName = Literal[
    "pools",
    "available",
    "purchase",
    "active",
    "token",
    "reconnect",
    "location-token",
    "installed-locations",
]


@frozen
class Asked:
    """What a request says."""

    location_id: str
    """In its path or its query; empty if in neither."""
    query: Query
    content_type: str
    body: bytes


@frozen
class Call:
    """A request that passed the checks which all operations share."""

    state: State
    version: str
    """The contract, as the `Version` header names it."""
    locations: Sequence[Location]
    """The one it names; of pools without a `locationId`, all that the token may see."""
    asked: Asked
    time: datetime
    wire: Wire
    is_strict: bool
    """Whether what the contract's document requires is required."""

    @property
    def query(self) -> Query:
        """The parameters in the URL."""
        return self.asked.query

    @property
    def location(self) -> Location:
        """The location that the path names."""
        return self.locations[0]

    @property
    def is_v3(self) -> bool:
        """Whether the contract is v3."""
        return self.version == "v3"

    @property
    def contract(self) -> Contract:
        """What words the answer."""
        return CONTRACTS[self.version]


@frozen
class Operation:
    """One line of the API's table of contents."""

    name: OperationName
    method: str
    path: str
    scope: str | None
    """What a token must be good for; `None` is for an operation without a token."""
    answer: Callable[[Call], Response]
    version: str | None = None
    """The contract that has it; `None` is both."""
    location_id: Callable[[State, Asked], str] = lambda _, asked: asked.location_id
    """Which location a request is about, for the faults' rules."""

    @property
    def is_for_locations(self) -> bool:
        """Whether it wants the token of a location, not of the agency."""
        return self.scope is not None and not self.scope.startswith("oauth.")


def _pools(call: Call) -> Response:
    return 200, number_pools(call.locations)


def _available(call: Call) -> Response:
    if call.is_strict:
        check_given(call.query, call.contract.search_requires)
        check_country(call.query)
    wanted = search_query(call.query, call.wire.number_types)
    return 200, available_numbers(call.state.stock.search(wanted))


def _purchase(call: Call) -> Response:
    rules = call.contract.order_rules if call.is_strict else OrderRules()
    phone_number = phone_number_to_buy(call.asked.body, rules)
    offer = call.state.stock.find(phone_number)
    if offer is None or call.location.has_added(phone_number):
        raise RefusedError(400, "Phone number is no longer available")
    call.state.buy(call.location, offer, call.time)
    return 201, call.contract.purchase(call.location, phone_number)


def _active(call: Call) -> Response:
    query = list_query(call.query)
    listing = call.location.listing(
        skip_pools=query.skip_pools,
        search=query.search,
        newest_first=call.wire.newest_first,
        hidden=call.state.hidden(call.time),
    )
    first = call.wire.page(query.page, -(-len(listing) // query.page_size)) * query.page_size
    numbers = listing[first : first + query.page_size]
    return 200, call.contract.active_numbers(call.location, query, numbers, len(listing))


_LOCATION: Final = "/phone-system/numbers/location/{location_id}"

OPERATIONS: Final = (
    Operation("pools", "GET", "/phone-system/number-pools", "numberpools.read", _pools),
    Operation("available", "GET", f"{_LOCATION}/available", "phonenumbers.read", _available),
    Operation("purchase", "POST", f"{_LOCATION}/purchase", "phonenumbers.write", _purchase),
    Operation("active", "GET", _LOCATION, "phonenumbers.read", _active),
)
