"""`docs/wire.md`: Purchasing."""

import pytest

from lcphone_async import (
    APIError,
    LCPhoneClient,
    NumberUnavailableError,
    PurchaseOutcomeUnknownError,
    RetryPolicy,
)
from support.purchase_parameters import EVERY_PARAMETER, WIRE_NAMES
from support.raw_server import RawServer, http, http_json

LOCATION = "loc1"
NUMBER = "+18305551234"
BOUGHT = {"number": NUMBER, "locationId": LOCATION, "id": "acc1", "underLcAccount": True}


async def test_omitted_parameters_are_not_sent(client: LCPhoneClient, raw_server: RawServer):
    """2021-07-28 requires only `phoneNumber`; the other parameters are sent only if set."""
    raw_server.reply(http_json({"data": BOUGHT}, 201))
    await client.purchase(LOCATION, NUMBER)
    assert raw_server.request.json == {"phoneNumber": NUMBER}
    assert raw_server.request.headers["content-type"].startswith("application/json")
    assert raw_server.request.query == []


async def test_every_parameter_is_sent(v3: LCPhoneClient, raw_server: RawServer):
    """V3 marks all twelve as required."""
    raw_server.reply(http_json({"data": BOUGHT}, 201))
    await v3.purchase(LOCATION, NUMBER, **EVERY_PARAMETER)
    sent = {WIRE_NAMES[name]: value for name, value in EVERY_PARAMETER.items()}
    assert raw_server.request.json == {"phoneNumber": NUMBER, **sent}


EMPTY_STRINGS = WIRE_NAMES.keys() - {"country_code", "number_type", "skip_location_kyc"}


@pytest.mark.parametrize("name", sorted(EMPTY_STRINGS))
async def test_an_empty_string_is_sent(client: LCPhoneClient, raw_server: RawServer, name):
    """`""` is sent."""
    raw_server.reply(http_json({"data": BOUGHT}, 201))
    await client.purchase(LOCATION, NUMBER, **{name: ""})
    assert raw_server.request.json == {"phoneNumber": NUMBER, WIRE_NAMES[name]: ""}


async def test_false_is_sent(client: LCPhoneClient, raw_server: RawServer):
    """`false` is sent."""
    raw_server.reply(http_json({"data": BOUGHT}, 201))
    await client.purchase(LOCATION, NUMBER, skip_location_kyc=False)
    assert raw_server.request.json == {"phoneNumber": NUMBER, "skipLocationKYC": False}


@pytest.mark.parametrize(
    ("number_type", "sent"),
    [
        *(("local", "local"), ("tollFree", "tollFree"), ("mobile", "mobile"), ("new", "new")),
        *(("TOLL_FREE", "tollFree"), ("toll-free", "tollFree"), ("Mobile", "mobile")),
    ],
)
async def test_number_types_are_spelt_as_in_a_search(
    client: LCPhoneClient, raw_server: RawServer, number_type, sent
):
    """Searches and purchases use `local`, `tollFree` and `mobile`."""
    raw_server.reply(http_json({"data": BOUGHT}, 201))
    await client.purchase(LOCATION, NUMBER, number_type=number_type)
    assert raw_server.request.json["numberType"] == sent


async def test_an_available_number_sets_parameters(client: LCPhoneClient, raw_server: RawServer):
    """An `AvailableNumber` sets the parameters that it has values for."""
    number = {
        "phoneNumber": NUMBER,
        "isoCountry": "US",
        "locality": "Austin",
        "region": "TX",
        "price": {"number_type": "tollFree", "price": 1.15, "price_unit": "USD"},
    }
    raw_server.reply(
        http_json({"fingerprintId": "f1", "numbers": [number]}), http_json({"data": BOUGHT}, 201)
    )
    found = await client.search_available(LOCATION, "US")
    await client.purchase(LOCATION, found.numbers[0], fingerprint_id=found.fingerprint_id)
    assert raw_server.requests[1].json == {
        "phoneNumber": NUMBER,
        "countryCode": "US",
        "numberType": "tollFree",
        "locality": "Austin",
        "region": "TX",
        "fingerprintId": "f1",
    }


async def test_the_caller_s_parameters_take_precedence(
    client: LCPhoneClient, raw_server: RawServer
):
    """The caller's parameters take precedence over those of the available number."""
    number = {"phoneNumber": NUMBER, "isoCountry": "US", "locality": "Austin", "region": "TX"}
    raw_server.reply(
        http_json({"fingerprintId": "f1", "numbers": [number]}), http_json({"data": BOUGHT}, 201)
    )
    (found,) = (await client.search_available(LOCATION, "US")).numbers
    await client.purchase(LOCATION, found, country_code="CA", locality="", region="ON")
    sent = {"phoneNumber": NUMBER, "countryCode": "CA", "locality": "", "region": "ON"}
    assert raw_server.requests[1].json == sent


GONE = "Phone number is no longer available"


@pytest.mark.parametrize("status", [400, 404, 409, 410])
async def test_a_number_may_be_gone(client: LCPhoneClient, raw_server: RawServer, status):
    """400 "Phone number is no longer available", and 404, 409 and 410."""
    raw_server.reply(http_json({"message": GONE, "error": "No", "statusCode": status}, status))
    with pytest.raises(NumberUnavailableError) as caught:
        await client.purchase(LOCATION, NUMBER)
    assert (caught.value.status, caught.value.message) == (status, GONE)
    assert len(raw_server.requests) == 1


@pytest.mark.parametrize("status", [400, 404])
async def test_a_number_may_be_gone_without_a_message(
    client: LCPhoneClient, raw_server: RawServer, status
):
    """A body with `error` but without `message`."""
    raw_server.reply(http_json({"error": GONE, "status": 400}, status))
    with pytest.raises(NumberUnavailableError) as caught:
        await client.purchase(LOCATION, NUMBER)
    assert (caught.value.status, caught.value.message) == (status, GONE)


@pytest.mark.parametrize(
    "response",
    [
        http_json({"msg": "Internal server error"}, 500),
        http(b"<html>Bad Gateway</html>", 502),
        http(status=503),
        http(status=504),
        *(http(status=status) for status in (307, 408, 425, 499, *range(520, 528), 530)),
        http(b'{"data": {"num', 201, length=100),
        http(b"", 201),
        http(b"<html>OK</html>", 201),
        http_json({"status": "success"}, 201),
        b"",
    ],
    ids=lambda response: (response[9:12] or b"closed").decode(),
)
async def test_an_unclear_outcome_is_not_retried(raw_server: RawServer, new_client, response):
    """The service is not known to be idempotent."""
    client = new_client(retry=RetryPolicy(max_tries=3, initial_wait=0, confirm_timeout=0))
    raw_server.reply(response)
    with pytest.raises(PurchaseOutcomeUnknownError) as caught:
        await client.purchase(LOCATION, NUMBER, fingerprint_id="f1")
    assert len(raw_server.requests) == 1
    assert caught.value.phone_number == NUMBER
    assert (caught.value.location_id, caught.value.fingerprint_id) == (LOCATION, "f1")
    assert NUMBER not in str(caught.value) + repr(caught.value)


SPEAKS_OF_TIME = [
    "Command timed out",
    "request took longer than expected",
    "The request took longer than expected, please check later",
    "timeout of 30000ms exceeded",
    "Request Time-out",
    "Gateway Timeout",
    "connect ETIMEDOUT 10.0.0.1:443",
    "Taking longer than expected",
    "context deadline exceeded",
    "DEADLINE_EXCEEDED",
    "The operation took too long",
    "socket hang up",
]


async def purchase_error(
    client: LCPhoneClient, raw_server: RawServer, response: bytes
) -> Exception:
    """The error of a purchase if the list has no such number, before or after."""
    raw_server.reply(response)
    with pytest.raises((APIError, PurchaseOutcomeUnknownError)) as caught:
        await client.purchase(LOCATION, NUMBER)
    assert len(raw_server.requests) == 1
    return caught.value


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
@pytest.mark.parametrize("message", SPEAKS_OF_TIME)
async def test_a_refusal_that_mentions_a_timeout_is_in_doubt(
    v3: LCPhoneClient, raw_server: RawServer, status, message
):
    """The service may have acted although it responds that it took too long."""
    response = http_json({"message": message, "statusCode": status}, status)
    error = await purchase_error(v3, raw_server, response)
    assert isinstance(error, PurchaseOutcomeUnknownError)


@pytest.mark.parametrize(
    "body",
    [
        {"message": ["Bad Request", "it took longer than expected"]},
        {"message": "Bad Request", "error": "Request Timeout"},
        {"msg": "Command timed out"},
        {"error": "Request timed out", "status": 400},
        {"message": "Bad Request", "canonicalCode": "DEADLINE_EXCEEDED"},
        {"error": {"code": 400, "message": "Bad Request", "resolution": "The call timed out"}},
        {"message": "Bad Request", "statusCode": 504},
        {"message": "Bad Request", "status": 520},
    ],
    ids=str,
)
async def test_the_timeout_may_be_mentioned_anywhere(
    v3: LCPhoneClient, raw_server: RawServer, body
):
    """In a list of messages, `error`, `msg`, other keys, or a status that differs."""
    error = await purchase_error(v3, raw_server, http_json(body, 400))
    assert isinstance(error, PurchaseOutcomeUnknownError)


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Command timed out", "statusCode": 401},
        {"message": "Something went wrong", "statusCode": 401},
        {"message": "Unauthorized", "statusCode": 401},
        {},
    ],
    ids=str,
)
async def test_a_401_without_its_reason_is_in_doubt(v3: LCPhoneClient, raw_server: RawServer, body):
    """401 "Command timed out" is unrelated to the token."""
    error = await purchase_error(v3, raw_server, http_json(body, 401))
    assert isinstance(error, PurchaseOutcomeUnknownError)


CLEAR_REFUSALS = [
    (401, "Invalid token: access token is invalid"),
    (401, "The token is invalid: it timed out"),
    (401, "version header was not found."),
    (401, "version header is invalid"),
    (401, "This location is not accessible from this token!"),
    (401, "not authorized for this scope"),
    (401, "Token's user type mismatch!"),
    (401, "This authClass type is not allowed to access this scope. Please reach out"),
    (403, "Forbidden resource"),
    (403, "token does not have access to this location"),
    (422, "phoneNumber is too long"),
    (429, "Too many requests: the time limit is 10 s"),
]


@pytest.mark.parametrize(("status", "message"), CLEAR_REFUSALS)
async def test_a_refused_token_or_budget_is_not_in_doubt(
    v3: LCPhoneClient, raw_server: RawServer, status, message
):
    """401 for a bad token, version, location or scope, and 429, are plain errors."""
    response = http_json({"message": message, "statusCode": status}, status)
    error = await purchase_error(v3, raw_server, response)
    assert isinstance(error, APIError)
    assert (error.status, error.message) == (status, message)
