# SPDX-License-Identifier: Apache-2.0
"""A system of its own on the local stack: topics, schema, processes; gone after the test."""

import contextlib
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass

import psycopg
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from psycopg import sql

from lib.wire import Kind, partition_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
BUILD = pathlib.Path(os.environ.get("FX_BUILD", ROOT / ".local/build/release"))
BROKERS = os.environ.get("FX_BROKERS", "127.0.0.1:19092")
KEEP = bool(os.environ.get("FX_KEEP"))
LONG = os.environ.get("FX_LONG") == "1"
DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000


def now_ms():
    return int(time.time() * 1000)


def wait_until(condition, seconds=30, what="condition", every=0.02):
    """What condition returns once it is true; the wait is bounded."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"waited {seconds} s in vain: {what}")


@dataclass
class Result:
    code: int
    out: str
    err: str

    def __str__(self):
        return f"exit code {self.code}\n{self.out[-1500:]}\n{self.err[-3000:]}"


class Process:
    """A program in the background; its output is in files, its memory is sampled."""

    def __init__(self, words, env, folder, stdin=subprocess.DEVNULL):
        self.name = pathlib.Path(words[0]).name
        stem = folder / f"{self.name}-{secrets.token_hex(3)}"
        self.out_path, self.err_path = stem.with_suffix(".out"), stem.with_suffix(".err")
        self.peak_kb = 0
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.popen = subprocess.Popen(words, env=env, stdin=stdin, stdout=out, stderr=err)
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self):
        while self.popen.poll() is None:
            try:
                status = pathlib.Path(f"/proc/{self.popen.pid}/status").read_text()
            except OSError:
                return
            for row in status.splitlines():
                if row.startswith("VmHWM:"):
                    self.peak_kb = max(self.peak_kb, int(row.split()[1]))
            time.sleep(0.05)

    def is_running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """kill -9; False if it had ended by itself before."""
        was_running = self.is_running()
        self.popen.kill()
        self.popen.wait(10)
        return was_running and self.popen.returncode == -signal.SIGKILL

    def wait(self, seconds=60):
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds} s\n{self.result()}")
        return code

    def stop(self, seconds=30):
        """SIGTERM, then the result."""
        if self.is_running():
            self.signal(signal.SIGTERM)
        self.wait(seconds)
        return self.result()

    def result(self):
        out, err = self.out_path.read_text(), self.err_path.read_text()
        return Result(self.popen.returncode, out, err)


class System:
    def __init__(self, name, schemas=SCHEMAS, partitions=4, is_simulated=False, is_set_up=True):
        self.schema = f"live_{name}_{secrets.token_hex(3)}"
        self.prefix = self.schema
        self.schemas = pathlib.Path(schemas)
        self.partitions = partitions
        self.is_simulated = is_simulated
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"fx-{name}-"))
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("FX_")}
        self.env |= {
            "FX_BROKERS": BROKERS,
            "FX_SCHEMAS": str(self.schemas),
            "FX_TOPIC_PREFIX": self.prefix,
            "FX_SCHEMA_NAME": self.schema,
        }
        self.processes = []
        self.extra_schemas = []
        self.db = psycopg.connect(autocommit=True)
        self.db.execute(
            "SET timezone = 'UTC'; SET statement_timeout = '60s'; SET lock_timeout = '20s';"
            " SET jit = off"  # as an analyst's login has it
        )
        self.admin = AdminClient({"bootstrap.servers": BROKERS})
        self._producer = None
        if is_set_up:
            self.setup()

    # ---- programs ----

    def start(self, program, *args, stdin=subprocess.DEVNULL, env=None):
        words = [str(BUILD / "bin" / program), *map(str, args)]
        process = Process(words, {**self.env, **(env or {})}, self.dir, stdin)
        self.processes.append(process)
        return process

    def run(self, program, *args, text=None, code=0, seconds=60, env=None):
        """Runs to the end; code is the exit code it must have, None for any."""
        words = [str(BUILD / "bin" / program), *map(str, args)]
        data = text if isinstance(text, bytes) else (text or "").encode()
        popen = subprocess.Popen(
            words,
            env={**self.env, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            out, err = popen.communicate(data, seconds)
        except subprocess.TimeoutExpired:
            popen.kill()
            out, err = popen.communicate()
            raise AssertionError(f"{program} did not end within {seconds} s: {err[-2000:]!r}")
        result = Result(
            popen.returncode, out.decode(errors="replace"), err.decode(errors="replace")
        )
        assert code is None or result.code == code, f"{program} {args}: wanted {code}, {result}"
        return result

    def setup(self, *args, code=0, schema=None, schemas=None):
        words = ["--partitions", self.partitions, *args]
        if self.is_simulated:
            words.append("--accept-simulated")
        env = {"FX_SCHEMA_NAME": schema or self.schema, "FX_SCHEMAS": str(schemas or self.schemas)}
        if schema:
            self.extra_schemas.append(schema)
        return self.run("fx-setup", *words, code=code, env=env)

    def add_town(self, code, parent="441521"):
        """A place more in the list of regions, which has to be this system's own copy."""
        path = self.schemas / "regions.csv"
        text = path.read_text(encoding="utf-8")
        node = {"code": code, "name": "新镇", "name_latin": "Xinzhen", "level": "town"}
        node["parent"] = parent
        row = ",".join(node.get(column, "") for column in text.splitlines()[0].split(","))
        if row not in text.splitlines():  # it is tried again where fx-setup could not
            path.write_text(f"{text.rstrip()}\n{row}\n", encoding="utf-8")
        self.setup()

    def differences(self, *args, **kw):
        """What fx-setup would still change. The analyst's default schema is the database's, and
        goes with another test's schema."""
        result = self.setup("--check", *args, code=None, **kw)
        assert result.code == (1 if result.out else 0) and "ev=checked" in result.err, result
        return [text for text in result.out.splitlines() if "role fangxian_analyst" not in text]

    def count(self, *args, **kw):
        """Counts all that lies in Kafka now."""
        return self.run("fx-rollup", "--until-end", *args, **kw)

    # ---- PostgreSQL ----

    def rows(self, query, *params, schema=None):
        """Rows as dicts; {s} in the query stands for the schema."""
        text = sql.SQL(query).format(s=sql.Identifier(schema or self.schema))
        cursor = self.db.execute(text, params or None)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor]

    @contextlib.contextmanager
    def snapshot(self):
        """What is read within is one snapshot, while others write."""
        with self.db.transaction():
            self.db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield

    def value(self, query, *params):
        found = self.rows(query, *params)
        return next(iter(found[0].values())) if found else None

    # ---- Kafka ----

    def topic(self, kind):
        return f"{self.prefix}.{kind.replace('_', '-')}"

    def kind(self, name):
        return Kind(self.schemas, name)

    def producer(self):
        if self._producer is None:
            self._producer = Producer(
                {"bootstrap.servers": BROKERS, "enable.idempotence": True, "linger.ms": 5}
            )
        return self._producer

    def forget_topics(self):
        """The next send asks anew how many partitions there are."""
        self.sent()
        self._producer = None

    def send(self, kind, key, value, partition=None):
        if partition is None:
            partition = partition_of(key, self.partitions)
        key = key.encode() if isinstance(key, str) else key
        while True:
            try:
                self.producer().produce(self.topic(kind), value, key, partition)
                return
            except BufferError:
                self.producer().poll(0.05)

    def sent(self):
        assert self.producer().flush(30) == 0, "Kafka did not take everything"

    def ends(self, kind):
        """End offset of each partition."""
        return list(self._watermarks(kind))

    def _watermarks(self, kind):
        for partition in range(self.partitions):
            yield self._end(TopicPartition(self.topic(kind), partition))

    def _end(self, where):
        """Asked again, by a new reader: a topic that was just created may have no leader yet, and
        the client may keep what it heard of it then for many minutes."""
        until = time.monotonic() + 60
        while True:
            try:
                return self._reader().get_watermark_offsets(where, timeout=10, cached=False)[1]
            except KafkaException:
                if time.monotonic() > until:
                    raise
                self._consumer.close()
                del self._consumer
                time.sleep(0.2)

    def _reader(self):
        if not hasattr(self, "_consumer"):
            self._consumer = Consumer(
                {
                    "bootstrap.servers": BROKERS,
                    "group.id": "none",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "error",
                }
            )
        return self._consumer

    def messages(self, kind):
        """Every message of the kind's topic, in chunks."""
        ends = self.ends(kind)
        left = {partition for partition, end in enumerate(ends) if end > 0}
        consumer = Consumer(
            {
                "bootstrap.servers": BROKERS,
                "group.id": "none",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": 65536,
            }
        )
        consumer.assign([TopicPartition(self.topic(kind), p, 0) for p in left])
        end = time.monotonic() + 60
        try:
            while left:
                # consume waits for so many messages or the whole timeout
                chunk = consumer.consume(5000, timeout=0.5)
                assert chunk or time.monotonic() < end, "Kafka gives no more messages"
                for message in chunk:
                    assert message.error() is None, message.error()
                    if message.offset() >= ends[message.partition()] - 1:
                        left.discard(message.partition())
                yield chunk
        finally:
            consumer.close()

    def delete_topics(self, *kinds):
        for future in self.admin.delete_topics([self.topic(k) for k in kinds]).values():
            future.result(20)

    # ---- the end ----

    def close(self):
        for process in self.processes:
            if process.is_running():
                process.kill()
        if not KEEP:
            for schema in [self.schema, *self.extra_schemas]:
                for name in (schema, f"{schema}_record", f"{schema}_published"):
                    self.db.execute(
                        sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name))
                    )
            known = self.admin.list_topics(timeout=10).topics
            mine = [topic for topic in known if topic.startswith(self.prefix + ".")]
            if mine:
                for future in self.admin.delete_topics(mine).values():
                    future.result(20)
            shutil.rmtree(self.dir, ignore_errors=True)
        self.db.close()
        if hasattr(self, "_consumer"):
            self._consumer.close()
