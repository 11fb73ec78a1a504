# SPDX-License-Identifier: Apache-2.0
"""Topics full of events, fresh schemas to count them into, and the programs that do so."""

import contextlib
import ctypes.util
import json
import os
import re
import secrets
import shutil
import subprocess

import meter
from lib.system import BROKERS, BUILD, DAY_MS, ROOT, SCHEMAS, System
from psycopg import sql

EVENTS_A_DAY = 20_000_000  # a dataset of fewer events is so much less than a day
FROM = "2022-02-10"
MIMALLOC = ctypes.util.find_library("mimalloc")
OUT = ROOT / ".local/bench"
RUN_S = 600  # no run of the benchmark takes as long


class Lab(System):
    """A system of the benchmark: its topics are filled once and counted many times. It is to be set
    up by the caller, who can close it then even if that is interrupted."""

    def __init__(self, services, partitions=8, schemas=SCHEMAS):
        super().__init__("bench", schemas, partitions, is_set_up=False)
        self.services = services
        self.events = self.bytes = 0
        self.sources = 0
        self.groups = []

    def program(self, name):
        return str(BUILD / "bin" / name)

    def fill(self, events, sources, *args, kind="checkpoint", spread_ms=None):
        """Fills a kind's topic; events of a day are as dense in any number of them."""
        words = self.fill_words(events, sources, *args, kind=kind, spread_ms=spread_ms)
        said = self.run(*words, seconds=RUN_S).out
        self.events, self.sources = self.events + events, sources
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

    def totals(self, schema):
        """(events, person-times) of the city."""
        query = "SELECT coalesce(sum(checked_groups), 0)::bigint AS events,"
        query += " coalesce(sum(checked_person_times), 0)::bigint AS person_times"
        (row,) = self.rows(query + " FROM {s}.checkpoint_city", schema=schema)
        return row["events"], row["person_times"]

    def measure(self, words, env=None, schema=None, seconds=RUN_S):
        """Runs a consumer to its end."""
        look = self.looks_at(schema) if schema else None
        return meter.run(
            list(map(str, words)), {**self.env, **(env or {})}, self.dir, seconds,
            self.services, look
        )

    # ---- the consumers: each gives what it ran like, and (events, person-times, seconds) ----

    def run_rollup(self, workers=2, *args):
        with self.fresh() as schema:
            words = [self.program("fx-rollup"), "--workers", workers, "--until-end", *args]
            ran = self.measure(words, {"FX_SCHEMA_NAME": schema}, schema)
            ended = logged(ran.err)
            seconds = (ended["ended_ms"] - ended["began_ms"]) / 1000
            return ran, ended, (*self.totals(schema), seconds)

    def run_count(self, consumers, is_mimalloc):
        words = [self.program("fangxian-count"), "--topic", self.topic("checkpoint")]
        env = {"LD_PRELOAD": MIMALLOC} if is_mimalloc else None
        ran = self.measure([*words, "--consumers", consumers], env)
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
            ran = self.measure(words, None, schema)
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


def clocked(out):
    """A peer's line of JSON, and (events, person-times, seconds)."""
    ended = json.loads(out.splitlines()[-1])
    seconds = (ended["last_commit_ms"] - ended["first_fetch_ms"]) / 1000
    return ended, (ended["events"], ended.get("person_times"), seconds)


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
