# SPDX-License-Identifier: Apache-2.0
"""Topics full of events, fresh schemas to count them into, and the programs that do so."""

import contextlib
import ctypes.util
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
from datetime import datetime

import meter
from lib.system import BROKERS, BUILD, DAY_MS, ROOT, SCHEMAS, System
from psycopg import sql

EVENTS_A_DAY = 20_000_000  # a dataset of fewer events is so much less than a day
FROM = "2022-02-10"
MIMALLOC = ctypes.util.find_library("mimalloc")
OUT = ROOT / ".local/bench"
WARM_S = 2
# The queue and the fetches of fx-rollup, as in consumers/intake.c.
OUR_QUEUE = "-X queued.max.messages.kbytes=1280 -X fetch.message.max.bytes=131072".split()
OUR_QUEUE += "-X fetch.max.bytes=524288 -X message.max.bytes=524288".split()
# The job's own flags (flink/run) with memory for a million cells.
FLINK_LARGE = "-Xms3g -Xmx3g -Xmn1g -XX:+UseParallelGC -XX:MetaspaceSize=128m"
RUN_S = 600  # no run of the benchmark takes as long


class Lab(System):
    """A system of the benchmark: its topics are filled once and counted many times. It is to be set
    up by the caller, who can close it then even if that is interrupted."""

    def __init__(self, services, partitions=8, schemas=SCHEMAS):
        super().__init__("bench", schemas, partitions, is_set_up=False)
        self.services = services
        self.events = self.bytes = 0
        self.filled = {}  # kind -> its events
        self.sources = 0
        self.groups = []

    def program(self, name):
        return str(BUILD / "bin" / name)

    def fill(self, events, sources, *args, kind="checkpoint", spread_ms=None):
        """Fills a kind's topic; events of a day are as dense in any number of them."""
        words = self.fill_words(events, sources, *args, kind=kind, spread_ms=spread_ms)
        said = self.run(*words, seconds=RUN_S).out
        self.events, self.sources = self.events + events, sources
        self.filled[kind] = self.filled.get(kind, 0) + events
        self.bytes += int(re.search(r"\bbytes=(\d+)", said)[1])

    def fill_words(self, events, sources, *args, kind="checkpoint", spread_ms=None):
        if spread_ms is None:
            spread_ms = max(1, DAY_MS * events // EVENTS_A_DAY)
        words = ["fangxian-fill", kind, "--topic", self.topic(kind), "--events", events]
        words += ["--sources", sources, "--from", FROM, "--spread-ms", spread_ms, *args]
        return [words[0], *words[2:], kind]

    @contextlib.contextmanager
    def fresh(self, is_made=True):
        """The name of a schema that nothing was counted into; it is gone afterwards."""
        name = f"{self.schema}_{secrets.token_hex(3)}"
        self.extra_schemas.append(name)
        if is_made:
            self.setup("--no-topics", schema=name)
        try:
            yield name
        finally:
            for one in (name, f"{name}_record", f"{name}_published"):
                self.db.execute(
                    sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(one))
                )
            self.groups.append(f"fangxian-rollup.{name}")

    def looks_at(self, schema):
        """A function: is there a figure in the city's table?"""
        table = f"{schema}.checkpoint_city"
        query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(
            sql.Identifier(schema, "checkpoint_city")
        )

        def look():
            if self.db.execute("SELECT to_regclass(%s)", (table,)).fetchone()[0] is None:
                return False
            return self.db.execute(query).fetchone()[0]

        return look

    def columns(self):
        """Table -> its columns of numbers, as fx-setup made them for the kinds that were filled."""
        paths = [path for kind in self.filled for path in (self.schemas / kind).glob("*.json")]
        rollups = "|".join(json.loads(path.read_text())["rollup"] for path in paths)
        rows = self.rows(
            "SELECT table_name AS name, array_agg(column_name::text) AS columns"
            " FROM information_schema.columns WHERE table_schema = %s AND data_type = 'bigint'"
            " AND table_name ~ %s GROUP BY table_name ORDER BY table_name",
            self.schema,
            f"^({rollups})_(town|county|city|source)$",
        )
        return {row["name"]: row["columns"] for row in rows}

    def figures(self, schema):
        """"TABLE.rows" and "TABLE.COLUMN" -> how many rows, and the column's sum: of each table and
        column that fx-rollup fills, whoever made the schema."""
        query = sql.SQL("SELECT {}, to_jsonb(t) FROM (SELECT count(*) AS rows, {} FROM {}) t")
        one = sql.SQL("sum({0}) AS {0}")
        parts = []
        for table, names in self.columns().items():
            sums = sql.SQL(", ").join(one.format(sql.Identifier(name)) for name in names)
            parts.append(query.format(table, sums, sql.Identifier(schema, table)))
        rows = self.db.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall()
        return {f"{table}.{name}": value for table, sums in rows for name, value in sums.items()}

    def totals(self, schema):
        """(events of the city, all figures)"""
        figures = self.figures(schema)
        return figures["checkpoint_city.checked_groups"] or 0, figures

    def expected(self):
        """Figure -> what it must be, by what was filled in."""
        return {
            "checkpoint_city.checked_groups": self.filled["checkpoint"],
            "source_ledger.counted": self.events,
        }

    def measure(self, words, env=None, schema=None, nudge=None):
        """Runs a consumer to its end."""
        look = self.looks_at(schema) if schema else None
        return meter.run(
            list(map(str, words)), {**self.env, **(env or {})}, self.dir, RUN_S,
            self.services, look, nudge
        )

    # ---- the consumers: each gives what it ran like, its last words, and (events, figures,
    # seconds); figures are None of one that only counts ----

    def run_rollup(self, workers=2, *args):
        with self.fresh() as schema:
            words = [self.program("fx-rollup"), "--workers", workers, "--until-end", *args]
            ran = self.measure(words, {"FX_SCHEMA_NAME": schema}, schema, signal.SIGUSR1)
            ended = logged(ran.err)
            ended["warm_events_per_s"] = best_rate(ran.err)
            seconds = (ended["ended_ms"] - ended["began_ms"]) / 1000
            events, figures = self.totals(schema)
            query = "SELECT sum(counted)::bigint AS counted FROM {s}.source_ledger"
            figures["source_ledger.counted"] = self.rows(query, schema=schema)[0]["counted"]
            return ran, ended, (events, figures, seconds)

    def run_count(self, consumers, is_mimalloc, *args):
        words = [self.program("fangxian-count")]
        for kind in self.filled:
            words += ["--topic", self.topic(kind)]
        env = {"LD_PRELOAD": MIMALLOC} if is_mimalloc else None
        ran = self.measure([*words, "--consumers", consumers, *args], env)
        return ran, *clocked(ran.out)

    def run_go(self, gobench, workers):
        with self.fresh(is_made=False) as schema:
            words = [gobench, "-brokers", BROKERS, "-topic", self.topic("checkpoint")]
            words += ["-partitions", self.partitions, "-workers", workers, "-schema", schema]
            words += ["-regions", self.schemas / "regions.csv", "-until-end"]
            ran = self.measure(words, None, schema)
            ended, (_, _, seconds) = clocked(ran.out)
            return ran, ended, (*self.totals(schema), seconds)

    def run_flink(self, flink):
        with self.fresh(is_made=False) as schema:
            jdbc = f"jdbc:postgresql://{os.environ['PGHOST']}:{os.environ['PGPORT']}"
            jdbc += f"/{os.environ['PGDATABASE']}?user={os.environ['PGUSER']}"
            words = [flink, "--brokers", BROKERS, "--topic", self.topic("checkpoint")]
            words += ["--partitions", self.partitions, "--regions", self.schemas / "regions.csv"]
            words += ["--jdbc", jdbc, "--schema", schema, "--until-end"]
            env = {"FX_BENCH_JAVA_OPTS": FLINK_LARGE} if self.sources > 10_000 else None
            ran = self.measure(words, env, schema)
            ended, (_, _, seconds) = clocked(ran.out)
            return ran, ended, (*self.totals(schema), seconds)

    def close(self):
        with contextlib.suppress(Exception):  # what is left of an unused group does no harm
            for future in self.admin.delete_consumer_groups(self.groups).values():
                future.exception(10)
        super().close()


def logged(err):
    """The numbers of fx-rollup's last line."""
    done = [line for line in err.splitlines() if "ev=done" in line]
    assert done, f"fx-rollup said nothing of its end: {err[-2000:]}"
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)(?!\S)", done[-1])}


def best_rate(err):
    """The most messages per second over two seconds or a little more, as Flink's peer tells it: of
    the lines that SIGUSR1 makes fx-rollup write. Its workers say how far they are every 200 ms, so
    it is right to within a tenth. 0: there are no two seconds of it."""
    line = re.compile(r"(?m)^ts=(\S+) .* ev=stats messages=(\d+) ")
    told = [(datetime.fromisoformat(ts).timestamp(), int(n)) for ts, n in line.findall(err)]
    best = 0.0
    for i, (from_s, before) in enumerate(told):
        later = [(at_s, n) for at_s, n in told[i:] if at_s - from_s >= WARM_S]
        if later:
            best = max(best, (later[0][1] - before) / (later[0][0] - from_s))
    return best


def clocked(out):
    """A peer's line of JSON, and (events, None, seconds)."""
    ended = json.loads(out.splitlines()[-1])
    seconds = (ended["last_commit_ms"] - ended["first_fetch_ms"]) / 1000
    return ended, (ended["events"], None, seconds)


# ---- building what is not a part of the system ------------------------------------------------


def _build(name, words, folder, seconds):
    """None, or why it could not be built."""
    log = OUT / f"build-{name}.log"
    OUT.mkdir(parents=True, exist_ok=True)
    try:
        with open(log, "wb") as file:
            code = subprocess.run(
                words, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"},
                timeout=seconds,
            ).returncode
    except subprocess.TimeoutExpired:
        return f"not built within {seconds} s"
    if code == 0:
        return None
    return f"not built: {log.relative_to(ROOT)}: {log.read_text(errors='replace')[-300:].strip()}"


def build_programs():
    names = ["fangxian-fill", "fangxian-count", "fangxian-hot"]
    why = _build("programs", ["cmake", "--build", BUILD, "--target", *names], ROOT, 600)
    assert why is None, why


def build_go():
    """(path, None), or (None, why it is skipped)."""
    if shutil.which("go") is None:
        return None, "there is no go"
    wanted = re.search(r"(?m)^go (\d+)\.(\d+)", (ROOT / "tests/bench/go/go.mod").read_text())
    said = subprocess.run(
        ["go", "env", "GOVERSION"], capture_output=True, text=True, timeout=60,
        env={**os.environ, "GOTOOLCHAIN": "local"},
    ).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    if found is None or tuple(map(int, found.groups())) < tuple(map(int, wanted.groups())):
        return None, f"go {wanted[1]}.{wanted[2]} is needed, there is {said.strip() or 'none'}"
    path = OUT / "gobench"
    why = _build("go", ["go", "build", "-o", path, "."], ROOT / "tests/bench/go", 300)
    return (None, why) if why else (path, None)


def build_flink():
    """(path, None), or (None, why it is skipped)."""
    for name in ("java", "mvn"):
        if shutil.which(name) is None:
            return None, f"there is no {name}"
    path = ROOT / "tests/bench/flink/run"
    # Without options it builds, and then says which options it wants.
    why = _build("flink", [path], ROOT, 600)
    return (path, None) if (OUT / "flink/built").exists() else (None, why)
