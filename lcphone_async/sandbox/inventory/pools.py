"""Number pools, and which numbers of a location they hold."""

from typing import Final

from attrs import frozen

from .numbers import InboundCallService, digest

STRIDE: Final = 4
"""Every fourth number is in a pool, until the pools are full: lists and pools are interleaved."""
SIZE: Final = 25
"""Numbers that a pool has room for."""

_NAMES: Final = ("Sales Team Pool", "Website Pool", "Campaign Pool", "Night Shift Pool")


@frozen
class Pool:
    """A number pool of a location."""

    id: str
    name: str
    indexes: tuple[int, ...]
    """Which of the location's grown numbers are in it."""
    forwarding_number: str
    whisper: bool
    call_recording: bool
    is_active: bool
    inbound_call_service: InboundCallService | None


def pools_of(seed: int, location_id: str, pools: int, numbers: int) -> tuple[Pool, ...]:
    """Make the pools of a location that has so many pools and numbers."""
    pooled = range(STRIDE - 1, numbers, STRIDE)[: pools * SIZE]
    return tuple(
        _pool(digest("pool", seed, location_id, which), which, tuple(pooled[which::pools]))
        for which in range(pools)
    )


def _pool(bits: bytes, which: int, indexes: tuple[int, ...]) -> Pool:
    return Pool(
        id=bits[:10].hex(),
        name=_NAMES[which % len(_NAMES)],
        indexes=indexes,
        forwarding_number="+14155552671",
        whisper=bits[10] % 2 == 0,
        call_recording=bits[11] % 2 == 0,
        is_active=bits[12] % 4 != 0,
        inbound_call_service=InboundCallService("voice_ai", bits.hex()) if bits[13] % 2 else None,
    )
