"""Which `Host` and `Origin` the control endpoints accept.

A web page can have its own name resolve to this machine (DNS rebinding), and can post a form to any
address. The first is a foreign `Host`, the second a foreign `Origin`.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from attrs import field, frozen
from multidict import MultiMapping
from yarl import URL

from . import arguments

_ALL_INTERFACES: Final = ("", "0.0.0.0", "::")  # noqa: S104


def _names(values: Iterable[str]) -> frozenset[str]:
    names = arguments.texts("allowed_hosts", values)
    for name in names:
        if not name or (name.casefold() != _name_of(name) and _address(name) is None):
            raise ValueError(f"'allowed_hosts' must be names without scheme and port, not {name!r}")
    return frozenset(map(str.casefold, names))


@frozen
class Hosts:
    """The names under which a sandbox may be called.

    Any port is accepted, since a container's may be published under another.

    >>> from multidict import CIMultiDict
    >>> hosts = Hosts("127.0.0.1", ["sandbox"])
    >>> hosts.foreign(CIMultiDict({"Host": "sandbox:8080"}))
    >>> hosts.foreign(CIMultiDict({"Host": "rebound.example:8080"}))
    ('Host', 'rebound.example:8080')
    """

    listening_on: str
    allowed: frozenset[str] = field(converter=_names)

    def foreign(self, headers: MultiMapping[str]) -> tuple[str, str] | None:
        """Return the header that names another site, and its value; `None` if there is none."""
        hosts = headers.getall("Host", [])  # HTTP/1.0 needs none; every browser sends it
        for host in hosts:
            if not self._is_ours(_name_of(host)):
                return "Host", host
        for origin in headers.getall("Origin", []):
            _, _, host = origin.partition("://")
            if host not in hosts and _name_of(host) not in self.allowed:
                return "Origin", origin
        return None

    def _is_ours(self, name: str) -> bool:
        if name in (self.listening_on, "localhost", *self.allowed) or name.endswith(".localhost"):
            return True
        address = _address(name)
        if address is None:
            return False
        # Nobody resolves an address, so no rebinding leads to it.
        return address.is_loopback or self.listening_on in _ALL_INTERFACES


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _name_of(host: str) -> str:
    """Return the name or address in `host` or `host:port`, empty if there is none."""
    try:
        name = URL(f"http://{host}").raw_host or ""
    except ValueError:
        return ""
    return name.removesuffix(".")
