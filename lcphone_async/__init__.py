"""The asyncio SDK for the LC Phone API of LeadConnector / HighLevel."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._line import bulk
    from ._retry import RetryPolicy
    from ._tokens import Grant
    from ._version import __version__
    from ._windows import Limiter
    from .auth import AgencyTokens, OAuthTokens, StaticToken, TokenSource
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
    from .journal import (
        Journal,
        PurchaseJournal,
        PurchaseRecord,
        PurchaseState,
        SpendingLimit,
    )
    from .limiter import RateLimiter
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
    from .token_store import FileTokenStore, TokenStore

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

# Where the public names are at home; what a room needs is imported when one of its names is used.
_ROOMS = (
    "_version",
    "errors",
    "models",
    "_line",
    "_windows",
    "limiter",
    "_retry",
    "client",
    "_tokens",
    "auth",
    "journal",
    "token_store",
)


if not TYPE_CHECKING:  # with it, a type checker takes any name

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            return import_module(f".{name}", __name__)
        if name in __all__:
            for room in _ROOMS:
                names = vars(import_module(f".{room}", __name__))
                if name in names:
                    globals()[name] = names[name]
                    return names[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
