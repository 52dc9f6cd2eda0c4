"""The way in to the command `lcphone`, also as `python -m lcphone_async`."""

import sys


def main() -> None:
    """Runs the command, or says what to install where its extra is missing."""
    try:
        from .cli.commands import run
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit(
            f"lcphone: {error.name} is not installed: run `pip install 'lcphone-async[cli]'` first"
        )
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run())


if __name__ == "__main__":
    main()
