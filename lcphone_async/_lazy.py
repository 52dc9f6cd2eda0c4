"""Modules that are imported at their first use, and that annotations can name at run time.

An import under `TYPE_CHECKING` alone would leave `typing.get_type_hints` without the name.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

# What a call needs, and imports where it needs it.
_NEEDED = (
    "._purchases.listing",
    "._purchases.order",
    "._purchases.reconcile",
    "._wire.answers",
    "._wire.faults",
    "._wire.limits",
    "._wire.token_answers",
    "backoff",
)


def import_all() -> None:
    """Imports what calls need: in the middle of one there may be no file descriptor left for it."""
    for name in _NEEDED:
        import_module(name, __package__)
    # Each country's numbering plan is a module of its own.
    import_module("phonenumbers").PhoneMetadata.load_all()


def import_whole(package: str) -> None:
    """Imports a package with what it leaves to Python 3.15's lazy imports (PEP 810)."""
    import_module(package)
    done: set[str] = set()
    while (
        left := {n for n in getattr(sys, "lazy_modules", ()) if n.startswith(f"{package}.")} - done
    ):
        for name in left:  # of modules and of names in them
            import_module(name.rpartition(".")[0])
        done |= left


class LazyModule:
    """Stands for a module that takes a while to import."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


if TYPE_CHECKING:
    import aiohttp as aiohttp  # noqa: PLC0414  # handed on
else:
    aiohttp = LazyModule("aiohttp")
