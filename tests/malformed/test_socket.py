# SPDX-License-Identifier: Apache-2.0
"""Hostile clients of the station's socket. Whatever they do, one that behaves is answered, what it
was answered is stored, the station neither spins nor grows."""

import json
import selectors
import socket
import struct
import threading
import time
from contextlib import ExitStack

import nonsense
import pytest
from lib.post import HAICHENG
from lib.system import LONG, System, wait_until
from meter import GROWTH_MAX_MB, Growth, cpu_s

CONNECTIONS = 5000 if LONG else 2000
ANSWER_S = 10  # a client that behaves waits no longer
IDLE_S = 3
IDLE_CPU_SHARE_MAX = 0.2
READ_NEVER = 30_000  # lines of one that never reads: their answers are more than the buffers hold


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        patience = struct.pack("ll", ANSWER_S, 0)  # a blocking connect waits for room in the queue
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        self.socket.connect(str(path))
        self.socket.settimeout(ANSWER_S)
        self.stream = self.socket.makefile("rb")

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def answers(self, count):
        return [json.loads(self.stream.readline()) for _ in range(count)]

    def push(self, data, seconds=1):
        """Sends what the station takes; how many bytes that were."""
        self.socket.settimeout(seconds)
        sent = 0
        try:
            while sent < len(data):
                sent += self.socket.send(data[sent : sent + 65536])
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        return sent


class Station:
    def __init__(self):
        self.system = System("socket")
        self.outbox = self.system.dir / "s.db"
        self.path = self.system.dir / "s.db.sock"
        self.daemon = self.start()
        self.stored = 0
        for _ in range(20):
            self.behave(1000)
        self.growth = Growth(self.daemon)

    def start(self):
        daemon = self.system.start(
            "fx-checkpoint",
            *["--outbox", self.outbox, "--socket", "--source", "CP-socket"],
            *["--region", HAICHENG],
        )
        wait_until(self.path.exists, 15, "the socket")
        return daemon

    def behave(self, count=3):
        """A client that behaves: all of its lines are answered with a number, soon."""
        client = Client(self.path)
        try:
            client.send((nonsense.GOOD + b"\n") * count)
            assert all(answer["ok"] for answer in client.answers(count))
        finally:
            client.close()
        self.stored += count

    def wait_behaving(self):
        """How long it takes until one that behaves is answered."""
        began = time.monotonic()
        try:
            self.behave()
        except (TimeoutError, BlockingIOError):
            return 10 * ANSWER_S
        return round(time.monotonic() - began, 1)

    def idle_share(self):
        """The part of a core that it takes while nobody wants anything."""
        before = cpu_s(self.daemon)
        time.sleep(IDLE_S)
        return round((cpu_s(self.daemon) - before) / IDLE_S, 2)

    def rests(self):
        return self.idle_share() <= IDLE_CPU_SHARE_MAX


@pytest.fixture(scope="module")
def station():
    station = Station()
    try:
        yield station
    finally:
        station.system.close()


@pytest.fixture
def clients(station):
    """connect(): a client that goes with the test."""
    with ExitStack() as stack:

        def connect():
            client = Client(station.path)
            stack.callback(client.close)
            return client

        yield connect


def test_never_reads(station, clients, at_most):
    """It sends on and never reads an answer: the others are served, and the station rests."""
    hostile = clients()
    hostile.push((nonsense.GOOD + b"\n") * READ_NEVER)
    waited_s, share = station.wait_behaving(), station.idle_share()
    at_most("unread_others_wait_s", waited_s, ANSWER_S)
    at_most("unread_idle_cpu_share", share, IDLE_CPU_SHARE_MAX)


def test_never_ends_a_line(station, clients):
    """Many of them, each within a line; one sends far more than a line may have."""
    for _ in range(40):
        clients().send(b'{"direction":"IN",')
    endless = clients()
    endless.push(b"x" * (32 << 20), ANSWER_S)
    station.behave()
    endless.send(b"\n" + nonsense.GOOD + b"\n")
    answers = endless.answers(2)
    assert [a["ok"] for a in answers] == [False, True] and "longer" in answers[0]["reason"]
    station.stored += 1


def test_half_closed(station, clients):
    """It closes its side after its lines: all are answered, what has no end is not taken."""
    client = clients()
    client.send((nonsense.GOOD + b"\n") * 500 + nonsense.GOOD)
    client.socket.shutdown(socket.SHUT_WR)
    assert [a["ok"] for a in client.answers(500)] == [True] * 500
    assert client.stream.readline() == b""
    station.stored += 500
    deaf = clients()
    deaf.socket.shutdown(socket.SHUT_RD)
    deaf.push(nonsense.GOOD[:-1])
    station.behave()


def test_gone_at_once(station, at_most):
    """Thousands of connections, closed without a word or within a line."""
    for i in range(CONNECTIONS):
        client = Client(station.path)
        if i % 3 == 0:
            client.send(b'{"direction":')
        client.close()
    station.behave()
    at_most("gone_idle_cpu_share", station.idle_share(), IDLE_CPU_SHARE_MAX)


def test_flood_of_nonsense(station, clients):
    """Every kind of line that no station takes; each is answered."""
    client = clients()
    lines = list(nonsense.mixed(300))
    for text, is_good in lines:
        client.send(text + b"\n")
        assert client.answers(1)[0]["ok"] == is_good, text[:100]
    station.stored += sum(is_good for _, is_good in lines)


def test_gone_with_lines_left(station, at_most):
    """It sends more than is taken at once and goes without reading."""
    for _ in range(70):
        client = Client(station.path)
        client.push((b"{}\n") * 30_000, 0.05)
        client.close()
    station.behave()
    at_most("left_idle_cpu_share", station.idle_share(), IDLE_CPU_SHARE_MAX)


def pump(crowd, ending):
    """All of them send as much as is taken, and read the answers."""
    lines = (b"{}\n") * 5000
    with selectors.DefaultSelector() as selector:
        for one in crowd:
            one.setblocking(False)
            selector.register(one, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while not ending.is_set():
            for key, events in selector.select(0.1):
                try:
                    if events & selectors.EVENT_READ:
                        key.fileobj.recv(1 << 20)
                    if events & selectors.EVENT_WRITE:
                        key.fileobj.send(lines)
                except BlockingIOError:
                    pass


def test_flood_by_many(station, clients, at_most):
    """Half of the places are taken by writers that send nonsense as fast as they can. They stay
    with their answers unread, then go: neither keeps the station busy. The others come and go
    meanwhile: their end is heard, too, in a turn whose lines are used up."""
    ending = threading.Event()
    crowd = [clients() for _ in range(32)]
    pumping = threading.Thread(target=pump, args=([one.socket for one in crowd], ending))
    pumping.start()
    try:
        time.sleep(1)
        waited_s = max(station.wait_behaving() for _ in range(10))
    finally:
        ending.set()
        pumping.join()
    wait_until(station.rests, 30, "the last lines of the flood to be refused")
    for one in crowd:
        one.close()
    wait_until(station.rests, 30, "the writers of the flood to be gone")
    at_most("flood_others_wait_s", waited_s, ANSWER_S)


def test_all_places_taken(station, at_most):
    """More connections than there are places, none of them says anything: one that behaves is
    answered all the same, and the station rests."""
    crowd = []
    try:
        for _ in range(CONNECTIONS):
            one = socket.socket(socket.AF_UNIX)
            one.setblocking(False)
            crowd.append(one)
            if one.connect_ex(str(station.path)) != 0:
                break
        share, waited_s = station.idle_share(), station.wait_behaving()
    finally:
        for one in crowd:
            one.close()
    at_most("crowd_idle_cpu_share", share, IDLE_CPU_SHARE_MAX)
    at_most("crowd_others_wait_s", waited_s, ANSWER_S)


def test_at_the_end(station, at_most):
    """Memory, and what was answered is counted; the one that never read may have more stored."""
    station.behave()
    at_most("socket_growth_mb", station.growth.mb(), GROWTH_MAX_MB)
    assert station.daemon.stop().code in (0, 1), station.daemon.result()
    station.system.run("fx-checkpoint", "--outbox", station.outbox, code=None)
    station.system.count()
    query = "SELECT sum(checked_groups)::int FROM {s}.checkpoint_source"
    counted = station.system.value(query + " WHERE source = 'CP-socket'")
    at_most("socket_answered_not_counted", max(0, station.stored - counted), 0)
    assert counted <= station.stored + READ_NEVER
