"""Answers that say no: raised where a check fails, turned into a body at the border."""

from http.client import responses
from typing import Any

from attrs import frozen


def phrase(status: int) -> str:
    """Name a status, also one that no standard knows."""
    return responses.get(status, "Unknown Error")


@frozen
class RefusedError(Exception):
    """A request that gets an error for an answer."""

    status: int
    message: str

    def body(self, trace_id: str) -> dict[str, Any]:
        """Write the error's JSON."""
        return {
            "message": self.message,
            "error": phrase(self.status),
            "statusCode": self.status,
            "traceId": trace_id,
        }
