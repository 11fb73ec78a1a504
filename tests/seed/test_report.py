# SPDX-License-Identifier: Apache-2.0
"""The daily report of the reference day: as it was kept at midnight, byte for byte what is checked
in (report/); after what the morning brought in, still so; and a second version that lists exactly
what differs. Its figures are those of the analysts' views."""

import csv
import io

import load
import pytest

CITY = "441500"
FILES = ["both.md", "zh.html", "en.md"]


def report(city, version, lang, form):
    words = ["--as-of", load.END, "--report-version", version, "--lang", lang, "--format", form]
    return city.run("fx-report", *words).out


def table(city, version):
    return list(csv.DictReader(io.StringIO(report(city, version, "both", "csv"))))


def key(row):
    return tuple(row[c] for c in ("section", "part", "place", "item", "measure"))


def values(rows):
    return {key(row): row["value"] for row in rows if row["row"] == "figure"}


@pytest.fixture(scope="module")
def second(city):
    """What was counted since, as the next version."""
    city.run("fx-report", "--as-of", load.END, "--freeze")
    return table(city, 2)


def test_the_report_is_the_one_that_is_checked_in(city, second, exactly):
    """Made anew: FX_WRITE=1 tests/run seed, and look at what changed."""
    same = 0
    for name in FILES:
        found = report(city, 1, *name.split("."))
        path = load.SEED / "report" / f"report-{CITY}-20220211T00-v1.{name}"
        if load.IS_WRITING:
            path.write_text(found, encoding="utf-8")
        same += path.read_text(encoding="utf-8") == found
    exactly("reports_as_checked_in", same, len(FILES))


def test_the_report_holds_the_figures_of_the_day(city, exactly):
    found = values(table(city, 1))
    units = {"441502": 99, "441581": 206, "441521": 179, "441523": 132, "441500-honghaiwan": 88,
             "441500-huaqiao": 9}
    for code, persons in units.items():
        exactly(f"report_posted_{code}", int(found["duty", "unit", code, "", "posted_persons"]),
                persons)
    wanted = {
        ("duty", "own", CITY, "", "posted_persons"): 118,
        ("duty", "total", CITY, "", "posted_persons"): 831,
        ("screening", "total", CITY, "", "screened_person_times"): 2727,
        ("screening", "unit", "441521", "", "close_found_persons"): 5,
        ("screening", "unit", "441521", "", "secondary_found_persons"): 50,
        ("screening", "unit", "441521", "", "sent_to_quarantine_persons"): 55,
        ("contacts", "total", CITY, "CLOSE", "controlled_persons"): 5,
        ("contacts", "total", CITY, "SECONDARY", "controlled_persons"): 50,
        ("quarantine", "total", CITY, "", "admitted_persons"): 55,
        ("services", "unit", "441521", "FRAIL_SUPPORT", "new_households"): 85,
        ("home", "unit", "441523", "", "observed_persons"): 31,
        ("home", "unit", "441523", "", "delivery_visits"): 22,
    }
    for name, value in wanted.items():
        exactly("report_" + "_".join(filter(None, name[1:])), int(found[name]), value)


# Figures that the lines of day/late change: each of a county and of the city, or it says otherwise.
CORRECTED = {
    # 2 released: these and the census, of all and of their tier; census less headcount of all
    "quarantine": 2 * (2 * 2 + 1),
    # 2 tubes with a result: resulted, pending; p90 and the share within 6 h, of the city alone
    "tests": 2 * 2 + 2,
    # 3 vehicles of a silent post: vehicles, persons, passed, silence; of a bus with 30 typed for 3
    # persons and passed in its county, which the city's have changed by already
    "checkpoints": 2 * 4 + 2,
    # announced, counted and silence of three kinds, and the one silent post; the bus's county has
    # announced and counted, and was not silent
    "completeness": 2 * (3 * 3 + 1) + 2,
}


def test_the_next_version_lists_exactly_what_differs(city, second, exactly):
    first = table(city, 1)
    old, new = values(first), values(second)
    differ = {k: (old.get(k, ""), new.get(k, "")) for k in old.keys() | new.keys()}
    differ = {k: pair for k, pair in differ.items() if pair[0] != pair[1]}
    listed = {key(r): (r["old_value"], r["value"]) for r in second if r["row"] == "correction"}
    assert listed == differ
    assert not [row for row in first if row["row"] == "correction"]
    for section, wanted in CORRECTED.items():
        found = [k for k in listed if k[0] == section]
        exactly(f"report_{section}_corrected", len(found), wanted)
    exactly("report_figures_corrected", len(listed), sum(CORRECTED.values()))
    assert listed["quarantine", "unit", "441502", "", "released_persons"] == ("6", "8")
    assert listed["tests", "total", CITY, "", "pending_tubes"] == ("21", "19")


# The report's own queries beside the analysts' views: (section, measure, item) and what to ask.
BESIDE = [
    ("checkpoints", "checked_vehicles", "SELECT region, checked_vehicles FROM {s}.checkpoint_levels"
     " WHERE day = '2022-02-10'"),
    ("checkpoints", "turned_back_person_times", "SELECT region, turned_back_person_times"
     " FROM {s}.checkpoint_levels WHERE day = '2022-02-10'"),
    ("tests", "pending_tubes", "SELECT region, pending_tubes"
     " FROM {s}.test_site_stock_at('2022-02-11 00:00+08')"),
    ("tests", "turnaround_p90_min", "SELECT region, round(turnaround_p90_min::numeric)"
     " FROM {s}.test_site_levels WHERE day = '2022-02-10'"),
    ("tests", "within_6h_percent", "SELECT region, round(within_6h_percent, 1)"
     " FROM {s}.test_site_levels WHERE day = '2022-02-10'"),
    ("quarantine", "census_persons", "SELECT region, census_persons"
     " FROM {s}.quarantine_census_at('2022-02-11 00:00+08') WHERE place = 'CENTRAL'"
     " AND tier = 'ALL' AND level <> 'source'"),
    ("quarantine", "headcount_persons", "SELECT region, headcount_persons"
     " FROM {s}.quarantine_census_at('2022-02-11 00:00+08') WHERE place = 'CENTRAL'"
     " AND tier = 'ALL' AND level <> 'source'"),
    ("quarantine", "headcount_difference_persons", "SELECT region, difference_persons"
     " FROM {s}.quarantine_census_at('2022-02-11 00:00+08') WHERE place = 'CENTRAL'"
     " AND tier = 'ALL' AND level <> 'source'"),
    ("quarantine_places", "free_rooms", "SELECT region, free_rooms"
     " FROM {s}.quarantine_rooms_at('2022-02-11 00:00+08') WHERE place = 'CENTRAL'"
     " AND level <> 'source'"),
    ("contacts", "negative_persons", "SELECT region, negative_persons"
     " FROM {s}.contact_funnel_at('2022-02-11 00:00+08') WHERE tier = 'ALL'"),
    ("duty", "on_duty_persons", "SELECT region, on_duty_persons"
     " FROM {s}.duty_unit_stock_at('2022-02-11 00:00+08')"),
]

# The view has a row where anybody ever was in such a place, the report 0 where the kind was heard:
# in Luhe all quarantine is at home.
WITHOUT_ROW = {("quarantine", "census_persons", "441523"): 0}


def test_the_report_agrees_with_the_views(city, second, exactly):
    found, compared = values(second), 0
    for section, measure, query in BESIDE:
        asked = {next(iter(row.values())): list(row.values())[1] for row in city.rows(query)}
        for (in_section, part, place, item, name), value in found.items():
            if (in_section, item, name) != (section, "", measure) or part == "own":
                continue
            view = asked.get(place)
            told = None if value == "" else float(value)
            counted = None if view is None else float(view)
            if place not in asked and (section, measure, place) in WITHOUT_ROW:
                counted = WITHOUT_ROW[section, measure, place]
            assert told == counted, (section, measure, place, value, view)
            compared += 1
    exactly("report_figures_beside_views", compared, len(BESIDE) * 7)
