"""Token sources, which return the token of each call and may renew it, and token stores."""

from typing import TYPE_CHECKING

from .._internal.lazy import exports

if TYPE_CHECKING:
    from .agency import AgencyTokens
    from .oauth import OAuthTokens
    from .sources import (
        BoundTokenSource,
        RenewableTokenSource,
        StaticToken,
        TokenCall,
        TokenService,
        TokenSource,
    )
    from .stores import FileTokenStore, MemoryTokenStore, TokenStore
    from .tokens import Grant

__all__ = [
    "AgencyTokens",
    "BoundTokenSource",
    "FileTokenStore",
    "Grant",
    "MemoryTokenStore",
    "OAuthTokens",
    "RenewableTokenSource",
    "StaticToken",
    "TokenCall",
    "TokenService",
    "TokenSource",
    "TokenStore",
]

if not TYPE_CHECKING:  # with it, a type checker takes any name
    __getattr__ = exports(
        __name__,
        agency=("AgencyTokens",),
        oauth=("OAuthTokens",),
        sources=(
            "BoundTokenSource",
            "RenewableTokenSource",
            "StaticToken",
            "TokenCall",
            "TokenService",
            "TokenSource",
        ),
        stores=("FileTokenStore", "MemoryTokenStore", "TokenStore"),
        tokens=("Grant",),
    )
