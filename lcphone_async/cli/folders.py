"""Folder of the command's logins and journal."""

from __future__ import annotations

import os
from pathlib import Path

import click


def user_folder() -> Path:
    """Returns the folder `lcphone` of the user's settings, which may not exist yet.

    Raises `click.ClickException` if there is no home folder.
    """
    for name in ("HOME", "XDG_CONFIG_HOME"):
        if name in os.environ and not Path(os.environ[name]).is_absolute():
            del os.environ[name]  # the XDG specification ignores relative paths
    folder = Path(click.get_app_dir("lcphone"))
    if not folder.is_absolute():
        raise click.ClickException(
            "there is no home folder: set HOME, or LCPHONE_TOKEN and, for purchases, --journal"
        )
    return folder
