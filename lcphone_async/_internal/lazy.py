"""Lazy imports: a package's public names, modules that take a while, and what calls need.

An import under `TYPE_CHECKING` alone would leave `typing.get_type_hints` without the name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

_ROOT = __name__.partition(".")[0]

# What a call needs, and imports where it needs it.
_NEEDED = (
    f"{_ROOT}._purchases.listing",
    f"{_ROOT}._purchases.order",
    f"{_ROOT}._purchases.reconcile",
    f"{_ROOT}._wire.errors",
    f"{_ROOT}._wire.headers",
    f"{_ROOT}._wire.responses",
    f"{_ROOT}._wire.token_responses",
    "backoff",
)


def exports(package: str, **homes: tuple[str, ...]) -> Callable[[str], Any]:
    """Returns a `__getattr__` for a package, which imports a public name's home at its first use.

    `homes` are the package's modules with the names that they export.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f".{home_of[name]}", package), name)
        setattr(sys.modules[package], name, value)
        return value

    return get


def import_all() -> None:
    """Imports what calls need: in the middle of one there may be no file descriptor left for it."""
    for name in _NEEDED:
        import_module(name)
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
