# SPDX-License-Identifier: Apache-2.0
"""Whole programs whose memory is short, at every place where they ask for some.

shortage.c counts a program's own allocations and has one of them fail, or all from it on. Each
place (a stack of calls) is struck; without FX_LONG a few of each program. Whatever happens, the
program ends by itself with a status of its own and says why; what it answered is true; run once
more, everything is there once. (The same for each module by itself: ../unit/alloc_*_test.c, and the
counting of many workers: ../sim.)"""

import json

import pytest
from lib.post import HAICHENG, LINE, SHANWEI, Post
from lib.shortage import AWAY, WITHOUT_SANITIZER
from lib.system import HOUR_MS, System, now_ms, wait_until

pytestmark = WITHOUT_SANITIZER


@pytest.fixture(scope="module")
def system():
    system = System("short")
    yield system
    system.close()


def test_lines_are_stored_once_and_answered_truly(system, strike):
    outbox = system.dir / "short.db"
    words = ["checkpoint", "--outbox", outbox, "--answers"]
    given = []

    def lines():
        """New ones, and all that were not answered: a device that hears nothing asks again."""
        given.extend([f"line-{len(given) + i}" for i in range(10)])
        return text_of([name for name in given if name not in stored])

    stored, asked = {}, []

    def text_of(names):
        asked[:] = names
        line = LINE | {"source": "CP-SHORT", "region": HAICHENG}
        return "".join(json.dumps(line | {"id": name}) + "\n" for name in names)

    def note_answers(result):
        for name, row in zip(asked, result.out.splitlines()):
            answer = json.loads(row)
            if answer["ok"]:
                stored[name] = answer["run"], answer["seq"]
            else:  # never for anything that would be wrong about the line
                assert "memory" in answer["reason"] and "field" not in answer, result

    for result, _ in strike("fx-emit", *words, text=lines):
        note_answers(result)
    note_answers(system.run("fx-emit", *words, text=lines()))
    system.count()
    assert sorted(stored) == sorted(given)
    assert len(set(stored.values())) == len(given)
    query = "SELECT sum(checked_groups)::int FROM {s}.checkpoint_source WHERE source = 'CP-SHORT'"
    assert system.value(query) == len(given)


@pytest.mark.parametrize("is_running", [False, True])
def test_a_command_is_obeyed_or_memory_is_named(system, strike, is_running):
    """By the program itself, or by the running station that it asks; the command is not wrong."""
    outbox = ["--outbox", system.dir / f"command-{is_running}.db"]
    line = json.dumps(LINE | {"source": "CP-ASK", "region": HAICHENG}) + "\n"
    stored = system.run("fx-checkpoint", *outbox, "--answers", text=3 * line)
    what = f"CP-ASK:{json.loads(stored.out.splitlines()[0])['run']}:1-3"
    if is_running:
        station = system.start("fx-checkpoint", *outbox, "--socket")
        socket = outbox[1].with_suffix(".db.sock")
        wait_until(socket.exists, 15, "the station's socket")
    for result, _ in strike("fx-checkpoint", *outbox, "--resend", what):
        answer = json.loads(result.out or "{}")
        if result.code != AWAY:
            assert (result.code, answer) == (0, {"ok": True, "resent": 3}), result
    if is_running:
        assert station.stop().code == 0


class Feed:
    """Something of all that a worker meets, at each call, in an hour that was reported."""

    def __init__(self, system):
        self.system, self.times = system, 0
        self.post, self.undone = Post(system), Post(system)
        self.site = Post(system, kind="test_site")
        cutoff = now_ms() - now_ms() % HOUR_MS - HOUR_MS
        self.at = {"occurred_at": cutoff - 2 * HOUR_MS}
        system.db.execute(
            f"INSERT INTO {system.schema}_record.cutoff (as_of) VALUES (to_timestamp(%s))",
            (cutoff / 1000,),
        )

    def __call__(self):
        first = 5 * self.times + 1
        self.times += 1
        self.post.send(first, first + 1, first + 3, first + 4, first + 4, **self.at)
        if first > 1:
            self.post.send(first - 3, **self.at)  # what was left out the last time
        self.post.send_raw(f"no event {self.times}".encode())
        self.post.send_raw(self.post.heartbeat(self.times, first + 4))
        self.site.send(self.times, **self.at)
        original = self.undone.event(2 * self.times - 1, **self.at)
        self.undone.send_raw(self.undone.schema.encode(original))
        self.undone.send_raw(self.undone.reversal(2 * self.times, original))
        self.system.sent()

    def check(self):
        """All of it is counted, and once."""
        self.post.send(5 * self.times - 2, **self.at)
        self.post.count()
        assert self.post.counted() == 5 * self.times == self.post.total()
        ledger = self.post.ledger()
        assert (ledger["duplicates"], ledger["heartbeat_n"]) == (self.times, self.times)
        assert self.undone.counted() == 2 * self.times and self.undone.total() == 0
        persons = self.site.total("sampled_person_times", "test_site_source")
        assert persons == 10 * self.times == 10 * self.site.counted()
        assert self.post.gaps() == self.undone.gaps() == self.site.gaps() == []
        wrong = "SELECT sum(events)::int FROM {s}.rejected_range"
        assert self.system.value(wrong) == self.times
        corrected = (
            "SELECT sum(added)::int FROM {s}.correction_by_column WHERE rollup = 'checkpoint' "
            "AND level = 'city' AND region = %s AND column_name = 'checked_groups'"
        )
        assert self.system.value(corrected, SHANWEI) == 5 * self.times


def test_events_are_counted_once(system, strike):
    feed = Feed(system)
    words = ["fx-rollup", "--until-end", "--workers", 2]
    for _ in strike(*words, prepare=feed, limit_s=8):  # a worker never gives up by itself
        pass
    feed.check()


def test_setup_makes_all_or_nothing(system, strike):
    """Who should report is replaced, views are made anew, each comment is written: all or none."""
    comments = (
        "FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = "
        f"'{system.schema}'::regnamespace AND col_description(attrelid, attnum) IS NOT NULL"
    )

    sources = system.dir / "sources.csv"
    given = ["SHORT-1", "SHORT-2", "SHORT-3"]
    sources.write_text(
        "source,kind,name,region,valid_from,valid_to\n"
        + "".join(f"{name},checkpoint,卡点,{HAICHENG},2022-02-01,\n" for name in given)
    )

    def undo():
        system.db.execute(
            "DO $$ DECLARE command text; BEGIN FOR command IN SELECT format("
            f"'COMMENT ON COLUMN %s.%I IS NULL', attrelid::regclass, attname) {comments} "
            f"LOOP EXECUTE command; END LOOP; DELETE FROM {system.schema}.generated_state; "
            f"DELETE FROM {system.schema}_record.source; END $$"
        )

    count = f"SELECT count(*) {comments}"
    whole = system.value(count)
    assert whole > 500
    words = ["--partitions", system.partitions, "--sources", sources]
    registered = "SELECT string_agg(source, ' ' ORDER BY source) FROM {s}.source"
    for result, _ in strike("fx-setup", *words, prepare=undo):
        is_done = result.code == 0
        assert system.value(count) == (whole if is_done else 0), result
        assert system.value(registered) == (" ".join(given) if is_done else None), result
    system.setup()
    assert system.differences() == []
