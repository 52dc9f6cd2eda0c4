"""Redis as a place for what must not be lost: eviction, replicas, and what its errors mean."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from hashlib import sha1
from typing import Any, TypeVar

from redis.asyncio import RedisCluster
from redis.asyncio.cluster import PipelineCommand
from redis.crc import key_slot
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    SlotNotCoveredError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from ..errors import LCPhoneError

T = TypeVar("T")

# Asked in a script, so that in a cluster the shard of the key answers.
_MEMORY = "local memory = redis.pcall('INFO', 'memory') return memory.err or memory"

# Seconds after which a Redis that does not answer counts as down.
ANSWERED_WITHIN = 5.0

# Milliseconds; replicas near by acknowledge within a few.
_ACKNOWLEDGED_WITHIN = 2_000


class UnsafeRedisError(Exception):
    """The server may lose what is written to it."""


async def check_eviction(redis: Any, key: str) -> None:
    """Raises `UnsafeRedisError` if the server of the key may evict keys without a time to live.

    It is asked each time, as the setting can change, and differ after a failover.
    """
    said = await redis.eval(_MEMORY, 1, key)
    lines = (said if isinstance(said, str) else said.decode()).split()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    policy = fields.get("maxmemory_policy")
    if policy is None:
        raise UnsafeRedisError("it does not say whether it evicts keys: its user needs +info")
    if policy != "noeviction" and not policy.startswith("volatile-"):
        raise UnsafeRedisError(
            f"its maxmemory-policy is {policy}, so that it may forget what it has to keep: "
            "set maxmemory-policy to noeviction"
        )


async def acknowledged(
    redis: Any, script: str, keys: Sequence[str], args: Sequence[Any], replicas: int
) -> Any:
    """Runs a script that writes, and waits until so many replicas have what it wrote.

    Raises `UnsafeRedisError` if they are fewer.
    """
    write = ("EVAL", script, len(keys), *keys, *args)
    if not replicas:
        return await redis.execute_command(*write)
    # WAIT is for what was written on the same connection.
    answers = await _on_one_connection(
        redis, keys[0], write, ("WAIT", replicas, _ACKNOWLEDGED_WITHIN)
    )
    for answered in answers:
        if isinstance(answered, Exception):
            raise answered
    written, acknowledged_by = answers
    if acknowledged_by < replicas:
        raise UnsafeRedisError(
            f"{acknowledged_by} of {replicas} replicas acknowledged what was written"
        )
    return written


async def _on_one_connection(redis: Any, key: str, *commands: tuple[Any, ...]) -> list[Any]:
    """Returns what the key's server answers to each command, or the errors."""
    if isinstance(redis, RedisCluster):
        # Not its pipeline, which sends a command that failed again on another connection.
        await redis.initialize()
        batch = [PipelineCommand(number, *command) for number, command in enumerate(commands)]
        node: Any = redis.get_node_from_key(key)
        await node.execute_pipeline(batch)
        return [command.result for command in batch]
    pipeline = redis.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    answers: list[Any] = await pipeline.execute(raise_on_error=False)
    return answers


def check_one_slot(redis: object, prefix: str) -> None:
    """Raises `ValueError` if a cluster would spread the keys of a prefix over its shards."""
    if isinstance(redis, RedisCluster) and key_slot(f"{prefix}a".encode()) != key_slot(
        f"{prefix}b".encode()
    ):
        raise ValueError("prefix must hold a hash tag for a cluster, such as '{lcphone}:'")


class Script:
    """A script that is asked for often, on one key, by its hash."""

    def __init__(self, redis: Any, text: str) -> None:
        self._redis = redis
        self._text = text
        self._hash = sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, key: str, args: Sequence[Any]) -> Any:
        """Returns what the script returns."""
        try:
            return await self._run(key, args)
        except RedisConnectionError:  # perhaps a connection that was idle for too long
            if not isinstance(self._redis, RedisCluster):
                raise
            return await self._run(key, args)

    async def _run(self, key: str, args: Sequence[Any]) -> Any:
        # If a cluster's client picks the shard itself, it tries again for seconds, and each time
        # asks for the shards anew: calls on other shards would time out.
        shard = _shard_of(self._redis, key)
        target = {} if shard is None else {"target_nodes": shard}
        call = (1, key, *args)
        try:
            return await self._redis.execute_command("EVALSHA", self._hash, *call, **target)
        except NoScriptError:
            return await self._redis.execute_command("EVAL", self._text, *call, **target)


def server_of(redis: object, key: str) -> str:
    """The name of the shard that has a key, or nothing if there is only one server."""
    node = _shard_of(redis, key)
    return "" if node is None else str(node.name)


def _shard_of(redis: object, key: str) -> Any:
    if not isinstance(redis, RedisCluster):
        return None
    try:
        return redis.get_node_from_key(key)
    except SlotNotCoveredError:  # it has not been asked for its shards yet
        return None


async def answer(
    work: Awaitable[T], failure: Callable[[str], LCPhoneError], within: float | None = None
) -> T:
    """Returns what Redis answers; raises the failure, with its cause, if there is no answer."""
    try:
        async with asyncio.timeout(within):
            return await uncut(work)
    except Exception as error:  # noqa: BLE001  # clients of clusters raise more than their own errors
        reason = f"Redis: {told(error, within)}"
    raise failure(reason)  # without the frames of the cause, which hold what was written


async def uncut(work: Awaitable[T]) -> T:
    """Returns what the work does, and ends with it if it was cancelled.

    redis-py uses `asyncio.wait_for`, which now and then swallows a cancellation before Python 3.12.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        return await work
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def told(error: BaseException, within: float | None) -> str:
    """Returns what went wrong: redis-py tries again for a while, and a timeout hides why."""
    cause = next(_causes(error), error)
    says = str(cause) or type(cause).__name__
    if cause is error and isinstance(error, TimeoutError):
        return f"no answer within {within:g} s" if within else says
    if isinstance(cause, AuthenticationError):
        return f"{'WRONGPASS' if 'invalid' in says else 'NOAUTH'}: {says}"
    if isinstance(cause, NoPermissionError):
        return f"NOPERM: {says} (docs/redis.md lists the rights that are needed)"
    if isinstance(cause, RuntimeError):  # of asyncio: no error of redis-py's is one
        says += " (close its client before an event loop ends: the connections belong to that)"
    return says


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors of redis-py behind one that does not say what went wrong."""
    behind: BaseException | None = error
    while behind is not None and isinstance(error, TimeoutError | RedisClusterException):
        if isinstance(behind, RedisError):
            yield behind
        behind = behind.__cause__ or behind.__context__
