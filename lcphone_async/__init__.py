"""The asyncio SDK for the LC Phone API of LeadConnector / HighLevel."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._http.retry import RetryPolicy
    from ._version import __version__
    from .auth import (
        AgencyTokens,
        FileTokenStore,
        Grant,
        OAuthTokens,
        StaticToken,
        TokenSource,
        TokenStore,
    )
    from .client import LCPhoneClient
    from .errors import (
        AnswerTooLargeError,
        APIError,
        AuthenticationError,
        AuthorizationLostError,
        BadRequestError,
        BudgetUnavailableError,
        CircuitOpenError,
        ClientClosedError,
        ConnectFailedError,
        DailyQuotaExhaustedError,
        IncompleteListError,
        JournalUnavailableError,
        LCPhoneError,
        LocalResourceError,
        NotFoundError,
        NumberAlreadyOwnedError,
        NumberUnavailableError,
        PermissionDeniedError,
        PhoneSystemNotConnectedError,
        PriceTooHighError,
        PurchaseInProgressError,
        PurchaseOutcomeUnknownError,
        RateLimitedError,
        RepeatedPageError,
        RequestTimeoutError,
        ResponseFormatError,
        ServerError,
        SpendingLimitError,
        TokenUnavailableError,
        TransportError,
        UnprocessableError,
    )
    from .journal import Journal, PurchaseJournal, PurchaseRecord, PurchaseState, SpendingLimit
    from .limiter import Limiter, RateLimiter, bulk
    from .models import (
        AccountStatus,
        ActiveNumber,
        ActiveNumbersPage,
        AvailableNumber,
        AvailableNumbers,
        Capabilities,
        CountrySearch,
        InboundCallService,
        Location,
        NumberPool,
        NumberType,
        PoolNumber,
        Price,
        Purchase,
        PurchaseOrder,
        RateLimitStatus,
        RcsSenderId,
    )

__all__ = [
    "APIError",
    "AccountStatus",
    "ActiveNumber",
    "ActiveNumbersPage",
    "AgencyTokens",
    "AnswerTooLargeError",
    "AuthenticationError",
    "AuthorizationLostError",
    "AvailableNumber",
    "AvailableNumbers",
    "BadRequestError",
    "BudgetUnavailableError",
    "Capabilities",
    "CircuitOpenError",
    "ClientClosedError",
    "ConnectFailedError",
    "CountrySearch",
    "DailyQuotaExhaustedError",
    "FileTokenStore",
    "Grant",
    "InboundCallService",
    "IncompleteListError",
    "Journal",
    "JournalUnavailableError",
    "LCPhoneClient",
    "LCPhoneError",
    "Limiter",
    "LocalResourceError",
    "Location",
    "NotFoundError",
    "NumberAlreadyOwnedError",
    "NumberPool",
    "NumberType",
    "NumberUnavailableError",
    "OAuthTokens",
    "PermissionDeniedError",
    "PhoneSystemNotConnectedError",
    "PoolNumber",
    "Price",
    "PriceTooHighError",
    "Purchase",
    "PurchaseInProgressError",
    "PurchaseJournal",
    "PurchaseOrder",
    "PurchaseOutcomeUnknownError",
    "PurchaseRecord",
    "PurchaseState",
    "RateLimitStatus",
    "RateLimitedError",
    "RateLimiter",
    "RcsSenderId",
    "RepeatedPageError",
    "RequestTimeoutError",
    "ResponseFormatError",
    "RetryPolicy",
    "ServerError",
    "SpendingLimit",
    "SpendingLimitError",
    "StaticToken",
    "TokenSource",
    "TokenStore",
    "TokenUnavailableError",
    "TransportError",
    "UnprocessableError",
    "__version__",
    "bulk",
]

# The public modules, which `lcphone_async.errors` reaches without an import of its own.
_MODULES = {"auth", "client", "errors", "journal", "limiter", "models"}

_HOMES = {
    "LCPhoneClient": "client",
    "RetryPolicy": "_http.retry",
    "__version__": "_version",
    **dict.fromkeys(("RateLimiter", "Limiter", "bulk"), "limiter"),
    **dict.fromkeys(
        ("Journal", "PurchaseJournal", "PurchaseRecord", "PurchaseState", "SpendingLimit"),
        "journal",
    ),
    **dict.fromkeys(
        (
            "AgencyTokens",
            "FileTokenStore",
            "Grant",
            "OAuthTokens",
            "StaticToken",
            "TokenSource",
            "TokenStore",
        ),
        "auth",
    ),
    # All the others are errors or models.
}


if not TYPE_CHECKING:  # with it, a type checker takes any name

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f".{name}", __name__)
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = _HOMES.get(name, "errors" if name.endswith("Error") else "models")
        value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
