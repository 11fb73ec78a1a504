# SPDX-License-Identifier: Apache-2.0
"""Gates: TCP proxies that count bytes, and cut, hold or refuse at a given byte.

All gates of a process share one asyncio loop in one thread; other threads give orders through
plain methods. A cut closes both ends after exactly so many bytes went through.
"""

import asyncio
import threading

UP, DOWN = "up", "down"  # from the client to the server; back
SYNC = b"S\0\0\0\4"  # the last message of a PostgreSQL pipeline
CHUNK = 1 << 16


class Loop:
    """The thread that all gates run in."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def do(self, function, *args):
        """Runs a function in the loop; what it returns."""

        async def run():
            found = function(*args)
            return await found if asyncio.iscoroutine(found) else found

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


class Link:
    """One connection through a gate."""

    def __init__(self, client, server):
        self.writer = {UP: server, DOWN: client}  # where bytes of a direction go
        self.rest = b""
        self.is_open, self.is_held = True, False

    @property
    def port(self):
        """Of the connection to the server: what the server takes for the client's."""
        return self.writer[UP].get_extra_info("sockname")[1]

    def drop(self):
        self.is_open = False
        for writer in self.writer.values():
            writer.close()


class Cut:
    """Cuts the connection that bytes first pass on after the order, once so many have passed."""

    def __init__(self, direction, after, is_held=False):
        self.direction, self.left, self.is_held = direction, after, is_held
        self.after, self.link = after, None
        self.done = threading.Event()


class Gate:
    """Clients connect to self.port and reach target, which may change."""

    def __init__(self, loop, target, is_kafka=False):
        self.loop, self.target = loop, target  # target: a port on 127.0.0.1
        self.is_kafka, self.is_refusing = is_kafka, False
        self.links, self.cut, self.flush_hold = set(), None, None
        self.passed = {UP: 0, DOWN: 0}
        self.accepted = self.refused = self.dropped = 0
        self.thawed = asyncio.Event()
        self.server = loop.do(self._listen)
        self.port = self.server.sockets[0].getsockname()[1]
        loop.do(self.thawed.set)

    async def _listen(self):
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=4 * CHUNK)

    # ---- orders, from any thread ----

    def order(self, direction, after, is_held=False):
        """A cut to come; with is_held nothing more passes on that connection, and it stays."""
        cut = Cut(direction, after, is_held)

        def put():
            self.cut = cut

        self.loop.do(put)
        return cut

    def hold_flush(self, share, size_min=1500):
        """The next pipeline that goes up is held after so large a share of its bytes."""
        cut = Cut(UP, 0, True)

        def put():
            self.flush_hold = (share, size_min, cut)

        self.loop.do(put)
        return cut

    def forget(self):
        """No order stands any more; what is held is dropped."""

        def drop():
            self.cut = self.flush_hold = None
            for link in [l for l in self.links if l.is_held]:
                link.drop()

        self.loop.do(drop)

    def release(self):
        """No order stands any more; what is held goes on where it stopped."""

        def go_on():
            self.cut = self.flush_hold = None
            for link in self.links:
                link.is_held = False

        self.loop.do(go_on)

    def drop_all(self):
        """Every connection breaks now; how many did."""

        def drop():
            count = len(self.links)
            for link in list(self.links):
                link.drop()
            self.dropped += count
            return count

        return self.loop.do(drop)

    def refuse(self, is_refusing):
        self.is_refusing = is_refusing

    def freeze(self, is_frozen):
        """Nothing passes, nothing breaks."""
        self.loop.do(self.thawed.clear if is_frozen else self.thawed.set)

    def close(self):
        self.drop_all()
        self.loop.do(self.server.close)

    # ---- in the loop ----

    async def _serve(self, reader, writer):
        if self.is_refusing:
            self.refused += 1
            writer.close()
            return
        try:
            up = await asyncio.open_connection("127.0.0.1", self.target, limit=4 * CHUNK)
        except OSError:
            self.refused += 1
            writer.close()
            return
        self.accepted += 1
        link = Link(writer, up[1])
        self.links.add(link)
        try:
            await asyncio.gather(self._pump(link, UP, reader), self._pump(link, DOWN, up[0]))
        finally:
            link.drop()
            self.links.discard(link)

    async def _pump(self, link, direction, reader):
        try:
            while link.is_open:
                data = await reader.read(CHUNK)
                if not data:
                    break
                await self.thawed.wait()
                if self.is_kafka and direction == DOWN:
                    data = self._readdress(link, data)
                if not await self._pass(link, direction, data):
                    return
        except (OSError, RuntimeError):
            pass
        link.drop()

    async def _pass(self, link, direction, data):
        """False: the connection was cut, or is held."""
        held = self._held_flush(link, direction, data)
        cut = self.cut
        if held is None and cut and direction == cut.direction and cut.link in (None, link):
            cut.link = link
            if len(data) >= cut.left:
                held, self.cut = (data[: cut.left], cut), None
            else:
                cut.left -= len(data)
        if held is None:
            link.writer[direction].write(data)
            self.passed[direction] += len(data)
            await link.writer[direction].drain()
            return True
        part, order = held
        if part:
            link.writer[direction].write(part)
            self.passed[direction] += len(part)
            await link.writer[direction].drain()
        link.is_held = order.is_held
        order.link = link
        order.done.set()
        if not order.is_held:
            self.dropped += 1
            link.drop()
        while link.is_open and link.is_held:
            await asyncio.sleep(0.05)
        return link.is_open and await self._pass(link, direction, data[len(part) :])

    def _held_flush(self, link, direction, data):
        """A pipeline that came in one piece, as it does unless it is very large."""
        if direction != UP or self.flush_hold is None:
            return None
        share, size_min, order = self.flush_hold
        if len(data) < size_min or not data.endswith(SYNC):
            return None
        self.flush_hold = None
        order.after = max(1, min(len(data) - 1, int(len(data) * share)))
        return data[: order.after], order

    def _readdress(self, link, data):
        """Whole answers (four bytes of size, then as many), the broker's address replaced by ours:
        127.0.0.1 and a port are as long whatever the port."""
        name = b"\0\x09127.0.0.1"
        theirs = name + self.target.to_bytes(4, "big")
        ours = name + self.port.to_bytes(4, "big")
        rest, out = link.rest + data, []
        while len(rest) >= 4 and len(rest) >= (size := 4 + int.from_bytes(rest[:4], "big")):
            answer, rest = rest[:size], rest[size:]
            out.append(answer.replace(theirs, ours) if size < CHUNK else answer)
        link.rest = rest
        return b"".join(out)
