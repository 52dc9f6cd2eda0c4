"""Responses with status 200 whose body says that they are an error."""

import pytest

from lcphone_async import (
    APIError,
    AuthenticationError,
    LCPhoneClient,
    PurchaseOutcomeUnknownError,
    RetryPolicy,
    ServerError,
)
from support.raw_server import RawServer, http_json

EMPTY = {"numbers": [], "total": 0}
BODIES = {
    "statusCode": ({"statusCode": 500, "message": "Internal server error", **EMPTY}, ServerError),
    "text": ({"statusCode": "500", "data": EMPTY}, ServerError),
    "401": (
        {"statusCode": 401, "message": "Unauthorized scope", "data": EMPTY},
        AuthenticationError,
    ),
    "status": ({"status": 503, "data": EMPTY}, ServerError),
    "error": ({"status": "error", "data": EMPTY, "message": "failed"}, APIError),
    "upper case": ({"status": "ERROR", **EMPTY}, APIError),
    "failed": ({"status": "failed", "data": EMPTY}, APIError),
    "success": ({"success": False, "data": []}, APIError),
    "success as text": ({"success": "false", "data": [], "numbers": []}, APIError),
    "a fraction": ({"statusCode": 500.0, **EMPTY}, ServerError),
    "a code within": ({"status": "success", "data": {"statusCode": 503, **EMPTY}}, ServerError),
    "failed within": ({"statusCode": 200, "data": {"status": "error", **EMPTY}}, APIError),
    "an error alone": ({"error": "x", "numbers": [], "data": []}, APIError),
    "an error with a code": ({"error": {"code": "internal"}, "data": EMPTY}, APIError),
    "an error within": ({"statusCode": 200, "data": {"error": "x", **EMPTY}}, APIError),
    "a list of errors": ({"errors": ["x"], "numbers": [], "pools": []}, APIError),
    "errors with codes": ({"errors": [{"code": 1}], **EMPTY}, APIError),
    "an account status": ({"msg": "no", "accountStatus": "suspended"}, APIError),
    "an account status within": ({"data": {"msg": "no", "accountStatus": "closed"}}, APIError),
}
ONCE = RetryPolicy(max_tries=1, confirm_timeout=0.01)


def client_of(server):
    return LCPhoneClient("token", base_url=server.url, retry=ONCE)


@pytest.mark.parametrize(("body", "error"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(
    "read",
    [
        lambda client: client.active_numbers_page("loc"),
        lambda client: client.number_pools("loc"),
        lambda client: client.search_available("loc", "US"),
    ],
    ids=["active", "pools", "search"],
)
async def test_a_read(read, body, error):
    """Raises the error in the body, and returns no empty list."""
    async with RawServer() as server, client_of(server) as client:
        server.reply(http_json(body))
        with pytest.raises(error) as caught:
            await read(client)
    assert isinstance(caught.value, error)


@pytest.mark.parametrize("body", [{"error": "x", **EMPTY}, {"errors": ["x", "y"], **EMPTY}])
async def test_its_message(body):
    """The message in the body is the error's message."""
    async with RawServer() as server, client_of(server) as client:
        server.reply(http_json(body))
        with pytest.raises(APIError) as caught:
            await client.active_numbers_page("loc")
    assert caught.value.message in {"x", "x; y"}


async def test_a_purchase_beside_an_error():
    """A purchase whose response has the number succeeds."""
    bought = {"number": "+12125550001", "id": "n1", "locationId": "loc", "error": "no webhook"}
    async with RawServer() as server, client_of(server) as client:
        server.reply(http_json({"status": "success", "data": bought}, status=201))
        purchase = await client.purchase("loc", "+12125550001")
    assert purchase.number == "+12125550001"


async def test_it_is_retried():
    """Repeats a read after a 500 within a 200, as after any 500."""
    retry = RetryPolicy(max_tries=2, initial_wait=0.01)
    async with (
        RawServer() as server,
        LCPhoneClient("token", base_url=server.url, retry=retry) as client,
    ):
        server.reply(http_json({"statusCode": 500}), http_json(EMPTY))
        page = await client.active_numbers_page("loc")
    assert page.total == 0
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"status": "error", "message": "failed"},
        {"error": "failed"},
        {"msg": "failed", "accountStatus": "suspended"},
        {"statusCode": 400, "message": "Phone number is no longer available"},
        {"statusCode": 401, "message": "Invalid token: access token is invalid"},
        {"statusCode": 429, "message": "Too many requests"},
    ],
)
async def test_a_purchase(body):
    """A purchase is in doubt, as the service may have acted: it is sent once and fails."""
    async with RawServer() as server, client_of(server) as client:
        server.reply(http_json(body))
        with pytest.raises(PurchaseOutcomeUnknownError):
            await client.purchase("loc", "+12125550001")
        posts = [request for request in server.requests if request.method == "POST"]
    assert len(posts) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"status": "success", "statusCode": 200, "data": EMPTY, "message": "OK"},
        {"status": 200, "statusCode": 201, **EMPTY},
        {**EMPTY, "accountStatus": "active", "errors": {"status": "error"}},
        {"numbers": [{"phoneNumber": "+12125550001", "status": "error"}], "total": 1},
        {"numbers": [{"phoneNumber": "+12125550001"}], "total": 1, "error": "x"},
        {"numbers": [{"phoneNumber": "+12125550001"}], "total": 1, "errors": ["x"]},
        {**EMPTY, "error": None, "errors": []},
        {**EMPTY, "error": "", "errors": {}},
        {**EMPTY, "error": False},
        {"data": [], "total": 0, "accountStatus": "active"},
        {"phoneNumbers": [], "total": 0, "accountStatus": "suspended"},
    ],
)
async def test_similar_pages(body):
    """A page that resembles an error is decoded as a page."""
    async with RawServer() as server, client_of(server) as client:
        server.reply(http_json(body))
        page = await client.active_numbers_page("loc")
    assert page.total == len(page.numbers)
