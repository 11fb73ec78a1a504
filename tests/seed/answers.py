#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Answers the worked questions from the device lines themselves, in plain Python: nothing here
reads a database or the SQL of a question. Writes questions/*.csv, which is what test_questions.py
expects; test_answers.py sees that they are these."""

import csv
import io
import pathlib
import sys
from collections import Counter, defaultdict
from datetime import timedelta
from fractions import Fraction

import lines
from lines import CITY, DONGKENG, HAICHENG, JIAXI, START, UNITS

NODES = [CITY, *UNITS]
ANSWERS = {}


def answer(name, header):
    """The function gives the rows of the answer; None is NULL."""

    def add(function):
        ANSWERS[name] = (header.split(), function)
        return function

    return add


def shown(value):
    if isinstance(value, bool):
        return "t" if value else "f"
    return "" if value is None else value


def text(name, day):
    header, function = ANSWERS[name]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([shown(value) for value in row] for row in function(day))
    return out.getvalue()


def rounded(value, digits=0):
    """Half away from zero, as PostgreSQL's numeric does."""
    scaled = Fraction(value) * 10**digits
    whole = int(scaled + Fraction(1, 2)) if scaled >= 0 else -int(-scaled + Fraction(1, 2))
    return str(whole) if digits == 0 else f"{whole / 10**digits:.{digits}f}"


def percent(part, whole):
    return rounded(Fraction(100 * part, whole), 1) if whole else None


def is_vehicle(event):
    return event["vehicle"] != "ON_FOOT"


# ---- completeness: nothing is missing of this day, and every source told of every hour -----------


@answer(
    "03-reporting-rate",
    "kind sources_expected sources_heard heard_percent silent_minutes complete",
)
def reporting_rate(day):
    for kind in day.kinds:
        sources = day.sources(kind)
        silent = sum(day.silent_minutes(kind, s["source"]) for s in sources)
        yield kind, len(sources), len(sources), "100.0", silent, True


@answer(
    "04-missing-numbers",
    "kind announced counted missing rejected written_off before_base pending unexplained ranges",
)
def missing_numbers(day):
    for kind in day.kinds:  # the number of a reversal is of the day on which it was made
        told = sum(event["time"] >= START and event["sign"] > 0 for event in day.events[kind])
        yield kind, told, told, 0, 0, 0, 0, 0, 0, 0


@answer("05-silent-posts", "source name region silent_minutes heard complete checked_vehicles")
def silent_posts(day):
    posts = []
    for s in day.sources("checkpoint"):
        events = [e for e in day.events["checkpoint"] if e["source"] == s["source"]]
        checked = sum(e["sign"] for e in events if is_vehicle(e))
        silent = day.silent_minutes("checkpoint", s["source"])
        posts.append((s["source"], s["name"], s["region"], silent, 1, True, checked))
    return sorted(posts, key=lambda row: (-row[3], row[0]))[:5]


# ---- checkpoints -----------------------------------------------------------------------------


@answer(
    "01-checked",
    "level region name checked_vehicles checked_person_times turned_back_person_times"
    " turned_back_percent sources_expected sources_heard missing_events complete",
)
def checked(day):
    for code in NODES:
        events = day.at("checkpoint", code)
        vehicles = sum(e["sign"] for e in events if is_vehicle(e))
        persons, back = day.total(events, "persons"), day.total(events, "turned_back")
        posts = len(day.sources("checkpoint", code))
        share = percent(back, persons)
        yield *day.place(code), vehicles, persons, back, share, posts, posts, 0, True


@answer(
    "17-outcomes-by-post-type",
    "post_type checked green yellow red none unchecked passed after_sample turned_back fever"
    " to_quarantine unaccounted complete",
)
def outcomes(day):
    fields = ["passed", "passed_after_sample", "turned_back", "held_fever", "to_quarantine"]
    for post_type in sorted({e["post_type"] for e in day.events["checkpoint"]}):
        events = day.at("checkpoint", CITY, post_type=post_type)
        persons = day.total(events, "persons")
        codes = [day.total(events, f"code_{c}") for c in ("green", "yellow", "red", "none")]
        decided = [day.total(events, field) for field in fields]
        unchecked, unaccounted = persons - sum(codes), persons - sum(decided)
        yield post_type, persons, *codes, unchecked, *decided, unaccounted, True


@answer(
    "19-longest-queues",
    "hour source name queue_vehicles_max wait_measured_groups wait_mean_s checked_vehicles"
    " complete",
)
def longest_queues(day):
    hours = defaultdict(list)
    for event in day.at("checkpoint", CITY):
        hours[event["time"].replace(minute=0, second=0), event["source"]].append(event)
    rows = []
    for (hour, source), events in hours.items():
        queues = [e["queue_vehicles"] for e in events if "queue_vehicles" in e]
        if queues:
            waits = [e for e in events if "wait_s" in e]
            groups = sum(e["sign"] for e in waits)
            mean = rounded(Fraction(day.total(waits, "wait_s"), groups)) if groups else None
            name = day.source("checkpoint", source)["name"]
            vehicles = sum(e["sign"] for e in events if is_vehicle(e))
            when = lines.stamp(hour)
            rows.append((when, source, name, max(queues), groups, mean, vehicles, True))
    return sorted(rows, key=lambda row: (-row[3], -int(row[5]), row[0], row[1]))[:5]


@answer("18-corrections", "rollup region name column_name added unit")
def corrections(day):
    added = Counter()
    for e in day.events["checkpoint"]:
        if e["is_late"]:
            added["checkpoint", e["region"], "checked_groups", "groups"] += e["sign"]
            for field, column in (("persons", "checked"), ("passed", "passed")):
                key = "checkpoint", e["region"], f"{column}_person_times", "person_times"
                added[key] += e["sign"] * e.get(field, 0)
    for e in day.events["quarantine"]:
        if e["is_late"]:
            added["quarantine", e["region"], "released_persons", "persons"] += e["persons"]
    for e in day.events["test_site"]:
        if e["is_late"]:
            key = "test_site", e["region"]
            added[*key, "resulted_tubes", "tubes"] += e["tubes"]
            added[*key, "resulted_person_times", "person_times"] += e["persons"]
    for (rollup, region, column, unit), n in sorted(added.items()):
        if n:
            yield rollup, region, day.regions[region]["name"], column, n, unit


# ---- tests -----------------------------------------------------------------------------------


@answer(
    "02-tests-as-of-noon",
    "level region name sampled_person_times sampled_green_lane_person_times sealed_tubes"
    " resulted_tubes resulted_person_times sources_expected sources_heard complete",
)
def tests_as_of_noon(day):
    noon = START + timedelta(hours=12)
    for code in NODES:
        sites = len(day.sources("test_site", code))
        events = day.at("test_site", code, until=noon)
        sampled = day.only(events, step="SAMPLED")
        resulted = day.only(events, step="RESULTED")
        if sites:
            yield (
                *day.place(code),
                day.total(sampled, "persons"),
                day.total(day.only(sampled, lane="GREEN"), "persons"),
                day.total(day.only(events, step="SEALED"), "tubes"),
                day.total(resulted, "tubes"),
                day.total(resulted, "persons"),
                sites,
                sites,
                True,
            )


EDGES = [60, 120, 240, 360, 480, 720, 1440, 2880]


def quantile(p, minutes):
    """Straight lines between the edges of the histogram, as the city's figures are."""
    edge_before, count_before, wanted = 0, 0, p * len(minutes)
    for edge in EDGES:
        count = sum(one <= edge for one in minutes)
        if count >= wanted and count > count_before:
            share = max(wanted - count_before, 0) / (count - count_before)
            return rounded(edge_before + (edge - edge_before) * share)
        edge_before, count_before = edge, count
    return str(EDGES[-1])


@answer("06-turnaround", "level region name timed_tubes p50_min p90_min within_6h_percent complete")
def turnaround(day):
    for code in sorted(day.regions, key=lambda c: day.place(c)):
        minutes = []
        for event in day.at("test_site", code, step="RESULTED"):
            if "sampled_at" in event:
                took = event["time"] - lines.instant(event["sampled_at"])
                minutes += [took // timedelta(minutes=1)] * event["tubes"]
        if minutes:
            within = percent(sum(one <= 360 for one in minutes), len(minutes))
            p50, p90 = quantile(Fraction(1, 2), minutes), quantile(Fraction(9, 10), minutes)
            is_complete = True if day.sources("test_site", code) else None
            yield *day.place(code), len(minutes), p50, p90, within, is_complete


@answer("07-pending-tubes", "level region name pending_tubes complete by_scheme")
def pending_tubes(day):
    weights = {"SEALED": 1, "REJECTED": -1, "RESULTED": -1}
    for code in NODES:
        pending = Counter()
        events = day.at("test_site", code, since=None)
        for event in events:
            pending[event["scheme"]] += weights.get(event["step"], 0) * event.get("tubes", 0)
        if events:
            told = ", ".join(f"{scheme} {n}" for scheme, n in sorted(pending.items()) if n)
            is_complete = True if day.sources("test_site", code) else None
            yield *day.place(code), sum(pending.values()), is_complete, told or None


# ---- quarantine, contacts --------------------------------------------------------------------

IN = {"ADMITTED": 1, "TRANSFERRED_IN": 1}
OUT = dict.fromkeys(["TRANSFERRED_OUT", "RELEASED", "HOSPITAL", "BECAME_CASE", "ABSCONDED"], -1)


def census(events):
    return sum({**IN, **OUT}.get(e["step"], 0) * e.get("persons", 0) * e["sign"] for e in events)


def headcount(events):
    """Persons by the last report of each place and tier, and the hour of the oldest of them."""
    last = {}
    for e in sorted(events, key=lambda e: e["time"]):
        if "reported_persons" in e:
            last[e["source"], e["place"], e["tier"]] = e
    if not last:
        return None, None
    oldest = min(e["time"] for e in last.values()).replace(minute=0, second=0)
    return sum(e["reported_persons"] for e in last.values()), lines.stamp(oldest)


@answer(
    "08-census-and-headcount",
    "level region source name census_persons headcount_persons difference_persons"
    " headcount_oldest complete",
)
def census_and_headcount(day):
    def row(events):
        there, (told, oldest) = census(events), headcount(events)
        return there, told, there - told, oldest, True

    everything = day.at("quarantine", CITY, since=None)
    yield "city", CITY, None, day.regions[CITY]["name"], *row(everything)
    for s in sorted(day.sources("quarantine"), key=lambda s: s["source"]):
        events = day.only(everything, source=s["source"])
        yield "source", s["region"], s["source"], s["name"], *row(events)


@answer(
    "09-census-by-tier",
    "place tier census_persons headcount_persons difference_persons missing_events complete",
)
def census_by_tier(day):
    everything = day.at("quarantine", CITY, since=None)
    keys = {(p, t) for e in everything for p in (e["place"], "ALL") for t in (e["tier"], "ALL")}
    for place, tier in sorted(keys):
        events = everything if place == "ALL" else day.only(everything, place=place)
        events = events if tier == "ALL" else day.only(events, tier=tier)
        there, (told, _) = census(events), headcount(events)
        yield place, tier, there, told, None if told is None else there - told, 0, True


@answer(
    "10-rooms",
    "level region source total_rooms used_rooms free_rooms used_percent reported_places used_places"
    " complete",
)
def rooms(day):
    last = {}
    for e in sorted(day.at("quarantine", CITY, since=None), key=lambda e: e["time"]):
        if "rooms_total" in e:
            last[e["source"]] = e

    def row(reports):
        total = sum(e["rooms_total"] for e in reports)
        used = sum(e["rooms_in_use"] for e in reports)
        busy = sum(e["rooms_in_use"] > 0 for e in reports)
        return total, used, total - used, percent(used, total), len(reports), busy, True

    for code in NODES:
        reports = [e for e in last.values() if code in day.above(e["region"])]
        if reports:
            yield day.regions[code]["level"], code, None, *row(reports)
    for source, e in sorted(last.items(), key=lambda one: (one[1]["region"], one[0])):
        yield "source", e["region"], source, *row([e])


STEPS = "LISTED LOCATED HANDED_OFF CONTROLLED SAMPLED NEGATIVE POSITIVE BECAME_CASE CLOSED".split()


@answer(
    "11-contact-funnel",
    "level name tier listed_persons located_persons handed_off_persons controlled_persons"
    " sampled_persons negative_persons positive_persons became_case_persons closed_persons"
    " active_persons uncontrolled_persons pending_persons controlled_within_24h_percent complete",
)
def contact_funnel(day):
    for code in sorted(day.regions, key=lambda c: day.place(c)):
        for tier in ("ALL", "CLOSE", "COMPANION", "SECONDARY"):
            events = day.at("contact", code, since=None)
            events = events if tier == "ALL" else day.only(events, tier=tier)
            n = {step: day.total(day.only(events, step=step), "persons") for step in STEPS}
            if n["LISTED"]:
                controlled = day.only(events, step="CONTROLLED")
                soon = [e for e in controlled if e["minutes_since_listed"] <= 1440]
                yield (
                    *day.place(code)[::2],
                    tier,
                    *n.values(),
                    n["LISTED"] - n["CLOSED"] - n["BECAME_CASE"] - n["HANDED_OFF"],
                    n["LISTED"] - n["HANDED_OFF"] - n["CONTROLLED"],
                    n["SAMPLED"] - n["NEGATIVE"] - n["POSITIVE"],
                    percent(day.total(soon, "persons"), n["CONTROLLED"]),
                    True,
                )


@answer(
    "13-haicheng",
    "level region name screened_person_times close_found_persons secondary_found_persons"
    " sent_to_quarantine_persons listed_persons controlled_persons admitted_by_origin_persons"
    " admitted_by_place_persons complete",
)
def haicheng(day):
    admitted = {"step": "ADMITTED", "place": "CENTRAL", "tier": "SECONDARY"}
    for code in day.above(HAICHENG):
        found = day.at("screening", code)
        yield (
            *day.place(code),
            *(
                day.total(found, field)
                for field in ("screened", "close_found", "secondary_found", "sent_to_quarantine")
            ),
            day.total(day.at("contact", code, step="LISTED"), "persons"),
            day.total(day.at("contact", code, step="CONTROLLED"), "persons"),
            day.total(day.at("quarantine", code, role="origin", **admitted), "persons"),
            day.total(day.at("quarantine", code, **admitted), "persons"),
            True,
        )


# ---- duty, services --------------------------------------------------------------------------


@answer("12-duty-by-unit", "region unit posted_persons duty_person_minutes complete")
def duty_by_unit(day):
    total = Counter()
    for code in NODES:
        events = day.at("duty", code, role="unit")
        if code == CITY:  # its own organs, not those of the units
            events = day.only(events, unit=CITY)
        posted = day.total(day.only(events, step="POSTED"), "persons")
        minutes = day.total(day.only(events, step="SIGN_OFF"), "person_minutes")
        total += Counter(posted=posted, minutes=minutes)
        name = "市直机关" if code == CITY else day.regions[code]["name"]
        yield code, name, posted, minutes, True
    yield "ALL", "合计", total["posted"], total["minutes"], True


SIGNED = {"SIGN_ON": 1, "SIGN_OFF": -1}


@answer(
    "15-jiaxi-around-the-clock",
    "source name heard silent_minutes missing_events complete hours least_persons",
)
def jiaxi(day):
    for kind in ("checkpoint", "duty"):
        (s,) = day.sources(kind, JIAXI)
        manned = []
        for hour in range(24 if kind == "duty" else 0):
            until = START + timedelta(hours=hour + 1)
            events = day.only(day.at("duty", JIAXI, until=until), source=s["source"])
            manned.append(sum(SIGNED.get(e["step"], 0) * e["persons"] for e in events))
        silent = day.silent_minutes(kind, s["source"])
        manned_hours = (len(manned), min(manned)) if manned else (None, None)
        yield s["source"], s["name"], 1, silent, 0, True, *manned_hours


@answer(
    "16-statistical-counties",
    "region name units posted_persons on_duty_change_persons sources_expected complete",
)
def statistical_counties(day):
    counties = defaultdict(list)
    for event in day.at("duty", CITY):
        counties[day.regions[event["unit"]]["statistical_parent"] or event["unit"]].append(event)
    units = defaultdict(set)
    for unit in UNITS:
        units[day.regions[unit]["statistical_parent"]].add(unit)
    for code, events in sorted(counties.items()):
        names = "、".join(day.regions[unit]["name"] for unit in sorted(units[code]))
        posted = day.total(day.only(events, step="POSTED"), "persons")
        change = sum(SIGNED.get(e["step"], 0) * e["persons"] for e in events)
        sources = len(day.sources("duty"))
        yield code, day.regions[code]["name"], names or None, posted, change, sources, True


@answer(
    "14-lianan",
    "level region name service visits new_households served_person_times"
    " sampled_green_lane_person_times complete",
)
def lianan(day):
    for code in day.above("441521106"):
        events = day.at("service", code, service="FRAIL_SUPPORT")
        first = day.total(day.only(events, first_visit=True), "households")
        green = day.at("test_site", code, step="SAMPLED", lane="GREEN")
        visits, persons = day.total(events, "visits"), day.total(events, "persons")
        lane = day.total(green, "persons")
        yield *day.place(code), "FRAIL_SUPPORT", visits, first, persons, lane, True


@answer(
    "20-dongkeng-at-home",
    "census_persons headcount_persons difference_persons households admitted_persons"
    " released_persons supply_visits supplied_household_times complete",
)
def dongkeng(day):
    weights = {"ADMITTED": 1}
    weights |= dict.fromkeys(["RELEASED", "HOSPITAL", "BECAME_CASE", "ABSCONDED"], -1)
    events = day.at("quarantine", DONGKENG, since=None, place="HOME")
    households = sum(weights.get(e["step"], 0) * e.get("households", 0) for e in events)
    today = [event for event in events if event["time"] >= START]
    admitted = day.total(day.only(today, step="ADMITTED"), "persons")
    released = day.total(day.only(today, step="RELEASED"), "persons")
    supply = day.at("service", DONGKENG, service="SUPPLY")
    visits, times = day.total(supply, "visits"), day.total(supply, "households")
    there, told = census(events), headcount(events)[0]
    yield there, told, there - told, households, admitted, released, visits, times, True


def main():
    day = lines.Day()
    home = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else lines.SEED / "questions")
    for name in sorted(ANSWERS):
        (home / f"{name}.csv").write_text(text(name, day), encoding="utf-8")


if __name__ == "__main__":
    main()
