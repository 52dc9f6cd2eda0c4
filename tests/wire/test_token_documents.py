"""The vendor's OAuth documents: requests are valid by them, and their examples decode."""

import json

import attrs
import pytest
from openapi_core import OpenAPI

from lcphone_async import AgencyTokens, LCPhoneClient, LCPhoneError, OAuthTokens, RetryPolicy
from lcphone_async._wire import token_responses
from lcphone_async._wire.requests import Request
from lcphone_async._wire.responses import Response
from lcphone_async.auth.tokens import Grant
from support.oauth_app import HOUR
from support.openapi_request import OpenAPIRequest
from support.raw_server import http_json
from support.vendor_documents import corrected, examples, needs_documents

pytestmark = needs_documents

ASKED = Request("POST", "/oauth/token", "/oauth/token", "", None)


async def sent_by(raw_server, contract, call):
    """The first request of a call, regardless of its outcome."""
    raw_server.reply(http_json({"message": "no"}, 400))
    agency = OAuthTokens(client_id="id", client_secret="secret", refresh_token="refresh")
    if call == "refresh":
        source = agency
    else:
        source = AgencyTokens(company_id="company", source="agency-token")
    options = {
        "base_url": raw_server.url,
        "api_version": contract,
        "retry": RetryPolicy(max_tries=1),
    }
    async with LCPhoneClient(source, **options) as client:
        with pytest.raises(LCPhoneError):
            if call == "locations":
                await anext(client.locations("company", "app", query="a name"))
            else:
                await client.number_pools("loc1")
    return raw_server.request


@pytest.mark.parametrize("call", ["refresh", "location token", "locations"])
async def test_requests_are_valid(raw_server, contract, call):
    """Sends requests that are valid by the document of each contract."""
    request = await sent_by(raw_server, contract, call)
    OpenAPI.from_dict(corrected(contract, "oauth")).validate_request(OpenAPIRequest(request))
    assert request.headers["version"] == contract
    assert ("authorization" in request.headers) == (call != "refresh")


def grants():
    if needs_documents.args[0]:
        return []
    return [
        pytest.param(body, id=f"{contract} {path} {number}")
        for contract in ("v3", "2021-07-28")
        for number, (path, _, status, body) in enumerate(examples(corrected(contract, "oauth")))
        if status == 200 and "oken" in path
    ]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("body", grants())
def test_every_example_of_tokens_decodes(body, wrapped):
    """Decodes the tokens and their lifetime from the examples in both spellings."""
    sent = {"data": body, "statusCode": 200} if wrapped else body
    read = token_responses.grant(ASKED, Response(200, {}, json.dumps(sent).encode()))
    assert read.access_token == "ab12dc0ae1234a7898f9ff06d4f69gh"
    assert read.expires_in == 86399
    assert read.location_id == body["locationId"]
    assert (read.refresh_token is None) == ("refresh" not in json.dumps(body))


@pytest.mark.parametrize("contract", ["v3", "2021-07-28"])
def test_every_example_of_locations_decodes(contract):
    """Decodes each location of the examples with all its documented fields."""
    bodies = [
        body
        for path, _, status, body in examples(corrected(contract, "oauth"))
        if status == 200 and "nstalled" in path
    ]
    assert bodies
    for body in bodies:
        listed = body.get("items") or body["locations"]
        response = Response(200, {}, json.dumps(body).encode())
        read = token_responses.locations(ASKED, response)
        assert [location.id for location in read.locations] == [each["_id"] for each in listed]
        assert not any(location.extra for location in read.locations)


@pytest.mark.parametrize(
    "body",
    [
        {"access_token": "a", "refresh_token": "r", "expires_in": HOUR, "companyId": "c"},
        {"accessToken": "a", "refreshToken": "r", "expiresIn": HOUR, "companyId": "c"},
        {"access_token": "", "accessToken": "a", "refresh_token": "r", "expiresIn": HOUR}
        | {"company_id": "c"},
    ],
)
def test_both_spellings(body):
    """Accepts either spelling of each field under either contract."""
    read = token_responses.grant(ASKED, Response(200, {}, json.dumps(body).encode()))
    assert attrs.asdict(read) == attrs.asdict(Grant("a", "r", HOUR, "c"))
