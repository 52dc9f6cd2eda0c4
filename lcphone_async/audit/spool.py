"""Spool of a location's numbers until they are committed: in memory, then in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from .tables import NUMBERS

# Bytes that stay in memory: about 10,000 numbers.
_IN_MEMORY = 1 << 20

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")


class Spool:
    """Record batches of numbers, written one after the other and read back in order.

    Beyond one megabyte they move to an unnamed file in `folder`, which the system deletes even if
    the process is killed.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.rows: int = 0
        kept_in = None if folder is None else str(folder)
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=kept_in)  # noqa: SIM115  # close()
        self._writer = pa.ipc.new_stream(self._file, NUMBERS, options=_COMPRESSED)

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds a batch; raises `OSError` if the disk is full."""
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yields all batches; no batch can be added afterwards."""
        self._rewind()
        with pa.ipc.open_stream(self._file) as reader:
            yield from reader

    def close(self) -> None:
        """Frees the memory and the disk; ignores a full disk, as the content is dropped."""
        with suppress(OSError):
            self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the content, for Dask."""
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
