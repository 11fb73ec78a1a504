# SPDX-License-Identifier: Apache-2.0
"""Whole programs whose memory is short, at every place where they ask for some.

shortage.c counts a program's own allocations and has one of them fail, or all from it on. Each
place (a stack of calls) is struck; without FX_LONG a few of each program. Whatever happens, the
program ends by itself with a status of its own and says why; what it answered is true; run once
more, everything is there once. (The same for each module by itself: ../unit/alloc_*_test.c, and the
counting of many workers: ../sim.)"""

import contextlib
import json
import mmap
import os
import pathlib
import random
import struct
import subprocess
from collections import Counter

import pytest
from lib.post import HAICHENG, LINE, SHANWEI, Post
from lib.system import DAY_MS, HOUR_MS, LONG, System, now_ms, wait_until

SOURCE = pathlib.Path(__file__).with_name("shortage.c")
SEED = random.SystemRandom().randrange(2**31)
STRUCK = 1 << 20 if LONG else 6  # places of each program
STACKS, ALL = 1 << 17, 1 << 62
AWAY = 4  # exit status: try again

pytestmark = pytest.mark.skipif(
    "ASAN_OPTIONS" in os.environ, reason="sanitizers have allocators of their own"
)


class Shortage:
    """The control file of shortage.c: see struct control there."""

    def __init__(self, folder):
        self.library = folder / "shortage.so"
        options = ["-O1", "-shared", "-fPIC", "-D_GNU_SOURCE", "-ldl"]
        subprocess.run(["cc", *options, "-o", self.library, SOURCE], check=True)
        path = folder / "shortage"
        path.write_bytes(bytes(32 + 8 * STACKS))
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        self.env = {"LD_PRELOAD": str(self.library), "FX_SHORTAGE": str(path)}

    def order(self, first=0, last=0):
        self.memory[:32] = struct.pack("<4Q", first, last, 0, 0)

    def told(self):
        """(allocations, how many failed)"""
        return struct.unpack("<2Q", self.memory[16:32])

    def places(self):
        """The first allocation of each place in the last run, in which none failed."""
        count = min(self.told()[0], STACKS)
        stacks = struct.unpack(f"<{count}Q", self.memory[32 : 32 + 8 * count])
        first = {}
        for number, stack in enumerate(stacks, 1):
            first.setdefault(stack, number)
        return sorted(first.values())


@pytest.fixture(scope="module")
def system():
    system = System("short")
    yield system
    system.close()


@pytest.fixture(scope="module")
def shortage(system):
    return Shortage(system.dir)


@pytest.fixture
def strike(system, shortage, note):
    """strike(program, words, text=, prepare=): yields (result, how many failed) of each run.
    limit_s: how long it may try again by itself before it is sent SIGTERM."""

    def run(program, *words, text=lambda: None, prepare=lambda: None, limit_s=None):
        def once(first=0, last=0):
            prepare()
            shortage.order(first, last)
            if limit_s is None:
                return system.run(program, *words, text=text(), env=shortage.env, code=None)
            process = system.start(program, *words, env=shortage.env)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: not process.is_running(), limit_s)
            return process.stop()

        once()
        places = shortage.places()
        assert len(places) >= 5
        picked = random.Random(SEED).sample(places, min(STRUCK, len(places)))
        found = Counter()
        for first in sorted(picked):
            for last in (first, ALL):
                result, failed = once(first, last), shortage.told()[1]
                assert result.code in (0, 1, AWAY), f"allocation {first}-{last}: {result}"
                is_told = "memory" in result.err
                assert is_told or result.code != AWAY, f"allocation {first}-{last}: {result}"
                found[result.code if failed else "not reached"] += 1
                yield result, failed
        note(f"{program} {words[0]}: {len(picked)} of {len(places)} places struck, {dict(found)}")
        assert found[AWAY] >= len(picked)

    return run


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


def test_events_are_counted_once(system, strike):
    """In an hour that was reported, so that each is a correction as well."""
    post = Post(system)
    sent = [0]
    cutoff = now_ms() - now_ms() % HOUR_MS - HOUR_MS
    system.db.execute(
        f"INSERT INTO {system.schema}_record.cutoff (as_of) VALUES (to_timestamp(%s))",
        (cutoff / 1000,),
    )

    def feed():
        seqs = range(sent[0] + 1, sent[0] + 6)
        post.send(*seqs, occurred_at=cutoff - 2 * HOUR_MS)
        sent[0] += 5
        system.sent()

    words = ["fx-rollup", "--until-end", "--workers", 2]
    for _ in strike(*words, prepare=feed, limit_s=8):  # a worker never gives up by itself
        pass
    system.count()
    assert post.counted() == sent[0] == post.total()
    assert post.gaps() == []
    corrected = (
        "SELECT sum(added)::int FROM {s}.correction_by_column WHERE rollup = 'checkpoint' "
        "AND level = 'city' AND region = %s AND column_name = 'checked_groups'"
    )
    assert system.value(corrected, SHANWEI) == sent[0]


def test_setup_makes_all_or_nothing(system, strike):
    """Views are made anew, each comment is written, and a half of it never stays."""
    comments = (
        "FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = "
        f"'{system.schema}'::regnamespace AND col_description(attrelid, attnum) IS NOT NULL"
    )

    def undo():
        system.db.execute(
            "DO $$ DECLARE command text; BEGIN FOR command IN SELECT format("
            f"'COMMENT ON COLUMN %s.%I IS NULL', attrelid::regclass, attname) {comments} "
            f"LOOP EXECUTE command; END LOOP; DELETE FROM {system.schema}.generated_state; END $$"
        )

    count = f"SELECT count(*) {comments}"
    whole = system.value(count)
    assert whole > 500
    for result, _ in strike("fx-setup", "--partitions", system.partitions, prepare=undo):
        assert system.value(count) == (whole if result.code == 0 else 0), result
    system.setup()
    assert system.differences() == []


@pytest.mark.parametrize(
    "words",
    [
        ("fx-audit", "--json"),
        ("fx-report", "--as-of", "{as_of}", "--report-version", 1),
    ],
)
def test_what_is_printed_is_whole_or_not_there(system, strike, words):
    as_of = (now_ms() - DAY_MS) // DAY_MS * DAY_MS
    words = [str(word).format(as_of=as_of) for word in words]
    if words[0] == "fx-report":
        system.run(*words[:3], "--freeze")
    whole = system.run(*words, code=None).out
    for result, failed in strike(*words):
        if failed and result.code == AWAY:
            assert result.out == ""
        elif words[0] != "fx-audit":  # which tells the time
            assert result.out == whole
