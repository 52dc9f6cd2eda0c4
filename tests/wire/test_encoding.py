"""Values of the caller stay within their path segment, parameter or header, or are refused."""

from urllib.parse import unquote

import pytest

from lcphone_async import LCPhoneClient
from support.raw_server import RawServer, http_json

NUMBER = "+18305551234"
BOUGHT = {"number": NUMBER, "locationId": "loc1", "id": "acc1", "underLcAccount": True}


async def list_all(client: LCPhoneClient, location_id: str, **options: object) -> list[object]:
    return [number async for number in client.active_numbers(location_id, **options)]


async def list_pages(client: LCPhoneClient, location_id: str, **options: object) -> list[object]:
    return [page async for page in client.active_number_pages(location_id, **options)]


IN_PATH = {
    "active_numbers_page": (LCPhoneClient.active_numbers_page, ""),
    "active_numbers": (list_all, ""),
    "active_number_pages": (list_pages, ""),
    "search_available": (lambda c, at: c.search_available(at, "US"), "/available"),
    "purchase": (lambda c, at: c.purchase(at, NUMBER), "/purchase"),
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
    """A location is encoded as one path segment, or refused."""
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
    """A location is encoded as one parameter, or refused."""
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
