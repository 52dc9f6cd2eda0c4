"""Costs: an estimate of the monthly fees of a run's numbers, and its assumptions."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from .._internal import checks
from .._internal.paths import checked_path, read_bounded
from ..models import NumberType
from .errors import PriceListError
from .reader import RunReader, open_run
from .rules import TERRITORIES

_Key = tuple[str, str]
"""Country (ISO 3166-1 alpha-2) and normalized number type."""

_TYPES: Final = {re.sub(r"\W", "", kind).lower(): str(kind) for kind in NumberType}


@frozen
class _Price:
    """Monthly fee of a number, and its line in the price list."""

    amount: Decimal
    currency: str
    line: int = 0


LIST_PRICES: Final[Mapping[_Key, _Price]] = {
    (country, kind): _Price(Decimal(amount), "USD")
    for country in ("US", "CA")
    for kind, amount in (("local", "1.15"), ("tollfree", "2.15"))
}
"""Prices in HighLevel's "LC Phone Pricing & Billing Guide" of November 2025, which refers to Twilio
for all other countries."""

ASSUMPTIONS: Final = (
    "Only the monthly fee of the numbers: no calls, texts, registrations or taxes.",
    "Every number is charged in full, also if it is hosted or ported, or if its account is closed.",
    "A number in two locations is charged twice.",
    "The price is today's, not that of the day when a number was bought.",
)
_LIST_ASSUMPTION: Final = (
    "US and Canadian prices are those of HighLevel's pricing guide of November 2025; no other"
    " prices are known."
)
_FILE_ASSUMPTION: Final = "Prices are those of {path}; no other prices are known."
_TERRITORY_ASSUMPTION: Final = (
    "Numbers in a territory of the United States ({codes}) have the United States' price: the list"
    " has no price for the territory."
)
_UNUSED_PROBLEM: Final = "no number of the run has this country and type"
_COLUMNS: Final = ("country_code", "type", "price")

# A higher price is a mistake; sums of prices below it are exact in `Decimal`.
_MAX_PRICE: Final = 1_000_000


@frozen
class Cost:
    """Monthly cost of the numbers of one country and type."""

    country_code: str | None
    """ISO 3166-1 alpha-2; `None` if unknown."""
    type: str | None
    """Number type, such as `local`; `None` if unknown."""
    numbers: int
    """How many numbers there are."""
    price: Decimal | None
    """Monthly price of each number; `None` if no price is known."""
    currency: str | None
    """ISO 4217, such as `USD`; `None` if no price is known."""

    @property
    def total(self) -> Decimal | None:
        """Monthly price of all of them; `None` if no price is known."""
        return None if self.price is None else self.price * self.numbers


@frozen
class Costs:
    """Estimate of the monthly costs of a run's numbers."""

    lines: tuple[Cost, ...]
    """Costs by country and type, the highest total first."""
    assumptions: tuple[str, ...]
    """Sentences on what the estimate includes and leaves out."""

    @property
    def totals(self) -> dict[str, Decimal]:
        """Monthly price of all numbers with a known price, by currency (ISO 4217)."""
        totals: dict[str, Decimal] = {}
        for line in self.lines:
            if line.currency is not None and line.total is not None:
                totals[line.currency] = totals.get(line.currency, Decimal(0)) + line.total
        return dict(sorted(totals.items()))

    @property
    def total(self) -> Decimal:
        """The total if there is one currency, or 0; raises `ValueError` for several."""
        totals = self.totals
        if len(totals) > 1:
            raise ValueError(f"prices are in {' and '.join(totals)}: see totals")
        return next(iter(totals.values()), Decimal(0))

    @property
    def without_price(self) -> int:
        """Number of phone numbers without a known price."""
        return sum(line.numbers for line in self.lines if line.price is None)


def costs(
    store: str | Path, *, prices: str | Path | None = None, run_id: int | None = None
) -> Costs:
    """Estimates the monthly costs of the numbers of a run, the newest by default.

    - `prices`: a CSV file with the columns `country_code`, `type` and `price`, and optionally
      `currency` (US dollars by default). Without it, the vendor's list prices for the US and
      Canada.

    Raises `StoreError`; `PriceListError` with every line that is wrong, repeats another, or matches
    no number of the run; `OSError` or `ValueError` if the file cannot be read.
    """
    if prices is not None:
        checked_path("prices", prices)
    with open_run(store, run_id) as run:
        return estimate(run, prices)


def estimate(run: RunReader, prices: str | Path | None = None) -> Costs:
    """Estimates the costs of an open run; see `costs`."""
    counted, spellings = _count_numbers(run)
    known, problems, assumptions = LIST_PRICES, dict[int, str](), [_LIST_ASSUMPTION]
    if prices is not None:
        known, problems = _read_prices(prices, spellings)
        assumptions = [_FILE_ASSUMPTION.format(path=prices)]
    lines, used, territories = [], set(), set()
    for (country, kind), numbers in counted.items():
        price = known.get((country, kind))
        if price is None and country in TERRITORIES and (price := known.get(("US", kind))):
            territories.add(country)
        used.add(price)
        amount, currency = (price.amount, price.currency) if price else (None, None)
        lines.append(Cost(country or None, spellings[kind] or None, numbers, amount, currency))
    if prices is not None:
        problems |= {price.line: _UNUSED_PROBLEM for price in known.values() if price not in used}
    if problems:
        raise PriceListError(_message(prices, problems))
    lines.sort(key=lambda line: (-(line.total or 0), -line.numbers, str(line)))
    if territories:
        assumptions.append(_TERRITORY_ASSUMPTION.format(codes=", ".join(sorted(territories))))
    return Costs(tuple(lines), (*assumptions, *ASSUMPTIONS))


def _count_numbers(run: RunReader) -> tuple[Counter[_Key], dict[str, str]]:
    """Counts numbers by country and type; also returns the types as the service spells them."""
    counted: Counter[_Key] = Counter()
    spellings = dict(_TYPES)
    for country, kind, numbers in run.rows(
        "SELECT coalesce(country, ''), coalesce(type, ''), count(*)"
        " FROM numbers JOIN as_numbers USING (location_id, phone_number) GROUP BY ALL ORDER BY ALL"
    ):
        spellings.setdefault(_normalized_type(kind), kind)
        counted[country, _normalized_type(kind)] += numbers
    return counted, spellings


def _read_prices(
    path: str | Path, types: Mapping[str, str]
) -> tuple[dict[_Key, _Price], dict[int, str]]:
    """Reads a price list with the given `types`; returns its prices, and problems by line."""
    found: dict[_Key, _Price] = {}
    problems: dict[int, str] = {}
    rows = csv.DictReader(io.StringIO(read_bounded(Path(path)), newline=""))
    try:
        if missing := {*_COLUMNS} - set(rows.fieldnames or ()):
            named = " or ".join(sorted(missing))
            raise PriceListError(f"{path}: no column is called {named}")
        for row in rows:
            try:
                key, price = _price(row, rows.line_num, types)
            except ValueError as error:
                problems[rows.line_num] = str(error)
                continue
            if (other := found.setdefault(key, price)) is not price:
                problems[price.line] = f"country and type are those of line {other.line}"
    except csv.Error as error:
        raise PriceListError(f"{path}, line {rows.reader.line_num}: {error}") from None
    return found, problems


def _price(row: dict[str, Any], line: int, types: Mapping[str, str]) -> tuple[_Key, _Price]:
    """Parses a line of a price list; raises `ValueError` if it is wrong."""
    values = [value.strip() for name in _COLUMNS if (value := row[name]) is not None]
    if len(values) < len(_COLUMNS):
        raise ValueError("shorter than the header")
    country, kind, text = values
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("NaN")
    if not (price.is_finite() and 0 <= price <= _MAX_PRICE):
        raise ValueError(f"{text!r:.40} is not a price")
    country = checks.country_code("country_code", country)
    if not _normalized_type(kind) or _normalized_type(kind) not in types:
        known = ", ".join(sorted(filter(None, types.values())))
        raise ValueError(f"no number has the type {kind!r:.40} (types: {known})")
    currency = (row.get("currency") or "USD").strip().upper()
    if not re.fullmatch("[A-Z]{3}", currency):
        raise ValueError(f"{currency!r:.40} is not a currency, such as USD")
    return (country, _normalized_type(kind)), _Price(price, currency, line)


def _message(path: object, problems: Mapping[int, str]) -> str:
    """Formats the problems, with the lines that have the same problem together."""
    lines: defaultdict[str, list[str]] = defaultdict(list)
    for line, problem in sorted(problems.items()):
        lines[problem].append(str(line))
    messages = (f"line {', '.join(numbers)}: {problem}" for problem, numbers in lines.items())
    return f"{path}, {'; '.join(messages)}"


def _normalized_type(kind: str) -> str:
    """Normalizes a number type: `toll-free`, `Toll Free` and `tollFree` become `tollfree`."""
    return re.sub(r"[\W_]", "", kind).lower()
