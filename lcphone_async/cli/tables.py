"""Tables of the command: models as rich tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from attrs import frozen
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..journal import PurchaseRecord
from ..models import (
    ActiveNumber,
    AvailableNumber,
    AvailableNumbers,
    Capabilities,
    Location,
    NumberPool,
    Price,
    Purchase,
)
from .output import one_line

if TYPE_CHECKING:
    from ..audit import Change, Costs, Rule


@frozen
class Column:
    """A column of a table."""

    title: str
    """Header of the column."""
    cell: Callable[[Any], object]
    """Returns the content of a row's cell."""
    width: int | None = None
    """Width in characters; columns with `None` share the rest of the line."""
    style: str = ""
    """Style of rich."""
    folds: bool = False
    """True to fold long text, false to cut it; a column with a width always folds."""


def active_numbers(numbers: Iterable[ActiveNumber], *, header: bool = True) -> Table:
    """Numbers of a location. Tables of several pages line up; only the first has a header."""
    return _table(_ACTIVE, numbers, header=header)


def found(country_code: str, result: AvailableNumbers, *, show: int | None = None) -> Group:
    """Result of a country's search, or the first `show` numbers of it."""
    title = f"{country_code}: {len(result.numbers)} numbers found"
    if result.fingerprint_id:
        title += f", fingerprint {result.fingerprint_id}"
    shown = result.numbers[:show]
    more = len(result.numbers) - len(shown)
    return Group(
        Text(one_line(title), "bold"),
        _table(_AVAILABLE, shown),
        Text(f"... and {more} more" if more else "", "dim"),
    )


def number_pools(pools: Iterable[NumberPool]) -> Table:
    """Number pools."""
    return _table(_POOLS, pools)


def purchases(records: Iterable[PurchaseRecord]) -> Table:
    """Purchases that a journal holds."""
    return _table(_PURCHASES, records)


def locations(listed: Iterable[Location], *, header: bool = True) -> Table:
    """Locations that have an app."""
    return _table(_LOCATIONS, listed, header=header)


def facts(rows: Iterable[tuple[str, object]]) -> Table:
    """Names and values, one per line."""
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(f"  {name}", "dim"), Text(one_line(value or "unknown")))
    return table


def offer(number: AvailableNumber, location_id: str) -> Table:
    """A number that is offered for purchase."""
    price = number.price
    return facts(
        (
            ("Number", number.phone_number),
            ("Place", ", ".join(filter(None, (place_text(number), number.iso_country)))),
            ("Type", price and price.number_type),
            ("Can", capabilities_text(number.capabilities)),
            ("A month", price_text(price)),
            ("Address needed", number.address_requirements),
            ("For location", location_id),
        )
    )


def purchase(bought: Purchase) -> Table:
    """A purchase."""
    return facts(
        (
            ("Bought", bought.number),
            ("For location", bought.location_id),
            ("Account", bought.id),
            ("Confirmed by", f"the {bought.confirmed_by}"),
        )
    )


def changes(found: Iterable[Change], *, header: bool = True) -> Table:
    """Changes between two runs. Tables of several chunks line up; only the first has a header."""
    return _table(_CHANGES, found, header=header)


def findings(counted: Iterable[tuple[Rule, int]]) -> Table:
    """Number of findings of each rule, with the rule's reason."""
    return _table(_FINDINGS, counted)


def costs(estimated: Costs) -> Table:
    """An estimate, with its totals."""
    lines: list[tuple[object, ...]] = [
        (line.country_code, line.type, line.numbers, line.price, line.total, line.currency)
        for line in estimated.lines
    ]
    for currency, total in estimated.totals.items():
        lines.append(("total", "", None, None, total, currency))
    if unknown := estimated.without_price:
        lines.append(("unknown", "", unknown, None, None, None))
    return _table(_COSTS, lines)


def counts(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Rows of a word and numbers."""
    table = _empty_table(header=True, expand=False)
    for index, title in enumerate(columns):
        table.add_column(title, justify="right" if index else "left", min_width=8)
    for row in rows:
        table.add_row(
            *(Text(f"{cell:,}" if isinstance(cell, int) else one_line(cell)) for cell in row)
        )
    return table


def price_text(price: Price | None) -> str:
    """Returns the monthly price as text."""
    if price is None or price.price is None:
        return ""
    return " ".join(filter(None, (f"{price.price}", price.price_unit)))


def place_text(number: AvailableNumber) -> str:
    """Returns the place of a number as text."""
    return ", ".join(filter(None, (number.locality, number.region)))


def capabilities_text(can: Capabilities) -> str:
    """Returns the capabilities of a number as text."""
    return " ".join(name for name in ("voice", "sms", "mms") if getattr(can, name))


_ACTIVE = (
    Column("Number", lambda n: n.phone_number, 16, "bold"),
    Column("Name", lambda n: n.friendly_name, None, "cyan"),
    Column("In", lambda n: n.country_code, 2),
    Column("Type", lambda n: n.type, 8),
    Column("Can", lambda n: capabilities_text(n.capabilities), 13, "green"),
    Column("User", lambda n: n.linked_user, None),
)
_AVAILABLE = (
    Column("Number", lambda n: n.phone_number, 16, "bold"),
    Column("Place", place_text, None, "cyan"),
    Column("Type", lambda n: n.price and n.price.number_type, 8),
    Column("Can", lambda n: capabilities_text(n.capabilities), 13, "green"),
    Column("A month", lambda n: price_text(n.price), 9),
    Column("Address", lambda n: n.address_requirements, 7),
)
_LOCATIONS = (
    Column("Location", lambda each: each.id, 22, "bold"),
    Column("Name", lambda each: each.name, None, "cyan"),
    Column("Address", lambda each: each.address, None),
    Column("Since", lambda each: each.installed_at and f"{each.installed_at:%Y-%m-%d}", 10),
)
_YES_NO = {True: "yes", False: "no"}
_POOLS = (
    Column("Pool", lambda p: p.name, None, "bold"),
    Column("Id", lambda p: p.id, 20),
    Column("Numbers", lambda p: len(p.numbers), 7),
    Column("Active", lambda p: _YES_NO.get(p.is_active), 6),
    Column("Recorded", lambda p: _YES_NO.get(p.call_recording), 8),
    Column("Forwards to", lambda p: p.forwarding_number, 16),
)
_PURCHASES = (
    Column("Number", lambda r: r.phone_number, 16, "bold"),
    Column("Location", lambda r: r.location_id, 20),
    Column("State", lambda r: r.state, 10, "cyan"),
    Column("When", lambda r: f"{r.sent_at.astimezone():%Y-%m-%d %H:%M}", 16),
    Column("Why", lambda r: r.reason, folds=True),
)
_CHANGES = (
    Column("Change", lambda c: c.kind, 15, "cyan"),
    Column("Number", lambda c: c.phone_number, 16, "bold"),
    Column("Location", lambda c: c.location_id, None),
    Column("Field", lambda c: c.field, None),
    Column("Before", lambda c: c.before, None),
    Column("After", lambda c: c.after, None),
    Column("A2P", lambda c: "dropped" if c.drops_a2p else "", 7, "yellow"),
)
_FINDINGS = (
    Column("Found", lambda counted: f"{counted[1]:,}", 9, "bold"),
    Column("Rule", lambda counted: counted[0].name, 25, "cyan"),
    Column("Why", lambda counted: f"{counted[0].title}. {counted[0].reason}", folds=True),
)
_COSTS = (
    Column("Country", lambda row: row[0] or "unknown", 9, "bold"),
    Column("Type", lambda row: row[1] if row[1] is not None else "unknown", 18),
    Column("Numbers", lambda row: f"{row[2]:,}" if row[2] else "", 10),
    Column("Each", lambda row: _money(row[3]) if row[1] != "" else "", 10),
    Column("A month", lambda row: _money(row[4]), 14),
    Column("", lambda row: row[5], 4),
)


def _money(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f}"


def _table(columns: Sequence[Column], rows: Iterable[object], *, header: bool = True) -> Table:
    table = _empty_table(header=header, expand=True)
    for column in columns:
        folds = column.folds or column.width is not None
        table.add_column(
            column.title,
            width=column.width,
            ratio=None if column.width else 1,
            style=column.style,
            overflow="fold" if folds else "ellipsis",
            no_wrap=not folds,
        )
    for row in rows:
        table.add_row(*(_cell(column.cell(row)) for column in columns))
    return table


def _empty_table(*, header: bool, expand: bool) -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        show_header=header,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        expand=expand,
        header_style="dim",
    )


def _cell(value: object) -> Text:
    return Text("" if value is None else one_line(value))
