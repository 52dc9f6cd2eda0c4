"""What the numbers cost a month."""

from decimal import Decimal

import pytest

from audit.agency import Place, number
from lcphone_async.audit import Cost, costs


@pytest.fixture
def estimated(take, store, agency):
    """The costs of four numbers, three of which have a price in the vendor's list."""

    async def estimate(**options):
        agency.places["a"] = Place(
            [
                number("+12125550001"),
                number("+12125550002"),
                number("+18005550003", type="toll-free"),
                number("+447555000004", countryCode="GB", type="mobile"),
            ]
        )
        await take(agency, ["a"])
        return costs(store, **options)

    return estimate


async def test_by_country_and_type(estimated):
    """Adds up what is known, and counts what is not rather than calling it free."""
    found = await estimated()
    assert found.lines == (
        Cost("US", "local", 2, Decimal("1.15")),
        Cost("US", "tollFree", 1, Decimal("2.15")),
        Cost("GB", "mobile", 1, None),
    )
    assert found.total == Decimal("4.45")
    assert found.without_price == 1
    assert found.lines[2].total is None


async def test_the_assumptions_are_told(estimated, tmp_path):
    """Says whose prices they are and what is left out."""
    assert "HighLevel" in (await estimated()).assumptions[0]
    mine = tmp_path / "mine.csv"
    mine.write_text("country_code,type,price\n")
    found = await estimated(prices=mine)
    assert "mine.csv" in found.assumptions[0]
    assert (found.total, found.without_price) == (0, 4)


async def test_prices_of_ones_own(estimated, tmp_path):
    """Takes the prices of a file, whatever the case of the country and the order of columns."""
    mine = tmp_path / "mine.csv"
    mine.write_text("\ufefftype,price,country_code,note\nlocal, 3 ,us,x\nmobile,1.5,GB,\n")
    found = await estimated(prices=mine)
    assert found.total == Decimal("7.5")
    assert found.without_price == 1


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"US,local,", "'' is not a price"),
        (b"US,local,-1", "'-1' is not a price"),
        (b"US,local,1e999999", "'1e999999' is not a price"),
        (b"US,local," + b"9" * 9_000, r"'9{10,50} is not a price"),
        (b"US,local", "shorter than the header"),
        (b"US", "shorter than the header"),
        (b"US," + b"x" * 200_000, "field larger"),
    ],
)
async def test_a_row_that_is_no_price(estimated, tmp_path, row, problem):
    """Says what is wrong with a row, and which it is."""
    mine = tmp_path / "mine.csv"
    mine.write_bytes(b"country_code,type,price\n" + row)
    with pytest.raises(ValueError, match=rf"mine\.csv, row 2: {problem}"):
        await estimated(prices=mine)


@pytest.mark.parametrize("text", [b"", b"a,b\n", b"country_code,type,price\n\xff,local,1\n"])
async def test_a_price_list_that_is_none(estimated, tmp_path, text):
    """Says which file is no price list."""
    mine = tmp_path / "mine.csv"
    mine.write_bytes(text)
    with pytest.raises(ValueError, match=r"mine\.csv"):
        await estimated(prices=mine)
