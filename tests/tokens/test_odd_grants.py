"""Tokens are not lost for a field beside them: the answer that brought them may be the last."""

import pytest
from wire.raw_server import http_json

from lcphone_async import (
    AgencyTokens,
    LCPhoneClient,
    OAuthTokens,
    ResponseFormatError,
    RetryPolicy,
    TokenUnavailableError,
)
from lcphone_async.token_store import MemoryTokenStore

EMPTY = http_json({"numbers": [], "total": 0})
TOKENS = {"access_token": "a2", "refresh_token": "r2", "expires_in": 86399}

# What a service may send beside the tokens, and what is read of it.
ODD = [
    ({"scope": ["phonenumbers.read", "oauth.write"]}, {"scope": "phonenumbers.read oauth.write"}),
    ({"scope": {"a": True}}, {"scope": None}),
    ({"scope": [5, None]}, {"scope": None}),
    ({"scope": 7}, {"scope": None}),
    ({"locationId": 5, "companyId": 7}, {"location_id": "5", "company_id": "7"}),
    ({"locationId": 5.0}, {"location_id": "5"}),
    ({"locationId": 5.5, "companyId": True}, {"location_id": None, "company_id": None}),
    ({"locationId": ["a"], "companyId": {}}, {"location_id": None, "company_id": None}),
    ({"locationId": "", "companyId": " "}, {"location_id": None, "company_id": None}),
    ({"locationId": "", "userType": "Company", "companyId": "c"}, {"company_id": "c"}),
    ({"expires_in": "86399"}, {"expires_in": 86399.0}),
    ({"expires_in": "soon"}, {"expires_in": None}),
    ({"expires_in": {}}, {"expires_in": None}),
    ({"expires_in": None}, {"expires_in": None}),
    ({"userId": 5, "userType": ["Location"], "isBulkInstallation": "yes"}, {}),
    ({"token_type": 5, "data": {"status": "fine"}}, {}),
    ({"data": []}, {}),
]

each_odd_answer = pytest.mark.parametrize(("sent", "read"), ODD, ids=str)


def client_of(raw_server, source, contract):
    one_try = RetryPolicy(max_tries=1)
    return LCPhoneClient(source, base_url=raw_server.url, api_version=contract, retry=one_try)


@each_odd_answer
async def test_a_refresh(raw_server, contract, sent, read):
    """Uses and keeps the new tokens, whatever stands beside them."""
    raw_server.reply(http_json({**TOKENS, **sent}), EMPTY)
    store = MemoryTokenStore()
    source = OAuthTokens(client_id="a", client_secret="b", refresh_token="r1", store=store)
    async with client_of(raw_server, source, contract) as client:
        await client.active_numbers_page("loc1")
        await client.active_numbers_page("loc1")
    refresh, first, _ = raw_server.requests
    assert refresh.path == "/oauth/token"
    assert first.headers["authorization"] == "Bearer a2"
    assert "r2" in await store.load()


@each_odd_answer
async def test_the_code_of_an_authorization(raw_server, contract, sent, read):
    """Returns the tokens, and what can be read of the rest."""
    raw_server.reply(http_json({**TOKENS, **sent}))
    async with client_of(raw_server, "pit-unused", contract) as client:
        grant = await client.exchange_code("code", client_id="a", client_secret="b")
    assert (grant.access_token, grant.refresh_token) == ("a2", "r2")
    assert {name: getattr(grant, name) for name in read} == read


@each_odd_answer
async def test_a_location_token(raw_server, contract, sent, read):
    """Uses the location's token, whatever stands beside it."""
    raw_server.reply(http_json({**TOKENS, **sent}), EMPTY)
    source = AgencyTokens(company_id="company", source="agency-token")
    async with client_of(raw_server, source, contract) as client:
        await client.active_numbers_page("loc1")
    assert raw_server.requests[-1].headers["authorization"] == "Bearer a2"


@pytest.mark.parametrize(
    "sent",
    [
        {"access_token": None},
        {"access_token": 5},
        {"access_token": ["a2"]},
        {"access_token": "two words"},
        {"refresh_token": 0},
        {"refresh_token": {}},
        {"refresh_token": "two words"},
    ],
    ids=str,
)
async def test_tokens_that_are_none(raw_server, sent):
    """Refuses an answer without usable tokens, and says where it looked."""
    raw_server.reply(http_json({**TOKENS, **sent}))
    source = OAuthTokens(client_id="a", client_secret="b", refresh_token="r1")
    async with client_of(raw_server, source, "v3") as client:
        with pytest.raises(TokenUnavailableError, match=r"unexpected answer: \$\.\w+_token"):
            await client.number_pools("loc1")
        with pytest.raises(ResponseFormatError, match=r"unexpected answer: \$\.\w+_token"):
            await client.exchange_code("code", client_id="a", client_secret="b")


@pytest.mark.parametrize("absent", [None, ""])
async def test_an_absent_refresh_token(raw_server, absent):
    """Takes `null` and an empty text as none: the old one is kept."""
    raw_server.reply(http_json({**TOKENS, "refresh_token": absent}), EMPTY)
    store = MemoryTokenStore()
    source = OAuthTokens(client_id="a", client_secret="b", refresh_token="r1", store=store)
    async with client_of(raw_server, source, "v3") as client:
        await client.active_numbers_page("loc1")
    assert '"r1"' in await store.load()
