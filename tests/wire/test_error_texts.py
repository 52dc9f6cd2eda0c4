"""`docs/wire.md`, Errors: the meaning of their messages and further keys."""

import json
import pickle
import re

import pytest

from lcphone_async import (
    AuthenticationError,
    LCPhoneClient,
    NotFoundError,
    PermissionDeniedError,
    PhoneSystemNotConnectedError,
    RetryPolicy,
)
from support.raw_server import RawServer, http, http_json
from support.refused_calls import (
    CLASSES,
    EVERY_CALL,
    HINTS_401,
    LOCATION,
    NUMBER,
    SCOPES,
    TOKEN,
    refused,
    texts,
)

NO_PHONE_SYSTEM = [
    {"message": "No Twilio account found", "statusCode": 404},
    {"message": "NO TWILIO ACCOUNT FOUND"},
    {"message": ["No twilio account was found for this location"]},
    {"error": "No Twilio account found", "status": 400},
    {"message": "Not Found", "error": "No Twilio account found"},
    {"msg": "Phone System is not connected to this account"},
]


@EVERY_CALL
@pytest.mark.parametrize("body", NO_PHONE_SYSTEM, ids=str)
async def test_404_is_no_twilio_account(client: LCPhoneClient, raw_server: RawServer, call, body):
    """404 "No Twilio account found": the location has no phone system."""
    error = await refused(client, raw_server, http_json(body, 404), call)
    assert type(error) is PhoneSystemNotConnectedError
    assert "LC Phone" in error.hint


WRONG_KIND = [
    (401, "Token's user type mismatch!"),
    (401, "This authClass type is not allowed to access this scope. Please reach out to us"),
    (403, "Token's user type mismatch!"),
    (403, "This authClass type is not allowed to access this scope. Please reach out to us"),
    (403, "Forbidden resource"),
]


@EVERY_CALL
@pytest.mark.parametrize(("status", "message"), WRONG_KIND)
async def test_a_token_of_the_wrong_kind_is_explained(
    client: LCPhoneClient, raw_server: RawServer, call, status, message
):
    """An agency's token instead of a sub-account's; more scopes do not help."""
    body = {"message": message, "error": "No", "statusCode": status}
    error = await refused(client, raw_server, http_json(body, status), call)
    assert type(error) is CLASSES[status]
    assert "wrong kind, an agency's where a location's is wanted" in error.hint
    assert "more scopes do not help" in error.hint
    assert error.hint in str(error)


@EVERY_CALL
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_scope_has_two_causes(
    client: LCPhoneClient, raw_server: RawServer, call, status
):
    """ "not authorized for this scope" can mean a token of the wrong kind, too."""
    body = {"statusCode": status, "message": "The token is not authorized for this scope."}
    error = await refused(client, raw_server, http_json(body, status), call)
    assert f"lacks the scope {SCOPES[call]}" in error.hint
    assert "wrong kind, an agency's where a location's is wanted" in error.hint


async def test_an_agency_s_call_wants_an_agency_s_token(v3: LCPhoneClient, raw_server: RawServer):
    """The list of an app's locations requires the agency's token."""
    raw_server.reply(http_json({"message": "Forbidden resource", "statusCode": 403}, 403))
    with pytest.raises(PermissionDeniedError) as caught:
        [location async for location in v3.locations("company", "app")]
    assert "a location's where an agency's is wanted" in caught.value.hint


@pytest.mark.parametrize("contract", ["v3", "2021-07-28"])
@pytest.mark.parametrize(
    ("user_type", "kinds"),
    [
        ("Company", "a location's where an agency's is wanted"),
        ("Location", "an agency's where a location's is wanted"),
    ],
)
async def test_a_code_of_the_wrong_kind_is_explained(
    raw_server: RawServer, contract, user_type, kinds
):
    """The user type of a code differs from the one that was requested."""
    body = {"message": "Token's user type mismatch!", "statusCode": 401}
    raw_server.reply(http_json(body, 401))
    async with LCPhoneClient("t", base_url=raw_server.url, api_version=contract) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.exchange_code("c", client_id="a", client_secret="b", user_type=user_type)
    assert f"the code is of the wrong kind, {kinds}" in caught.value.hint


@EVERY_CALL
@pytest.mark.parametrize(
    ("status", "body_status", "extra"),
    [(400, 400, {}), (404, 400, {"status": 400}), (400, "400", {})],
)
async def test_an_error_may_have_no_message(
    client: LCPhoneClient, raw_server: RawServer, call, status, body_status, extra
):
    """Only `error` without `message`; a status in the body that differs from HTTP's."""
    body = {"error": "Conversation provider not found", "status": body_status}
    error = await refused(client, raw_server, http_json(body, status), call)
    assert type(error) is CLASSES[status]
    assert (error.status, error.message) == (status, "Conversation provider not found")
    assert error.message in str(error)
    assert error.extra == extra


@pytest.mark.parametrize("status", [403, 404])
async def test_v3_s_common_documents_have_no_error(
    v3: LCPhoneClient, raw_server: RawServer, status
):
    """V3 documents 403 and 404 as `{message, statusCode}`."""
    error = await refused(v3, raw_server, http_json({"message": "m", "statusCode": status}, status))
    assert type(error) is CLASSES[status]
    assert (error.message, error.error, error.extra) == ("m", None, {})


AIP_EXTRA = {
    "canonicalCode": "NOT_FOUND",
    "resolution": "Check the location's ID",
    "details": [{"reason": "GONE", "tries": 2, "at": None, "again": False}],
}


@pytest.mark.parametrize("code", ["LOCATION_NOT_FOUND", 404, "404"])
@pytest.mark.parametrize("is_wrapped", [True, False])
async def test_other_keys_of_an_error_are_kept(
    client: LCPhoneClient, raw_server: RawServer, is_wrapped, code
):
    """`resolution` and `canonicalCode` are kept in `extra`."""
    details = {"message": "No such location", "code": code, **AIP_EXTRA}
    outer = {"traceId": "trace-1", "success": False}
    body = {"error": details, **outer} if is_wrapped else {**details, "error": code, **outer}
    error = await refused(client, raw_server, http_json(body, 404))
    assert type(error) is NotFoundError
    assert (error.message, error.trace_id) == ("No such location", "trace-1")
    assert pickle.loads(pickle.dumps(error)).extra == error.extra
    kept = {name: value for name, value in error.extra.items() if name != "error"}
    assert kept == {**AIP_EXTRA, "success": False}


@pytest.mark.parametrize("shown", [NUMBER, TOKEN, "+1 (830) 555-1234"])
async def test_extra_keys_hold_no_secret(raw_server: RawServer, new_client, shown):
    """The other keys hold neither the token nor a phone number."""
    body = {"message": "m", shown: 1, "a": shown, "b": [{"c": f"of {shown}", f"x{shown}": [shown]}]}
    error = await refused(new_client(TOKEN), raw_server, http_json(body, 400))
    kept = json.dumps(error.extra)
    assert shown not in kept + texts(error)
    assert "5551234" not in re.sub(r"[^\d]", "", kept)
    assert len(error.extra) == 3


async def test_extra_keys_are_bounded(v3: LCPhoneClient, raw_server: RawServer):
    """Deep values and long bodies exhaust neither the stack nor the event loop's time."""
    deep = b'{"message": "m", "a": ' + b"[" * 500 + b"]" * 500 + b"}"
    error = await refused(v3, raw_server, http(deep, 400))
    assert (error.message, error.extra) == ("m", {"a": [[[[[[[None]]]]]]]})
    long = http_json({"message": "m", "a": ["x"] * 100_000}, 400)
    error = await refused(v3, raw_server, long)
    assert (error.message, error.extra) == ("m", {})


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "Command timed out"),
        (401, "Something went wrong"),
        (400, "request took longer than expected"),
        (403, "Gateway Timeout"),
    ],
)
async def test_a_timeout_under_another_status_is_retried(
    raw_server: RawServer, new_client, status, message
):
    """401 "Command timed out" passes by itself and is unrelated to the token."""
    client = new_client(retry=RetryPolicy(max_tries=2, initial_wait=0))
    raw_server.reply(http_json({"message": message, "statusCode": status}, status), http_json([]))
    assert await client.number_pools(LOCATION) == []
    assert len(raw_server.requests) == 2


@pytest.mark.parametrize(
    "message", [*HINTS_401, WRONG_KIND[0][1], WRONG_KIND[1][1], "Unauthorized", "jwt expired"]
)
async def test_a_401_about_the_token_is_not_retried(raw_server: RawServer, new_client, message):
    """401 for a bad token, version, location or scope is final."""
    client = new_client(retry=RetryPolicy(max_tries=3, initial_wait=0))
    await refused(client, raw_server, http_json({"message": message, "statusCode": 401}, 401))
    assert len(raw_server.requests) == 1
