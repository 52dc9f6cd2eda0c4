"""What to install where a package that is optional is missing."""

from collections.abc import Iterator
from contextlib import contextmanager


class MissingExtraError(ModuleNotFoundError):
    """A package is not installed that an extra brings along."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around imports of what the extra of this name brings along: says so where it is missing."""
    try:
        yield
    except MissingExtraError:
        raise
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        # Without the module's name: Python 3.15 would add "Did you mean" and another module.
        raise MissingExtraError(
            f"{missing} is not installed: run `pip install 'lcphone-async[{name}]'` first"
        ) from None
