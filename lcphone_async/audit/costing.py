"""What the numbers of a run cost a month, as far as prices are known, and what that assumes."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from attrs import frozen

from .._paths import checked_path
from .reading import Reading, reading

Prices = Mapping[tuple[str, str], Decimal]
"""US dollars a month, by country (ISO 3166-1 alpha-2) and type of number."""

LIST_PRICES: Final[Prices] = {
    ("US", "local"): Decimal("1.15"),
    ("US", "tollFree"): Decimal("2.15"),
    ("CA", "local"): Decimal("1.15"),
    ("CA", "tollFree"): Decimal("2.15"),
}
"""Those of HighLevel's "LC Phone Pricing & Billing Guide" of November 2025, which names no others
and refers to Twilio's for them."""

ASSUMPTIONS: Final = (
    "Only the monthly fee of the numbers: no calls, texts, registrations or taxes.",
    "Every number is charged in full, also those that are hosted, ported, or of a closed account.",
    "A number in two locations is charged twice.",
    "The price is that of today's list, not that of the day when a number was bought.",
)
_OF_THE_LIST: Final = (
    "US and Canadian prices are those of HighLevel's pricing guide of November 2025; no other"
    " prices are known."
)
_COLUMNS: Final = ("country_code", "type", "price")

# No number costs as much a month: there is a mistake, and sums stay exact.
_DEAREST: Final = 1_000_000
_OF_A_FILE: Final = "Prices are those of {path}; where it names none, none is known."


@frozen
class Cost:
    """What the numbers of one country and type cost a month."""

    country_code: str | None
    type: str | None
    numbers: int
    price: Decimal | None
    """US dollars for each; `None` where no price is known."""

    @property
    def total(self) -> Decimal | None:
        """US dollars a month for all of them."""
        return None if self.price is None else self.price * self.numbers


@frozen
class Costs:
    """An estimate."""

    lines: tuple[Cost, ...]
    """By country and type, the dearest first."""
    assumptions: tuple[str, ...]

    @property
    def total(self) -> Decimal:
        """US dollars a month for all numbers whose price is known."""
        return sum((line.total for line in self.lines if line.total is not None), Decimal(0))

    @property
    def without_price(self) -> int:
        """How many numbers' price is not known."""
        return sum(line.numbers for line in self.lines if line.price is None)


def costs(
    store: str | Path, *, prices: str | Path | None = None, run_id: int | None = None
) -> Costs:
    """Estimates what the numbers of a run cost a month.

    - `prices`: a CSV file with the columns `country_code`, `type` and `price`, such as those that
      you charge your clients; without it the vendor's list prices, which are for two countries.

    Raises `StoreError`, and `ValueError` for a price list that cannot be read.
    """
    if prices is not None:
        checked_path("prices", prices)
    with reading(store, run_id) as run:
        return estimate(run, prices)


def estimate(run: Reading, prices: str | Path | None = None) -> Costs:
    """The same for a run that is open."""
    known = LIST_PRICES if prices is None else read_prices(prices)
    source = _OF_THE_LIST if prices is None else _OF_A_FILE.format(path=prices)
    counted = run.rows("SELECT country_code, type, count(*) FROM numbers GROUP BY ALL")
    lines = [
        Cost(country, kind, numbers, known.get((country or "", kind or "")))
        for country, kind, numbers in counted
    ]
    lines.sort(key=lambda line: (-(line.total or 0), -line.numbers, str(line)))
    return Costs(tuple(lines), (source, *ASSUMPTIONS))


def read_prices(path: str | Path) -> Prices:
    """A price list of your own; raises `ValueError` with the row of what is no price."""
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        try:
            if missing := {*_COLUMNS} - set(rows.fieldnames or ()):
                raise ValueError(f"{path}: no column is called {' or '.join(sorted(missing))}")
            return dict(_price(row, f"{path}, row {rows.line_num}") for row in rows)
        except csv.Error as error:
            raise ValueError(f"{path}, row {rows.reader.line_num}: {error}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path}: not UTF-8") from None


def _price(row: dict[str, str | None], where: str) -> tuple[tuple[str, str], Decimal]:
    values = [value.strip() for name in _COLUMNS if (value := row[name]) is not None]
    if len(values) < len(_COLUMNS):
        raise ValueError(f"{where}: shorter than the header")
    country, kind, text = values
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("NaN")
    if not (price.is_finite() and 0 <= price <= _DEAREST):
        raise ValueError(f"{where}: {text!r:.40} is not a price")
    return (country.upper(), kind), price
