"""The way in to the command `lcphone`, also as `python -m lcphone_async`."""

import sys

from ._extras import MissingExtraError, extra


def main() -> None:
    """Runs the command, or says what to install where its extra is missing."""
    try:
        with extra("cli"):
            from .cli.commands import run
    except MissingExtraError as error:
        sys.exit(f"lcphone: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run())


if __name__ == "__main__":
    main()
