# SPDX-License-Identifier: Apache-2.0
"""Everything that runs: the stack, the gates, the producers, the consumers, and eyes to watch."""

import csv
import json
import mmap
import os
import shutil
import signal
import struct
import subprocess
import threading
import time

import psycopg
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from faults import CITY
from load import SINKS, Load
from proxy import Gate, Loop
from psycopg import sql
from stack import PARTITIONS, ROOT, is_alive

HEALED_S = 20  # after a fault a worker may still find out that its partition was taken
SESSION_MS = 6000  # of a consumer in the group; fx-rollup's own default is longer
TRY_AGAIN = 4  # exit status
FULL, WRITES_FAIL, SYNCS_FAIL, SLOW = 1, 2, 4, 8


def make_system(stack, name="chaos", is_simulated=False):
    """tests/lib's System, bound to this stack; its module reads the addresses when imported."""
    os.environ |= {
        "FX_BROKERS": f"127.0.0.1:{stack.kafka.port}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(stack.primary.port),
        "PGDATABASE": "fangxian",
        "PGUSER": "fangxian",
    }
    from lib.system import System

    quiet = {"bootstrap.servers": f"127.0.0.1:{stack.kafka.port}", "log_level": 0}

    class Watched(System):
        """Its questions survive a database that is away for a while, from any thread."""

        seen = threading.local()
        set_up_again = 0  # how often fx-setup had to be run again

        def setup(self, *args, code=0, **kw):
            """As an operator does: where it says that it did not get through, it is run again."""
            end = time.monotonic() + 60
            while True:
                result = super().setup(*args, code=None, **kw)
                if result.code != TRY_AGAIN or time.monotonic() > end:
                    assert result.code == code, result
                    return result
                self.set_up_again += 1
                print(f"fx-setup is run again: {result.err.strip()[-200:]}", flush=True)

        def rows(self, query, *params, schema=None):
            text = sql.SQL(query).format(s=sql.Identifier(schema or self.schema))
            end = time.monotonic() + 60
            while True:
                try:
                    cursor = self.eye().execute(text, params or None)
                    names = [column.name for column in cursor.description]
                    return [dict(zip(names, row)) for row in cursor]
                except psycopg.OperationalError:
                    self.seen.db = None
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.1)

        def eye(self):
            if getattr(self.seen, "db", None) is None:
                self.seen.db = stack.primary.connect(user="postgres", connect_timeout=5)
                self.seen.db.execute("SET timezone = 'UTC'; SET statement_timeout = '60s'")
            return self.seen.db

        def _reader(self):
            if not hasattr(self, "_consumer"):
                self._consumer = Consumer({**quiet, "group.id": "none"})
            return self._consumer

        def address(self):
            """What judge.Reader is made of."""
            return self.schema, self.prefix, self.partitions, str(self.schemas)

        def close(self):
            """The stack goes as a whole: nothing is dropped by name."""
            for process in self.processes:
                if process.is_running():
                    process.signal(signal.SIGCONT)
                    process.kill()
            shutil.rmtree(self.dir, ignore_errors=True)

    schemas = stack.home / "schemas"  # a copy: places are added while it runs
    shutil.copytree(ROOT / "schemas", schemas, ignore=shutil.ignore_patterns("*.c", "*.h"))
    system = Watched(name, schemas=schemas, partitions=PARTITIONS,
                     is_simulated=is_simulated)
    system.admin = AdminClient(quiet)
    return system


class Disk:
    """The control file that disk.c maps: see struct control there."""

    FIELDS = ("mode", "delay_us", "calls", "full", "failed", "slowed")

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(8 * len(self.FIELDS)))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def set(self, mode, delay_us=0):
        self.map[:16] = struct.pack("<QQ", mode, delay_us)

    def read(self):
        return dict(zip(self.FIELDS, struct.unpack(f"<{len(self.FIELDS)}Q", self.map[:])))


class Servant:
    """A program that is meant to run: it is started again when it ended."""

    def __init__(self, rig, name, program, words, env):
        self.rig, self.name, self.program = rig, name, program
        self.words, self.env = words, env
        self.process, self.is_wanted, self.ends = None, True, []
        self.lock = threading.RLock()

    def start(self):
        with self.lock:
            self.process = self.rig.system.start(self.program, *self.words, env=self.env)
            self.is_wanted = True
        return self

    @property
    def pid(self):
        return self.process.popen.pid

    def is_running(self):
        return self.process is not None and self.process.is_running()

    def tell(self, number):
        self.process.signal(number)

    def kill(self):
        """kill -9, and it stays down until it is started; the pid that is gone, or None."""
        with self.lock:
            pid, was_wanted = self.pid, self.is_wanted
            self.is_wanted = False
            if self.process.kill():
                return None if is_alive(pid) else pid
            if was_wanted:
                self.note_end()
            return None

    def note_end(self):
        """It ended by itself: the status is judged in the end, the reason is told now."""
        code = self.process.popen.returncode
        self.ends.append((time.monotonic(), code))
        last = self.process.result().err.splitlines()[-3:]
        print(f"{self.name} ended by itself with {code}: {' | '.join(last)[:900]}", flush=True)

    def restart(self):
        """kill -9 and a new start at once, unless it is down on purpose."""
        with self.lock:
            if self.is_wanted:
                self.kill()
                self.start()

    def tend(self):
        """Starts it again if it ended by itself; notes with what status."""
        with self.lock:
            if self.is_wanted and not self.is_running():
                self.note_end()
                self.start()

    def stop(self, seconds=90):
        with self.lock:
            self.is_wanted = False
            return self.process.stop(seconds)


def unexplained_ends(servant, is_post, struck):
    """Ends of a program by itself about which no fault was, as texts. Any fault of the city's
    explains one of a worker; one of a disk all of its post, which is started again at once."""
    faults = [one for one in struck
              if (one.may_end_posts if is_post else one.lane == CITY) and one.evidence]
    texts = []
    for at, code in servant.ends:
        fault = next((one for one in faults if one.is_about(at, HEALED_S)), None)
        if fault is None:
            texts.append(f"{servant.name} ended with {code} at {at:.1f}, about which no fault was")
        elif not is_post:
            faults.remove(fault)
    return texts


class Rig:
    NAME = "chaos"
    IS_SIMULATED = False  # whether sources named SIM- count
    SINKS = SINKS
    ROLLUPS = {"a": 2, "b": 1, "c": 2}  # instance: workers
    ROLLUP_WORDS = ()  # what they are told besides

    def __init__(self, stack, *plan):
        """plan: of the load, see _make_load."""
        self.stack = stack
        self.loop = Loop()
        self.gates = {name: Gate(self.loop, stack.primary.port) for name in self.ROLLUPS}
        self.post_gate = Gate(self.loop, stack.kafka.port, is_kafka=True)
        self.city_gate = Gate(self.loop, stack.kafka.port, is_kafka=True)
        self.system = make_system(stack, self.NAME, self.IS_SIMULATED)
        self.folder = self.system.dir
        self.load = self._make_load(*plan)
        self.partitions = self.system.partitions
        self._register()
        self.disks = self._make_disks()
        self.producers = {sink.name: self._producer(sink) for sink in self.SINKS}
        self.rollups = {name: self._rollup(name) for name in self.ROLLUPS}
        self.others_go_on_s = []  # how long the others took while one was frozen
        self.rolled_back = {"killed": [], "promoted": []}  # counted offsets PostgreSQL lost
        self.places = []  # codes that were added
        self.marked = set()  # sources whose outbox was cloned or restored
        self.nonsense = 0  # messages that are no events
        self.at_rest = threading.Lock()  # who has told the writer of a sink to pause
        self.over = threading.Event()
        self.tender = threading.Thread(target=self._tend, daemon=True)

    def _register(self):
        path = self.folder / "sources.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["source", "kind", "name", "region", "valid_from", "valid_to"])
            for sink in self.SINKS:
                for name in sink.source_names():
                    rows.writerow([name, sink.kind, name, "441521115", "2020-01-01", ""])
        self.system.setup("--sources", path)

    def _make_load(self, seed, count, rate):
        return Load(self.folder, seed, count, rate)

    def _make_disks(self):
        """{sink: its control file}, and the shim that obeys them."""
        self.shim = self.folder / "disk.so"
        source = ROOT / "tests/chaos/disk.c"
        words = ["cc", "-O1", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", self.shim, source, "-ldl"]
        subprocess.run(words, check=True)
        return {sink.name: Disk(self.folder / f"{sink.name}.disk") for sink in self.SINKS}

    def _disk_env(self, sink):
        return {"LD_PRELOAD": str(self.shim), "FX_CHAOS_DISK": str(self.disks[sink.name].path)}

    def _producer(self, sink):
        if not sink.is_socket:
            (self.folder / f"{sink.name}.in").touch()
        env = {"FX_BROKERS": f"127.0.0.1:{self.post_gate.port}", **self._disk_env(sink)}
        return Servant(self, sink.name, sink.program, sink.words(self.folder), env)

    def _rollup(self, name):
        words = ["--workers", self.ROLLUPS[name], "--instance", name]
        words += ["-X", f"session.timeout.ms={SESSION_MS}", *self.ROLLUP_WORDS]
        env = {
            "FX_BROKERS": f"127.0.0.1:{self.city_gate.port}",
            "PGPORT": str(self.gates[name].port),
        }
        return Servant(self, name, "fx-rollup", words, env)

    def start(self):
        for servant in self.servants():
            servant.start()
        self.load.start()
        self.tender.start()
        return self

    def servants(self):
        return [*self.producers.values(), *self.rollups.values()]

    def _tend(self):
        while not self.over.wait(0.2):
            for servant in self.servants():
                servant.tend()

    # ---- eyes ----

    def positions(self):
        """{(topic, partition): (next offset, who claimed it)}"""
        rows = self.system.rows(
            "SELECT topic, partition, next_offset, claimed_by FROM {s}.partition_position"
        )
        return {(r["topic"], r["partition"]): (r["next_offset"], r["claimed_by"]) for r in rows}

    def counted(self):
        return sum(offset for offset, _ in self.positions().values())

    def rejected(self, reason):
        query = "SELECT count(*) FROM {s}.rejected_event WHERE reason = %s"
        return self.system.value(query, reason)

    def backends(self, where="true"):
        """Sessions of fx-rollup."""
        return self.system.rows(
            "SELECT pid, state, wait_event_type, wait_event, extract(epoch FROM clock_timestamp()"
            " - xact_start)::float AS open_s FROM pg_stat_activity"
            " WHERE application_name LIKE 'fx-rollup%%' AND " + where
        )

    def end_offsets(self):
        """{(topic, partition): where Kafka's log ends}"""
        out = {}
        for sink in self.SINKS:
            topic = self.system.topic(sink.kind)
            out |= {(topic, p): end for p, end in enumerate(self.system.ends(sink.kind))}
        return out

    def is_excused(self, section, finding):
        """fx-audit says so rightly: of what was cloned or restored, of a post that had to refuse a
        line because its disk was full, of messages that are no events."""
        if section == "runs":
            return finding.get("source") in self.marked
        if section == "refused":
            full = [s for s in self.SINKS if self.load.shared[s.name].refused.value > 0]
            return any(finding.get("source") in sink.source_names() for sink in full)
        return section == "rejected" and finding.get("reason") == "undecodable"

    def retarget(self):
        """The gates lead to the present primary."""
        for gate in self.gates.values():
            gate.target = self.stack.primary.port
        os.environ["PGPORT"] = self.system.env["PGPORT"] = str(self.stack.primary.port)

    # ---- the end ----

    def finish_load(self, seconds):
        end = time.monotonic() + seconds
        while self.load.is_running():
            assert time.monotonic() < end, "the writer does not end"
            time.sleep(0.1)

    def drain(self, seconds=180):
        """Producers send all and end; consumers count all and end. Their exit statuses."""
        self._wait_taken(seconds)
        self.over.set()
        self.tender.join()
        codes = {}
        for name, producer in self.producers.items():
            result = producer.stop(seconds)
            codes[name] = result.code
            if result.code != 0:
                print(f"{name}: {result.err[-600:]}")
        self.wait_counted(seconds)
        for name, rollup in self.rollups.items():
            codes[name] = rollup.stop(60).code
        return codes

    def judge_ends(self, codes, struck, targets, prefix=""):
        """Nobody ended but by a fault or at the end. A post that had to refuse a line ends with 1
        then, one whose disk fails while it opens its outbox with 5 at once; a worker whose
        partition was taken may end with 4. They are started again."""
        ends = {servant.name: [code for _, code in servant.ends] for servant in self.servants()}
        print(f"ended by themselves: {ends}; at the end: {codes}")
        strange = [(n, code) for n, some in ends.items() for code in some
                   if code != (5 if n in self.producers else 4)]
        targets.most(f"{prefix}ended_by_themselves", len(strange), 0)
        unexplained = []
        for servant in self.servants():
            unexplained += unexplained_ends(servant, servant.name in self.producers, struck)
        for text in unexplained:
            print(f"  {text}")
        targets.most(f"{prefix}ends_unexplained", len(unexplained), 0)
        wrong = [n for n, code in codes.items() if code > (1 if n in self.producers else 0)]
        wrong += [n for n, code in codes.items() if code < 0]
        targets.most(f"{prefix}wrong_exit_statuses", len(wrong), 0)

    def _wait_taken(self, seconds):
        """Followed files are taken to their end; what is left in the outboxes goes at the stop."""
        end = time.monotonic() + seconds
        while not all(self._is_sent(sink) for sink in self.SINKS):
            assert time.monotonic() < end, "the posts do not send everything"
            time.sleep(0.5)

    def status(self, sink):
        words = [sink.kind] if sink.program == "fx-emit" else []
        words += ["--outbox", self.folder / f"{sink.name}.db", "--status"]
        if sink.is_socket:
            words += ["--socket-path", sink.socket_path(self.folder)]
        result = self.system.run(sink.program, *words, code=None)
        return json.loads(result.out) if result.code == 0 and result.out else None

    def _is_sent(self, sink):
        status = self.status(sink)
        wanted = self.load.shared[sink.name].written.value
        if status is None or status["unsent"] > 0:
            return False
        # what went through a socket was answered; its outbox may be an older image by now
        return sink.is_socket or status["kept"] >= wanted

    def wait_counted(self, seconds=180):
        end = time.monotonic() + seconds
        while (counted := self.counted()) < (total := sum(self.end_offsets().values())):
            if time.monotonic() > end:
                raise AssertionError(f"{counted} of {total} are counted\n{self.standstill()}")
            time.sleep(0.2)

    def standstill(self):
        """What there is to know of consumers that do not count to the end."""
        at, ends = self.positions(), self.end_offsets()
        told = [f"{place}: {at.get(place)} of {end}" for place, end in sorted(ends.items())]
        told += [f"backend: {one}" for one in self.backends()]
        for name, rollup in self.rollups.items():
            log = rollup.process.result().err.splitlines()[-30:]
            told += [f"rollup {name}, running {rollup.is_running()}:", *log]
        return "\n".join(told)

    def close(self):
        self.over.set()
        self.load.stop.value = 1
        for servant in self.servants():
            servant.is_wanted = False
            if servant.is_running():
                servant.tell(signal.SIGCONT)
                servant.kill()
        self.system.close()
        for gate in [*self.gates.values(), self.post_gate, self.city_gate]:
            gate.close()
        self.loop.close()
