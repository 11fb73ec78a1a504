# SPDX-License-Identifier: Apache-2.0
"""The writer: lines into a journal, fsynced, and only then into an outbox's file or socket.

A process of its own; a thread per sink. What it shares with the rest are counters and orders. No
source is ever given the same time twice: (source, at) is a line's identity. A reversal stands in
the journal as the line that it undoes, with sign -1; {"withdrawn": [source, at]} takes it back.
"""

import json
import multiprocessing
import os
import random
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass

REGIONS = ("441521115", "441502001", "441502002", "441521101", "441521", "441581", "441500")
SPAN_MS = 2 * 86_400_000
BATCH_S = 0.05
# Of so many lines of a sink one is a month behind the others, some are hours behind them, and one
# bears a clock of next year: it counts in the hour in which Kafka took it.
MONTH_LATE, HOURS_LATE, AHEAD = 211, 53, 401
MONTH_MS, HOURS_MS, AHEAD_MS = 30 * 86_400_000, 5 * 3_600_000, 400 * 86_400_000
STEP_MS = 10  # times of lines that are not late are multiples of it
# One line of so many is undone, when so many others wait for it: by then it has often another run.
UNDONE, UNDONE_BEHIND = 149, 40


@dataclass(frozen=True)
class Sink:
    name: str
    program: str
    kind: str
    is_socket: bool
    share: float = 0
    sources: int = 0
    heartbeat_s: int = 2
    is_undone: bool = False  # some of its lines are reversed; the clocks of these are right

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

    def command_path(self, folder):
        """Where it takes commands, whatever it takes its lines from."""
        return self.socket_path(folder) if self.is_socket else folder / f"{self.name}.db.sock"

    def source_names(self):
        return [f"CH-{self.name.upper()}-{i:03d}" for i in range(self.sources)]


SINKS = (
    Sink("gate", "fx-checkpoint", "checkpoint", False, 0.45, 60),
    Sink("swab", "fx-test-site", "test_site", False, 0.25, 30),
    Sink("room", "fx-quarantine", "quarantine", True, 0.15, 20),
    Sink("door", "fx-emit", "screening", True, 0.15, 20, is_undone=True),
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
        step_ms = SPAN_MS * len(self.names) // max(1, count)
        self.step_ms = max(1, step_ms // STEP_MS) * STEP_MS
        self.base_ms, self.made = base_ms, 0
        self.census = {name: {} for name in self.names}

    def next(self):
        name = self.names[self.made % len(self.names)]
        at = self.base_ms + self.made // len(self.names) * self.step_ms
        if self.made % MONTH_LATE == 5:
            at -= MONTH_MS
        elif self.made % AHEAD == 17 and not self.sink.is_undone:
            at += AHEAD_MS
        elif self.made % HOURS_LATE == 11:
            at -= HOURS_MS - 1
        line = BODIES[self.sink.kind](self.pick, self.census[name])
        region = REGIONS[(self.made % len(self.names)) % len(REGIONS)]
        line |= {"at": at, "source": name, "region": region, "id": f"{self.made}"}
        self.made += 1
        return as_text(line)


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


def write(journal, lines):
    """They are on disk when this returns."""
    journal.write("".join(line + "\n" for line in lines).encode())
    journal.flush()
    os.fsync(journal.fileno())


def as_text(line):
    return json.dumps(line, separators=(",", ":"))


def connect(path, seconds=30):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(seconds)
    try:
        client.connect(str(path))
    except OSError:
        client.close()
        raise
    return client


class FileOut:
    def __init__(self, sink, folder, shared):
        self.file = open(folder / f"{sink.name}.in", "ab", buffering=0)

    def give(self, lines):
        self.file.write("".join(line + "\n" for line in lines).encode())


class SocketOut:
    """Sends each line until it is answered with ok."""

    def __init__(self, sink, folder, shared):
        self.path, self.shared, self.client = str(sink.socket_path(folder)), shared, None
        self.numbers = {}  # of the lines that were given last: the answers with run and seq

    def give(self, lines):
        self.numbers.clear()
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

    def ask(self, order, final):
        """Until it is done, or refused for a reason that is final: that reason, or None."""
        while True:
            try:
                (answer,) = self._talk([order])
            except (OSError, ValueError):
                self._hang_up()
            else:
                if answer["ok"] or answer["reason"] in final:
                    return answer.get("reason")
            time.sleep(0.05)

    def _exchange(self, lines):
        """The lines that were refused."""
        refused = []
        for line, answer in zip(lines, self._talk(lines)):
            if answer["ok"]:
                self.numbers[line] = answer
            else:
                refused.append(line)
        self.shared.refused.value += len(refused)
        return refused

    def _talk(self, lines):
        if self.client is None:
            self.client = connect(self.path)
            self.answers = self.client.makefile("rb")
        self.client.sendall("".join(line + "\n" for line in lines).encode())
        return [json.loads(self.answers.readline()) for _ in lines]

    def _hang_up(self):
        if self.client:
            self.client.close()
        self.client = None


class Undoing:
    """Reverses lines of a socket post, each a while after it was given. What the post no longer
    keeps, since its outbox was restored, it says so, and it is withdrawn."""

    DONE, GONE = "that event was reversed before", "this outbox does not keep that event (any more)"

    def __init__(self, journal, out):
        self.journal, self.out = journal, out
        self.waiting, self.seen = deque(), 0

    def take(self, lines):
        for line in lines:
            self.seen += 1
            if self.seen % UNDONE == 7:
                self.waiting.append((json.loads(line), self.out.numbers[line]))

    def undo(self, rest):
        while len(self.waiting) > rest:
            line, number = self.waiting.popleft()
            write(self.journal, [as_text(line | {"sign": -1})])
            order = {"command": "reverse", "source": line["source"], "run": number["run"]}
            order |= {"seq": number["seq"], "reason": "typed twice"}
            # done before, where the answer was lost
            if self.out.ask(as_text(order), (self.DONE, self.GONE)) == self.GONE:
                write(self.journal, [as_text({"withdrawn": [line["source"], line["at"]]})])


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
            out.append(as_text(line))
        with open(self.folder / f"{sink.name}.journal", "ab") as journal:
            write(journal, out)
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
            undoing = Undoing(journal, out) if sink.is_undone else None
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
                write(journal, batch)
                out.give(batch)
                shared.written.value += len(batch)
                if undoing:
                    undoing.take(batch)
                    undoing.undo(UNDONE_BEHIND if shared.written.value < count else 0)
        shared.is_done.value = 1
