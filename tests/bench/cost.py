# SPDX-License-Identifier: Apache-2.0
"""What counting costs PostgreSQL, in many small flushes of a paced load: WAL, time, HOT updates,
and how much larger the tables are than after VACUUM FULL; with few posts and many, each also beside
an analyst who asks all the while in one snapshot, which keeps old rows alive. WAL and CPU are those
of the whole cluster, the analyst's included."""

import contextlib
import socket
import threading
import time
import urllib.request
from dataclasses import dataclass

import psycopg
from lib.system import DAY_MS, HOUR_MS, now_ms
from psycopg import sql
from report import percentile

LEDGER = "source_ledger"
LOOK_S = 0.05
MB = 1 << 20


@dataclass
class Load:
    name: str
    sources: int
    rate: int
    seconds: int
    spread_ms: int  # how long a time the events are of
    is_asked: bool = False  # an analyst asks meanwhile


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Metrics:
    """fx-rollup's own counters."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/metrics"

    def read(self):
        """Name -> value; nothing as long as it does not answer."""
        try:
            with urllib.request.urlopen(self.url, timeout=5) as page:
                rows = page.read().decode().splitlines()
        except OSError:
            return {}
        pairs = (row.split() for row in rows if row and not row.startswith("#"))
        return {pair[0].removeprefix("fx_rollup_"): float(pair[1]) for pair in pairs}


class Tables:
    """The tables that every flush writes."""

    def __init__(self, topic):
        self.topic = topic
        self.names = [LEDGER] + [
            row["relname"]
            for row in topic.rows(
                "SELECT relname FROM pg_stat_user_tables WHERE schemaname = %s"
                " AND relname ~ '^checkpoint_(source|town|county|city)$'",
                topic.schema,
            )
        ]
        assert len(self.names) == 5, self.names

    def updates(self):
        """Table -> (updates, HOT updates, inserts). A backend's last counts come when it ends."""
        rows = self.topic.rows(
            "SELECT relname, n_tup_upd, n_tup_hot_upd, n_tup_ins FROM pg_stat_user_tables"
            " WHERE schemaname = %s AND relname = ANY (%s)",
            self.topic.schema,
            self.names,
        )
        return {r["relname"]: (r["n_tup_upd"], r["n_tup_hot_upd"], r["n_tup_ins"]) for r in rows}

    def bytes(self):
        """Table -> (heap, indexes)."""
        return {
            name: tuple(
                self.topic.rows(
                    "SELECT pg_table_size(c) AS heap, pg_indexes_size(c) AS indexes"
                    " FROM (SELECT format('%%I.%%I', %s::text, %s::text)::regclass AS c) t",
                    self.topic.schema,
                    name,
                )[0].values()
            )
            for name in self.names
        }

    def pack(self):
        for name in self.names:
            self.topic.db.execute(
                sql.SQL("VACUUM FULL {}").format(sql.Identifier(self.topic.schema, name))
            )


class Analyst:
    """One connection that scans and joins the large tables again and again, in one snapshot."""

    QUERY = """
        SELECT count(*), sum(a.checked_person_times + b.checked_person_times), max(l.counted)
        FROM {s}.checkpoint_source a JOIN {s}.checkpoint_source b USING (source)
        JOIN {s}.source_ledger l USING (source)"""

    def __init__(self, topic):
        self.db = psycopg.connect()
        self.db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self.db.read_only = True
        self.query = sql.SQL(self.QUERY).format(s=sql.Identifier(topic.schema))
        self.answers = 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self):
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            while not self.is_over.is_set():
                self.db.execute(self.query).fetchall()
                self.answers += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        was_asking = self.thread.is_alive()
        self.is_over.set()
        self.db.cancel()
        self.thread.join(60)
        self.db.close()
        assert was_asking, "the analyst's query failed"


def count_paced(topic, load, from_ms):
    """Counts the load as it comes: the metrics at the end, what each flush seen took, in ms."""
    port, events = free_port(), load.rate * load.seconds
    counter = topic.start("fx-rollup", "--workers", 2, "--metrics", f"127.0.0.1:{port}")
    words = topic.fill_words(events, load.sources, "--first", 2, spread_ms=load.spread_ms)
    words += ["--from", from_ms, "--rate", load.rate, "-X", "linger.ms=5"]
    filling = topic.start(*words)
    metrics, flushes, took_ms, now = Metrics(port), 0, [], {}
    end = time.monotonic() + load.seconds + 60
    while now.get("committed_total", 0) < events:
        assert time.monotonic() < end and counter.is_running(), (
            f"{now}\n{filling.result()}\n{counter.result()}"
        )
        time.sleep(LOOK_S)
        now = metrics.read() or now
        if now.get("flushes_total", 0) > flushes:
            flushes = now["flushes_total"]
            took_ms.append(now["flush_last_ms"])
    assert filling.wait(30) == 0, filling.result()
    assert counter.stop().code == 0, counter.result()
    return now, took_ms


def wal_bytes(topic):
    return int(topic.value("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))


def hot_percent(before, after, names):
    done = [sum(after[n][i] - before[n][i] for n in names) for i in range(2)]
    return 100.0 * done[1] / done[0] if done[0] else 0.0


def measure(bench, load):
    """A row of the table, by name."""
    with bench.lab() as topic:
        from_ms = now_ms() - 2 * HOUR_MS - load.spread_ms
        topic.fill(load.sources, load.sources, "--from", from_ms, spread_ms=1)
        topic.count("--workers", 2, seconds=120)  # every run is in the ledger
        tables = Tables(topic)
        before, wal, cpu_s = tables.updates(), wal_bytes(topic), bench.services.cpu_s()[1]
        with Analyst(topic) if load.is_asked else contextlib.nullcontext() as analyst:
            now, took_ms = count_paced(topic, load, from_ms)
        wal, cpu_s = wal_bytes(topic) - wal, bench.services.cpu_s()[1] - cpu_s
        after, big = tables.updates(), tables.bytes()
        total, _ = topic.totals(topic.schema)
        assert total == load.sources + load.rate * load.seconds, f"{total} events counted"
        tables.pack()
        packed = tables.bytes()
    flushes, rows = now["flushes_total"], now["flush_rows_total"]
    rollups = [name for name in tables.names if name != LEDGER]
    size, least = (sum(map(sum, sizes.values())) / MB for sizes in (big, packed))
    return {
        "load": load.name,
        "flushes": int(flushes),
        "rows/flush": rows / flushes,
        "ms p50": percentile(took_ms, 0.5),
        "ms p99": percentile(took_ms, 0.99),
        "CPU ms/flush": cpu_s * 1000 / flushes,
        "WAL kB/flush": wal / flushes / 1000,
        "WAL B/event": wal / (load.rate * load.seconds),
        "HOT % rollups": hot_percent(before, after, rollups),
        "HOT % ledger": hot_percent(before, after, [LEDGER]),
        "MB": size,
        "packed": least,
        "bloat": size / least,
        "queries": analyst.answers if analyst else "-",
    }


def run(bench):
    seconds = bench.pick(10, 90)
    day_rate = bench.pick(10_000, 20_000)
    loads = [
        Load("1000 posts", 1000, 1000, seconds, HOUR_MS),
        Load("1000 posts, analyst", 1000, 1000, seconds, HOUR_MS, is_asked=True),
        Load("50000 posts", 50_000, 5000, seconds, HOUR_MS),
        Load("50000 posts, analyst", 50_000, 5000, seconds, HOUR_MS, is_asked=True),
        Load("a day of 1000 posts", 1000, day_rate, seconds, DAY_MS),
    ]
    found = [measure(bench, load) for load in loads]
    rows = [list(one.values()) for one in found]
    bench.report.table("PostgreSQL: ms, CPU, WAL of a flush; size of tables", [*found[0]], rows)
    bench.report.say(
        "  ms: of the slowest worker's last flush, as fx-rollup tells it, every 200 ms",
        f"  a day: its hours' timestamps within {seconds} s, not a day of updates",
        "  MB, packed: of five tables with their indexes, at the end and after VACUUM FULL; the"
        " rollups' fillfactor of 45 holds in both, so a bloat of 1 is half empty by intent",
        "  analyst, queries: scans and joins of the large tables all the while, on one connection"
        " in one snapshot; CPU is with theirs",
    )
    bench.report.keep("cost", found)
    bench.report.at_least("hot_percent_rollups", found[0]["HOT % rollups"], 95)
    bench.report.at_least("hot_percent_ledger", found[0]["HOT % ledger"], 95)
