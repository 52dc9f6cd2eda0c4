"""What the service may say otherwise: pure functions from one answer to another.

An answer's body is plain JSON here. `profiles` gives these their names.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final

from attrs import evolve, field, frozen

from ..refusals import phrase

Change = Callable[["Said"], "Said"]
_GONE: Final = "Phone number is no longer available"
_DATES: Final = ("dateAdded", "dateUpdated", "dateCreated")
_OPTIONAL: Final = (
    "friendlyName",
    "linkedUser",
    "inboundCallService",
    "forwardingNumber",
    "addressSid",
    "bundleSid",
)
_ENVELOPE: Final = {"status", "message", "statusCode"}


@frozen
class Said:
    """An answer on its way out."""

    operation: str
    """The operation's name; empty for a path that there is not."""
    status: int
    body: Any
    headers: Mapping[str, str] = field(factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether it gives what was asked for."""
        return self.status < 300  # noqa: PLR2004  # where HTTP draws the line


def of(operation: str, change: Callable[[Any], Any]) -> Change:
    """Change the body of an operation's good answers."""

    def changed(said: Said) -> Said:
        if said.operation != operation or not said.is_good:
            return said
        return evolve(said, body=change(said.body))

    return changed


def of_list(change: Callable[[dict[str, Any]], Any]) -> Change:
    """Change the payload of active numbers, inside its envelope if it has one."""
    return of("active", lambda body: _in_envelope(body, change))


def of_each_number(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    """Change each of the active numbers."""
    return of_list(lambda data: data | {"numbers": [change(number) for number in data["numbers"]]})


def bare_list(body: dict[str, Any]) -> Any:
    """Leave nothing but the numbers."""
    return body.get("data", body)["numbers"]


def renamed_list(name: str) -> Callable[[dict[str, Any]], Any]:
    """Put the numbers under another name."""
    return lambda data: {name if key == "numbers" else key: value for key, value in data.items()}


def data_is_the_list(body: dict[str, Any]) -> Any:
    """Put the numbers under `data` itself, and the rest beside them."""
    payload = body.get("data", body)
    beside = {key: value for key, value in payload.items() if key != "numbers"}
    return beside | {"data": payload["numbers"]}


def other_envelope(body: dict[str, Any]) -> Any:
    """Take off the envelope that there is, or put one on."""
    if "data" in body and body.keys() >= _ENVELOPE:
        return body["data"]
    return {"status": "success", "data": body, "message": "OK", "statusCode": 200}


def short_where_empty(body: dict[str, Any]) -> Any:
    """Say only that there is nothing, where there is nothing."""
    return body if body.get("data", body)["numbers"] else {"numbers": [], "total": 0}


def without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Leave keys out."""
    return lambda data: {key: value for key, value in data.items() if key not in names}


def rfc2822_dates(number: dict[str, Any]) -> dict[str, Any]:
    """Write dates as `Mon, 23 Feb 2026 22:00:52 +0000`."""
    return number | {
        name: format_datetime(datetime.fromisoformat(number[name]))
        for name in _DATES
        if name in number
    }


def created_instead_of_added(number: dict[str, Any]) -> dict[str, Any]:
    """Give the legacy twin alone."""
    return without("dateAdded")(number) | {"dateCreated": number["dateAdded"]}


def toll_free_as_in_a_search(number: dict[str, Any]) -> dict[str, Any]:
    """Write `tollFree` where the document has `toll-free`."""
    return number | {"type": "tollFree"} if number["type"] == "toll-free" else number


def blank(value: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Give `value` for all that is optional and absent."""

    def change(number: dict[str, Any]) -> dict[str, Any]:
        absent = [name for name in _OPTIONAL if number.get(name) in (None, "")]
        return number | dict.fromkeys(absent, value)

    return change


def nothing_blank(number: dict[str, Any]) -> dict[str, Any]:
    """Leave out all that is optional and absent."""
    absent = [name for name in _OPTIONAL if number.get(name) in (None, "")]
    return without(*absent)(number)


def fractions(value: Any) -> Any:
    """Write every whole number with a fraction, as `50.0`."""
    if isinstance(value, dict):
        return {key: fractions(part) for key, part in value.items()}
    if isinstance(value, list):
        return list(map(fractions, value))
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def of_tomorrow(number: dict[str, Any]) -> dict[str, Any]:
    """Use a type, an origin and keys that no document has yet."""
    service = number.get("inboundCallService")
    return number | {
        "type": "shared-cost",
        "origin": "satellite",
        "carrier": {"name": "Carrier", "lookups": [1, 2]},
        "inboundCallService": service and service | {"type": "hologram", "priority": 1},
    }


def renamed_pools(name: str) -> Callable[[dict[str, Any]], Any]:
    """Put the pools under another name."""
    return lambda body: {name: body["data"]}


def in_envelope(body: Any) -> Any:
    """Wrap it as v3 wraps the active numbers."""
    return {"status": "success", "data": body, "message": "OK", "statusCode": 200}


def without_prices(body: dict[str, Any]) -> Any:
    """Leave out what the numbers cost."""
    return body | {"numbers": list(map(without("price"), body["numbers"]))}


def gone_with(status: int) -> Change:
    """Say with another status that a number is gone."""

    def changed(said: Said) -> Said:
        if said.operation != "purchase" or said.is_good or said.body.get("message") != _GONE:
            return said
        body = said.body | {"statusCode": status, "error": phrase(status)}
        return evolve(said, status=status, body=body)

    return changed


def messages_in_a_list(said: Said) -> Said:
    """Give messages as a list."""
    if said.is_good or not isinstance(said.body.get("message"), str):
        return said
    return evolve(said, body=said.body | {"message": [said.body["message"]]})


def no_trace_id(said: Said) -> Said:
    """Give errors no trace id."""
    return said if said.is_good else evolve(said, body=without("traceId")(said.body))


def msg_for_500(said: Said) -> Said:
    """Word a 500 as the document of the active numbers has it."""
    if said.status != 500:  # noqa: PLR2004
        return said
    return evolve(said, body={"msg": "Internal server error", "accountStatus": "suspended"})


def retry_after(said: Said) -> Said:
    """Say with a 429 when to come back, in seconds."""
    if said.status != 429:  # noqa: PLR2004
        return said
    return evolve(said, headers={**said.headers, "Retry-After": "1"})


def created(operation: str) -> Change:
    """Response an operation with 201."""

    def changed(said: Said) -> Said:
        return evolve(said, status=201) if said.operation == operation and said.is_good else said

    return changed


_SPELLINGS: Final = {
    "accessToken": "access_token",
    "tokenType": "token_type",
    "expiresIn": "expires_in",
    "refreshToken": "refresh_token",
    "userType": "user_type",
    "locationId": "location_id",
    "companyId": "company_id",
}
_OTHER_SPELLING: Final = _SPELLINGS | {old: new for new, old in _SPELLINGS.items()}


def other_spelling(said: Said) -> Said:
    """Write the names in an answer with tokens in the other case."""
    if not said.is_good or said.operation not in {"token", "location-token"}:
        return said
    spelled = {_OTHER_SPELLING.get(name, name): value for name, value in said.body.items()}
    return evolve(said, body=spelled)


def _in_envelope(body: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> Any:
    if "data" in body:
        return body | {"data": change(body["data"])}
    return change(body)
