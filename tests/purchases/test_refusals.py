"""What a refusal proves, however a service or a proxy words it."""

import pytest

from lcphone_async import APIError, PurchaseOutcomeUnknownError
from lcphone_async.sandbox import Fault
from support.shop import NUMBER, PLACE, Shop

ANOTHER = "+18305551999"
TIMED_OUT = {"message": "Command timed out", "statusCode": 401}


@pytest.fixture
async def shop(tmp_path):
    async with Shop(tmp_path / "purchases.db") as shop:
        yield shop


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refusal_and_a_list_that_times_out(shop, status):
    """A list whose 4xx says that it timed out proves nothing: no other number is bought instead."""
    shop.fails(
        Fault(operation="purchase", point="after", status=400, times=1),
        *(
            Fault(operation="active", nth=nth, status=status, body=TIMED_OUT)
            for nth in range(2, 30)
        ),
    )
    client = shop.client()
    order = await client.purchase_many(PLACE, [NUMBER, ANOTHER], count=1)
    assert (order.bought, order.unknown, shop.paid) == ((), (NUMBER,), [NUMBER])
    shop.fails()
    assert [record.state for record in await client.reconcile()] == ["bought"]


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Bad Request", "errors": [{"message": "Command timed out"}]},
        {"message": "Bad Request", "details": {"cause": {"text": "took longer than expected"}}},
        {"message": "Bad Request", "statusCode": "504"},
        {"message": "Bad Request", "errors": [{"status": 502}]},
        {"message": "Bad Request", "upstream": {"code": "503"}},
    ],
    ids=str,
)
async def test_a_refusal_that_speaks_of_time_anywhere(shop, body):
    """A refusal is in doubt as a 5xx is, wherever in its body that is said."""
    shop.fails(Fault(operation="purchase", status=400, body=body, times=1))
    with pytest.raises(PurchaseOutcomeUnknownError):
        await shop.client().purchase(PLACE, NUMBER)
    assert await shop.states() == ["unknown"]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "This location has reached its limit of phone numbers"),
        (403, "Numbers of this location need a newer version of the address"),
        (401, "The location has no funds left"),
    ],
)
async def test_a_refusal_that_names_a_location_only(shop, status, message):
    """It is not one of the token: a second POST may meet it because the first one bought."""
    body = {"message": message}
    shop.fails(Fault(operation="purchase", point="after", status=status, body=body))
    purchase = await shop.client().purchase(PLACE, NUMBER)
    assert (purchase.confirmed_by, shop.paid) == ("read-back", [NUMBER])


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "Invalid token: access token is invalid"),
        (401, "version header was not found."),
        (401, "version header is invalid"),
        (401, "This location is not accessible from this token!"),
        (401, "not authorized for this scope"),
        (401, "Token's user type mismatch!"),
        (401, "This authClass type is not allowed to access this scope"),
        (403, "The token does not have access to this location"),
        (403, "Forbidden resource"),
    ],
)
async def test_the_known_refusals_of_a_token_cost_no_look(shop, status, message):
    """They would have met the first POST too."""
    shop.fails(Fault(operation="purchase", status=status, body={"message": message}))
    with pytest.raises(APIError):
        await shop.client().purchase(PLACE, NUMBER)
    assert [record.method for record in shop.sandbox.requests] == ["GET", "POST"]
