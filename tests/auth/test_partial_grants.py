"""Tokens are not lost for a field beside them: the answer that brought them may be the last."""

import pytest

from lcphone_async import (
    AgencyTokens,
    LCPhoneClient,
    OAuthTokens,
    ResponseFormatError,
    RetryPolicy,
    TokenUnavailableError,
)
from lcphone_async.auth import MemoryTokenStore
from support.raw_server import http, http_json

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
    ({"status": "error"}, {}),
    ({"statusCode": 500, "message": "timed out"}, {}),
    ({"success": False}, {}),
]

# What no decoder takes as JSON stands beside the tokens.
BROKEN = {
    "a number beyond all": b'"expires_in": 1e400',
    "a number of 5,000 digits": b'"new": ' + b"9" * 5_000,
    "nested 2,000 deep": b'"new": ' + b"[" * 2_000 + b"]" * 2_000,
    "nested 100,000 deep": b'"new": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "no UTF-8": b'"scope": "\xff\xfe"',
    "a name that is no UTF-8": b'"\xff": 1',
    "NaN": b'"expires_in": NaN',
    "Infinity": b'"expires_in": -Infinity',
    "a number with a zero before it": b'"expires_in": 0123',
    "no value": b'"expires_in": , "new":',
    "no comma": b'"new": 1 "other": 2',
    "a comma too many": b'"new": 1,',
    "an escape that JSON has not": rb'"name": "Zo\xeb"',
    "a line break": b'"name": "a\nb"',
    "single quotes": b"'name': 'Ann'",
    "half an emoji": rb'"new": 1e400, "name": "\ud83d"',
    "tokens of somebody else": b'"new": [NaN, {"access_token": "x", "refresh_token": "x"}]',
    "tokens within a text": rb'"new": NaN, "log": "{\"access_token\": \"x\", \"a\": \"b\"}"',
}

each_broken_answer = pytest.mark.parametrize("beside", BROKEN.values(), ids=list(BROKEN))
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


def broken(beside):
    """The tokens, and after them something that breaks the JSON, with and without an envelope."""
    body = b'{"access_token": "a2", "refresh_token": "r2", ' + beside + b"}"
    return [http(body), http(b'{"data": ' + body + b', "statusCode": 200}')]


@each_broken_answer
async def test_a_refresh_whose_answer_is_broken(raw_server, contract, beside):
    """Uses and keeps the new tokens if they can be read."""
    for answer in broken(beside):
        raw_server.reply(answer, EMPTY)
        store = MemoryTokenStore()
        source = OAuthTokens(client_id="a", client_secret="b", refresh_token="r1", store=store)
        async with client_of(raw_server, source, contract) as client:
            await client.active_numbers_page("loc1")
        assert raw_server.requests[-1].headers["authorization"] == "Bearer a2"
        assert '"r2"' in await store.load()
        assert len(raw_server.requests) == 2
        raw_server.requests.clear()


@each_broken_answer
async def test_a_code_whose_answer_is_broken(raw_server, contract, beside):
    """Returns the tokens if they can be read."""
    for answer in broken(beside):
        raw_server.reply(answer)
        async with client_of(raw_server, "pit-unused", contract) as client:
            grant = await client.exchange_code("code", client_id="a", client_secret="b")
        assert (grant.access_token, grant.refresh_token, grant.expires_in) == ("a2", "r2", None)


@each_broken_answer
async def test_a_location_token_whose_answer_is_broken(raw_server, contract, beside):
    """Uses the location's token if it can be read."""
    for answer in broken(beside):
        raw_server.reply(answer, EMPTY)
        source = AgencyTokens(company_id="company", source="agency-token")
        async with client_of(raw_server, source, contract) as client:
            await client.active_numbers_page("loc1")
        assert raw_server.requests[-1].headers["authorization"] == "Bearer a2"


async def test_what_can_be_read_of_a_broken_answer(raw_server):
    """Reads each other field by itself, the last one of a name, and tokens after what is broken."""
    raw_server.reply(
        http(
            b'\xef\xbb\xbf {"new": NaN, "access_token": "a1", "expires_in": 60,'
            b' "scope": ["a", "b"], "user": {"companyId": "x"}, "companyId": "c",'
            b' "locationId": 1e400, "refreshToken": "r2", "access_token": "a\\u0032"} and more'
        )
    )
    async with client_of(raw_server, "pit-unused", "v3") as client:
        grant = await client.exchange_code("code", client_id="a", client_secret="b")
    assert (grant.access_token, grant.refresh_token, grant.expires_in) == ("a2", "r2", 60)
    assert (grant.scope, grant.company_id, grant.location_id) == ("a b", "c", None)


async def test_an_answer_that_is_cut_off_after_the_tokens(raw_server):
    """Returns the tokens if both are whole."""
    raw_server.reply(http(b'{"access_token": "a2", "refresh_token": "r2", "expires_in": 86'))
    async with client_of(raw_server, "pit-unused", "v3") as client:
        grant = await client.exchange_code("code", client_id="a", client_secret="b")
    assert (grant.access_token, grant.refresh_token) == ("a2", "r2")


@pytest.mark.parametrize(
    "sent",
    [
        b'{"access_token": "a2", "refresh_token": "r2',
        b'{"access_token": "a2", "refresh_token": ',
        b'{"access_token": "a2", ',
        b'{"access_token": "a2", "new": [1}, "refresh_token": "r2"}',
        b'{"new": {"id": 1], "access_token": "a2", "refresh_token": "r2"}',
        b'{"new": [NaN, {"access_token": "a2", "refresh_token": "r2"}]}',
        b'[{"access_token": "a2", "refresh_token": "r2", "new": NaN}]',
        b'while(1); {"access_token": "a2", "refresh_token": "r2"}',
        b'{"access_token": NaN, "refresh_token": "r2"}',
        b'{"access_token": "a2", "refresh_token": NaN}',
        b'{"access_token": "a2", "refresh_token": "r2\xff", "new": NaN}',
        b'{"access_token": "a\xff", "refresh_token": "r2", "new": NaN}',
        '{"access_token": "a2", "refresh_token": "r2"}'.encode("utf-16"),
    ],
)
async def test_tokens_that_cannot_be_read(raw_server, sent):
    """Refuses an answer whose own tokens are broken, cut off or not at its top."""
    raw_server.reply(http(sent))
    async with client_of(raw_server, "pit-unused", "v3") as client:
        with pytest.raises(ResponseFormatError) as caught:
            await client.exchange_code("code", client_id="a", client_secret="b")
    assert "a2" not in str(caught.value)
    assert "r2" not in str(caught.value)


@pytest.mark.parametrize("sent", [5, {}, ["r"], True, "two words"], ids=str)
async def test_a_refresh_token_that_a_location_does_not_need(raw_server, contract, sent):
    """Uses the location's token though its refresh token is none."""
    raw_server.reply(http_json({"access_token": "a2", "refresh_token": sent}), EMPTY)
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
