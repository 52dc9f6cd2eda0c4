"""Where the command keeps what is the user's own."""

from __future__ import annotations

import os
from pathlib import Path

import click


def user_folder() -> Path:
    """The folder `lcphone` among the user's settings, which need not be there yet.

    Raises `click.ClickException` if there is no home to look in.
    """
    for name in ("HOME", "XDG_CONFIG_HOME"):
        if name in os.environ and not Path(os.environ[name]).is_absolute():
            del os.environ[name]  # the XDG specification has relative ones ignored
    folder = Path(click.get_app_dir("lcphone"))
    if not folder.is_absolute():
        raise click.ClickException(
            "there is no home: set HOME, or LCPHONE_TOKEN and, for purchases, --journal"
        )
    return folder
