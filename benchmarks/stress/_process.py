"""What this process holds at the moment; on Linux only."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import threading
from contextlib import suppress
from pathlib import Path

from _walks import resident


def held() -> dict[str, float]:
    """Its figures by name, once what is free has been given back.

    Without that the resident memory is as high as it was when most was in flight: malloc keeps
    what it may need again.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    files = open_files()
    return {
        "memory, MiB": resident() / 1024,
        "objects": len(gc.get_objects()),
        "tasks": len(asyncio.all_tasks()),
        "sockets": sum(file.startswith("socket:") for file in files),
        "files": len(files),
        "threads": threading.active_count(),
    }


def open_files() -> list[str]:
    """What its file descriptors stand for."""
    files = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # they come and go
            files.append(str(descriptor.readlink()))
    return files
