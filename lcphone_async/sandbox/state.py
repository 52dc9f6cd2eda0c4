"""What a sandbox knows: its locations, the stock, the ledger of purchases, and the tokens."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import takewhile

from attrs import define, field, frozen

from .inventory.location import Location, LocationSettings
from .inventory.numbers import new_number
from .inventory.stock import Offer, Stock
from .tokens.oauth import OAuth


@frozen
class LedgerEntry:
    """A purchase that took effect."""

    location_id: str
    phone_number: str
    """In E.164."""
    time: datetime
    """Aware, in UTC."""


@define
class State:
    """The state behind the operations."""

    seed: int
    settings: Mapping[str, LocationSettings] | None
    numbers_per_location: int
    oauth: OAuth
    list_lag: float
    stock: Stock = field(init=False)
    ledger: list[LedgerEntry] = field(factory=list, init=False)
    locations: dict[str, Location] = field(factory=dict, init=False)
    """Those that were asked for so far."""

    @stock.default
    def _full_stock(self) -> Stock:
        return Stock(self.seed)

    def location(self, location_id: str) -> Location | None:
        """Give the location of this id, or `None` where the settings leave it out."""
        if location_id not in self.locations:
            settings = LocationSettings()
            if self.settings is not None:
                if location_id not in self.settings:
                    return None
                settings = self.settings[location_id]
            # A test's thread may ask at the same time: whoever comes second gets the first's.
            self.locations.setdefault(location_id, self._grown(location_id, settings))
        return self.locations[location_id]

    def known_ids(self) -> list[str]:
        """List the locations that there are: those of the settings, or those asked for so far."""
        return list(self.locations if self.settings is None else self.settings)

    def buy(self, location: Location, offer: Offer, time: datetime) -> None:
        """Move a number from the stock to a location, and write it down."""
        self.stock.take(offer.phone_number)
        location.add(new_number(offer.phone_number, time))
        location.bought.append(offer.phone_number)
        self.ledger.append(LedgerEntry(location.id, offer.phone_number, time))

    def hidden(self, time: datetime) -> set[str]:
        """Return the numbers that were bought too short a time ago to be in a list."""
        lag = timedelta(seconds=self.list_lag)
        lagging = takewhile(lambda entry: time - entry.time < lag, reversed(self.ledger))
        return {entry.phone_number for entry in lagging}

    def clear(self) -> None:
        """Go back to the start: what was bought, taken, added and released, and the tokens."""
        self.stock.clear()
        self.ledger.clear()
        self.locations.clear()
        self.oauth.clear()

    def _grown(self, location_id: str, settings: LocationSettings) -> Location:
        count = self.numbers_per_location if settings.numbers is None else settings.numbers
        return Location.starting(self.seed, location_id, settings, count)
