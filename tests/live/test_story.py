# SPDX-License-Identifier: Apache-2.0
"""A simulated city is one story, told by seven kinds: coherent in lines, and counted exactly.

What holds across kinds is checked from the lines alone (--dry-run), without the code that made
them; then all seven are played through Kafka into PostgreSQL and every table is recounted.
"""

import csv
import json
from collections import Counter, defaultdict

import pytest
from lib import recount
from lib.outbox import accepted
from lib.story import (
    BACKGROUND,
    KINDS,
    TIERS,
    City,
    Course,
    events_of,
    follows,
    instant_ms,
    words_of,
)
from lib.system import DAY_MS, MINUTE_MS, SCHEMAS, System

DAY = ("2022-02-10T00:00:00+08:00", "2022-02-11T00:00:00+08:00")
PART = ("2022-02-10T06:30:00+08:00", "2022-02-10T18:45:00+08:00")
WEEKS = ("2022-02-10T00:00:00+08:00", "2022-02-27T00:00:00+08:00")
SPANS = {"day": DAY, "part": PART, "weeks": WEEKS}
ZONE_MS = 8 * 60 * MINUTE_MS


@pytest.fixture(scope="module")
def alone():
    """Programs without a stack of their own: --dry-run needs none."""
    system = System("story_lines", is_set_up=False)
    yield system
    system.close()


@pytest.fixture(scope="module", params=[(1, "day"), (2022, "day"), (5, "part"), (6, "weeks")])
def city(request, alone):
    seed, span = request.param
    return City(alone.run, seed, *SPANS[span])


def persons(city, kind, by=("region", "tier"), count="persons", **wanted):
    return Course(city.told(kind, **wanted), by, count)


# ---- one kind ----


@pytest.mark.parametrize("kind", KINDS)
def test_lines_lie_in_the_span_in_order(city, kind):
    last = {}
    for event in city.events[kind]:
        assert city.from_ms <= event["at_ms"] < city.to_ms
        assert event["source"].startswith("SIM-") and f"-{event['region']}-" in event["source"]
        assert last.get(event["source"], 0) <= event["at_ms"]
        last[event["source"]] = event["at_ms"]
    if kind in BACKGROUND:
        assert len(city.events[kind]) == events_of(kind, city.begin, city.end)
    assert len(last) > 30


def test_the_story_is_worth_telling(city):
    days = (city.to_ms - city.from_ms) / DAY_MS
    listed = persons(city, "contact", by=("tier",), step="LISTED").totals()
    assert all(listed[tier,] > 10 * days for tier in TIERS)
    assert sum(listed.values()) < 2000 * days
    for step in ("HANDED_OFF", "CONTROLLED", "SAMPLED", "NEGATIVE"):
        assert persons(city, "contact", step=step).total() > 5 * days, step
    if days >= 1:
        assert persons(city, "contact", step="CLOSED").total() > 5 * days
        assert persons(city, "contact", step="BECAME_CASE").total() > 0


def test_nobody_takes_a_step_before_the_one_before(city):
    steps = ["LISTED", "LOCATED", "CONTROLLED", "SAMPLED", "NEGATIVE", "CLOSED"]
    courses = [persons(city, "contact", step=step) for step in steps]
    for first, second in zip(courses, courses[1:]):
        if second.total() > 0:
            follows(first, second, 1, 0, is_whole=False)
    ends = ("HANDED_OFF", "BECAME_CASE", "CLOSED")
    on_list = Counter()
    for event in city.told("contact"):
        key = event["region"], event["tier"]
        on_list[key] += event["persons"] * ((event["step"] == "LISTED") - (event["step"] in ends))
        assert on_list[key] >= 0, event
    courses = [
        persons(city, "test_site", by=("region",), step=step)
        for step in ("SAMPLED", "SEALED", "RECEIVED", "RESULTED")
    ]
    for first, second in zip(courses, courses[1:]):
        follows(first, second, 15, 0, is_whole=False)


def test_minutes_since_listed_are_those(city):
    """A line's listing lies so many minutes before it."""
    listed = defaultdict(set)
    for event in city.told("contact", step="LISTED"):
        listed[event["region"], event["tier"]].add(event["at_ms"])
        assert event["minutes_since_listed"] is None
    later = [e for e in city.told("contact") if e["step"] != "LISTED"]
    assert later
    for event in later:
        newest = event["at_ms"] - event["minutes_since_listed"] * MINUTE_MS
        times = listed[event["region"], event["tier"]]
        assert any(newest - MINUTE_MS < at <= newest for at in times), event


def test_headcounts_are_the_census(city):
    census, heads = Counter(), 0
    for event in city.told("quarantine"):
        key = event["source"], event["tier"]
        assert event["place"] == ("HOME" if event["tier"] == "COMPANION" else "CENTRAL")
        if event["step"] == "STATUS":
            assert event["reported_persons"] == census[key]
            heads += census[key]
            continue
        assert event["origin"] == event["region"]
        census[key] += event["persons"] * (1 if event["step"] == "ADMITTED" else -1)
        assert census[key] >= 0
    assert heads > 0 or city.to_ms - city.from_ms < DAY_MS


# ---- across kinds ----


def test_found_is_listed(city):
    for tier in TIERS:
        found = persons(city, "screening", by=("region",), count=f"{tier.lower()}_found")
        listed = persons(city, "contact", by=("region",), tier=tier, step="LISTED")
        follows(found, listed, 5, 30)


def test_controlled_is_admitted(city):
    controlled = persons(city, "contact", step="CONTROLLED")
    admitted = persons(city, "quarantine", step="ADMITTED")
    follows(controlled, admitted, 15, 85)
    central = persons(city, "quarantine", by=("region",), step="ADMITTED", place="CENTRAL")
    ambulances = persons(city, "checkpoint", by=("region",), vehicle="AMBULANCE")
    assert all(e["to_quarantine"] == e["persons"] for e in city.told("checkpoint"))
    follows(ambulances, central, 10, 60)
    sent = persons(city, "screening", by=("region",), count="sent_to_quarantine")
    follows(sent, central, 50, 0, is_whole=False)


def test_who_is_in_quarantine_is_tested(city):
    town = ("region",)
    swabbed = persons(city, "test_site", by=town, step="SAMPLED")
    follows(persons(city, "quarantine", by=town, step="ADMITTED"), swabbed, 30, 0, is_whole=False)
    follows(swabbed, persons(city, "contact", by=town, step="SAMPLED"), 1, 5)
    for result, step in (("NEGATIVE", "NEGATIVE"), ("PRESUMPTIVE_POSITIVE", "POSITIVE")):
        resulted = persons(city, "test_site", by=town, step="RESULTED", result=result)
        told = persons(city, "contact", by=town, step=step)
        if resulted.total() + told.total() > 0:
            follows(resulted, told, 1, 15)
    for event in city.told("test_site"):
        assert (event["scheme"], event["tubes"]) == ("QUARANTINE", event["persons"])


def test_who_leaves_quarantine_leaves_the_list(city):
    cases = persons(city, "quarantine", step="BECAME_CASE")
    told = persons(city, "contact", step="BECAME_CASE")
    if cases.total() + told.total() > 0:
        follows(cases, told, 1, 10)
        positive = persons(city, "contact", step="POSITIVE")
        follows(positive, cases, 60, 180, is_whole=False)
    released = persons(city, "quarantine", step="RELEASED")
    closed = persons(city, "contact", step="CLOSED")
    if released.total() + closed.total() > 0:
        follows(released, closed, 1, 30)


def test_supplies_follow_home_observation(city):
    town = ("region",)
    for count in ("persons", "households"):
        home = persons(city, "quarantine", by=town, count=count, step="ADMITTED", place="HOME")
        first = persons(city, "service", by=town, count=count, service="SUPPLY", first_visit=True)
        visits = persons(city, "service", by=town, count=count, service="DOOR_VISIT")
        follows(home, first, 60, 0, is_whole=False)
        follows(home, visits, 10, 0, is_whole=False)
    inside = Counter()
    moves = [(e["at_ms"], 0, e) for e in city.told("quarantine", place="HOME")]
    moves += [(e["at_ms"], 1, e) for e in city.told("service", service="SUPPLY")]
    for _, is_service, event in sorted(moves, key=lambda move: move[:2]):
        if is_service:
            assert event["households"] <= inside[event["region"]], event
        elif event["step"] in ("ADMITTED", "RELEASED"):
            sign = 1 if event["step"] == "ADMITTED" else -1
            inside[event["region"]] += sign * event["households"]


def test_a_sign_off_ends_a_sign_on(city):
    posted, signed, on_duty = Counter(), Counter(), {}
    for event in city.told("duty"):
        crew = event["source"], event["role"], event["unit"]
        day = crew, (event["at_ms"] + ZONE_MS) // DAY_MS
        if event["step"] == "POSTED":
            posted[day] += event["persons"]
        elif event["step"] == "SIGN_ON":
            assert crew not in on_duty and event["person_minutes"] == 0
            on_duty[crew] = event
            signed[day] += event["persons"]
        else:
            begin = on_duty.pop(crew)
            minutes = (event["at_ms"] - begin["at_ms"]) // MINUTE_MS
            assert event["persons"] == begin["persons"]
            assert event["person_minutes"] == event["persons"] * minutes > 0
    cadres = {day: n for day, n in signed.items() if day[0][1] == "CADRE"}
    assert posted and all(n <= posted[day] for day, n in cadres.items())
    if city.from_ms == instant_ms(DAY[0]):
        assert cadres == posted
    units = {unit for (_, _, unit), _ in posted}
    assert "441500" in units and len(units) == 7


# ---- through the whole path ----


class Played:
    """All seven kinds through Kafka into PostgreSQL, and the recount of what their lines say."""

    def __init__(self, system):
        self.system = system
        self.city = City(system.run, 2022, *DAY)
        path = system.dir / "sources.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow("source kind name region valid_from valid_to".split())
            for kind in KINDS:
                one = system.dir / f"{kind}.csv"
                system.run(*words_of(kind, 2022, *DAY), "--write-sources", one)
                file.write(one.read_text().split("\n", 1)[1])
        system.setup("--sources", path)
        self.tallies = {}
        for kind in KINDS:
            outbox = system.dir / f"{kind}.db"
            system.run(*words_of(kind, 2022, *DAY), "--outbox", outbox, seconds=120)
            schema = system.kind(kind)
            self.tallies[kind] = recount.Recount(SCHEMAS, kind)
            for value, *_ in accepted(outbox):
                self.tallies[kind].add(schema.decode(value))
        system.count("--workers", 2)

    def total(self, level, kind, column, where="true"):
        """{region: sum} of a table."""
        rows = self.system.rows(
            f"SELECT region, sum({column})::bigint AS n FROM {{s}}.{kind}_{level}"
            f" WHERE {where} GROUP BY region HAVING sum({column}) > 0"
        )
        return {row["region"]: row["n"] for row in rows}


@pytest.fixture(scope="module")
def played():
    system = System("story", is_simulated=True)
    try:
        yield Played(system)
    finally:
        system.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_equals_the_recount(played, kind, note):
    tally = played.tallies[kind]
    assert tally.events == len(played.city.events[kind])
    cells = recount.assert_equal(tally, played.system)
    note(f"{kind}: {cells} cells equal the recount of {tally.events} simulated events")


@pytest.mark.parametrize("level", ["town", "county", "city"])
def test_kinds_agree_at_every_level(played, level):
    total = played.total
    for tier in TIERS:
        found = total(level, "screening", f"{tier.lower()}_found_persons")
        assert found and found == total(level, "contact", "listed_persons", f"tier = '{tier}'")
    for column in ("posted_persons", "sign_on_persons", "duty_person_minutes"):
        served, sent = total(level, "duty", column), total(level, "duty_unit", column)
        assert served and (sent or level == "town")
        assert level != "city" or served == sent


def test_places_of_the_story_hold_whom_the_lists_control(played):
    """The same by source: the story's places beside the lists, in PostgreSQL."""
    rows = played.system.rows(
        "SELECT tier, sum(admitted_persons)::bigint AS admitted, sum(released_persons)::bigint AS"
        " released FROM {s}.quarantine_source WHERE source LIKE '%%-000' GROUP BY tier"
    )
    lists = played.system.rows(
        "SELECT tier, sum(controlled_persons)::bigint AS admitted, sum(closed_persons)::bigint AS"
        " released FROM {s}.contact_city WHERE region = '441500' GROUP BY tier"
    )
    assert len(lists) == 3
    assert sorted(rows, key=json.dumps) == sorted(lists, key=json.dumps)


def test_stocks_are_who_is_there(played):
    ends = ("HANDED_OFF", "BECAME_CASE", "CLOSED")
    signs = {"LISTED": 1, **dict.fromkeys(ends, -1)}
    active = sum(signs.get(e["step"], 0) * e["persons"] for e in played.city.events["contact"])
    signs = {"SIGN_ON": 1, "SIGN_OFF": -1}
    for hour in (12, 24):
        at = played.city.from_ms + hour * 60 * MINUTE_MS
        on_duty = sum(
            signs.get(e["step"], 0) * e["persons"]
            for e in played.city.events["duty"]
            if e["at_ms"] < at
        )
        query = "FROM {s}.%s_stock_at(to_timestamp(%d)) WHERE region = '441500'"
        for name in ("duty", "duty_unit"):
            found = played.system.value("SELECT on_duty_persons " + query % (name, at // 1000))
            assert found == on_duty
        assert (on_duty > 0) == (hour == 12)
    end = query % ("contact", played.city.to_ms // 1000)
    assert played.system.value("SELECT active_persons " + end) == active > 0


def test_nothing_is_missing_and_nothing_contradicts(played):
    """Simulated days lie in the past, so silence is all there is to say."""
    report = json.loads(played.system.run("fx-audit", "--json", code=None).out)
    assert {row["kind"] for row in report["kinds"]} == set(KINDS)
    told = {name for name, findings in report["findings"].items() if findings}
    assert told <= {"silent", "closed", "stale"}, report["findings"]
