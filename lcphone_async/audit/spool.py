"""A location's numbers on their way to the store: little in memory, the rest on the disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from .tables import NUMBERS

# Up to here they stay in memory: that is some 10,000 numbers.
_IN_MEMORY = 1 << 20

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")


class Spool:
    """Batches of numbers, written one after the other and read back in order.

    Beyond a megabyte they are in a file of `folder` that has no name, so that nothing is left of
    it even where the process is killed.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.rows: int = 0
        kept_in = None if folder is None else str(folder)
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=kept_in)  # noqa: SIM115  # close()
        self._writer = pa.ipc.new_stream(self._file, NUMBERS, options=_COMPRESSED)

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes a batch; raises `OSError` where the disk is full."""
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All that was added; nothing can be added after."""
        self._rewind()
        with pa.ipc.open_stream(self._file) as reader:
            yield from reader

    def close(self) -> None:
        """Frees the memory and the disk; what a full disk did not take is not wanted any more."""
        with suppress(OSError):
            self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Its content, for the way from one process to another."""
        self._rewind()
        return _restored, (self._file.read(),)

    def _rewind(self) -> None:
        self._writer.close()
        self._file.seek(0)


def _restored(content: bytes) -> Spool:
    spool = Spool()
    with pa.ipc.open_stream(content) as reader:
        for batch in reader:
            spool.add(batch)
    return spool
