# SPDX-License-Identifier: Apache-2.0
"""The reference day through the real path: every figure of it at town, county and city, that
nothing is missing, and all rollup tables against a recount of the lines in Python."""

import itertools

import figures
import load
import make_day
import pytest
from lib import recount
from lib.audit import audit, found
from lib.system import DAY_MS, SCHEMAS

DAYS_KINDS = load.kinds_of(load.DAY)


def test_the_lines_are_those_of_make_day(tmp_path):
    """Only reversals.ndjson and sources.csv are written by hand."""
    make_day.make(tmp_path)
    made = {path.relative_to(tmp_path): path for path in tmp_path.rglob("*.ndjson")}
    assert len(made) > len(DAYS_KINDS), "the day and its late lines"
    for name, path in made.items():
        assert path.read_bytes() == (load.DAY / name).read_bytes(), f"run make_day.py: {name}"


def test_every_figure_is_exact(city, show):
    asked = figures.ask_all(city)
    assert len(asked) == len(figures.rules()) > 0
    wrong = [str(figure) for figure in asked if not show(figure)]
    assert wrong == []


def test_jiaxi_is_manned_around_the_clock(city, exactly):
    """At the end of each of the 24 hours: those who signed on less those who signed off."""
    rows = city.rows(
        "SELECT sum(sign_on_persons - sign_off_persons) OVER (ORDER BY hour)::bigint AS persons"
        " FROM {s}.duty_source_hourly WHERE source = 'DT-441581118-001'"
        " AND hour >= '2022-02-10 00:00+08' AND hour < '2022-02-11 00:00+08'"
    )
    manned = [row["persons"] for row in rows]
    exactly("hours_with_20_members_on_post_441581118", sum(n >= 20 for n in manned), 24)
    spoken = {
        event["occurred_at"] // 300_000
        for event in city.told.events["duty"]
        if event["source"] == "DT-441581118-001"
    }
    exactly("five_minute_slots_spoken_441581118", len(spoken), 288)


def test_the_lines_take_each_contact_from_list_to_quarantine(city, exactly):
    """Of the day's lines alone: one by one, in this order. Their ids say who is meant, and go no
    further than the outbox."""
    named = {name: event for (_, _, name), event in city.told.named.items()}
    contacts = [name.removesuffix("-listed") for name in named if name.endswith("-listed")]
    followed = 0
    for one in contacts:
        steps = [named.get(f"{one}-{s}") for s in ("listed", "located", "controlled", "admitted")]
        assert all(steps), one
        times = [event["occurred_at"] for event in steps]
        assert times == sorted(set(times)), one
        assert len({event["tier"] for event in steps}) == 1, one
        assert steps[-1]["place"] == "CENTRAL" and steps[-1]["origin"] == "441521115", one
        followed += 1
    exactly("lines_of_contacts_followed", followed, 55)


# (table, step, what else holds of its rows)
STEPS = [
    ("contact_town", "listed_persons", "true"),
    ("contact_town", "located_persons", "true"),
    ("contact_town", "controlled_persons", "true"),
    ("quarantine_origin_town", "admitted_persons", "place = 'CENTRAL'"),
]


@pytest.mark.parametrize("tier,persons", [("CLOSE", 5), ("SECONDARY", 50)])
def test_the_tables_take_the_contacts_from_list_to_quarantine(city, exactly, tier, persons):
    """Hour by hour, nobody is at a step before the one that precedes it; at midnight all are."""
    courses = [course(city, step, tier) for step in STEPS]
    for earlier, later in itertools.pairwise(courses):
        assert all(a >= b for a, b in zip(earlier, later)), (tier, earlier, later)
        assert earlier != later, "the steps take their time"
    followed = {each[-1] for each in courses}
    assert len(followed) == 1, (tier, courses)
    exactly(f"contacts_followed_to_quarantine_{tier.lower()}", followed.pop(), persons)


def course(city, step, tier):
    """How many of Haicheng had got so far at the end of each hour of the day."""
    table, column, where = step
    rows = city.rows(
        f"SELECT coalesce(sum(sum({column})) OVER (ORDER BY h), 0)::bigint AS persons"
        " FROM generate_series('2022-02-10 00:00+08', '2022-02-10 23:00+08', interval '1 hour') h"
        f" LEFT JOIN {{s}}.{table} t ON t.bucket_start = h AND t.region = '441521115'"
        f" AND t.tier = %s AND {where} GROUP BY h ORDER BY h",
        tier,
    )
    assert len(rows) == 24
    return [row["persons"] for row in rows]


def test_every_post_was_heard_and_nothing_is_missing(city, exactly):
    rows = city.rows(
        "SELECT * FROM {s}.completeness_daily WHERE day = %s AND level = 'city'"
        " AND region = '441500' ORDER BY kind",
        load.DATE,
    )
    assert [row["kind"] for row in rows] == DAYS_KINDS
    expected = {kind: 0 for kind in DAYS_KINDS}
    for row in city.rows("SELECT kind FROM {s}.source"):
        expected[row["kind"]] += 1
    for row in rows:
        kind = row["kind"]
        assert row["sources_expected"] == expected[kind] > 0
        exactly(f"posts_heard_{kind}", row["sources_heard"], expected[kind])
        exactly(f"events_counted_{kind}", row["counted"], len(of_the_day(city, kind)))
        gone = row["missing"] + row["rejected"] + row["pending"] + row["written_off"]
        exactly(f"events_missing_{kind}", gone + row["rejected_events"], 0)
    exactly("kinds_complete", sum(row["complete"] is True for row in rows), len(DAYS_KINDS))


def test_fx_audit_finds_nothing(city, exactly):
    """It recounts ledger, gaps, days and nodes by itself."""
    report = audit(city, "--day", load.DATE)
    assert report["verdict"] == "complete", report
    exactly("audit_findings", len(found(report)), 0)
    assert report["exit_status"] == 0


def of_the_day(city, kind):
    """Numbers belong to the first day by whose end they were known: a run tells the earlier first.
    The number of a reversal belongs to the day it was made; only its figures go back."""
    start = load.instant(load.END) - DAY_MS
    events = city.told.events[kind]
    return [event for event in events if event["occurred_at"] >= start and event["sign"] > 0]


def test_what_came_late_is_a_correction(city, exactly):
    """The day was reported before its late lines came: 30 persons on the bus became 3, Nanwan's 7
    were added."""
    added = city.value(
        "SELECT added FROM {s}.correction_daily WHERE day = %s AND rollup = 'checkpoint'"
        " AND level = 'city' AND column_name = 'checked_person_times'",
        load.DATE,
    )
    exactly("corrected_checked_person_times", added, late_persons())
    pairs = "SELECT count(*) FROM {s}.reversal"
    exactly("reversals", city.value(pairs), len(load.read(load.DAY / "late", "reversals")))


def late_persons():
    told = sum(line["persons"] for line in load.read(load.DAY / "late", "checkpoint"))
    undone = {one["id"] for one in load.read(load.DAY / "late", "reversals")}
    lines = load.read(load.DAY, "checkpoint")
    return told - sum(line["persons"] for line in lines if line.get("id") in undone)


def test_every_cell_is_what_the_lines_say(city, exactly):
    compared, texts = 0, []
    for kind in DAYS_KINDS:
        count = recount.Recount(SCHEMAS, kind)
        for event in city.told.events[kind]:
            count.add(event)
        cells, differ = count.compare(city)
        compared += cells
        texts += differ + count.compare_ledger(city)
    assert compared > 10_000
    print(*texts[:20], sep="\n")
    exactly("recount_cells_differ", len(texts), 0)
