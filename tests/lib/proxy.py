# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy to the broker on 127.0.0.1 that can be cut, so that a client loses its network while
everybody else keeps the broker."""

import selectors
import socket
import threading

from lib.system import BROKERS


class Proxy:
    """Clients that start at self.address stay here: the broker's address in its answers (Metadata)
    is replaced by ours, which is as long."""

    def __init__(self):
        host, port = BROKERS.split(",")[0].rsplit(":", 1)
        self.broker = (host, int(port))
        self.listener, self.pairs, self.lock = None, {}, threading.Lock()
        self.pending = {}
        self.selector = selectors.DefaultSelector()
        self.is_open = True
        self._listen(0)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        name = len(host).to_bytes(2, "big") + host.encode()
        self.theirs = name + int(port).to_bytes(4, "big")
        self.ours = name + self.port.to_bytes(4, "big")
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _listen(self, port):
        self.listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def cut(self):
        """Every connection breaks, new ones are refused."""
        with self.lock:
            self.selector.unregister(self.listener)
            self.listener.close()
            self.listener = None
            self._drop_all()

    def mend(self):
        with self.lock:
            self._listen(self.port)

    def close(self):
        self.is_open = False
        self.thread.join(5)
        with self.lock:
            self._drop_all()
            if self.listener:
                self.listener.close()
            self.selector.close()

    # ---- the thread ----

    def _run(self):
        while self.is_open:
            for key, _ in self.selector.select(0.05):
                with self.lock:
                    self._serve(key.fileobj)

    def _serve(self, sock):
        if sock is self.listener:
            client, _ = sock.accept()
            try:
                broker = socket.create_connection(self.broker, 5)
            except OSError:
                client.close()
                return
            self.pairs |= {client: (broker, False), broker: (client, True)}
            for end in (client, broker):
                self.pending[end] = b""
                self.selector.register(end, selectors.EVENT_READ)
        elif sock in self.pairs:
            self._forward(sock)

    def _forward(self, sock):
        other, is_answer = self.pairs[sock]
        try:
            data = sock.recv(1 << 16)
            if not data:
                raise OSError("closed")
            if is_answer:
                data = self._answers(sock, data)
            other.sendall(data)
        except OSError:
            self._drop(sock)

    def _answers(self, sock, data):
        """Whole answers (four bytes of size, then as many), the address replaced in each."""
        rest, out = self.pending[sock] + data, b""
        while len(rest) >= 4 and len(rest) >= 4 + int.from_bytes(rest[:4], "big"):
            size = 4 + int.from_bytes(rest[:4], "big")
            out += rest[:size].replace(self.theirs, self.ours)
            rest = rest[size:]
        self.pending[sock] = rest
        return out

    def _drop_all(self):
        while self.pairs:
            self._drop(next(iter(self.pairs)))

    def _drop(self, sock):
        for end in (sock, self.pairs[sock][0]):
            self.selector.unregister(end)
            self.pairs.pop(end)
            self.pending.pop(end)
            end.close()
