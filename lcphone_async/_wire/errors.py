"""Responses with an error status to the error whose name says what to do."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, TypeGuard
from urllib.parse import quote, quote_plus

from attrs import evolve

from .._internal import clock
from .._internal.checks import API_VERSIONS
from ..errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    DailyQuotaExhaustedError,
    NotFoundError,
    NumberUnavailableError,
    PermissionDeniedError,
    PhoneSystemNotConnectedError,
    RateLimitedError,
    ServerError,
    UnprocessableError,
)
from .headers import rate_limit, retry_after
from .requests import Request
from .responses import Response, decode_json, describe

_MAX_MESSAGE = 500

# No error is longer: of a body that is, the rest would only take time, and hold up every task.
_LONGEST_BODY = 2**20

# Of a longer text, no more is looked at, as that takes time.
_MOST_READ = 20 * _MAX_MESSAGE

# A longer body has no keys worth keeping, nor have values that are nested deeper.
_LONGEST_EXTRA = 2**16
_DEEPEST_EXTRA = 8

# The keys under which a body may have its message, best first; `error` mostly is a status's name.
_MESSAGES = ("message", "msg", "error_description", "error", "errors")
_STATUSES = ("statusCode", "status", "code")
_STATUS = re.compile(r"[2-5][0-9]{2}")

# A shorter token is a stand-in such as "test", and may be a part of any word.
_SHORTEST_SECRET = 8

_BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    422: UnprocessableError,
    429: RateLimitedError,
}

# The phone operations want a location's token, those of the app's installations an agency's.
_KINDS = (
    "an agency's where a location's is wanted",
    "a location's where an agency's is wanted",
)

_VERSIONS = " or ".join(repr(version) for version in API_VERSIONS)

_WRONG_KIND = "the {what} is of the wrong kind, {kinds}: more scopes do not help"
_NO_PHONE_SYSTEM = "connect LC Phone in the location's settings"

# A part of the message in lower case, and what it means; `{scope}`, `{what}` and `{kinds}` depend
# on the operation.
_HINTS = (
    ("version header", f"set the client's api_version to {_VERSIONS}"),
    ("not accessible from this token", "the token is of another location: use this location's own"),
    ("does not have access to this location", "the token is of another location or agency"),
    (
        "not authorized for this scope",
        "the token lacks the scope {scope}, or it is of the wrong kind, {kinds}",
    ),
    ("user type mismatch", _WRONG_KIND),
    ("authclass type", _WRONG_KIND),
    ("forbidden resource", _WRONG_KIND),
    ("invalid token", "the token is wrong, expired or revoked: get a new one"),
    ("phone system is not connected", _NO_PHONE_SYSTEM),
    ("no twilio account", _NO_PHONE_SYSTEM),
    ("location is not active", "no token is given for it until the agency activates it again"),
    ("no longer available", "somebody else took it: search again"),
    ("error code: 1010", "Cloudflare turned the request away for its User-Agent"),
    ("cloudflare", "Cloudflare, which stands before the service, answered this"),
)

_NUMBER_GONE = re.compile(
    r"number (is )?(no longer available|not (found|available))", re.IGNORECASE
)
_INVALID_TOKEN = re.compile(
    r"\binvalid (access[ -]?)?(token|jwt)\b"
    r"|\b(token|jwt) (is|has|was)\b.*\b(invalid|expired|revoked)\b",
    re.IGNORECASE,
)
_INVALID_GRANT = re.compile(
    r"invalid[ _]grant|refresh[ _]?token (is |has |was )?(invalid|expired|revoked|not found)"
    r"|invalid refresh[ _]?token",
    re.IGNORECASE,
)
_NOT_CONNECTED = re.compile(
    r"phone system is not connected|no twilio account( was)? found", re.IGNORECASE
)
# Others (408, 425, 499, redirects, Cloudflare's 520 to 530) a proxy may send at any time.
_REFUSALS = {400, 401, 402, 403, 404, 405, 409, 410, 413, 414, 415, 422, 429, 431}
# The service reports its own timeouts under other statuses too, such as 401 "Command timed out".
_TIMED_OUT = re.compile(
    r"time[ds]?[ _-]?out|(took|taking|takes) (too long|longer)|longer than expected"
    r"|deadline[ _-]?exceeded|exceeded .{0,20}\b(deadline|time)\b|time limit"
    r"|socket hang ?up|\beconn(reset|aborted)\b",
    re.IGNORECASE,
)
# What the first of two POSTs would have met too; a location alone may have changed by the first.
_ACCESS = re.compile(r"token|jwt|scope|version header|authclass|forbidden resource", re.IGNORECASE)
_CREDENTIALS = re.compile(r"token|jwt|scope|version|location|authclass", re.IGNORECASE)
_AUTHORIZATION = re.compile(
    rf"{_CREDENTIALS.pattern}|auth|permission|credential|access|forbidden|expired|revoked"
    r"|grant|client|api.?key",
    re.IGNORECASE,
)
# A proxy's or the service's own trouble; 520 to 527 and 530 are Cloudflare's.
_PASSING = {408, 425, 500, 502, 503, 504, *range(520, 528), 530}
_LOOKS_LIKE_A_PHONE_NUMBER = re.compile(
    r"(\+|%2B)?\(?\d(?:[\s()./_\u2010-\u2015\ufffd-]*\d){6,}", re.IGNORECASE
)

# The digits of a single word such as this are no phone number: support needs them all.
_TRACE_ID = re.compile(r"[\w.:-]+")


def is_in_doubt(error: APIError) -> bool:
    """Whether the service may have acted on the request in spite of this response.

    A 401 is sure only if it names its reason: token, scope, version or location.
    """
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return False
    says = _texts(error)
    if error.status == HTTPStatus.UNAUTHORIZED:
        if _INVALID_TOKEN.search(says):
            return False
        if not _CREDENTIALS.search(says):
            return True
    return bool(_TIMED_OUT.search(says)) or not _REFUSALS.issuperset(_statuses(error))


def is_passing(error: APIError) -> bool:
    """Whether the service had trouble that another try may not meet, so that a read is repeated.

    It answers its own timeouts with any status, and 500 for an account that is suspended.
    """
    account_status = error.extra.get("accountStatus")
    if isinstance(account_status, str) and account_status.lower() != "active":
        return False
    says = _texts(error)
    timed_out = bool(_TIMED_OUT.search(says))
    if error.status == HTTPStatus.UNAUTHORIZED:
        is_of_token = _INVALID_TOKEN if timed_out else _AUTHORIZATION
        return not is_of_token.search(says)
    is_limit = error.status == HTTPStatus.TOO_MANY_REQUESTS
    return error.status in _PASSING or (timed_out and not is_limit)


def is_final_refusal(error: APIError) -> bool:
    """Whether an error of a POST is that of the first one, had a proxy sent it twice.

    A refused token is, as it would have been refused at first, and a 429 counts as one. Any other
    refusal may be of a second POST, after a first one that had an effect.
    """
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return True
    is_about_access = error.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    says = f"{error.error or ''} {error.message}"
    return is_about_access and bool(_ACCESS.search(says))


def error_of(request: Request, response: Response, token: str | None) -> APIError:
    """The error that a response outside 200 to 299 is; its text holds no secret."""
    response = evolve(response, body=response.body[:_LONGEST_BODY])
    body = _object(response.body)
    told_as, messages = _messages(body, response)
    says = " ".join([*messages, *filter(_says, [body.get("error")])])
    hint = _hint(request, response, body, says)
    secrets = [token or "", *request.secrets]
    error_class = _class_of(request, response, says)
    wait = _wait(response, error_class)
    if error_class is DailyQuotaExhaustedError:
        hint = clock.daily_reset(rate_limit(response.headers).daily_reset)
    return error_class(
        status=response.status,
        message=_clean("; ".join(messages), secrets) or "",
        error=_clean(body.get("error"), secrets),
        trace_id=_clean(body.get("traceId"), secrets, keep=_TRACE_ID),
        method=request.method,
        path=request.path,
        retry_after=wait,
        hint=_clean(hint, secrets),
        extra=_extra(response, body, told_as, secrets),
    )


def _texts(error: APIError) -> str:
    told = (error.error, error.message, *(value for _, value in _values(error.extra)))
    return " ".join(filter(_says, told))


def _statuses(error: APIError) -> set[int]:
    """The response's status, and those that its body names."""
    told = (str(value) for name, value in _values(error.extra) if name in _STATUSES)
    return {error.status, *(int(code) for code in told if _STATUS.fullmatch(code))}


def _values(told: object, name: str | None = None) -> Iterator[tuple[str | None, object]]:
    """Every value of a JSON document that holds no others, with the key under which it stands."""
    if isinstance(told, dict):
        for key, part in told.items():
            yield from _values(part, key)
    elif isinstance(told, list):
        for part in told:
            yield from _values(part, name)
    else:
        yield name, told


def is_invalid_token(error: AuthenticationError) -> bool:
    """Whether a 401 says that the access token is no good, for any location and in any version.

    401 also stands for a wrong version, another location and a missing scope.
    """
    return bool(_INVALID_TOKEN.search(error.message))


def is_invalid_grant(error: APIError) -> bool:
    """Whether a token endpoint says that a refresh token or a code is no good (any more)."""
    says = f"{error.error or ''} {error.message}"
    is_refusal = error.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}
    return is_refusal and bool(_INVALID_GRANT.search(says))


def _class_of(request: Request, response: Response, says: str) -> type[APIError]:
    status = response.status
    if status == HTTPStatus.NOT_FOUND and _NOT_CONNECTED.search(says):
        return PhoneSystemNotConnectedError
    if request.is_purchase and _is_gone(status, says):
        return NumberUnavailableError
    if status == HTTPStatus.TOO_MANY_REQUESTS and rate_limit(response.headers).daily_remaining == 0:
        return DailyQuotaExhaustedError
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerError
    return _BY_STATUS.get(status, APIError)


def _is_gone(status: int, says: str) -> bool:
    """Whether a purchase was refused because somebody else has the number.

    400 is documented; 404, 409 and 410 are what other clients guard against.
    """
    if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:
        return bool(_NUMBER_GONE.search(says))
    return status in {HTTPStatus.CONFLICT, HTTPStatus.GONE}


def _messages(body: Mapping[str, Any], response: Response) -> tuple[str | None, list[str]]:
    """The body's key that holds a message, and its texts; else what the body seems to be."""
    for name in _MESSAGES:
        told = body.get(name)
        if messages := [
            part for part in (told if isinstance(told, list) else [told]) if _says(part)
        ]:
            return name, messages
    text = response.body.decode(errors="replace").strip()
    if text and not text.startswith(("<", "{", "[")):
        return None, [text]
    phrase = HTTPStatus(response.status).phrase if response.status in set(HTTPStatus) else "Error"
    return None, [f"{phrase}, with {'no message' if body else describe(response.body)}"]


def _says(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def _hint(
    request: Request, response: Response, body: Mapping[str, Any], message: str
) -> str | None:
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
        return "redirects are not followed: set base_url to where the service is"
    if isinstance(account_status := body.get("accountStatus"), str):
        return f"the account is {account_status}"
    # The service's own responses come through Cloudflare too, but they are JSON.
    heard = message if body else f"{message} {response.headers.get('Server', '')}"
    found = next((hint for part, hint in _HINTS if part in heard.lower()), None)
    sent = {**(request.json or {}), **(request.form or {})}
    user_type = sent.get("userType") or sent.get("user_type")
    of_agency = user_type == "Company" or (request.scope or "").startswith("oauth.")
    what = "code" if "code" in sent else "token"
    return found and found.format(scope=request.scope, what=what, kinds=_KINDS[of_agency])


def _wait(response: Response, error_class: type[APIError]) -> float | None:
    """Seconds to wait: what the service asks for, or after a 429 one whole limit interval.

    Of a spent day that is when it resets; an interval would not do.
    """
    asked = retry_after(response.headers)
    if error_class is DailyQuotaExhaustedError:
        return rate_limit(response.headers).daily_reset or asked
    if asked is None and response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return rate_limit(response.headers).period
    return asked


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        document = decode_json(body)
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    # v3 wraps in `data`; texts of an outer object go before those of an inner one.
    for key in ("data", "message"):
        if isinstance(inner := document.get(key), dict):
            document = {**inner, **document}
    # The v3 list of locations wraps its errors: `{error: {code, message, resolution}}`.
    wrapped = document.get("error")
    if not isinstance(wrapped, dict):
        return document
    name = wrapped.get("code")
    return {**document, "error": name if isinstance(name, str) else None, **wrapped}


def _extra(
    response: Response, body: Mapping[str, Any], told_as: str | None, secrets: Iterable[str]
) -> dict[str, Any]:
    """The body's keys that the error has no field for."""
    if len(response.body) > _LONGEST_EXTRA:
        return {}
    held = {told_as}
    held |= {name for name in ("error", "traceId") if isinstance(body.get(name), str | None)}
    known = (response.status, str(response.status), body.get("error"))
    held |= {name for name in _STATUSES if body.get(name) in known}
    others = {name: value for name, value in body.items() if name not in held}
    kept: dict[str, Any] = _kept(others, secrets)
    return kept


def _kept(value: Any, secrets: Iterable[str], depth: int = 0) -> Any:
    """A JSON value whose texts are clean, and cut off where it is nested too deeply."""
    if isinstance(value, str):
        return _clean(value, secrets)
    if depth == _DEEPEST_EXTRA and isinstance(value, dict | list):
        return None
    if isinstance(value, list):
        return [_kept(part, secrets, depth + 1) for part in value]
    if isinstance(value, dict):
        return {
            _clean(name, secrets): _kept(part, secrets, depth + 1) for name, part in value.items()
        }
    return value


def _spelled(secret: str) -> re.Pattern[str]:
    """A secret as services repeat it: as it is, as a URL or a form, or in Base64.

    One that wants to show it can do so in other ways; but it has no need of us for that.
    """
    in_base64 = b64encode(secret.encode()).decode().rstrip("=")
    spellings = {secret, quote(secret, safe=""), quote_plus(secret), in_base64}
    return re.compile("|".join(map(re.escape, sorted(spellings))), re.IGNORECASE)


def _clean(
    text: object, secrets: Iterable[str], *, keep: re.Pattern[str] | None = None
) -> str | None:
    """A text of the service without secrets, without phone numbers, and not too long.

    What cannot be seen goes too: it may stand within a secret or a number, as it does in UTF-16, or
    steer a terminal. A text that is all `keep` may look like a phone number.
    """
    if not isinstance(text, str):
        return None
    text = _without(secrets, text)
    seen = "".join(sign for sign in text[:_MOST_READ] if sign.isprintable() or sign.isspace())
    line = _without(secrets, " ".join(seen.split()))
    if keep is None or not keep.fullmatch(line):
        line = _LOOKS_LIKE_A_PHONE_NUMBER.sub("+…", line)
    return line[:_MAX_MESSAGE]


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = _spelled(secret).sub("…", text)
    return text
