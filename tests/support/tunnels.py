"""A CONNECT proxy, and TLS in front of a local server."""

import asyncio
import ssl
from base64 import b64encode
from contextlib import asynccontextmanager, suppress

import trustme
from attrs import define, field

HOST = "lcphone.test"  # RFC 6761: never resolved, so only the proxy can reach it


async def relay(reader, writer, to_reader, to_writer, seen=None):
    """Copies bytes both ways until either side closes."""

    async def carry(source, target):
        with suppress(OSError):
            while chunk := await source.read(2**16):
                if seen is not None:
                    seen.append(chunk)
                target.write(chunk)
                await target.drain()
        target.close()

    await asyncio.gather(carry(reader, to_writer), carry(to_reader, writer))


@define
class TlsFront:
    """TLS with a certificate of a private CA, in front of a local server."""

    port: int
    authority: trustme.CA = field(factory=trustme.CA)
    front: int = 0

    @asynccontextmanager
    async def serving(self):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert(HOST).configure_cert(context)

        async def connect(reader, writer):
            await relay(reader, writer, *await asyncio.open_connection("127.0.0.1", self.port))

        async with await asyncio.start_server(connect, "127.0.0.1", 0, ssl=context) as server:
            self.front = server.sockets[0].getsockname()[1]
            yield self


@define
class ConnectProxy:
    """A proxy that connects every tunnel to one port, and records the bytes it can read."""

    target: int
    credentials: str | None = None
    refusal: int | None = None
    heads: list = field(factory=list)
    seen: list = field(factory=list)
    url: str = ""

    @asynccontextmanager
    async def serving(self):
        async with await asyncio.start_server(self._connect, "127.0.0.1", 0) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    async def _connect(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError):
            writer.close()
            return
        self.heads.append(head.decode())
        self.seen.append(head)
        if status := self._refusal_of(head):
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        tunnel = await asyncio.open_connection("127.0.0.1", self.target)
        await relay(reader, writer, *tunnel, self.seen)

    def _refusal_of(self, head):
        if self.credentials is not None:
            basic = b"Basic " + b64encode(self.credentials.encode())
            if basic not in head:
                return 407
        return self.refusal if head.startswith(b"CONNECT ") else 405
