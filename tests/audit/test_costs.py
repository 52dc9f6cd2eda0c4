"""Monthly costs of the numbers."""

from decimal import Decimal

import pytest

from lcphone_async.audit import Cost, PriceListError, costs
from support.agency import Place, number


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
    """Adds up known prices, and counts numbers without one."""
    found = await estimated()
    assert found.lines == (
        Cost("US", "local", 2, Decimal("1.15"), "USD"),
        Cost("US", "tollFree", 1, Decimal("2.15"), "USD"),
        Cost("GB", "mobile", 1, None, None),
    )
    assert found.totals == {"USD": Decimal("4.45")}
    assert found.total == Decimal("4.45")
    assert found.without_price == 1
    assert found.lines[2].total is None


async def test_the_assumptions_are_told(estimated, tmp_path):
    """Has the source of the prices and the limits of the estimate."""
    assert "HighLevel" in (await estimated()).assumptions[0]
    mine = tmp_path / "mine.csv"
    mine.write_text("country_code,type,price\n")
    found = await estimated(prices=mine)
    assert "mine.csv" in found.assumptions[0]
    assert (found.totals, found.without_price) == ({}, 4)


async def test_prices_of_ones_own(estimated, tmp_path):
    """Reads a file's prices with countries in any case and columns in any order."""
    mine = tmp_path / "mine.csv"
    mine.write_text("\ufefftype,price,country_code,note\nlocal, 3 ,us,x\nmobile,1.5,GB,\n")
    found = await estimated(prices=mine)
    assert found.totals == {"USD": Decimal("7.5")}
    assert found.without_price == 1


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"UK,local,1", "country_code: no country has the code UK: did you mean GB"),
        (b"USA,local,1", "country_code must be two letters"),
        (b",local,1", "country_code must be two letters"),
        (b"US,landline,1", "no number has the type 'landline'"),
        (b"US,,1", "no number has the type ''"),
        (b"US,local,$1.15", "'\\$1.15' is not a price"),
        (b"US,local,", "'' is not a price"),
        (b"US,local,-1", "'-1' is not a price"),
        (b"US,local,1e999999", "'1e999999' is not a price"),
        (b"US,local," + b"9" * 9_000, r"'9{10,50} is not a price"),
        (b"US,local", "shorter than the header"),
        (b"US", "shorter than the header"),
        (b"US," + b"x" * 200_000, "field larger"),
    ],
)
async def test_a_line_that_is_no_price(estimated, tmp_path, row, problem):
    """Raises an error with the line and its problem."""
    mine = tmp_path / "mine.csv"
    mine.write_bytes(b"country_code,type,price\n" + row)
    with pytest.raises(ValueError, match=rf"mine\.csv, line 2: {problem}"):
        await estimated(prices=mine)


async def test_lines_twice_and_lines_that_match_nothing(estimated, tmp_path):
    """Names every line that repeats another, however it is spelled, or that no number matches."""
    mine = tmp_path / "mine.csv"
    mine.write_text(
        "country_code,type,price\nUS,toll-free,1\nGB,mobile,1\nus,Toll Free,2\nFR,local,9\n"
        "UK,mobile,2\nUS,mobile,9\nUS,voip,1\n"
    )
    with pytest.raises(PriceListError) as error:
        await estimated(prices=mine)
    assert str(error.value) == (
        f"{mine}, line 4: country and type are those of line 2;"
        " line 5, 7: no number of the run has this country and type;"
        " line 6: country_code: no country has the code UK: did you mean GB?;"
        " line 8: no number has the type 'voip' (types: local, mobile, national, tollFree)"
    )


async def test_currencies_are_kept_apart(estimated, tmp_path):
    """Adds up each currency for itself."""
    mine = tmp_path / "mine.csv"
    mine.write_text("country_code,type,price,currency\nUS,local,1,\nGB,mobile,3,gbp\n")
    found = await estimated(prices=mine)
    assert found.totals == {"GBP": Decimal(3), "USD": Decimal(2)}
    assert found.lines[0] == Cost("GB", "mobile", 1, Decimal(3), "GBP")
    with pytest.raises(ValueError, match="in GBP and USD"):
        _ = found.total
    mine.write_text("country_code,type,price,currency\nUS,local,1,dollars\n")
    with pytest.raises(ValueError, match=r"line 2: 'DOLLARS' is not a currency"):
        await estimated(prices=mine)


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("sent", "line"),
    [
        ({"type": "toll_free"}, ("US", "tollFree", "2.15")),
        ({"type": "TOLL FREE"}, ("US", "tollFree", "2.15")),
        ({"type": "Toll-Free"}, ("US", "tollFree", "2.15")),
        ({"type": "Local"}, ("US", "local", "1.15")),
        ({"countryCode": "us"}, ("US", "local", "1.15")),
        ({"countryCode": None}, ("US", "local", "1.15")),
        ({"countryCode": "ca"}, ("CA", "local", "1.15")),
        ({"countryCode": "PR"}, ("PR", "local", "1.15")),
        ({"countryCode": "gb"}, ("GB", "local", None)),
        ({"countryCode": None, "phoneNumber": "+442079460018"}, ("GB", "local", None)),
        ({"type": "shared-cost"}, ("US", "shared-cost", None)),
        ({"type": None}, ("US", None, None)),
    ],
)
async def test_a_spelling(take, agency, store, sent, line):
    """Reads types and countries in every spelling, and makes no price up."""
    agency.places["a"] = Place([number("+12125550001") | sent])
    await take(agency, ["a"])
    (found,) = costs(store).lines
    country, kind, price = line
    assert (found.country_code, found.type, found.price) == (
        country,
        kind,
        price and Decimal(price),
    )


async def test_a_territory_that_has_no_price(take, agency, store, tmp_path):
    """Charges a territory like the United States, states that, and prefers its own price."""
    agency.places["a"] = Place([number("+17877231234", countryCode="PR"), number("+12125550001")])
    await take(agency, ["a"])
    assert "territory of the United States (PR)" in " ".join(costs(store).assumptions)
    mine = tmp_path / "mine.csv"
    mine.write_text("country_code,type,price\nUS,local,1\nPR,local,3\n")
    found = costs(store, prices=mine)
    assert found.totals == {"USD": Decimal(4)}
    assert "territory of" not in " ".join(found.assumptions)


@pytest.mark.parametrize("text", [b"", b"a,b\n", b"country_code,type,price\n\xff,local,1\n"])
async def test_a_price_list_that_is_none(estimated, tmp_path, text):
    """Names the file that is not a price list."""
    mine = tmp_path / "mine.csv"
    mine.write_bytes(text)
    with pytest.raises(ValueError, match=r"mine\.csv"):
        await estimated(prices=mine)
