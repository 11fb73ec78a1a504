# SPDX-License-Identifier: Apache-2.0
"""Wrong lines, options and disks: a clear message, the right exit code, and good input counts."""

import json
import os
import shutil
import socket
import subprocess

import pytest
from lib.post import HAICHENG, LINE
from lib.system import SCHEMAS, System, now_ms, wait_until


@pytest.fixture(scope="module")
def system():
    system = System("bad")
    yield system
    system.close()


def words(system, name, source=None):
    return [
        "--outbox",
        system.dir / f"{name}.db",
        "--source",
        source or f"CP-{name}",
        "--region",
        HAICHENG,
    ]


def feed(system, name, *lines, code=0, **kw):
    """Lines (dicts or raw bytes) to fx-checkpoint; its result and answers."""
    raw = [x if isinstance(x, bytes) else json.dumps(x, ensure_ascii=False).encode() for x in lines]
    more = kw.pop("more", [])
    result = system.run(
        "fx-checkpoint",
        *words(system, name),
        "--answers",
        *more,
        text=b"".join(x + b"\n" for x in raw),
        code=code,
        **kw,
    )
    return result, [json.loads(row) for row in result.out.splitlines()]


def counted(system, source):
    return system.value(
        "SELECT sum(checked_groups)::int FROM {s}.checkpoint_source" " WHERE source = %s", source
    )


# ---- lines ----

WRONG = {
    "no_json": (b'{"direction":', "", "JSON"),
    "no_object": (b"[1,2]", "", "object"),
    "no_utf8": (b'{"direction":"\xff"}', "", "UTF-8"),
    "twice": (b'{"persons":1,"persons":2}', "", "twice"),
    "nul": (b'{"direction":"a\\u0000b"}', "", "NUL"),
    "huge": (b'{"persons":99999999999999999999999}', "", "large"),
    "unknown_field": ({**LINE, "person": 1}, "person", "no such field"),
    "enum_typo": ({**LINE, "vehicle": "CARR"}, "vehicle", "CAR"),
    "missing": ({"direction": "IN"}, "post_type", "missing"),
    "sums": ({**LINE, "passed": 1}, "persons", ""),
    "sums_rest": ({**LINE, "code_green": 3}, "persons", ""),
    "below": ({**LINE, "queue_vehicles": -1}, "queue_vehicles", "below"),
    "above": ({**LINE, "wait_s": 86_401}, "wait_s", "above"),
    "fraction": ({**LINE, "persons": 1.5}, "persons", "whole"),
    "text": ({**LINE, "persons": "2"}, "persons", "whole"),
    "given_seq": ({**LINE, "seq": 7}, "seq", "producer"),
    "source": ({**LINE, "source": "a b"}, "source", "A-Z"),
    "outside": ({**LINE, "region": "-"}, "region", ""),
    "time": ({**LINE, "at": "yesterday"}, "occurred_at", "time"),
    "too_long": (b'{"direction":"' + b"x" * 70_000 + b'"}', "", "longer"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_line_is_named_and_the_next_goes_on(system, name):
    text, field, reason = WRONG[name]
    rejects = system.dir / f"{name}.rejects"
    result, answers = feed(system, name, LINE, text, LINE, code=1, more=["--rejects", rejects])
    assert [a["ok"] for a in answers] == [True, False, True], result
    assert answers[1].get("field", "") == field or field in answers[1]["reason"]
    assert reason in answers[1]["reason"] and "line=2" in result.err
    assert json.loads(rejects.read_text())["line"] == 2
    system.count()
    assert counted(system, f"CP-{name}") == 2


def test_dry_run_stores_and_sends_nothing(system):
    result = system.run(
        "fx-checkpoint",
        "--dry-run",
        *words(system, "dry"),
        code=1,
        text=json.dumps(LINE) + "\n{}\n",
    )
    assert "CP-dry" in result.out and not (system.dir / "dry.db").exists()


def test_short_line_of_the_readme_works(system):
    line = {
        "direction": "IN",
        "vehicle": "CAR",
        "plate_scope": "IN_PROVINCE",
        "persons": 3,
        "code_green": 2,
        "code_none": 1,
        "passed": 2,
        "turned_back": 1,
    }
    feed(system, "short", line, more=["--set", "post_type=TRUNK_ROAD"])
    system.count()
    (row,) = system.rows("SELECT * FROM {s}.checkpoint_source WHERE source = 'CP-short'")
    assert (row["post_type"], row["turned_back_vehicles"]) == ("TRUNK_ROAD", 1)
    assert row["itinerary_unchecked_person_times"] == 3


def test_future_clock_counts_now_and_is_tallied(system):
    feed(system, "future", LINE, {**LINE, "at": now_ms() + 7_200_000}, LINE)
    system.count()
    (row,) = system.rows(
        "SELECT counted, clock_corrected, last_occurred_at > now() + interval '1 min'"
        " AS ahead FROM {s}.source_ledger WHERE source = 'CP-future'"
    )
    assert row == {"counted": 3, "clock_corrected": 1, "ahead": False}


def test_unknown_region_is_set_aside_until_it_is_known(system):
    _, answers = feed(system, "region", LINE, {**LINE, "region": "441599999"}, LINE)
    system.count()
    assert all(a["ok"] for a in answers) and counted(system, "CP-region") == 2
    (gap,) = system.rows(
        "SELECT first_seq, last_seq, cause FROM {s}.source_gap" " WHERE source = 'CP-region'"
    )
    assert tuple(gap.values()) == (2, 2, "rejected")
    regions = system.dir / "regions.csv"
    row = "441599999,新镇,New Town,town,441521,441521\n"
    regions.write_text((SCHEMAS / "regions.csv").read_text() + row)
    system.setup("--regions", regions)
    number = f"CP-region:{answers[1]['run']}:2-2"
    system.run("fx-checkpoint", "--outbox", system.dir / "region.db", "--resend", number)
    system.count()
    assert counted(system, "CP-region") == 3
    assert system.rows("SELECT 1 FROM {s}.source_gap WHERE source = 'CP-region'") == []


# ---- the command line ----

USAGE = {
    "unknown_option": ["--outbocks", "x"],
    "no_number": ["--events", "many"],
    "two_inputs": ["--simulate", "--follow", "x"],
    "set_unknown": ["--set", "colour=red"],
    "set_typo": ["--set", "post_type=HARBOUR"],
    "no_schemas": ["--schemas", "/nowhere"],
    "operand": ["checkpoint"],
    "bad_run": ["--resend", "CP-1:xyz:1-2"],
    "no_reason": ["--reverse", "CP-1:0123456789ab:1"],
}


@pytest.mark.parametrize("args", USAGE.values(), ids=USAGE)
def test_usage_errors_exit_2(system, args):
    result = system.run("fx-checkpoint", *words(system, "usage"), *args, code=2)
    assert "lvl=error" in result.err and "msg=" in result.err


def test_simulation_is_not_silently_ignored(system):
    """--dry-run with --simulate: either its records or a refusal, not success without a word."""
    result = system.run("fx-checkpoint", "--simulate", "--dry-run", "--events", 3, code=None)
    assert result.code == 2 or len(result.out.splitlines()) == 3, result


@pytest.mark.parametrize("program", ["fx-rollup", "fx-setup", "fx-checkpoint", "fx-emit"])
def test_help_and_version(system, program):
    assert "usage: " + program in system.run(program, "--help").out
    assert system.run(program, "--version").out.strip()


def test_unknown_kind(system):
    assert "ratoin" in system.run("fx-emit", "ratoin", code=2).err


# ---- one outbox, one process; a full disk ----


def test_two_daemons_on_one_outbox(system):
    first = system.start("fx-checkpoint", *words(system, "two"), "--socket")
    wait_until(lambda: (system.dir / "two.db.sock").exists(), 15, "the first daemon")
    second = system.run("fx-checkpoint", *words(system, "two"), "--socket", code=2)
    assert "another process" in second.err and first.is_running()
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(15)
    client.connect(str(system.dir / "two.db.sock"))
    client.sendall(json.dumps(LINE).encode() + b"\n")
    assert json.loads(client.recv(1000))["ok"], "the first daemon has lost its socket"
    client.close()
    assert first.stop().code == 0


def test_outbox_bound(system):
    """Full: lines are refused loudly or wait, none is dropped; room again: all goes on."""
    env = {"FX_BROKERS": "127.0.0.1:1"}
    daemon = system.start(
        "fx-checkpoint",
        *words(system, "full"),
        "--socket",
        "--drain-s",
        0,
        "--outbox-max-bytes",
        1 << 20,
        env=env,
    )
    path = system.dir / "full.db.sock"
    wait_until(path.exists, 15, "the daemon")
    answers = talk(path, 40_000)
    taken = [a for a in answers if a["ok"]]
    assert 1000 < len(taken) < 40_000 and not answers[-1]["ok"]
    assert answers[-1]["reason"]
    assert daemon.stop(20).code in (1, 4)
    feed(system, "full")
    system.count()
    assert counted(system, "CP-full") == len(taken)


def talk(path, count):
    answers = []
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        with client.makefile("rb") as stream:
            for first in range(0, count, 100):
                client.sendall((json.dumps(LINE) + "\n").encode() * min(100, count - first))
                answers += [json.loads(stream.readline()) for _ in range(min(100, count - first))]
    return answers


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting wants root")
def test_full_disk(system):
    """A tmpfs of 1 MiB under the outbox: exit 5 or refusals, and what was answered is there."""
    place = system.dir / "small"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True
    ).returncode:
        pytest.skip("no mount here")
    try:
        args = ["--outbox", place / "o.db", "--source", "CP-disk", "--region", HAICHENG]
        result = system.run(
            "fx-checkpoint",
            *args,
            "--answers",
            "--no-drain",
            "--group-lines",
            200,
            code=None,
            text=(json.dumps(LINE) + "\n") * 30_000,
            env={"FX_BROKERS": ""},
        )
        answers = [json.loads(row) for row in result.out.splitlines()]
        taken = [a for a in answers if a["ok"]]
        assert result.code in (1, 5) and 0 < len(taken) < 30_000, result
        assert "full" in result.err or "disk" in result.err, result
        wide = system.dir / "wide.db"
        for suffix in ("", "-wal"):
            if os.path.exists(f"{place}/o.db{suffix}"):
                shutil.copy(f"{place}/o.db{suffix}", f"{wide}{suffix}")
        system.run("fx-checkpoint", "--outbox", wide, "--source", "CP-disk", "--region", HAICHENG)
        system.count()
        assert counted(system, "CP-disk") == len(taken)
    finally:
        subprocess.run(["umount", place], check=False)
