"""Every operation as a call that fails, and the error class of each status."""

import pytest

from lcphone_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    LCPhoneClient,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    UnprocessableError,
)
from support.raw_server import RawServer

LOCATION = "loc1"
NUMBER = "+18305551234"
TOKEN = "pit-5ecre7-c0ffee"
CALLS = {
    "pools": lambda client: client.number_pools(LOCATION),
    "search": lambda client: client.search_available(LOCATION, "US"),
    "list": lambda client: client.active_numbers_page(LOCATION),
    "purchase": lambda client: client.purchase(LOCATION, NUMBER),
}
SCOPES = {
    "pools": "numberpools.read",
    "search": "phonenumbers.read",
    "list": "phonenumbers.read",
    "purchase": "phonenumbers.write",
}
CLASSES = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    422: UnprocessableError,
    429: RateLimitedError,
    500: ServerError,
    502: ServerError,
    503: ServerError,
    504: ServerError,
    402: APIError,
    405: APIError,
    409: APIError,
    410: APIError,
    418: APIError,
    501: ServerError,
    520: ServerError,
    599: ServerError,
}
READS = pytest.mark.parametrize("call", ["pools", "search", "list"])
EVERY_CALL = pytest.mark.parametrize("call", CALLS)


async def refused(
    client: LCPhoneClient, raw_server: RawServer, response: bytes, call: str = "list"
) -> APIError:
    """Returns the error that `call` raises if the service sends `response`."""
    raw_server.reply(response)
    with pytest.raises(APIError) as caught:
        await CALLS[call](client)
    return caught.value


HINTS_401 = {
    "Invalid token: access token is invalid": "token",
    "version header was not found.": "version",
    "version header is invalid": "version",
    "This location is not accessible from this token!": "location",
    "not authorized for this scope": "scope",
}


def texts(error: BaseException | None) -> str:
    """All texts of an error and of its causes, as a log shows them."""
    text = ""
    while error is not None:
        text += f"{error}\n{error!r}\n{getattr(error, 'hint', '')}\n"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text
