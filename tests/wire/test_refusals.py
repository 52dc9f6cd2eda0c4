"""Bad arguments: `ValueError` or `TypeError`, and nothing is sent."""

from urllib.parse import unquote

import pytest

from lcphone_async import LCPhoneClient

from .raw_server import RawServer, http_json

NUMBER = "+18305551234"
BOUGHT = {"number": NUMBER, "locationId": "loc1", "id": "acc1", "underLcAccount": True}


async def list_all(client: LCPhoneClient, location_id: str, **options: object) -> list[object]:
    return [number async for number in client.active_numbers(location_id, **options)]


async def list_pages(client: LCPhoneClient, location_id: str, **options: object) -> list[object]:
    return [page async for page in client.active_number_pages(location_id, **options)]


async def search_two(client: LCPhoneClient, location_id: str) -> list[object]:
    return [search async for search in client.search_countries(location_id, ["US", "CA"])]


IN_PATH = {
    "active_numbers_page": (LCPhoneClient.active_numbers_page, ""),
    "active_numbers": (list_all, ""),
    "active_number_pages": (list_pages, ""),
    "search_available": (lambda c, at: c.search_available(at, "US"), "/available"),
    "purchase": (lambda c, at: c.purchase(at, NUMBER), "/purchase"),
}
EVERY_CALL = {name: call for name, (call, _) in IN_PATH.items()} | {
    "search_countries": search_two,
    "number_pools": LCPhoneClient.number_pools,
}
HOSTILE = [
    "a/b",
    "/",
    "..",
    ".",
    "../..",
    "a/../b",
    "%2e",
    "%2e%2e",
    "%2E%2E/x",
    "%2f",
    "a?b=c",
    "?",
    "a#b",
    "#",
    "a b",
    " ",
    "a\\b",
    "a;b",
    "a&locationId=b",
    "a\r\nX-Evil: 1",
    "a\n",
    "a\x00b",
    "é",
    "a%",
    "+",
]


@pytest.mark.parametrize("call", IN_PATH)
@pytest.mark.parametrize("location_id", HOSTILE)
async def test_a_location_never_leaves_its_segment(
    v3: LCPhoneClient, raw_server: RawServer, call, location_id
):
    """Every path part is escaped so that no value leaves its segment, or refused."""
    call, rest = IN_PATH[call]
    raw_server.reply(http_json({"data": {"numbers": [], **BOUGHT}}))
    try:
        await call(v3, location_id)
    except ValueError:
        assert not raw_server.connections
        return
    target = raw_server.request.target
    assert target.startswith("/phone-system/numbers/location/")
    rest_of_path = target.removeprefix("/phone-system/numbers/location/").split("?")[0]
    segment = rest_of_path.removesuffix(rest)
    assert rest_of_path == segment + rest
    assert not set(segment) & set("/?#\\")
    assert segment.lower().replace("%2e", ".") not in {".", ".."}
    assert unquote(segment) in {location_id, location_id.strip()}


@pytest.mark.parametrize("location_id", HOSTILE)
async def test_a_location_never_leaves_its_parameter(
    v3: LCPhoneClient, raw_server: RawServer, location_id
):
    """Every value is escaped so that it stays one parameter, or refused."""
    raw_server.reply(http_json([]))
    try:
        await v3.number_pools(location_id)
    except ValueError:
        assert not raw_server.connections
        return
    assert raw_server.request.path == "/phone-system/number-pools"
    assert raw_server.request.query in (
        [("locationId", location_id)],
        [("locationId", location_id.strip())],
    )


@pytest.mark.parametrize("call", EVERY_CALL)
@pytest.mark.parametrize("location_id", ["", None, 5, b"loc1"])
async def test_an_empty_location_is_refused(
    client: LCPhoneClient, raw_server: RawServer, call, location_id
):
    """An empty location: `ValueError` before anything is sent."""
    with pytest.raises(ValueError if location_id == "" else (TypeError, ValueError)):
        await EVERY_CALL[call](client, location_id)
    assert not raw_server.connections


@pytest.mark.parametrize("call", ["active_numbers_page", "active_numbers", "active_number_pages"])
@pytest.mark.parametrize("page_size", [0, -1, 1001, 10**9, "10", 1.5, None])
async def test_page_size_is_checked(client: LCPhoneClient, raw_server: RawServer, call, page_size):
    """Page size outside 1 to 1000: `ValueError` before anything is sent."""
    expected = ValueError if isinstance(page_size, int) else (TypeError, ValueError)
    with pytest.raises(expected):
        await EVERY_CALL[call](client, "loc1", page_size=page_size)
    assert not raw_server.connections


@pytest.mark.parametrize("page", [-1, -1000, "0", 0.5, None])
async def test_page_is_checked(client: LCPhoneClient, raw_server: RawServer, page):
    """A negative page: `ValueError` before anything is sent."""
    expected = ValueError if isinstance(page, int) else (TypeError, ValueError)
    with pytest.raises(expected):
        await client.active_numbers_page("loc1", page=page)
    assert not raw_server.connections


@pytest.mark.parametrize("code", ["U", "USA", "U1", "U\n", "12", "ÜS"])
async def test_the_country_of_a_purchase_is_checked(
    client: LCPhoneClient, raw_server: RawServer, code
):
    """A country code that is not two letters: `ValueError` before anything is sent."""
    with pytest.raises(ValueError, match="country"):
        await client.purchase("loc1", NUMBER, country_code=code)
    assert not raw_server.connections


@pytest.mark.parametrize("number", ["", " ", "hello", None, 18305551234])
async def test_the_number_of_a_purchase_is_checked(
    client: LCPhoneClient, raw_server: RawServer, number
):
    """`number` is an `AvailableNumber` or an E.164 string."""
    with pytest.raises((TypeError, ValueError)):
        await client.purchase("loc1", number)
    assert not raw_server.connections


@pytest.mark.parametrize("value", ["true", 1, "false", "", 0])
@pytest.mark.parametrize("name", ["skip_number_pool", "include_rcs_sender_ids"])
async def test_a_flag_is_true_or_false(v3: LCPhoneClient, raw_server: RawServer, name, value):
    """Bool parameters go out as `true` or `false` and as nothing else."""
    raw_server.reply(http_json({"numbers": []}))
    try:
        await v3.active_numbers_page("loc1", **{name: value})
    except (TypeError, ValueError):
        assert not raw_server.connections
        return
    assert raw_server.request.target.rpartition("=")[2] in {"true", "false"}
