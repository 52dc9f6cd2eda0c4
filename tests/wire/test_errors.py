"""`docs/wire.md`: Errors."""

import json
import re
import zlib

import pytest

from lcphone_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    DailyQuotaExhaustedError,
    LCPhoneClient,
    LCPhoneError,
    NotFoundError,
    NumberUnavailableError,
    PermissionDeniedError,
    PhoneSystemNotConnectedError,
    PurchaseOutcomeUnknownError,
    RateLimitedError,
    ResponseFormatError,
    RetryPolicy,
    ServerError,
    TransportError,
    UnprocessableError,
)
from support.raw_server import RawServer, http, http_json
from support.refused_calls import (
    CALLS,
    CLASSES,
    EVERY_CALL,
    HINTS_401,
    LOCATION,
    NUMBER,
    READS,
    SCOPES,
    TOKEN,
    refused,
    texts,
)


@READS
@pytest.mark.parametrize("status", CLASSES)
async def test_each_status_has_its_class(
    client: LCPhoneClient, raw_server: RawServer, call, status
):
    """The body is `{message, error, statusCode}`, and `traceId` may follow."""
    body = {"message": "It is so", "error": "Name", "statusCode": status, "traceId": "trace-1"}
    error = await refused(client, raw_server, http_json(body, status), call)
    assert type(error) is CLASSES[status]
    assert (error.status, error.message, error.error) == (status, "It is so", "Name")
    assert error.trace_id == "trace-1"
    assert error.method == "GET"
    assert error.path == raw_server.request.path
    for part in (str(status), "It is so", "trace-1", error.path):
        assert part in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429])
async def test_a_refused_purchase_has_the_same_classes(
    client: LCPhoneClient, raw_server: RawServer, status
):
    """A refused purchase was not made: it raises the plain error."""
    message = "No token was sent"
    body = {"message": message, "error": "Name", "statusCode": status}
    error = await refused(client, raw_server, http_json(body, status), "purchase")
    assert isinstance(error, CLASSES[status])
    assert (error.status, error.message, error.method) == (status, message, "POST")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500])
async def test_a_message_may_be_a_list(client: LCPhoneClient, raw_server: RawServer, status):
    """`message` is a string or a list of strings."""
    body = {"message": ["page must be >= 0", "pageSize must be <= 1000"], "statusCode": status}
    error = await refused(client, raw_server, http_json(body, status))
    assert error.message == "page must be >= 0; pageSize must be <= 1000"


@pytest.mark.sample(4)
@pytest.mark.parametrize("status", [401, 404, 500])
async def test_no_more_than_a_mebibyte_of_an_error_is_read(
    client: LCPhoneClient, raw_server: RawServer, status
):
    """Of a body larger than any error, only the beginning is decoded."""
    response = http_json({"message": "No " * 2**20}, status)
    error = await refused(client, raw_server, response)
    assert isinstance(error, CLASSES[status])
    assert error.message.endswith(", with something that is broken or cut off")
    error = await refused(client, raw_server, http(b"No " * 2**20, status=status))
    assert error.message == ("No " * 200)[:500]


async def test_a_trace_id_may_be_missing(client: LCPhoneClient, raw_server: RawServer):
    """`traceId` is optional."""
    error = await refused(client, raw_server, http_json({"message": "No", "statusCode": 400}, 400))
    assert (error.trace_id, error.error) == (None, None)
    assert "None" not in str(error)


@pytest.mark.parametrize("status_in_text", ["suspended", "active", None])
async def test_a_500_may_have_msg(client: LCPhoneClient, raw_server: RawServer, status_in_text):
    """A 500 may be `{msg, accountStatus}`."""
    body = {"msg": "Internal server error", "accountStatus": status_in_text}
    error = await refused(client, raw_server, http_json(body, 500))
    assert type(error) is ServerError
    assert error.message == "Internal server error"


@pytest.mark.parametrize("around", ["data", "message", "error"])
async def test_a_500_may_be_wrapped(client: LCPhoneClient, raw_server: RawServer, around: str):
    """`{msg, accountStatus}` is decoded within v3's envelope, too."""
    body = {"statusCode": 500, around: {"msg": "Failed", "accountStatus": "suspended"}}
    error = await refused(client, raw_server, http_json(body, 500))
    assert (error.message, error.extra["accountStatus"]) == ("Failed", "suspended")
    assert "the account is suspended" in str(error)


@READS
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    "body", [b"", b"  \r\n", b"<html><head><title>Oops</title></head><body>1</body></html>"]
)
async def test_a_proxy_can_send_html_or_nothing(
    v3: LCPhoneClient, raw_server: RawServer, call, status, body
):
    """A proxy in front can send HTML or an empty body."""
    error = await refused(v3, raw_server, http(body, status), call)
    assert isinstance(error, CLASSES[status])
    assert error.status == status
    assert error.message
    assert "<" not in str(error)


CLOUDFLARE = b"""<!DOCTYPE html><html><head><title>%s</title></head>
<body><h1>Error 1010</h1><p>The owner of this website has banned your access based on your
browser's signature.</p></body></html>"""
CLOUDFLARE_PAGES = {
    "text": b"error code: 1010",
    "line": b"error code: 1010\n",
    "page": CLOUDFLARE % b"Access denied",
    "page that says who": CLOUDFLARE
    % b"Access denied | services.leadconnectorhq.com used Cloudflare to restrict access",
}


@EVERY_CALL
@pytest.mark.parametrize("body", CLOUDFLARE_PAGES.values(), ids=CLOUDFLARE_PAGES.keys())
async def test_cloudflare_1010_is_explained(
    client: LCPhoneClient, raw_server: RawServer, call, body
):
    """403 with Cloudflare's 1010 for a default Python User-Agent."""
    error = await refused(client, raw_server, http(body, 403, {"Server": "cloudflare"}), call)
    assert type(error) is PermissionDeniedError
    assert error.status == 403
    assert "cloudflare" in (error.hint or "").lower()
    assert error.hint in str(error)


@EVERY_CALL
async def test_the_user_agent_is_our_own(client: LCPhoneClient, raw_server: RawServer, call):
    """Sends its own User-Agent, as Python's default is refused."""
    await refused(client, raw_server, http(status=400), call)
    agent = raw_server.request.headers["user-agent"]
    assert re.match(r"lcphone[-_]async/\d", agent, re.IGNORECASE)
    assert not re.search(r"aiohttp|urllib|requests", agent, re.IGNORECASE)


@EVERY_CALL
@pytest.mark.parametrize("message", HINTS_401)
async def test_401_covers_four_mistakes(
    client: LCPhoneClient, raw_server: RawServer, call, message
):
    """401 covers a bad token, a wrong version, a wrong location and a missing scope."""
    body = {"statusCode": 401, "message": message, "error": "Unauthorized"}
    error = await refused(client, raw_server, http_json(body, 401), call)
    assert type(error) is AuthenticationError
    assert error.message == message
    assert HINTS_401[message] in error.hint.lower()
    assert error.hint in str(error)


async def test_the_four_mistakes_have_four_hints(client: LCPhoneClient, raw_server: RawServer):
    """Each of the four has its own hint."""
    hints = {}
    for message in HINTS_401:
        body = {"statusCode": 401, "message": message, "error": "Unauthorized"}
        hints[message] = (await refused(client, raw_server, http_json(body, 401))).hint
    assert len(set(hints.values())) >= 4


@EVERY_CALL
async def test_a_missing_scope_is_named(client: LCPhoneClient, raw_server: RawServer, call):
    """The hint names the missing scope."""
    body = {"statusCode": 401, "message": "The token is not authorized for this scope."}
    error = await refused(client, raw_server, http_json(body, 401), call)
    assert SCOPES[call] in error.hint


@EVERY_CALL
async def test_403_is_a_wrong_location(client: LCPhoneClient, raw_server: RawServer, call):
    """403: "token does not have access to this location"."""
    message = "token does not have access to this location"
    body = {"statusCode": 403, "message": message, "error": "Forbidden"}
    error = await refused(client, raw_server, http_json(body, 403), call)
    assert type(error) is PermissionDeniedError
    assert error.message == message
    assert "location" in error.hint.lower()
    assert error.hint in str(error)


@EVERY_CALL
async def test_404_is_no_phone_system(client: LCPhoneClient, raw_server: RawServer, call):
    """404: "Phone system is not connected to this account"."""
    message = "Phone system is not connected to this account"
    body = {"message": message, "statusCode": 404}
    error = await refused(client, raw_server, http_json(body, 404), call)
    assert type(error) is PhoneSystemNotConnectedError
    assert error.message == message
    assert error.hint
    assert error.hint in str(error)


async def test_422_is_a_list_of_messages(client: LCPhoneClient, raw_server: RawServer):
    """422: a list of messages."""
    body = {"statusCode": 422, "message": ["Unprocessable Entity"], "error": "Unprocessable Entity"}
    error = await refused(client, raw_server, http_json(body, 422))
    assert type(error) is UnprocessableError
    assert error.message == "Unprocessable Entity"


async def test_an_exhausted_day_is_not_an_exhausted_burst(raw_server: RawServer, new_client):
    """`X-RateLimit-Daily-Remaining: 0` distinguishes the daily quota from the burst limit."""
    burst = await refused(
        new_client(),
        raw_server,
        http_json({"message": "Too Many Requests"}, 429, {"Retry-After": "7"}),
    )
    assert type(burst) is RateLimitedError
    assert burst.retry_after == 7
    day = await refused(
        new_client(), raw_server, http_json({}, 429, {"x-ratelimit-daily-remaining": "0"})
    )
    assert type(day) is DailyQuotaExhaustedError
    assert day.retry_after is None
    assert "within 24 hours" in str(day)


async def test_the_daily_reset(raw_server: RawServer, new_client):
    """429: `X-RateLimit-Daily-Reset` is in milliseconds until the daily limit resets."""
    headers = {
        "X-RateLimit-Daily-Remaining": "0",
        "X-RateLimit-Daily-Reset": "86343000",
        "X-RateLimit-Interval-Milliseconds": "10000",
        "Retry-After": "1",
    }
    error = await refused(new_client(), raw_server, http_json({}, 429, headers))
    assert type(error) is DailyQuotaExhaustedError
    assert error.retry_after == 86_343
    assert "resets in 23:59:03" in str(error)


@pytest.mark.parametrize(("sent", "seconds"), [("2.5", 2.5), ("30.0", 30), ("7", 7)])
@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_may_have_a_fraction(
    v3: LCPhoneClient, raw_server: RawServer, status, sent, seconds
):
    """`Retry-After` is in seconds, with or without a fraction."""
    error = await refused(v3, raw_server, http_json({}, status, {"Retry-After": sent}))
    assert error.retry_after == seconds


ODD_ERRORS = [
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"17",
    b"true",
    b'{"message": null}',
    b'{"message": ""}',
    b'{"message": []}',
    b'{"message": [null, {"a": 1}, "text"]}',
    b'{"message": {"text": 1}}',
    b'{"message": 5, "error": 6, "traceId": 7, "statusCode": "x"}',
    b'{"message": "m", "error": {"code": 1}, "traceId": ["t"]}',
    b'{"error": "only this"}',
    b'{"message": "cut',
    b'\xff\xfe\x00 \xc3\x28{"',
    b'{"message": "\xff"}',
    b'{"message": "\\ud800"}',
    b"[" * 100_000,
    b'{"message": ' + b"[" * 100_000,
]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 503])
@pytest.mark.parametrize("body", ODD_ERRORS, ids=lambda body: str(body[:40]))
async def test_odd_error_bodies_keep_their_status(
    v3: LCPhoneClient, raw_server: RawServer, status, body
):
    """The status determines the class whatever the body, and the error has a text."""
    error = await refused(v3, raw_server, http(body, status))
    assert isinstance(error, CLASSES[status])
    assert error.status == status
    assert isinstance(error.message, str)
    assert error.message
    assert error.trace_id is None or isinstance(error.trace_id, str)
    str(error).encode()
    assert len(str(error)) < 2000


CUT_OFF = {
    "no answer": b"",
    "half a status line": b"HTTP/1.1 20",
    "half the headers": b"HTTP/1.1 200 OK\r\nContent-Type: appl",
    "no body": http(b"", length=50),
    "half the body": http(b'{"numbers": [', length=50),
    "the whole text, yet short": http(b'{"numbers": []}', length=16),
    "half a chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" + b'{"numbers": ['
    ),
    "no last chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n" + b'{"numbers": []}\r\n'
    ),
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "binary": bytes(range(256)),
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n[]",
    "not gzip": http(b'{"numbers": []}', headers={"Content-Encoding": "gzip"}),
    "half a deflate": http(zlib.compress(b"[" * 99)[:9], headers={"Content-Encoding": "deflate"}),
}


@READS
@pytest.mark.parametrize("response", CUT_OFF.values(), ids=CUT_OFF.keys())
async def test_a_truncated_response_is_a_transport_error(
    v3: LCPhoneClient, raw_server: RawServer, call, response
):
    """The response is incomplete."""
    raw_server.reply(response)
    with pytest.raises(TransportError) as caught:
        await CALLS[call](v3)
    assert caught.value.method == "GET"
    assert caught.value.path == raw_server.requests[0].path
    assert caught.value.reason


@EVERY_CALL
@pytest.mark.parametrize("response", [b"", b"HTTP/1.1 20", http(b"", length=9), http(status=503)])
async def test_one_attempt_is_one_request(v3: LCPhoneClient, raw_server: RawServer, call, response):
    """Each attempt takes one slot and sends once: `max_tries` counts every request."""
    raw_server.reply(response)
    with pytest.raises(LCPhoneError):
        await CALLS[call](v3)
    assert len(raw_server.requests) == 1


@pytest.mark.parametrize("response", CUT_OFF.values(), ids=CUT_OFF.keys())
async def test_a_truncated_response_leaves_a_purchase_unknown(
    v3: LCPhoneClient, raw_server: RawServer, response
):
    """The response is incomplete: the number may be bought or not."""
    raw_server.reply(response)
    with pytest.raises(PurchaseOutcomeUnknownError):
        await v3.purchase(LOCATION, NUMBER)


NOT_JSON = {
    "empty": (b"", "empty"),
    "blank": (b" \r\n\t ", "empty"),
    "html": (b"<html><body>Welcome</body></html>", "HTML"),
    "doctype": (b"\n<!DOCTYPE html>\n<html><title>Just a moment...</title></html>", "HTML"),
    "cut off": (b'{"numbers": [{"phoneNumber": "+1830', ""),
    "two documents": (b'{"numbers": []}{"numbers": []}', ""),
    "not UTF-8": (b'{"numbers": ["\xff"]}', ""),
    "NaN": (b'{"numbers": [], "total": NaN}', ""),
    "deep": (b"[" * 200_000, ""),
    "deep and closed": (b"[" * 200_000 + b"]" * 200_000, ""),
    "a byte order mark alone": (b"\xef\xbb\xbf", ""),
}


@READS
@pytest.mark.parametrize(("body", "text"), NOT_JSON.values(), ids=NOT_JSON.keys())
async def test_a_200_that_is_not_json_is_a_format_error(
    v3: LCPhoneClient, raw_server: RawServer, call, body, text
):
    """HTML, empty and truncated bodies."""
    raw_server.reply(http(body))
    with pytest.raises(ResponseFormatError) as caught:
        await CALLS[call](v3)
    assert caught.value.where == "$"
    assert text in str(caught.value)
    assert "+1830" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@EVERY_CALL
async def test_redirects_are_not_followed(v3: LCPhoneClient, raw_server: RawServer, call, status):
    """The token is sent to no other place."""
    raw_server.reply(http(b"", status, {"Location": raw_server.url + "/elsewhere"}))
    with pytest.raises(LCPhoneError):
        await CALLS[call](v3)
    assert len(raw_server.requests) == 1


@pytest.mark.parametrize("status", [206, 304])
async def test_other_statuses_raise_our_errors(v3: LCPhoneClient, raw_server: RawServer, status):
    """Every failure is an `LCPhoneError`."""
    raw_server.reply(http(b"", status))
    with pytest.raises(LCPhoneError):
        await v3.number_pools(LOCATION)


@pytest.mark.parametrize("token", ["pit-1\n", "\npit-1", " pit-1 ", "pit-1\r\n", "\tpit-1\t\n"])
async def test_a_stray_newline_is_stripped(raw_server: RawServer, new_client, token):
    """The service refuses a token with a stray newline, so the client strips it."""
    raw_server.reply(http_json([]))
    await new_client(token).number_pools(LOCATION)
    assert raw_server.request.headers["authorization"] == "Bearer pit-1"


@pytest.mark.parametrize(
    "token", ["pit\n1", "pit\r\nX-Evil: 1", "pit\x001", "pit\x7f1", "pit\x1b1", "pít-1", "", " \n"]
)
async def test_a_token_that_cannot_be_a_header_is_refused(raw_server: RawServer, new_client, token):
    """Raises `ValueError` before anything is sent."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        await new_client(token).number_pools(LOCATION)
    assert not token.strip() or token not in str(caught.value)
    assert not raw_server.connections


@EVERY_CALL
@pytest.mark.parametrize("status", [400, 401, 409, 500])
@pytest.mark.parametrize(
    "template",
    [
        {"message": "Invalid token: SECRET", "error": "Unauthorized"},
        {"message": ["Bearer SECRET is not known", "SECRET"], "error": "x"},
        {"message": "m", "error": "SECRET", "traceId": "SECRET"},
        {"msg": "bad SECRET", "accountStatus": "active"},
        "SECRET",
        {"error": "SECRET"},
    ],
    ids=str,
)
async def test_an_echoed_token_is_not_shown(
    raw_server: RawServer, new_client, call, status, template
):
    """No error text has the token, even if the service echoes it."""
    raw_server.reply(http(json.dumps(template).replace("SECRET", TOKEN).encode(), status))
    with pytest.raises(LCPhoneError) as caught:
        await CALLS[call](new_client(TOKEN))
    assert TOKEN not in texts(caught.value)


@EVERY_CALL
@pytest.mark.parametrize("status", [200, 403, 502])
@pytest.mark.parametrize("secret", [TOKEN, NUMBER])
async def test_html_shows_no_secret(raw_server: RawServer, new_client, call, status, secret):
    """No error text has a token or a phone number from a proxy's HTML."""
    page = f"<html><title>Bad {secret}</title><body>{secret}</body></html>"
    raw_server.reply(http(page.encode(), status))
    with pytest.raises(LCPhoneError) as caught:
        await CALLS[call](new_client(TOKEN))
    assert secret not in texts(caught.value)


@pytest.mark.parametrize("call", ["list", "purchase"])
@pytest.mark.parametrize("secret", [TOKEN, NUMBER])
@pytest.mark.parametrize(
    "response",
    ["SECRET\r\n\r\n", "HTTP/1.1 SECRET\r\n\r\n", "HTTP/1.1 200 OK\r\nSECRET\r\n\r\n"],
    ids=repr,
)
async def test_invalid_http_shows_no_secret(
    raw_server: RawServer, new_client, call, secret, response
):
    """No error text has a token or a phone number from a response that is not HTTP."""
    raw_server.reply(response.replace("SECRET", secret).encode())
    with pytest.raises(LCPhoneError) as caught:
        await CALLS[call](new_client(TOKEN))
    assert secret not in texts(caught.value)


@pytest.mark.parametrize("call", ["list", "purchase"])
@pytest.mark.parametrize("status", [400, 409, 500])
@pytest.mark.parametrize("shown", [NUMBER, "18305551234"])
@pytest.mark.parametrize(
    "template",
    [
        {"message": "Number PHONE is no longer available", "error": "Bad Request"},
        {"message": ["phoneNumber PHONE is wrong"], "error": "PHONE"},
        {"msg": "failed for PHONE"},
        "PHONE",
    ],
    ids=str,
)
async def test_an_echoed_phone_number_is_not_shown(
    v3: LCPhoneClient, raw_server: RawServer, call, status, shown, template
):
    """No error text has a phone number."""
    raw_server.reply(http(json.dumps(template).replace("PHONE", shown).encode(), status))
    with pytest.raises(LCPhoneError) as caught:
        await CALLS[call](v3)
    assert shown not in texts(caught.value)


@pytest.mark.parametrize("call", ["list", "purchase"])
@pytest.mark.parametrize(
    "shown",
    [
        *("(830) 555-1234", "+1 830 555 1234", "+1-830-555-1234", "830/555/1234"),
        *("number_18305551234", "x18305551234", "18305551234x", "+1\u00a0830\u00a0555\u00a01234"),
    ],
)
async def test_an_echoed_friendly_name_is_not_shown(
    v3: LCPhoneClient, raw_server: RawServer, call, shown
):
    """No error text has a phone number in the format of `friendlyName`."""
    raw_server.reply(http_json({"message": f"Number {shown} is no longer available"}, 400))
    with pytest.raises(LCPhoneError) as caught:
        await CALLS[call](v3)
    assert "5551234" not in re.sub(r"[^\d]", "", texts(caught.value))


async def test_a_number_in_utf_16_is_not_shown(v3: LCPhoneClient, raw_server: RawServer):
    """No error text has a phone number from a body in an undeclared charset."""
    raw_server.reply(http(f"Number {NUMBER} is gone".encode("utf-16"), 400))
    with pytest.raises(LCPhoneError) as caught:
        await v3.purchase(LOCATION, NUMBER)
    assert "5551234" not in re.sub(r"[^\d]", "", texts(caught.value))


async def test_a_phone_number_that_was_sent_is_not_shown(v3: LCPhoneClient, raw_server: RawServer):
    """No error text has a phone number from the query."""
    for response in (http(status=500), http(status=404), http(b"<html>"), b""):
        raw_server.reply(response)
        with pytest.raises(LCPhoneError) as caught:
            await v3.active_numbers_page(LOCATION, search_filter=NUMBER)
        assert "8305551234" not in texts(caught.value)


async def test_a_phone_number_that_is_a_key_is_not_shown(
    v2021: LCPhoneClient, raw_server: RawServer
):
    """No error text has a phone number that is the key of an invalid value."""
    for numbers in ({"+18305559999": None}, {"+18305559999": 1, NUMBER: None}, {}, []):
        raw_server.reply(http_json({"id": None, "numbers": numbers, "under_ghl_account": 5}, 201))
        with pytest.raises(LCPhoneError) as caught:
            await v2021.purchase(LOCATION, NUMBER)
        assert "8305559999" not in texts(caught.value)
        assert NUMBER not in texts(caught.value)


@pytest.mark.sample(1)
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, *range(520, 528), 530])
async def test_a_read_is_retried(raw_server: RawServer, new_client, status):
    """Reads are retried after 502 to 504 and after Cloudflare's 520 to 527 and 530."""
    client = new_client(retry=RetryPolicy(max_tries=2, initial_wait=0))
    headers = {"Retry-After": "0"}
    raw_server.reply(http(b"<html>", status, headers), http_json([]))
    assert await client.number_pools(LOCATION) == []
    assert len(raw_server.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_refusal_is_not_retried(raw_server: RawServer, new_client, status):
    """The service would refuse the same request again."""
    client = new_client(retry=RetryPolicy(max_tries=3, initial_wait=0))
    await refused(client, raw_server, http(status=status))
    assert len(raw_server.requests) == 1


def test_the_error_tree():
    """The hierarchy of the error classes."""
    assert issubclass(NumberUnavailableError, BadRequestError)
    assert issubclass(PhoneSystemNotConnectedError, NotFoundError)
    assert issubclass(DailyQuotaExhaustedError, RateLimitedError)
    assert all(issubclass(cls, APIError) for cls in CLASSES.values())
    assert issubclass(APIError, LCPhoneError)
