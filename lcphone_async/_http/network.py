"""What the environment says of the network: the proxies, and the CAs to trust."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from urllib.request import getproxies_environment, proxy_bypass

from attrs import field, frozen
from yarl import URL

from .._internal import checks


@frozen
class Network:
    """The ways to a service; without a proxy, and to what the system trusts, unless told."""

    _proxies: Mapping[str, str] = field(factory=dict, repr=False)
    trusted: ssl.SSLContext | None = None

    @classmethod
    def from_env(cls) -> Network:
        """From `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` and `SSL_CERT_FILE`, in either case.

        Raises `ValueError` for a file that holds no certificates.
        """
        file = os.environ.get("SSL_CERT_FILE")
        return cls(getproxies_environment(), trusted(file, "SSL_CERT_FILE") if file else None)

    def proxy_for(self, url: URL) -> URL | None:
        """The proxy to a service; raises `ValueError` for one that cannot or must not be used."""
        host = url.host or ""
        if not self._proxies or checks.is_this_machine(host):
            return None
        said = self._proxies.get(url.scheme) or self._proxies.get("all")
        if said is None or proxy_bypass(f"{host}:{url.port}"):
            return None
        if url.scheme != "https":
            raise ValueError(
                f"a proxy could read the tokens on their way to {url.origin()}: use https://, or "
                f"name {host} in NO_PROXY"
            )
        return _checked(said)


def _checked(said: str) -> URL:
    """A proxy's URL; an error shows none of it, as it may hold a password."""
    try:
        proxy = URL(said if "://" in said else f"http://{said}")
        if proxy.scheme == "http" and proxy.host and proxy.port:
            return proxy
    except ValueError:
        pass
    raise ValueError(
        "HTTPS_PROXY (or ALL_PROXY) must be http://HOST:PORT or http://USER:PASSWORD@HOST:PORT: "
        "for another kind of proxy give the client a session"
    )


def trusted(file: str, named_by: str) -> ssl.SSLContext:
    """The CAs of a file; raises `ValueError`, which says what named it, if it holds none."""
    if not file:
        raise ValueError(f"{named_by} names no file")
    try:
        return ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        reason = "it holds no certificate in PEM"
    except OSError as error:
        reason = error.strerror or str(error)
    raise ValueError(f"the CA bundle {file} ({named_by}): {reason}")
