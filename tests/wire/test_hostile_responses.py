"""Hostile and badly damaged responses: a clear error, or a usable value."""

import codecs
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from rich.console import Console

from lcphone_async import BadRequestError, LCPhoneError, RateLimitStatus, ResponseFormatError
from lcphone_async._wire.headers import rate_limit, retry_after
from lcphone_async._wire.responses import Response
from lcphone_async.audit import tables
from lcphone_async.cli import output
from lcphone_async.cli import tables as cli_tables
from lcphone_async.limiter.budget import Budget
from support.any_response import NUMBER, OPERATIONS, TOKEN, assert_good, assert_usable, receive
from support.generated_documents import FAST

# Their tokens are kept despite invalid fields beside them: they cannot be fetched again.
GRANTS = {"refresh", "exchange", "location token"}
EVERY_OPERATION = pytest.mark.parametrize("operation", OPERATIONS)


def response(body: object, status: int = 200, **headers: str) -> Response:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, CIMultiDict(headers), sent)


def read(operation: str, body: object, **headers: str) -> Any:
    assert_good(operation, response(body, **headers))
    return receive(operation, response(body, **headers))


def problem(operation: str, body: object, **headers: str) -> ResponseFormatError:
    assert_good(operation, response(body, **headers))
    return problem_of(operation, body, **headers)


def problem_of(operation: str, body: object, **headers: str) -> ResponseFormatError:
    with pytest.raises(ResponseFormatError) as caught:
        receive(operation, response(body, **headers))
    return caught.value


def number(**fields: object) -> dict[str, object]:
    return {"phoneNumber": NUMBER, **fields}


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


DEEP = {
    "arrays": (b"[", b"]"),
    "objects": (b'{"a":', b"}"),
    "envelopes": (b'{"data":', b"}"),
    "lists": (b'{"numbers":[', b"]}"),
}


def deep(shape: str, levels: int) -> list[bytes]:
    """A nested body, and a body with a nested unknown field."""
    start, end = DEEP[shape]
    body = start * levels + b"1" + end * levels
    return [
        body,
        b'{"numbers":[],"items":[],"pools":[],"access_token":"a","new":' + body + b"}",
    ]


@pytest.mark.sample(1)
@EVERY_OPERATION
@pytest.mark.parametrize("shape", DEEP)
def test_deeply_nested_responses(operation, shape):
    """Refuses a nesting of 100,000 levels, and names the reason.

    Tokens beside the nested field are kept.
    """
    body, unknown = deep(shape, 100_000)
    assert "nested too deeply" in problem(operation, body).problem
    if operation in GRANTS:
        assert read(operation, unknown).access_token == "a"
    else:
        assert "nested too deeply" in problem(operation, unknown).problem
    with pytest.raises(BadRequestError) as caught:
        receive(operation, response(b'{"message":' + body + b"}", 400))
    assert caught.value.message.startswith("Bad Request")


@pytest.mark.sample(8)
@EVERY_OPERATION
@pytest.mark.parametrize("shape", DEEP)
@pytest.mark.parametrize("levels", [1_000, 10_000])
def test_nesting_within_some_interpreters_limits(operation, levels, shape):
    """Raises, or leaves out the nested value: Python 3.14 decodes deeper levels than 3.11."""
    body, unknown = deep(shape, levels)
    problem(operation, body)
    assert_good(operation, response(unknown))
    with pytest.raises(BadRequestError):
        receive(operation, response(b'{"message":' + body + b"}", 400))


@pytest.mark.parametrize(
    ("start", "where"),
    [
        (b"", "$.numbers[0]"),
        (b'{"phoneNumber": "+1", "linkedRingAllUsers": [', "$.numbers[0].linkedRingAllUsers[0]"),
    ],
)
def test_only_the_first_mismatch_is_reported(start, where):
    """Uses no memory for each of many invalid items."""
    body = b'{"numbers": [' + start + b"0," * 200_000 + b"0" + (b"]}" if start else b"") + b"]}"
    tracemalloc.start()
    try:
        assert problem_of("list", body).where == where
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * 1024 * 1024


@pytest.mark.parametrize("levels", [98, 99, 100, 101, 300])
@pytest.mark.parametrize("place", ["new", "value", "page"])
def test_unknown_values_have_a_hundred_levels_at_most(levels, place):
    """Keeps unknown values only up to the depth that Python can print, copy and compare."""
    value = nested(levels)
    body = {
        "new": {"numbers": [number(new=value)]},
        "value": {"numbers": [number(inboundCallService={"type": "ivr", "value": value})]},
        "page": {"numbers": [], "new": value},
    }[place]
    if levels <= 99:
        assert_usable(read("list", body))
    elif levels > 100:
        assert problem("list", body).problem.startswith("expected at most 100 levels")


def test_lone_surrogates():
    """A name that was cut within an emoji does not fail the page: U+FFFD replaces the surrogate."""
    sent = [number(friendlyName="Ann \ud83d"), number(friendlyName="Bob 😀"), number()]
    page = read("list", {"numbers": sent})
    names = [each.friendly_name for each in page.numbers]
    assert names == ["Ann \N{REPLACEMENT CHARACTER}", "Bob 😀", None]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (rb"\ud800", "\ufffd"),
        (rb"\uDFFF", "\ufffd"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\ud83d\ud83d\ude00\ude00", "\ufffd😀\ufffd"),
        (rb"\ud83d\ude00\ud83d\ude00", "😀😀"),
        (rb"\ud83d ", "\ufffd "),
        (rb"\\ud83d", "\\ud83d"),
        (rb"\\\ud83d\\\\ude00", "\\\ufffd\\\\ude00"),
        (rb"\ud83d\\ude00", "\ufffd\\ude00"),
        (rb"\ud83d\n\ud7ff\ue000", "\ufffd\n\ud7ff\ue000"),
    ],
)
@pytest.mark.parametrize("operation", ["list", "search"])
def test_only_lone_surrogates_are_replaced(operation, sent, kept):
    """Pairs and escaped backslashes stay unchanged, even beside a lone surrogate."""
    body = rb'{"numbers": [{"phoneNumber": "+1", "friendlyName": "%s"}], "\ud83d": 1}' % sent
    found = read(operation, body)
    assert found.numbers[0].friendly_name == kept
    assert found.extra == {"\ufffd": 1}


def test_a_lone_surrogate_in_an_error():
    """Decodes the message of an error with a lone surrogate."""
    with pytest.raises(BadRequestError) as caught:
        receive("list", response(rb'{"message": "No \ud83d", "traceId": "t\ude00"}', 400))
    assert (caught.value.message, caught.value.trace_id) == ("No \ufffd", "t\ufffd")


@EVERY_OPERATION
@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
@pytest.mark.parametrize("header", ["application/json", "application/json; charset={}"])
def test_other_charsets(operation, charset, header):
    """Raises an error that names UTF-8, regardless of the charset in the header.

    Tokens are kept if only a field beside them is not UTF-8.
    """
    text = '{"numbers": [], "items": [], "pools": [], "access_token": "a", "name": "Zoë"}'
    headers = {"Content-Type": header.format(charset)}
    if operation in GRANTS and charset == "latin-1":
        assert read(operation, text.encode(charset), **headers).access_token == "a"
        return
    error = problem(operation, text.encode(charset), **headers)
    assert error.problem == "expected JSON, got text that is not UTF-8"


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "nonsense", "\x80"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_a_wrong_charset_header(charset, mark):
    """Decodes UTF-8, with or without a byte order mark, whatever charset the header names."""
    body = mark + '{"numbers": [], "name": "Zoë"}'.encode()
    assert read("list", body, **{"Content-Type": f"text/html; charset={charset}"}).extra == {
        "name": "Zoë"
    }


@EVERY_OPERATION
@pytest.mark.parametrize(
    "sent", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 5000, b"01", b"1."]
)
def test_invalid_json_numbers(operation, sent):
    """Refuses a number that JSON or Python does not have, even in an unknown field.

    Tokens beside it are kept.
    """
    body = b'{"numbers": [], "items": [], "pools": [], "access_token": "a", "new": %s}' % sent
    if operation in GRANTS:
        assert read(operation, body).access_token == "a"
        return
    error = problem(operation, body)
    assert error.where == "$"
    assert error.problem in {
        "expected JSON, got a number that is too large",
        "expected JSON, got something that is broken or cut off",
    }


@pytest.mark.parametrize("field", ["page", "pageSize", "total"])
@pytest.mark.parametrize("sent", [2**63, -(2**63) - 1, 10**400, 1e300])
def test_a_count_of_more_than_64_bits(field, sent):
    """Refuses a count beyond 64 bits, with its path."""
    error = problem("list", {"numbers": [], field: sent})
    assert (error.where, error.problem) == (f"$.{field}", "expected a whole number, got a number")


def test_large_numbers_in_unknown_fields():
    """Keeps an unknown number of any size exactly."""
    page = read("list", {"numbers": [number(new=10**400)], "total": 2**63 - 1, "new": -0.0})
    assert page.numbers[0].extra == {"new": 10**400}
    assert page.total == 2**63 - 1
    assert str(page.extra["new"]) == "-0.0"


def test_repeated_keys():
    """Both decoders use the last value of a repeated key."""
    body = b'{"page": 1, "numbers": 5, "page": 2, "numbers": [{"phoneNumber": "a", "new": 1,'
    page = read("list", body + b' "phoneNumber": "b", "new": 2}]}')
    assert (page.page, page.numbers[0].phone_number) == (2, "b")
    assert page.numbers[0].extra == {"new": 2}


@pytest.mark.parametrize("operation", ["refresh", "exchange", "location token"])
@pytest.mark.parametrize(
    "lives", [10**400, -(10**400), 1e308, 10**15, "soon", "1e400", "NaN", None, True, {}]
)
def test_an_invalid_lifetime(operation, lives):
    """Keeps the tokens, which are issued once, with an unknown lifetime."""
    grant = read(operation, {"access_token": "a", "refresh_token": "r", "expires_in": lives})
    assert (grant.access_token, grant.refresh_token, grant.expires_in) == ("a", "r", None)


@pytest.mark.parametrize("operation", ["refresh", "exchange", "location token"])
@pytest.mark.parametrize(
    "token", ["5ecre7\r\nX: y", "5ecre7 5ecre7", "5ecre7é", "5ecre7\ud800", " "]
)
def test_a_token_that_cannot_be_a_header(operation, token):
    """Raises a response error, not an argument error, for a token that cannot be sent."""
    error = problem(operation, {"accessToken": token, "refresh_token": "r"})
    assert error.problem == "expected a token that can be sent in a header, got another"
    assert "5ecre7" not in repr(error)


@pytest.mark.parametrize(
    "sent",
    [
        *("", " ", "-1", "+1", "1e3", "0x10", "soon", "\xb2", "\u0661", "1 2", "1, 2"),
        *("-2.5", "2,5", "2.5.1", "1e400", "nan", "inf", "-inf", "Infinity", ".", "2.5 s"),
        *("9" * 16, "9" * 5000, "Mon, 30 Feb 2026 22:00:52 GMT", "Mon, 23 Feb 99999 22:00:52 GMT"),
        *("Mon, 23 Feb 2026 99:00:52 GMT", "Mon, 23 Foo 2026 22:00:52 GMT", "\x00", ",", "GMT"),
    ],
)
def test_an_invalid_retry_after(sent):
    """Ignores a `Retry-After` that is neither seconds nor a date."""
    assert retry_after(CIMultiDict({"Retry-After": sent})) is None


@pytest.mark.parametrize(
    ("sent", "least", "most"),
    [
        ("0", 0, 0),
        (" 7 ", 7, 7),
        ("2.5", 2.5, 2.5),
        ("30.0", 30, 30),
        (" 0.001 ", 0.001, 0.001),
        ("7.", 7, 7),
        ("9" * 15, 999_999_999_999_999, 999_999_999_999_999),
        ("Mon, 23 Feb 1970 22:00:52 GMT", 0, 0),
        ("Sat, 01 Jan 0001 00:00:00 +2359", 0, 0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 10**11, 10**12),
    ],
)
def test_an_odd_retry_after(sent, least, most):
    """Accepts any seconds and any date; a past date means no wait."""
    seconds = retry_after(CIMultiDict({"Retry-After": sent}))
    assert seconds is not None
    assert least <= seconds <= most


def test_a_repeated_retry_after():
    """Accepts a repeated `Retry-After` only if the values are equal."""
    same, other = [("Retry-After", "7")] * 3, [("Retry-After", "7"), ("retry-after", "8")]
    assert retry_after(CIMultiDict(same)) == 7
    assert retry_after(CIMultiDict(other)) is None


def test_a_repeated_date():
    """Ignores two different dates, as it ignores two different counts."""
    later = datetime.now(UTC) + timedelta(days=1)
    dates = [f"{later + timedelta(days=day):%a, %d %b %Y %H:%M:%S GMT}" for day in (0, 1)]
    headers = CIMultiDict([("Retry-After", date) for date in dates])
    assert retry_after(headers) is None


LIMITS = (
    "X-RateLimit-Max",
    "X-RateLimit-Remaining",
    "X-RateLimit-Interval-Milliseconds",
    "X-RateLimit-Limit-Daily",
    "X-RateLimit-Daily-Remaining",
    "X-RateLimit-Daily-Reset",
)
counts = st.sampled_from(["0", "1", "100", "9" * 15, "9" * 16, "-1", "1.5", "", "\xb2"]) | st.text()


@pytest.mark.parametrize("sent", ["-1", "1.5", "1e3", "9" * 16, "9" * 5000, "\xb2", "", "many"])
def test_invalid_limits(sent):
    """Ignores a limit header that is not a count."""
    assert rate_limit(CIMultiDict(dict.fromkeys(LIMITS, sent))) == RateLimitStatus()


@FAST
@given(st.lists(st.tuples(st.sampled_from(LIMITS), counts), max_size=8), st.booleans())
def test_absurd_limits(headers, refused):
    """No limit headers block a location for longer than a day, or raise its budget."""
    budget = Budget(100, 10.0, 0)
    status = rate_limit(CIMultiDict(headers))
    budget.learn(status, number=1, ours=1, now=0.0, refused=refused)
    assert budget.period <= 86_400 * 100
    assert budget.limit(0.0) <= 100
    reset = budget.status(0.0).daily_reset
    assert reset is None or 0 < reset <= 86_400


@FAST
@given(st.lists(st.tuples(st.sampled_from(LIMITS), counts), max_size=8), st.booleans())
def test_absurd_limits_that_are_followed(headers, refused):
    """No limit headers raise a budget beyond a thousand requests a second."""
    budget = Budget(100, 10.0, 0, is_ceiling=False)
    budget.learn(rate_limit(CIMultiDict(headers)), number=1, ours=1, now=0.0, refused=refused)
    assert budget.period <= 600
    assert 1 <= budget.max_requests <= 1000 * budget.period


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [("86343000", 86_343), ("86400000", 86_400), ("86400001", None), ("0", None), ("-1", None)],
)
def test_the_day_s_reset(sent, seconds):
    """Accepts milliseconds within the next 24 hours, and ignores other values."""
    headers = CIMultiDict({"X-RateLimit-Daily-Reset": sent})
    assert rate_limit(headers).daily_reset == seconds


def test_thousands_of_headers():
    """Finds the known headers among any number of others."""
    headers = CIMultiDict([(f"X-{index}", "x" * 100) for index in range(20_000)])
    headers.extend([("X-RateLimit-Max", "5")] * 20_000)
    assert rate_limit(headers).max_requests == 5


@pytest.mark.parametrize(
    "shown",
    [
        "+1\u200b830\u200b555\u200b1234",
        "+1\u2011830\u2011555\u20111234",
        "+1\u2013830\u2013555\u20131234",
        "8\x0030\x00555\x001234",
        "\u202e830-555-1234\u202c",
        "8\x1b30\x7f55\x8551234",
        "+1830\n555\t1234",
    ],
)
@pytest.mark.parametrize("field", ["message", "error", "traceId", "msg", "accountStatus"])
def test_a_number_with_invisible_characters_is_not_shown(shown, field):
    """No error text has a phone number with invisible characters between its digits."""
    with pytest.raises(LCPhoneError) as caught:
        receive("list", response({field: f"Number {shown} is gone"}, 400))
    assert "5551234" not in "".join(filter(str.isdigit, str(caught.value)))


def test_an_error_text_has_no_control_characters():
    """An error's text cannot move a terminal's cursor or forge a log line."""
    text = "No\r\n2026-01-01 all is well \x1b[2J\x9b\u202e\x07!"
    with pytest.raises(BadRequestError) as caught:
        receive("list", response({"message": text, "error": text, "traceId": text}, 400))
    assert str(caught.value).isprintable()
    assert caught.value.message == "No +… all is well [2J!"


@pytest.mark.parametrize(
    "trace_id", ["18305551234", "4f1c2d3e-0000-1111-2222-333344445555", "a.b:1"]
)
def test_a_trace_id_is_whole(trace_id):
    """Shows a trace id that is one word unchanged, as support asks for it."""
    with pytest.raises(BadRequestError) as caught:
        receive("list", response({"message": "m", "traceId": trace_id}, 400))
    assert caught.value.trace_id == trace_id


def test_a_message_of_many_megabytes():
    """Shows the beginning of a very long message, without its secrets."""
    for part in (f"Bearer {TOKEN} {NUMBER} ", "\x1b", "8 ", "(+1)", "\ufffd\ud800"):
        with pytest.raises(BadRequestError) as caught:
            receive("list", response({"message": part * (4_000_000 // len(part))}, 400))
        assert len(str(caught.value)) < 1000
        assert TOKEN not in str(caught.value)


NASTY = {
    "numbers": [
        number(
            friendlyName="a\x00b\x1b[2J\r\n\u202e\ud800",
            linkedUser="\x07",
            linkedRingAllUsers=["", "\x00"],
            inboundCallService={"type": "\x1b", "value": nested(90), "new": 10**400},
            dateAdded="0001-01-01T00:00:00+14:00",
            dateUpdated="9999-12-31T23:59:59.999999-14:00",
            new={"\x00k\ud800": [-0.0, 10**400, 1e308, nested(90)]},
        ),
        number(phoneNumber="\x00", origin="x" * 100_000),
    ],
    "accountStatus": "\x1b",
}


def test_odd_values_can_be_printed():
    """The command prints any decoded value without control characters."""
    page = read("list", NASTY)
    console = Console(file=io.StringIO(), width=200)
    console.print(cli_tables.active_numbers(page.numbers))
    assert "\x1b" not in console.file.getvalue()
    lines = [json.loads(line) for line in output.json_lines(page.numbers).splitlines()]
    assert lines[0]["friendly_name"] == page.numbers[0].friendly_name
    assert lines[0]["extra"]["new"]["\x00k\ufffd"][1] == 10**400


def test_odd_values_can_be_stored():
    """The audit's store keeps any decoded value and returns it."""
    page = read("list", NASTY)
    batch = tables.numbers(1, "loc", page.numbers)
    with duckdb.connect() as store:
        store.register("numbers", pa.Table.from_batches([batch]))
        store.execute("CREATE TABLE kept AS SELECT * FROM numbers")
        columns = "phone_number, friendly_name, extra, date_added IS NOT NULL"
        first, second = store.execute(f"SELECT {columns} FROM kept").fetchall()  # noqa: S608
    assert first[:2] == (NUMBER, page.numbers[0].friendly_name)
    assert json.loads(first[2])["new"] == page.numbers[0].extra["new"]
    assert (first[3], second[0]) == (True, "\x00")


def test_a_value_that_is_an_object_can_be_hashed():
    """Numbers are hashable, whatever the value of their call service."""
    page = read("list", {"numbers": [number(inboundCallService={"value": {"to": [1]}})]})
    assert len({page.numbers[0], read("list", {"numbers": [number()]}).numbers[0]}) == 2
    assert hash(page) == hash(
        read("list", {"numbers": [number(inboundCallService={"value": {"to": [1]}})]})
    )
