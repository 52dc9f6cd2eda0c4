"""The vendor's OpenAPI documents: their examples decode, and requests are valid by them."""

import json
from typing import Any

import pytest
from openapi_core import OpenAPI

from lcphone_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    LCPhoneClient,
    PermissionDeniedError,
    PhoneSystemNotConnectedError,
    PurchaseOutcomeUnknownError,
    ServerError,
)
from support.lossless import ENVELOPE, assert_lossless
from support.openapi_request import OpenAPIRequest
from support.purchase_parameters import EVERY_PARAMETER
from support.raw_server import RawRequest, RawServer, http, http_json
from support.vendor_documents import (
    CONTRACTS,
    corrected,
    document,
    example_values,
    examples,
    needs_documents,
    operations,
    response_fields,
)

pytestmark = needs_documents

LOCATION = "ve9EPM428h8vShlRW1KT"
POOLS = "/phone-system/number-pools"
NUMBERS = "/phone-system/numbers/location/{locationId}"
ERRORS = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: PhoneSystemNotConnectedError,
    500: ServerError,
}
PURCHASE_FIELDS = {
    "number",
    "locationId",
    "location_id",
    "id",
    "underLcAccount",
    "under_ghl_account",
}


def known_fields(path: str) -> frozenset[str]:
    """The fields of both contracts that the models have an attribute for."""
    if path.endswith("/purchase"):
        return frozenset(
            PURCHASE_FIELDS
        )  # the client does not return the rest of the account record
    return frozenset().union(*(response_fields(document(c), path) for c in CONTRACTS))


def all_examples(*, wrappable: bool = False) -> list[Any]:
    if needs_documents.args[0]:
        return []
    found = [(contract, *e) for contract in CONTRACTS for e in examples(document(contract))]
    # v3 declares no response for pools and searches: expect the 2021 body.
    found += [
        ("v3", path, method, status, body)
        for path, method, status, body in examples(document("2021-07-28"))
        if path in {POOLS, NUMBERS + "/available"}
    ]
    return [
        pytest.param(version, path, method, status, body, id=f"{version} {path[14:]} {status} {n}")
        for n, (version, path, method, status, body) in enumerate(found)
        if not wrappable or status < 400
    ]


def purchased(body: Any) -> str:
    """The number whose purchase has `body` as its response."""
    body = body.get("data") or body if isinstance(body, dict) else {}
    return body.get("number") or next(iter(body.get("numbers") or ["+18305551234"]))


def call_of(client: LCPhoneClient, path: str, body: Any) -> Any:
    """The public call of a documented path."""
    if path == POOLS:
        return client.number_pools(LOCATION)
    if path.endswith("/available"):
        return client.search_available(LOCATION, "US")
    if path.endswith("/purchase"):
        return client.purchase(LOCATION, purchased(body))
    return client.active_numbers_page(LOCATION)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_no_example_is_forgotten(contract: str):
    """The served documents contain every `example` of a response, at any depth."""
    served = json.dumps([body for *_, body in examples(document(contract))], sort_keys=True)
    values = list(example_values(document(contract)))
    assert len(values) > 40
    for value in values:
        assert json.dumps(value, sort_keys=True) in served


@pytest.mark.parametrize(("version", "path", "method", "status", "body"), all_examples())
async def test_every_example_decodes(
    raw_server: RawServer, new_client, version, path, method, status, body
):
    """The vendor's examples decode through the public client, under both contracts."""
    client = new_client(api_version=version)
    raw_server.reply(http(status=status) if body is None else http_json(body, status))
    if status >= 400:
        spent = path.endswith("/purchase") and status >= 500
        with pytest.raises(PurchaseOutcomeUnknownError if spent else ERRORS[status]) as caught:
            await call_of(client, path, body)
        assert_error_is_complete(caught.value, body, status)
        return
    read = await call_of(client, path, body)
    assert raw_server.request.method.lower() == method
    assert_value_is_complete(read, path, body)


@pytest.mark.parametrize(
    ("version", "path", "method", "status", "body"), all_examples(wrappable=True)
)
async def test_every_good_example_decodes_wrapped(
    raw_server: RawServer, new_client, version, path, method, status, body
):
    """V3 wraps the bare bodies of 2021-07-28; the client decodes both under either contract."""
    envelope = {"status": "success", "data": body, "message": "OK", "statusCode": status}
    raw_server.reply(http_json(envelope, status))
    assert_value_is_complete(await call_of(new_client(api_version=version), path, body), path, body)
    assert raw_server.request.method.lower() == method


def assert_error_is_complete(error: Exception, body: Any, status: int) -> None:
    """The error has the message, error and trace id of its body."""
    if isinstance(error, APIError):
        assert error.status == status
        said = (body or {}).get("message") or (body or {}).get("msg")
        assert error.message == said if isinstance(said, str) else error.message


def assert_value_is_complete(read: Any, path: str, body: Any) -> None:
    """The model holds its whole body."""
    known = known_fields(path)
    if path == POOLS:
        pools = body["data"] or []
        assert len(read) == len(pools)
        for pool, sent in zip(read, pools, strict=True):
            assert_lossless(pool, sent, known=known)
        return
    while isinstance(body.get("data"), dict):
        assert body.keys() <= {"data", *ENVELOPE}
        body = body["data"]
    if path.endswith("/purchase"):
        assert read.number == purchased(body)
    assert_lossless(read, body, known=known)


LIST_PARAMETERS = {"page": 3, "page_size": 100, "search_filter": "+91", "skip_number_pool": False}
SEARCH_PARAMETERS = {
    "number_types": ["local", "tollFree", "mobile"],
    "first_part": "830",
    "last_part": "825",
    "anywhere": "5",
    "sms_enabled": True,
    "mms_enabled": False,
    "voice_enabled": True,
}
ONLY_V3 = {"payment_intent_id", "stripe_account_id", "payment_method_id"}
PURCHASE_2021 = {name: value for name, value in EVERY_PARAMETER.items() if name not in ONLY_V3}
NUMBER = "+18305551234"
FULL = {
    "pools": (POOLS, lambda c, _: c.number_pools(LOCATION)),
    "search": (
        NUMBERS + "/available",
        lambda c, _: c.search_available(LOCATION, "US", **SEARCH_PARAMETERS),
    ),
    "list": (
        NUMBERS,
        lambda c, v3: c.active_numbers_page(
            LOCATION, **LIST_PARAMETERS, **({"include_rcs_sender_ids": True} if v3 else {})
        ),
    ),
    "purchase": (
        NUMBERS + "/purchase",
        lambda c, v3: c.purchase(LOCATION, NUMBER, **(EVERY_PARAMETER if v3 else PURCHASE_2021)),
    ),
}
MINIMAL = {
    "pools": lambda c: c.number_pools(LOCATION),
    "search": lambda c: c.search_available(LOCATION, "US"),
    "search without types": lambda c: c.search_available(LOCATION, "US", number_types=None),
    "list": lambda c: c.active_numbers_page(LOCATION),
    "purchase": lambda c: c.purchase(LOCATION, NUMBER),
}
ANSWER = {"data": {"numbers": [], "number": NUMBER, "id": "a", "locationId": LOCATION}}


async def sent_by(raw_server: RawServer, call: Any) -> RawRequest:
    """The request that a call sends, regardless of its outcome."""
    raw_server.reply(lambda r: http_json([] if r.path == POOLS else ANSWER))
    await call
    return raw_server.request


@pytest.mark.parametrize("operation", FULL)
async def test_full_requests_are_valid(raw_server: RawServer, new_client, contract, operation):
    """A request with every parameter is valid by its document."""
    _, call = FULL[operation]
    request = await sent_by(raw_server, call(new_client(api_version=contract), contract == "v3"))
    OpenAPI.from_dict(corrected(contract)).validate_request(OpenAPIRequest(request))


@pytest.mark.parametrize("operation", MINIMAL)
async def test_minimal_requests_are_valid(raw_server: RawServer, v2021, operation):
    """2021-07-28 requires only `countryCode` and `phoneNumber`: a short call is valid too."""
    request = await sent_by(raw_server, MINIMAL[operation](v2021))
    OpenAPI.from_dict(corrected("2021-07-28")).validate_request(OpenAPIRequest(request))


@pytest.mark.parametrize("operation", FULL)
async def test_every_documented_parameter_can_be_sent(
    raw_server: RawServer, new_client, contract, operation
):
    """The client has every parameter of both documents, and no other."""
    path, call = FULL[operation]
    request = await sent_by(raw_server, call(new_client(api_version=contract), contract == "v3"))
    (documented,) = [found for at, _, found in operations(corrected(contract)) if at == path]
    query = {p["name"] for p in documented["parameters"] if p["in"] == "query"}
    assert request.parameters.keys() == query
    if operation == "purchase":
        schema = corrected(contract)["components"]["schemas"]["PurchasePhoneNumberBodyDto"]
        assert request.json.keys() == schema["properties"].keys()
    else:
        assert request.body == b""


async def test_number_types_are_read_as_a_list(raw_server: RawServer, v3):
    """`numberTypes` is one comma-separated value, which decodes to the types."""
    request = await sent_by(raw_server, FULL["search"][1](v3, True))
    read = OpenAPI.from_dict(corrected("v3")).unmarshal_request(OpenAPIRequest(request))
    assert not read.errors
    assert read.parameters.query["numberTypes"] == ["local", "tollFree", "mobile"]
    assert read.parameters.query["smsEnabled"] is True
    assert read.parameters.query["mmsEnabled"] is False
