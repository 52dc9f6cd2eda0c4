"""What happens to a location's list while somebody walks it."""

from datetime import datetime
from typing import Literal

from ..inventory.numbers import new_number
from ..inventory.stock import Wanted
from ..state import State

ListChange = Literal["release", "add"]


def change_list(state: State, location_id: str, time: datetime, change: ListChange) -> None:
    """Release the first number of a location, or add one, as if somebody else had done so."""
    location = state.location(location_id) if location_id else None
    if location is None:
        return
    if change == "release":
        if location.numbers:
            location.release(location.numbers[0].phone_number)
        return
    offer = state.stock.search(Wanted(country="US", kinds=("local",)))[0]
    state.stock.take(offer.phone_number)
    location.add(new_number(offer.phone_number, time))
