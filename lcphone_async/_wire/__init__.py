"""The wire, without I/O: arguments to requests, answers to models or to an error.

What reads answers needs libraries that take a while to import: it is imported at its first use.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import answers as answers
    from . import faults as faults
    from . import limits as limits
    from . import token_answers as token_answers


if not TYPE_CHECKING:  # with it, a type checker takes any name

    def __getattr__(name: str) -> ModuleType:
        if name not in {"answers", "faults", "limits", "token_answers"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return import_module(f".{name}", __name__)
