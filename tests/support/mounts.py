"""Temporary mounts, which require root."""

import shutil
import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def mounted(place, *options):
    """Mounts a file system within the block; skips the test without the permission."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("no mount")
    done = subprocess.run([mount, *options, place], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"only root can mount: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run([umount, "--lazy", place], check=True)


@contextmanager
def read_only(folder, at=None):
    """Mounts a folder read-only within the block, in place or `at` another path."""
    at = at or folder
    at.mkdir(exist_ok=True)
    with mounted(at, "--bind", folder):
        subprocess.run([shutil.which("mount"), "-o", "remount,bind,ro", at], check=True)
        yield


class Disk:
    """A small disk that can be filled."""

    def __init__(self, folder):
        self.folder = folder
        self._filling = folder / "filling"

    def fill(self):
        with self._filling.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
            while True:
                file.write(bytes(4096))

    def free(self):
        self._filling.unlink()
