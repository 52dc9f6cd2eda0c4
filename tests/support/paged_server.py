"""An HTTP server of one paged list, which can hold back the response of any page."""

import asyncio
import json
import re
from contextlib import asynccontextmanager


class PagedServer:
    """Serves `total` numbers; a search counts as page -1.

    `held` maps a page to the part of its response (0.0 to 1.0) that is sent before the server
    waits for ever; `status` maps a page to its status, `delay` to the seconds before its response.
    """

    def __init__(self, total=5000, *, tells_total=True):
        self.total = total
        self.tells_total = tells_total
        self.held = {}
        self.status = {}
        self.delay = {}
        self.asked = []
        self.busy = 0
        self.url = ""

    async def serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.busy += 1
                try:
                    await self.respond(head.decode(), reader, writer)
                finally:
                    self.busy -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def respond(self, head, reader, writer):
        paging = re.search(r"page=(\d+)&pageSize=(\d+)", head)
        page, size = (int(paging[1]), int(paging[2])) if paging else (-1, 0)
        self.asked.append(page)
        await asyncio.sleep(self.delay.get(page, 0))
        body = json.dumps(self.page(page, size)).encode()
        response = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (
            self.status.get(page, 200),
            len(body),
        )
        response += body
        if page in self.held:
            writer.write(response[: int(len(response) * self.held[page])])
            await reader.read(1)  # until the client hangs up
            raise ConnectionError
        writer.write(response)
        await writer.drain()

    def page(self, page, size):
        numbers = range(page * size, min(self.total, (page + 1) * size))
        listed = {"numbers": [{"phoneNumber": f"+1{number:010}"} for number in numbers]}
        return {**listed, "total": self.total} if self.tells_total else listed

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
