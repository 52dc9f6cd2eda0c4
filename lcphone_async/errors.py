"""All that can go wrong with a call.

A bad argument is a `ValueError` or a `TypeError`, raised before anything is sent.
Everything else is an `LCPhoneError`:

    LCPhoneError
     ├─ TransportError                    no whole answer came back
     │   ├─ ConnectFailedError            no connection was made: nothing was sent
     │   │   └─ LocalResourceError        for want of descriptors, ports or threads here
     │   ├─ RequestTimeoutError           it took too long
     │   ├─ AnswerTooLargeError           it has more bytes than the client takes
     │   └─ ClientClosedError             the client was closed
     ├─ ResponseFormatError               an answer that is not what the documents say
     ├─ APIError                          the service said no
     │   ├─ BadRequestError               400
     │   │   └─ NumberUnavailableError    the number is gone
     │   ├─ AuthenticationError           401
     │   ├─ PermissionDeniedError         403
     │   ├─ NotFoundError                 404
     │   │   └─ PhoneSystemNotConnectedError
     │   ├─ UnprocessableError            422
     │   ├─ RateLimitedError              429
     │   │   └─ DailyQuotaExhaustedError
     │   └─ ServerError                   5xx
     ├─ CircuitOpenError                  the service seems to be down: nothing was sent
     ├─ BudgetUnavailableError            a budget shared through Redis cannot be reached
     ├─ TokenUnavailableError             a token source has no usable token
     │   └─ AuthorizationLostError        the app must be authorized again
     ├─ JournalUnavailableError           the journal of purchases failed: nothing was sent
     ├─ PriceTooHighError                 above `max_price` (a ValueError too): nothing was sent
     ├─ SpendingLimitError                above the client's `spending_limit`: nothing was sent
     ├─ NumberAlreadyOwnedError           the location has the number: nothing was bought
     ├─ PurchaseInProgressError           the number is being bought, or was and is not reconciled
     ├─ PurchaseOutcomeUnknownError       the number may be bought or not
     ├─ RepeatedPageError                 a list whose pages do not move on
     └─ IncompleteListError               a list that ended before its total

No error's text holds a token or a phone number.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import define, field


class LCPhoneError(Exception):
    """Anything that can go wrong with a call whose arguments are right."""


@define(slots=False)
class TransportError(LCPhoneError):
    """No whole answer came back; the service may have acted on the call or not."""

    method: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.reason}"


class ConnectFailedError(TransportError):
    """No connection was made, so the service has seen nothing of the call."""


class LocalResourceError(ConnectFailedError):
    """No connection for want of descriptors, ports, memory or threads on this machine.

    It says nothing of the service, and does not count as a failure of it.
    """


class RequestTimeoutError(TransportError):
    """The answer did not come within the client's `timeout`."""


class AnswerTooLargeError(TransportError):
    """The answer's body has more bytes than the client's `max_body_size`."""


class ClientClosedError(TransportError):
    """The client was closed before or during the call."""


@define(slots=False)
class ResponseFormatError(LCPhoneError):
    """The service answered, but not with what its documents describe."""

    method: str
    path: str
    where: str
    """The JSON path of what did not fit, such as `$.data.numbers[17].phoneNumber`."""
    problem: str
    """What was expected there and what kind of value came."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}: unexpected answer: {self.where}: {self.problem}"


@define(slots=False)
class APIError(LCPhoneError):
    """The service answered with an error status."""

    status: int
    message: str
    """The service's own words; a list of messages is joined by `; `."""
    error: str | None = None
    """The name that the service gives the error, such as `Bad Request`."""
    trace_id: str | None = None
    """What the vendor's support asks for."""
    method: str = ""
    path: str = ""
    retry_after: float | None = None
    """Seconds to wait before the next try, where the service says so."""
    hint: str | None = None
    """What this message mostly means, and what to do."""
    extra: Mapping[str, Any] = field(factory=dict, repr=False)
    """The body's other keys, such as `canonicalCode` and `resolution`, and a status in it that is
    not the response's; without tokens and phone numbers."""

    def __str__(self) -> str:
        text = f"{self.method} {self.path}: {self.status}: {self.message}".lstrip(" :")
        if self.hint:
            text += f" ({self.hint})"
        if self.trace_id:
            text += f" [trace {self.trace_id}]"
        return text


class BadRequestError(APIError):
    """400: a parameter is missing or wrong."""


class NumberUnavailableError(BadRequestError):
    """The number was taken by somebody else; search again."""


class AuthenticationError(APIError):
    """401: a bad token, a wrong version header, another location or a missing scope."""


class PermissionDeniedError(APIError):
    """403: the token may not do this."""


class NotFoundError(APIError):
    """404."""


class PhoneSystemNotConnectedError(NotFoundError):
    """The location has no phone system yet."""


class UnprocessableError(APIError):
    """422: the service understood the request and will not act on it."""


class RateLimitedError(APIError):
    """429: too many requests for this location; `retry_after` is the seconds to wait."""


class DailyQuotaExhaustedError(RateLimitedError):
    """429: this location's requests for the day are spent.

    `retry_after` is the seconds until the daily limit resets; `None` if the service did not say.
    """


class ServerError(APIError):
    """5xx: the service or a proxy before it failed."""


@define(slots=False)
class CircuitOpenError(LCPhoneError):
    """Too many calls of the client failed of late, so this one was not sent (`RetryPolicy`)."""

    method: str
    path: str
    reason: str
    """How the last one failed."""
    retry_after: float
    """Seconds until one call is sent, to see whether the service is there again."""

    def __str__(self) -> str:
        return (
            f"{self.method} {self.path}: not sent, as the service seems to be down: {self.reason} "
            f"(it is tried again in {self.retry_after} s)"
        )


@define(slots=False)
class BudgetUnavailableError(LCPhoneError):
    """The budget that is shared through Redis cannot be reached, so nothing was sent."""

    reason: str

    def __str__(self) -> str:
        return f"the shared request budget cannot be reached, nothing was sent: {self.reason}"


@define(slots=False)
class TokenUnavailableError(LCPhoneError):
    """There is no token to make the call with; the service has not acted on it."""

    reason: str
    status: int | None = None
    """The HTTP status with which the service refused a token, where it did."""

    def __str__(self) -> str:
        return f"no token for this call, which was not made: {self.reason}"


class AuthorizationLostError(TokenUnavailableError):
    """The service refuses the refresh token: the app has to be authorized again.

    The token was revoked, it is more than a year old, or it was used before: by a program that
    shares no token store with this one, or by one that was killed before it could keep the answer.
    """

    def __str__(self) -> str:
        return (
            f"{super().__str__()} (authorize the app again, and give the new refresh token "
            "to the token source)"
        )


@define(slots=False)
class JournalUnavailableError(LCPhoneError):
    """The journal of purchases cannot be used; the service was asked to buy nothing."""

    reason: str
    """What failed, in the journal's own words."""

    def __str__(self) -> str:
        return f"the purchase journal cannot be used, nothing was sent: {self.reason}"


@define(slots=False)
class PriceTooHighError(LCPhoneError, ValueError):
    """The number costs more than `max_price`, or its price is not known; nothing was sent."""

    price: Decimal | None
    """A month, in `currency`; `None` if the number has no price."""
    currency: str | None
    max_price: Decimal | int

    def __str__(self) -> str:
        if self.price is None:
            return "max_price cannot be checked: the number does not say its price"
        price = f"{self.price} {self.currency or ''}".rstrip()
        return f"the number costs {price}, above max_price {self.max_price}: nothing was sent"


@define(slots=False)
class SpendingLimitError(LCPhoneError):
    """The purchase would exceed the client's `spending_limit`; nothing was sent."""

    limit: Decimal
    """The limit's amount, in `currency`."""
    currency: str
    spent: Decimal
    """The purchases of the period that were made, or may have been."""
    price: Decimal | None
    """Of the number, a month; `None` if it is not known in the limit's currency."""

    def __str__(self) -> str:
        if self.price is None:
            return (
                f"the number has no known price in {self.currency}, which the spending limit "
                "needs: pass it as find_available returns it (nothing was sent)"
            )
        return (
            f"the number costs {self.price} {self.currency}, and {self.spent} of the spending "
            f"limit of {self.limit} {self.currency} are spent: nothing was sent"
        )


@define(slots=False)
class NumberAlreadyOwnedError(LCPhoneError):
    """The location owned the number before the purchase, so nothing was bought."""

    location_id: str
    phone_number: str = field(repr=False)

    def __str__(self) -> str:
        return f"location {self.location_id} has this number already: nothing was bought"


@define(slots=False)
class PurchaseInProgressError(LCPhoneError):
    """Another purchase of the same number for the same location is open in the journal."""

    location_id: str
    phone_number: str = field(repr=False)

    def __str__(self) -> str:
        return (
            f"location {self.location_id} is buying this number already, or did and was "
            "interrupted: nothing was sent (client.reconcile() tells what became of it)"
        )


@define(slots=False)
class PurchaseOutcomeUnknownError(LCPhoneError):
    """A purchase was sent and no clear answer came: the number may be bought or not."""

    path: str
    reason: str
    """What came instead of a clear answer."""
    location_id: str
    phone_number: str = field(repr=False)
    fingerprint_id: str | None
    sent_at: datetime

    def __str__(self) -> str:
        return (
            f"POST {self.path}: the number may be bought or not: {self.reason} "
            "(do not buy it again before client.reconcile() has found out)"
        )


@define(slots=False)
class RepeatedPageError(LCPhoneError):
    """The service gave the same page again: it seems to ignore the page that is asked for."""

    path: str
    page: int

    def __str__(self) -> str:
        return f"GET {self.path}: page {self.page} repeats the one before it"


@define(slots=False)
class IncompleteListError(LCPhoneError):
    """The list ended early; all that came had been handed out. Walk it again."""

    path: str
    seen: int
    """Distinct numbers or locations that came."""
    total: int
    """How many the service promised."""
    what: str = "numbers"
    """What the list is of: `numbers` or `locations`."""
    at_least: bool = False
    """Whether the service said only that there are more, so that `total` may be too small."""

    def __str__(self) -> str:
        total = f"at least {self.total}" if self.at_least else f"{self.total}"
        return (
            f"GET {self.path}: the list ended after {self.seen} of {total} {self.what} "
            "(it may have changed during the walk: walk it again)"
        )
