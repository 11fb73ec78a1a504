# SPDX-License-Identifier: Apache-2.0
"""The writer: lines into a journal, fsynced, and only then into an outbox's file or socket.

A process of its own; a thread per sink. What it shares with the rest are counters and orders. No
source is ever given the same time twice: (source, at) is a line's identity.
"""

import json
import multiprocessing
import os
import random
import socket
import threading
import time
from dataclasses import dataclass

REGIONS = ("441521115", "441502001", "441502002", "441521101", "441521", "441581", "441500")
SPAN_MS = 2 * 86_400_000
BATCH_S = 0.05
# what is said to be a month late
LATE_MS = 30 * 86_400_000


@dataclass(frozen=True)
class Sink:
    name: str
    program: str
    kind: str
    is_socket: bool
    share: float = 0
    sources: int = 0
    heartbeat_s: int = 2

    def words(self, folder):
        """Of the producer, behind its program's name."""
        words = [self.kind] if self.program == "fx-emit" else []
        words += ["--outbox", str(folder / f"{self.name}.db")]
        words += ["--heartbeat-s", str(self.heartbeat_s)]
        if self.is_socket:
            return [*words, "--socket", "--socket-path", str(self.socket_path(folder))]
        return [*words, "--follow", str(folder / f"{self.name}.in")]

    def socket_path(self, folder):
        return folder / f"{self.name}.sock"

    def source_names(self):
        return [f"CH-{self.name.upper()}-{i:03d}" for i in range(self.sources)]


SINKS = (
    Sink("gate", "fx-checkpoint", "checkpoint", False, 0.45, 60),
    Sink("swab", "fx-test-site", "test_site", False, 0.25, 30),
    Sink("room", "fx-quarantine", "quarantine", True, 0.15, 20),
    Sink("door", "fx-emit", "screening", True, 0.15, 20),
)


# ---- what the lines say ----


def checkpoint(pick, _census):
    persons = pick.randint(1, 6)
    green = pick.randint(0, persons)
    passed = pick.randint(0, persons)
    return {
        "direction": pick.choice(("IN", "OUT")),
        "post_type": pick.choice(("VILLAGE", "PORT", "TRUNK_ROAD")),
        "vehicle": pick.choice(("CAR", "BUS", "ON_FOOT")),
        "plate_scope": pick.choice(("IN_CITY", "IN_PROVINCE", "OUT_PROVINCE")),
        "persons": persons,
        "code_green": green,
        "code_none": pick.randint(0, persons - green),
        "passed": passed,
        "turned_back": persons - passed,
    }


def test_site(pick, _census):
    size = pick.choice((1, 5, 10))
    return {
        "step": "SAMPLED",
        "scheme": "MASS",
        "round": f"R{pick.randint(1, 3)}",
        "lane": pick.choice(("GREEN", "YELLOW_CODE")),
        "pool_size": size,
        "persons": size,
        "tubes": 1,
    }


def quarantine(pick, census):
    place, tier = pick.choice(("CENTRAL", "HOME")), pick.choice(("CLOSE", "SECONDARY"))
    line = {"place": place, "tier": tier}
    inside = census.get((place, tier), 0)
    if pick.random() < 0.2:
        return {**line, "step": "STATUS", "reported_persons": inside, "rooms_total": 900}
    persons = pick.randint(1, 4)
    is_leaving = inside >= persons and pick.random() < 0.45
    census[place, tier] = inside + (-persons if is_leaving else persons)
    return {**line, "step": "RELEASED" if is_leaving else "ADMITTED", "persons": persons}


def screening(pick, _census):
    return {
        "method": pick.choice(("DOOR", "PHONE", "DATA_PUSH")),
        "screened": pick.randint(0, 3000),
        "close_found": pick.randint(0, 9),
    }


BODIES = {f.__name__: f for f in (checkpoint, test_site, quarantine, screening)}


class Lines:
    """The sink's lines, from the seed."""

    def __init__(self, sink, seed, count, base_ms):
        self.sink, self.pick = sink, random.Random(f"{seed} {sink.name}")
        self.names = sink.source_names()
        self.step_ms = max(1, SPAN_MS * len(self.names) // max(1, count))
        self.base_ms, self.made = base_ms, 0
        self.census = {name: {} for name in self.names}

    def next(self):
        name = self.names[self.made % len(self.names)]
        at = self.base_ms + self.made // len(self.names) * self.step_ms
        if self.made % 211 == 5:
            at -= LATE_MS
        line = BODIES[self.sink.kind](self.pick, self.census[name])
        region = REGIONS[(self.made % len(self.names)) % len(REGIONS)]
        line |= {"at": at, "source": name, "region": region, "id": f"{self.made}"}
        self.made += 1
        return json.dumps(line, separators=(",", ":"))


# ---- where they go ----


class Shared:
    """Of one sink, seen by both processes."""

    def __init__(self):
        self.written = multiprocessing.Value("q", 0)  # in the journal, and given to the outbox
        self.refused = multiprocessing.Value("q", 0)  # answers "no", for want of a disk
        self.repeated = multiprocessing.Value("q", 0)  # lines sent once more
        self.pause = multiprocessing.Value("q", 0)  # a ticket, or 0: go on
        self.rest = multiprocessing.Value("q", 0)  # the ticket that is heeded
        self.is_done = multiprocessing.Value("b", 0)


class FileOut:
    def __init__(self, sink, folder, shared):
        self.file = open(folder / f"{sink.name}.in", "ab", buffering=0)

    def give(self, lines):
        self.file.write("".join(line + "\n" for line in lines).encode())


class SocketOut:
    """Sends each line until it is answered with ok."""

    def __init__(self, sink, folder, shared):
        self.path, self.shared, self.client = str(sink.socket_path(folder)), shared, None

    def give(self, lines):
        waiting, tries = list(lines), 0
        while waiting:
            if tries:
                time.sleep(min(0.5, 0.05 * tries))
                self.shared.repeated.value += len(waiting)
            tries += 1
            try:
                waiting = self._exchange(waiting)
            except (OSError, ValueError):
                self._hang_up()

    def _exchange(self, lines):
        """The lines that were refused."""
        if self.client is None:
            self.client = socket.socket(socket.AF_UNIX)
            self.client.settimeout(30)
            self.client.connect(self.path)
            self.answers = self.client.makefile("rb")
        self.client.sendall("".join(line + "\n" for line in lines).encode())
        refused = []
        for line in lines:
            if not json.loads(self.answers.readline())["ok"]:
                refused.append(line)
        self.shared.refused.value += len(refused)
        return refused

    def _hang_up(self):
        if self.client:
            self.client.close()
        self.client = None


class Load:
    """count lines at rate per second in all; journals are folder/NAME.journal."""

    def __init__(self, folder, seed, count, rate):
        self.folder, self.seed, self.count, self.rate = folder, seed, count, rate
        self.base_ms = (int(time.time() * 1000) // 86_400_000 - 4) * 86_400_000
        self.shared = {sink.name: Shared() for sink in SINKS}
        self.extra = self.tickets = 0
        self.stop = multiprocessing.Value("b", 0)
        self.process = multiprocessing.get_context("fork").Process(target=self._run, daemon=True)

    def start(self):
        self.process.start()
        return self

    @staticmethod
    def part(sink, number):
        return round(number * sink.share)

    def written(self):
        return sum(shared.written.value for shared in self.shared.values())

    def is_running(self):
        return self.process.is_alive()

    def pause(self, name, seconds=60):
        """No line of the sink is on its way when this returns."""
        shared = self.shared[name]
        self.tickets += 1
        shared.pause.value = self.tickets
        end = time.monotonic() + seconds
        while not shared.is_done.value and shared.rest.value != self.tickets:
            assert time.monotonic() < end, f"the writer of {name} does not come to rest"
            time.sleep(0.01)

    def go_on(self, name):
        self.shared[name].pause.value = 0

    def extra_lines(self, sink, count, seed, region=REGIONS[0]):
        """Lines beside the writer's, which is at rest; in the journal when this returns. Their
        times are before all others."""
        pick, names, out = random.Random(seed), sink.source_names(), []
        for _ in range(count):
            self.extra += 1
            line = BODIES[sink.kind](pick, {})
            line |= {"at": self.base_ms - SPAN_MS + self.extra * 1000, "source": names[0]}
            line |= {"region": region, "id": f"x{self.extra}"}
            out.append(json.dumps(line, separators=(",", ":")))
        with open(self.folder / f"{sink.name}.journal", "ab") as journal:
            journal.write("".join(line + "\n" for line in out).encode())
            journal.flush()
            os.fsync(journal.fileno())
        return out

    # ---- in the process ----

    def _run(self):
        threads = [threading.Thread(target=self._write, args=(sink,)) for sink in SINKS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _write(self, sink):
        shared, count = self.shared[sink.name], self.part(sink, self.count)
        lines = Lines(sink, self.seed, count, self.base_ms)
        out = (SocketOut if sink.is_socket else FileOut)(sink, self.folder, shared)
        began = time.monotonic()
        with open(self.folder / f"{sink.name}.journal", "ab") as journal:
            while shared.written.value < count and not self.stop.value:
                if shared.pause.value:
                    shared.rest.value = shared.pause.value
                    time.sleep(0.01)
                    continue
                due = int((time.monotonic() - began) * self.part(sink, self.rate))
                size = min(due, count) - shared.written.value
                if size <= 0:
                    time.sleep(BATCH_S)
                    continue
                batch = [lines.next() for _ in range(min(size, 1000))]
                journal.write("".join(line + "\n" for line in batch).encode())
                journal.flush()
                os.fsync(journal.fileno())
                out.give(batch)
                shared.written.value += len(batch)
        shared.is_done.value = 1
