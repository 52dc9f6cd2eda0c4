"""The wire, without I/O: arguments to requests, responses to models or to an error.

What reads responses needs libraries that take a while to import: it is imported at its first use.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import errors as errors
    from . import headers as headers
    from . import responses as responses
    from . import token_responses as token_responses


if not TYPE_CHECKING:  # with it, a type checker takes any name

    def __getattr__(name: str) -> ModuleType:
        if name not in {"errors", "headers", "responses", "token_responses"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return import_module(f".{name}", __name__)
