"""The way in to the command `lcphone`, also as `python -m lcphone_async`."""

import os
import sys

from ._internal.extras import MissingExtraError, extra


def main() -> None:
    """Runs the command, or says what to install where its extra is missing."""
    _open_closed_streams()
    try:
        with extra("cli"):
            from .cli.commands import run
    except MissingExtraError as error:
        sys.exit(f"lcphone: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run())


def _open_closed_streams() -> None:
    """Refuses to go on without stdout, and gives `/dev/null` the numbers of the other two.

    Otherwise a journal or a store would get one of these numbers, and whatever is printed.
    """
    if sys.stdout is None:
        sys.exit("Error: stdout is closed: redirect it, as by >/dev/null")
    for name, mode in (("stdin", "r"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


if __name__ == "__main__":
    main()
