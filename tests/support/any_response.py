"""Decodes a response of any operation, and checks what is true of every outcome."""

import copy
import json
import pickle
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch

import attrs
from multidict import CIMultiDict

from lcphone_async import LCPhoneError
from lcphone_async._internal.checks import API_VERSIONS
from lcphone_async._wire import (
    errors,
    headers,
    requests,
    responses,
    token_requests,
    token_responses,
)
from lcphone_async._wire.fast_decoder import FastDecoder
from lcphone_async._wire.requests import Request
from lcphone_async._wire.responses import Response
from lcphone_async.auth.tokens import Grant, TokenPair

TOKEN = "pit-5ecre7-c0ffee"
NUMBER = "+18305551234"

_LIST = requests.active_numbers(
    "loc",
    page=0,
    page_size=50,
    search_filter=None,
    skip_number_pool=None,
    include_rcs_sender_ids=None,
)
_LOCATIONS = {
    version: token_requests.locations(version, "com", "app", page_size=100).page("")
    for version in API_VERSIONS
}


def _read_locations(request: Request, response: Response) -> Any:
    return token_responses.locations(request, response)


def _read_list(request: Request, response: Response) -> Any:
    return responses.active_numbers(request, response, 0)


OPERATIONS: dict[str, tuple[Request, Callable[[Request, Response], Any]]] = {
    "list": (_LIST, _read_list),
    "search": (
        requests.available_numbers("loc", "US", number_types=None),
        responses.available_numbers,
    ),
    "pools": (requests.number_pools("loc"), responses.number_pools),
    "purchase": (requests.purchase("loc", NUMBER), responses.purchase),
    "refresh": (
        token_requests.refresh("v3", "app", "client-5ecre7", "refresh-5ecre7"),
        token_responses.grant,
    ),
    "exchange": (
        token_requests.exchange(
            "2021-07-28", "app", "client-5ecre7", "code-5ecre7", redirect_uri=None, user_type=None
        ),
        token_responses.grant,
    ),
    "reconnect": (
        token_requests.reconnect("app", "client-5ecre7", "loc", None),
        token_responses.authorization_code,
    ),
    "location token": (token_requests.location_token("v3", "com", "loc"), token_responses.grant),
    "locations": (_LOCATIONS["v3"], _read_locations),
    "skipped locations": (_LOCATIONS["2021-07-28"], _read_locations),
}

_NUMBER_FIELDS = {
    "phoneNumber": NUMBER,
    "friendlyName": "(830) 555-1234",
    "capabilities": {"voice": True, "sms": True, "mms": False, "fax": False},
    "type": "toll-free",
    "linkedUser": "",
    "linkedRingAllUsers": ["u1"],
    "inboundCallService": {"type": "ivr", "value": "flow"},
    "dateAdded": "2024-01-01T00:00:00.123Z",
    "dateUpdated": "Mon, 23 Feb 2026 22:00:52 +0000",
    "new": {"a": [1.5]},
}
_PAGE = {
    "numbers": [_NUMBER_FIELDS],
    "page": 0.0,
    "pageSize": 50,
    "total": 1,
    "accountStatus": "new",
    "rcsSenderIds": [{"number": "agent", "rcsMeta": {"a": 1}}],
}
_FOUND = {
    "fingerprintId": "f1",
    "numbers": [
        {
            "phoneNumber": NUMBER,
            "capabilities": {"SMS": True, "MMS": False, "voice": True},
            "price": {"number_type": "toll free", "price": 1.15, "price_unit": "USD"},
        }
    ],
}
_POOL = {
    "id": "p1",
    "numbers": [{"phoneNumber": NUMBER}],
    "whisper": True,
    "inboundCallService": {"type": "forward", "value": {"to": NUMBER}},
}
_TOKENS = {"access_token": TOKEN, "refresh_token": "refresh", "expires_in": 86399, "scope": "a b"}


def _enveloped(data: object) -> dict[str, object]:
    return {"status": "success", "data": data, "message": "OK", "statusCode": 200}


# One of each kind in the documents: operation, status, body.
SAMPLES: list[tuple[str, int, Any]] = [
    ("list", 200, _enveloped(_PAGE)),
    ("list", 200, {**_PAGE, "isUnderGhl": True}),
    ("list", 200, [_NUMBER_FIELDS]),
    ("search", 200, _FOUND),
    ("search", 200, _enveloped(_FOUND)),
    ("pools", 200, {"success": True, "data": [_POOL], "total": 1}),
    ("purchase", 201, _enveloped({"number": NUMBER, "locationId": "loc", "id": "a1"})),
    ("purchase", 201, {"numbers": {NUMBER: "conversation"}, "under_ghl_account": True}),
    ("refresh", 200, _TOKENS),
    ("exchange", 200, {"accessToken": TOKEN, "expiresIn": 1.5, "companyId": "com"}),
    ("location token", 201, {"data": _TOKENS}),
    (
        "locations",
        200,
        {
            "items": [{"_id": "loc", "installedAt": "2024-01-01T00:00:00Z"}],
            "pagination": {"nextPageToken": "n", "hasNextPage": True, "totalRecords": 3},
        },
    ),
    ("skipped locations", 200, {"locations": [{"_id": "loc", "isInstalled": True}], "count": 9}),
    ("list", 400, {"message": ["page must be >= 0"], "error": "Bad Request", "traceId": "t"}),
    ("list", 401, {"message": f"Invalid token: {TOKEN}", "statusCode": 401}),
    ("purchase", 400, {"message": f"Phone number {NUMBER} is no longer available"}),
    ("list", 500, {"msg": "Failed", "accountStatus": "suspended"}),
    ("refresh", 400, {"error": "invalid_grant", "error_description": "refresh token invalid"}),
    ("locations", 422, {"error": {"code": "C", "message": "m", "resolution": "r"}}),
    ("search", 429, {"message": "Too many requests"}),
    ("pools", 404, {"message": "Phone system is not connected to this account"}),
]


def receive(operation: str, response: Response) -> Any:
    """Returns the value of a response, or raises its error, as a client does."""
    request, read = OPERATIONS[operation]
    headers.rate_limit(response.headers)
    if 200 <= response.status < 300:
        return read(request, response)
    error = errors.error_of(request, response, TOKEN)
    errors.is_in_doubt(error)
    errors.is_passing(error)
    errors.is_invalid_token(error)
    errors.is_invalid_grant(error)
    raise error


def exactly(value: Any) -> Any:
    """A value with its types: `1 == 1.0 == True`, and dates of two zones may be equal."""
    if attrs.has(type(value)):
        return type(value), {
            f.name: exactly(getattr(value, f.name)) for f in attrs.fields(type(value))
        }
    if isinstance(value, tuple | list):
        return type(value), [exactly(part) for part in value]
    if isinstance(value, Mapping):
        return type(value), {key: exactly(value[key]) for key in sorted(value)}
    return type(value), str(value) if isinstance(value, str) else repr(value)


def outcome(receive: Callable[..., Any], *args: Any) -> Any:
    """The exact value, or the type and text of the error."""
    try:
        return exactly(receive(*args))
    except LCPhoneError as error:
        return type(error), str(error)


def as_usual(receive: Callable[..., Any], *args: Any) -> Any:
    """The outcome, from the same stack depth as `slowly`: the limit of nesting depends on it."""
    return outcome(receive, *args)


def slowly(receive: Callable[..., Any], *args: Any) -> Any:
    """The outcome without the fast decoder."""
    with patch.multiple(FastDecoder, read=_does_nothing, learn=_does_nothing):
        return outcome(receive, *args)


def _does_nothing(_reader: object, _given: object) -> None:
    pass


def assert_good(operation: str, response: Response) -> None:
    """Checks a response's outcome: usable, without secrets, and the same from both decoders."""
    try:
        value = receive(operation, response)
    except LCPhoneError as error:
        assert_tells_no_secret(error)
    else:
        assert_usable(value)
    if OPERATIONS[operation][0].scope == "phonenumbers.read":  # only these have a fast decoder
        assert as_usual(receive, operation, response) == slowly(receive, operation, response)


def assert_tells_no_secret(error: LCPhoneError) -> None:
    """An error's texts are printable and hold neither the token nor a phone number."""
    trace_id = getattr(error, "trace_id", None)
    if trace_id is not None and re.fullmatch(r"[\w.:-]+", trace_id):  # it may consist of digits
        error = attrs.evolve(error, trace_id=None)
    texts = [str(error), *(value for value in vars(error).values() if isinstance(value, str))]
    for text in texts:
        text.encode()
        assert TOKEN not in text, text
        bare = "".join(sign for sign in text if not _may_part_digits(sign))
        assert NUMBER[2:] not in bare, text
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", text), text


def _may_part_digits(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "CZ" or sign in "()./_-‐‑‒–—―\N{REPLACEMENT CHARACTER}"  # noqa: RUF001


def assert_usable(value: Any) -> None:
    """A value can be printed, encoded, compared, hashed, copied and pickled."""
    repr(value).encode()
    assert copy.deepcopy(value) == value
    if isinstance(value, Grant):
        pair = TokenPair.granted(value, asked_at=1.8e9)
        assert exactly(TokenPair.from_text(pair.to_text())) == exactly(pair)
        return
    hash(tuple(value) if isinstance(value, list) else value)
    assert exactly(pickle.loads(pickle.dumps(value))) == exactly(value)
    for model in value if isinstance(value, list) else [value]:
        json.dumps(attrs.asdict(model), default=str, ensure_ascii=False, allow_nan=False).encode()


def from_text(text: bytes) -> tuple[str, Response]:
    """Parses `list 200`, header lines, an empty line and a body into an operation and a response.

    Every byte string stands for some response.
    """
    head, _, body = text.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    name, _, status = first.rpartition(" ")
    if name not in OPERATIONS:
        name = list(OPERATIONS)[len(name) % len(OPERATIONS)]
    digits = re.sub("[^0-9]", "", status)[:3]
    headers = CIMultiDict(tuple(line.split(":", 1)) for line in lines if ":" in line)
    return name, Response(max(100, int(digits or 200)), headers, body)


def to_text(operation: str, status: int, document: object, headers: str = "") -> bytes:
    """The text that `from_text` parses into this response."""
    return f"{operation} {status}\n{headers}\n".encode() + json.dumps(document).encode()
