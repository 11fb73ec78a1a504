#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the reference day into the folder it is given, tests/seed/day if none: device lines of
10 February 2022, the same bytes each time. README.md there says what the day holds; here stand the
rules by which its lines are made. Nothing is random, nothing is read but sources.csv."""

import csv
import datetime
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent / "day"
ZONE = datetime.timezone(datetime.timedelta(hours=8))
MIDNIGHT = datetime.datetime(2022, 2, 10, tzinfo=ZONE)
HAICHENG, FUCHENG, LIANAN, DONGKENG = "441521115", "441521119", "441521106", "441523106"
XINGANG, JIAXI = "441502001", "441581118"
ROUND = "2022-02-10-1"


def clock(hour, minute=0, day=0):
    """Minutes since the reference day's midnight; times are written so."""
    return (day * 24 + hour) * 60 + minute


def stamp(minutes):
    return (MIDNIGHT + datetime.timedelta(minutes=minutes)).isoformat()


class Day:
    """Lines by kind, told as they come to mind; sorted when written."""

    def __init__(self, sources):
        self.sources = sources  # {(kind, source): region}
        self.told = {kind: [] for kind, _ in sources}
        self.late = {kind: [] for kind, _ in sources}

    def tell(self, kind, source, minutes, is_late=False, **fields):
        """A line; its region is the source's unless it names another."""
        region = fields.pop("region", self.sources[kind, source])
        line = {"at": stamp(minutes), "source": source, "region": region, **fields}
        (self.late if is_late else self.told)[kind].append((minutes, line))

    def fill_silence(self, kind, zeros):
        """Zero reports 零报告: a source says at least once an hour that nothing happened."""
        spoken = {(line["source"], m // 60) for m, line in self.told[kind]}
        for (of, source), region in self.sources.items():
            for hour in range(24):
                if of == kind and (source, hour) not in spoken:
                    self.tell(kind, source, clock(hour, 55), **zeros(source, region))

    def write(self, folder):
        for lines, home in ((self.told, folder), (self.late, folder / "late")):
            home.mkdir(parents=True, exist_ok=True)
            for kind, told in lines.items():
                if told:
                    told.sort(key=lambda one: one[0])
                    rows = [json.dumps(line, separators=(",", ":")) for _, line in told]
                    (home / f"{kind}.ndjson").write_text("".join(row + "\n" for row in rows))


# ---- checkpoint 卡点 --------------------------------------------------------------------------

POST_TYPES = {
    "CP-441521115-001": "EXPRESSWAY",
    "CP-441521115-002": "STATION",
    "CP-441521101-001": "TRUNK_ROAD",
    "CP-441502001-001": "PORT",
    "CP-441502006-001": "VILLAGE",
    "CP-441581118-001": "TRUNK_ROAD",
    "CP-441581400-001": "COMMUNITY",
    "CP-441523107-001": "VILLAGE",
}
VEHICLES = "CAR CAR TRUCK MOTORCYCLE CAR ON_FOOT BUS CAR SUPPLY CAR".split()
PLATES = "IN_CITY IN_CITY IN_PROVINCE IN_CITY OUT_PROVINCE IN_CITY IN_PROVINCE".split()


def group(n, can_sample):
    """The n-th group of the day: what it came in, how many, what was found and decided."""
    vehicle = VEHICLES[n % len(VEHICLES)]
    persons = {"BUS": 12 + n % 9, "CAR": 1 + n % 4, "SUPPLY": 2}.get(vehicle, 1 + n % 2)
    plate = "NO_PLATE" if vehicle == "ON_FOOT" else PLATES[n % len(PLATES)]
    body = {"direction": "OUT" if n % 3 == 1 else "IN", "vehicle": vehicle, "plate_scope": plate}
    body |= {"persons": persons, "temperature_taken": persons}
    body["temperature_max_decicelsius"] = 361 + n % 9
    if plate == "OUT_PROVINCE":
        body |= {"itinerary_clear": persons - 1, "itinerary_star": 1}
    else:
        body["itinerary_clear"] = persons
    if n % 19 == 4:  # a yellow code: all of them go back
        return body | {"code_green": persons - 1, "code_yellow": 1, "turned_back": persons}
    if n % 13 == 6 and can_sample:  # no test within 48 hours: sampled on the spot
        return body | {"code_green": persons, "passed_after_sample": persons}
    if n % 11 == 5:  # no phone, hence no code: a name is written into the village's own list
        return body | {"code_green": persons - 1, "code_none": 1, "passed": persons}
    return body | {"code_green": persons, "passed": persons}


def waiting(n, hour):
    return {"queue_vehicles": n % 7, "wait_s": n * 37 % 780} if 7 <= hour < 21 else {}


def tell_checkpoints(day):
    """Jiaxi checks a vehicle every five minutes; the others two an hour, at night one. Nanwan, in
    the mountains, had no network from 21:00: its lines are brought in the next morning."""
    n = 0
    for source, post_type in POST_TYPES.items():
        is_jiaxi = source.startswith("CP-" + JIAXI)
        can_sample = source.startswith("CP-" + HAICHENG)
        for minutes in range(0, clock(24), 5):
            hour, minute = divmod(minutes, 60)
            is_due = minute == 15 or minute == 40 and 7 <= hour < 21
            if is_jiaxi or is_due:
                is_late = source == "CP-441523107-001" and hour >= 21
                body = group(n, can_sample) | waiting(n, hour)
                spread = minutes + n % 5
                day.tell("checkpoint", source, spread, is_late, post_type=post_type, **body)
                n += 1
    tell_incidents(day)


def tell_incidents(day):
    one = {"direction": "IN", "vehicle": "CAR", "plate_scope": "OUT_PROVINCE", "persons": 1}
    red = one | {"code_red": 1, "itinerary_risk": 1, "temperature_taken": 1, "to_quarantine": 1}
    fever = {"direction": "IN", "vehicle": "ON_FOOT", "plate_scope": "NO_PLATE", "persons": 2}
    fever |= {"code_green": 2, "itinerary_clear": 2, "temperature_taken": 2, "temperature_high": 1}
    fever |= {"temperature_max_decicelsius": 384, "passed": 1, "held_fever": 1}
    bus = {"direction": "IN", "vehicle": "BUS", "plate_scope": "IN_CITY"}
    thirty = {"persons": 30, "code_green": 30, "itinerary_clear": 30, "passed": 30}
    three = {"persons": 3, "code_green": 3, "itinerary_clear": 3, "passed": 3}
    # Both are still on their way to a place of quarantine at midnight.
    day.tell("checkpoint", "CP-441521115-001", clock(23, 41), post_type="EXPRESSWAY", **red)
    day.tell("checkpoint", "CP-441502001-001", clock(23, 52), post_type="PORT", **red)
    day.tell("checkpoint", "CP-441521115-002", clock(14, 25), post_type="STATION", **fever)
    # 30 typed for 3: reversed the next morning (late/reversals.ndjson), and told again.
    bus["post_type"] = "EXPRESSWAY"
    day.tell("checkpoint", "CP-441521115-001", clock(10, 20), id="bus-1020", **bus, **thirty)
    day.tell("checkpoint", "CP-441521115-001", clock(10, 20), True, id="bus-1020-3", **bus, **three)


# ---- contact 三张名单, quarantine 隔离 ----------------------------------------------------------

HOTEL_HAICHENG, HOTEL_FUCHENG = "QP-441521115-001", "QP-441521119-001"
HOTEL_XINGANG = "QP-441502001-001"
HOME_HAICHENG, HOME_DONGKENG = "HB-441521115-001", "HB-441523106-001"
CONTACTS = 55


class Contact:
    """One of the 55: 5 close contacts, then 50 secondary ones, each with times of its own."""

    def __init__(self, i):
        self.tier = "CLOSE" if i < 5 else "SECONDARY"
        self.name = f"{self.tier.lower()}-{i + 1 if i < 5 else i - 4}"
        self.hotel = HOTEL_HAICHENG if i < 25 else HOTEL_FUCHENG
        self.listed = clock(8, 10) + 7 * i
        self.located = self.listed + 10 + i * 7 % 25
        self.controlled = self.listed + 45 + i * 37 % 300
        self.admitted = self.controlled + 20 + 5 * (i % 4)
        self.sampled = (self.admitted // 60 + 1) * 60 + 30
        self.resulted = self.sampled + 310  # those after midnight are pending


def tell_contacts(day, contacts):
    for one in contacts:
        steps = [("LISTED", one.listed), ("LOCATED", one.located), ("CONTROLLED", one.controlled)]
        steps += [("SAMPLED", one.sampled), ("NEGATIVE", one.resulted)]
        for step, minutes in steps:
            if minutes < clock(24):
                since = {} if step == "LISTED" else {"minutes_since_listed": minutes - one.listed}
                fields = {"tier": one.tier, "step": step, "persons": 1, **since}
                name = f"{one.name}-{step.lower()}"
                day.tell("contact", "CT-441521115-001", minutes, id=name, **fields)
    # Companions who live elsewhere, listed the evening before: a letter an hour hands them over.
    for source, letters in (("CT-441521115-001", 8), ("CT-441502003-001", 24)):
        listed, one = clock(22, 0, -1), {"tier": "COMPANION", "persons": 1}
        day.tell("contact", source, listed, step="LISTED", **one | {"persons": letters})
        for hour in range(letters):
            since = {"minutes_since_listed": clock(hour, 25) - listed}
            day.tell("contact", source, clock(hour, 25), step="HANDED_OFF", **one, **since)


def tell_quarantine(day, contacts):
    """What is there before the day is told first: nobody leaves who was not admitted."""

    def tell(source, minutes, step, tier, persons, **fields):
        place = "CENTRAL" if source.startswith("QP-") else "HOME"
        fields = {"place": place, "tier": tier, "step": step, "persons": persons, **fields}
        day.tell("quarantine", source, minutes, fields.pop("is_late", False), **fields)

    tell(HOTEL_XINGANG, clock(15, 0, -14), "ADMITTED", "FROM_ABROAD", 8)
    tell(HOTEL_XINGANG, clock(16, 0, -6), "ADMITTED", "FROM_ABROAD", 10)
    tell(HOTEL_HAICHENG, clock(11, 0, -5), "ADMITTED", "COMPANION", 8, origin="441521120")
    tell(HOTEL_FUCHENG, clock(17, 0, -3), "ADMITTED", "RISK_AREA", 10, origin="440300")
    tell(HOME_HAICHENG, clock(9, 0, -9), "ADMITTED", "RISK_AREA", 12, households=5, origin=HAICHENG)
    home = {"origin": DONGKENG}
    tell(HOME_DONGKENG, clock(9, 0, -14), "ADMITTED", "RISK_AREA", 8, households=3, **home)
    tell(HOME_DONGKENG, clock(14, 0, -6), "ADMITTED", "RISK_AREA", 22, households=9, **home)
    for one in contacts:
        name = f"{one.name}-admitted"
        tell(one.hotel, one.admitted, "ADMITTED", one.tier, 1, origin=HAICHENG, id=name)
    moved = {"origin": HAICHENG}
    tell(HOTEL_HAICHENG, clock(21, 10), "TRANSFERRED_OUT", "SECONDARY", 2, **moved)
    tell(HOTEL_FUCHENG, clock(21, 40), "TRANSFERRED_IN", "SECONDARY", 2, **moved)
    tell(HOTEL_XINGANG, clock(15, 30), "RELEASED", "FROM_ABROAD", 6)
    tell(HOTEL_XINGANG, clock(23, 30), "RELEASED", "FROM_ABROAD", 2, is_late=True)
    tell(HOME_HAICHENG, clock(13, 20), "HOSPITAL", "RISK_AREA", 1, origin=HAICHENG)
    tell(HOME_DONGKENG, clock(9, 10), "RELEASED", "RISK_AREA", 8, households=3, **home)
    tell(HOME_DONGKENG, clock(11, 30), "ADMITTED", "RISK_AREA", 9, households=4, **home)
    tell_headcounts(day)
    day.fill_silence("quarantine", quiet_place)


def tell_headcounts(day):
    """Roll call in the morning and at 22:00. Fucheng counts one person fewer than it took in."""
    haicheng = {"COMPANION": (8, 8), "CLOSE": (0, 5), "SECONDARY": (0, 18)}
    counts = {
        HOTEL_HAICHENG: ("CENTRAL", 60, haicheng),
        HOTEL_FUCHENG: ("CENTRAL", 80, {"RISK_AREA": (10, 10), "SECONDARY": (0, 31)}),
        HOTEL_XINGANG: ("CENTRAL", 40, {"FROM_ABROAD": (18, 12)}),
        HOME_HAICHENG: ("HOME", None, {"RISK_AREA": (12, 11)}),
        HOME_DONGKENG: ("HOME", None, {"RISK_AREA": (30, 31)}),
    }
    for source, (place, rooms, tiers) in counts.items():
        for when, hour in enumerate((7, 22)):
            for i, (tier, persons) in enumerate(tiers.items()):
                fields = {"place": place, "tier": tier, "step": "STATUS"}
                fields["reported_persons"] = persons[when]
                if rooms and i == 0:
                    used = sum(counted[when] for counted in tiers.values())
                    fields |= {"rooms_total": rooms, "rooms_in_use": used}
                day.tell("quarantine", source, clock(hour, i), **fields)


def quiet_place(source, _):
    tiers = {HOTEL_HAICHENG: "COMPANION", HOTEL_XINGANG: "FROM_ABROAD"}
    place = "CENTRAL" if source.startswith("QP-") else "HOME"
    return {"place": place, "tier": tiers.get(source, "RISK_AREA"), "step": "STATUS"}


# ---- screening 排查 ----------------------------------------------------------------------------


def tell_screening(day, contacts):
    """2,727 = 12 x 150 at doors + 9 x 83 by telephone + 3 x 60 from data."""
    source, sent = "SC-441521115-001", 0
    for hour in range(8, 20):
        fields = {"method": "DOOR", "screened": 150, "households_visited": 48 + hour % 5}
        day.tell("screening", source, clock(hour, 45), **fields)
    for hour in range(9, 18):
        day.tell("screening", source, clock(hour, 50), method="PHONE", screened=83)
    for hour, close, secondary in ((8, 5, 15), (10, 0, 20), (12, 0, 15)):
        found = {"close_found": close, "secondary_found": secondary}
        day.tell("screening", source, clock(hour), method="DATA_PUSH", screened=60, **found)
    for hour in (14, 18, 21):
        now = sum(one.admitted < clock(hour) for one in contacts)
        fields = {"method": "DATA_PUSH", "sent_to_quarantine": now - sent}
        day.tell("screening", source, clock(hour), **fields)
        sent = now
    day.fill_silence("screening", lambda *_: {"method": "PHONE", "screened": 0})


# ---- test_site 核酸检测 ------------------------------------------------------------------------

LABORATORY, HOTEL_TEAM = "LAB-441521119-001", "TS-441521119-001"


class Batch:
    """Tubes that travel together: sampled and sealed at a site, then received and resulted by the
    laboratory, which names the place they come from."""

    def __init__(self, source, region, sampled, **common):
        self.source, self.region, self.sampled, self.common = source, region, sampled, common

    def tell(self, day, step, minutes, is_late=False, **fields):
        source = self.source if step in ("SAMPLED", "SEALED") else LABORATORY
        if step == "RESULTED":
            fields = {"result": "NEGATIVE", "sampled_at": stamp(self.sampled), **fields}
        if fields["tubes"] and minutes < clock(24):
            fields = {"step": step, **self.common, **fields, "region": self.region}
            day.tell("test_site", source, minutes, is_late, **fields)


# site: scheme, first hour, hours, persons an hour in the normal lane, minutes to the result
SITES = {
    "TS-441521115-001": ("MASS", 8, 10, 120, 244),
    "TS-441521106-001": ("MASS", 8, 9, 40, 302),
    "TS-441502003-001": ("VOLUNTARY", 8, 12, 30, 425),
    "TS-441581001-001": ("KEY_GROUP", 8, 8, 20, 541),
}
# (site, hour): persons in other lanes
LANES = {("TS-441521106-001", hour): ("GREEN", 10) for hour in range(8, 14)}
LANES[("TS-441521115-001", 10)] = ("HOME_VISIT", 20)
LANES[("TS-441521115-001", 15)] = ("YELLOW_CODE", 10)
# (site, hour): what became of tubes that are not simply negative
ODD = {
    ("TS-441521115-001", 9): "PRESUMPTIVE_POSITIVE",
    ("TS-441521115-001", 11): "INCONCLUSIVE",
    ("TS-441521106-001", 10): "INVALID",
    ("TS-441502003-001", 9): "REJECTED",
}


def tell_site_hour(day, site, hour):
    """Ten persons to a tube."""
    scheme, first, _, persons, turnaround = SITES[site]
    region, sampled = day.sources["test_site", site], clock(hour, 20)
    common = {"scheme": scheme, "pool_size": 10, **({"round": ROUND} if scheme == "MASS" else {})}
    batch = Batch(site, region, sampled, **common)
    lane, more = LANES.get((site, hour), ("NORMAL", 0))
    odd = ODD.get((site, hour))
    tubes, lost = (persons + more) // 10, 2 if odd == "REJECTED" else 0
    strange = 1 if odd and not lost else 0
    resulted = sampled + turnaround + hour % 4
    is_late = site == "TS-441581001-001" and hour == 14  # told the next morning
    batch.tell(day, "SAMPLED", sampled, persons=persons, tubes=persons // 10)
    batch.tell(day, "SAMPLED", sampled + 5, persons=more, tubes=more // 10, lane=lane)
    batch.tell(day, "SEALED", sampled + 30, tubes=tubes)
    batch.tell(day, "RECEIVED", sampled + 70, tubes=tubes - lost)
    batch.tell(day, "REJECTED", sampled + 71, tubes=lost)
    good = tubes - lost - strange
    batch.tell(day, "RESULTED", resulted, is_late, persons=10 * good, tubes=good)
    batch.tell(day, "RESULTED", resulted + 4, persons=10 * strange, tubes=strange, result=odd)
    status = {"queue_persons": 8 * (hour - first) % 35, "desks_open": 2 + persons // 60}
    status |= {"step": "STATUS", "scheme": scheme, "wait_s": 60 * ((hour * 7) % 23)}
    day.tell("test_site", site, clock(hour, 30), **status)


def tell_singles(day, source, region, minutes, persons, scheme, resulted):
    """A tube each: contacts in quarantine, and the persons of a tube that was positive."""
    batch = Batch(source, region, minutes, scheme=scheme)
    batch.tell(day, "SAMPLED", minutes, persons=persons, tubes=persons)
    batch.tell(day, "SEALED", minutes + 15, tubes=persons)
    batch.tell(day, "RECEIVED", minutes + 55, tubes=persons)
    batch.tell(day, "RESULTED", resulted, persons=persons, tubes=persons)


def tell_tests(day, contacts):
    for site, (_, first, hours, _, _) in SITES.items():
        for hour in range(first, first + hours):
            tell_site_hour(day, site, hour)
    # The ten of the tube that was positive: all negative one by one.
    tell_singles(day, "TS-441521115-001", HAICHENG, clock(14, 35), 10, "RETEST", clock(17, 40))
    rounds = sorted({(one.sampled, one.resulted, one.hotel) for one in contacts})
    for sampled, resulted, hotel in rounds:
        of = [one for one in contacts if (one.sampled, one.hotel) == (sampled, hotel)]
        region = day.sources["quarantine", hotel]
        tell_singles(day, HOTEL_TEAM, region, sampled, len(of), "QUARANTINE", resulted)
    # Who passed a checkpoint after a sample was sampled at the station of Haicheng, a tube a group.
    for minutes, line in day.told["checkpoint"]:
        if line.get("passed_after_sample"):
            persons = line["passed_after_sample"]
            tubes = -(-persons // 10)
            batch = Batch("TS-441521115-002", HAICHENG, minutes, scheme="GATE", pool_size=10)
            batch.tell(day, "SAMPLED", minutes, persons=persons, tubes=tubes)
            batch.tell(day, "SEALED", minutes + 20, tubes=tubes)
            batch.tell(day, "RECEIVED", minutes + 50, tubes=tubes)
            batch.tell(day, "RESULTED", minutes + 230, persons=persons, tubes=tubes)
    day.fill_silence("test_site", closed_site)


def closed_site(source, _):
    scheme = SITES[source][0] if source in SITES else "GATE"
    if source in (LABORATORY, HOTEL_TEAM):
        return {"step": "STATUS", "scheme": "QUARANTINE"}
    return {"step": "STATUS", "scheme": scheme, "queue_persons": 0, "desks_open": 0}


# ---- duty 值守, service 4+1 ---------------------------------------------------------------------

# unit that sends: {place served: cadres}
POSTED = {
    "441500": {"441500": 118},
    "441502": {"441502003": 45, "441502001": 34, HAICHENG: 20},
    "441581": {JIAXI: 24, "441581001": 96, "441581102": 86},
    "441521": {HAICHENG: 104, LIANAN: 40, FUCHENG: 35},
    "441523": {"441523100": 80, DONGKENG: 32, "441523107": 20},
    "441500-honghaiwan": {"441502005": 50, "441502006": 38},
    "441500-huaqiao": {"441581400": 9},
}
TEAM = ["CADRE"] * 8 + ["VOLUNTEER"] * 12 + ["GRID_WORKER"] * 4


def tell_duty(day):
    """Posted at half past seven, on duty from eight to twenty; Jiaxi's 24 go by another roster. By
    day and night each unit sends a patrol of two every second hour, for an hour."""
    for unit, places in POSTED.items():
        source = f"DT-{unit}-001"
        for i, (region, persons) in enumerate(places.items()):
            fields = {"role": "CADRE", "unit": unit, "region": region, "persons": persons}
            day.tell("duty", source, clock(7, 30 + i), step="POSTED", **fields)
            if region != JIAXI:
                worked = {"person_minutes": persons * 720}
                day.tell("duty", source, clock(8, i), step="SIGN_ON", **fields)
                day.tell("duty", source, clock(20, i), step="SIGN_OFF", **fields, **worked)
        patrol = {"role": "CADRE", "unit": unit, "persons": 2}
        for hour in range(0, 24, 2):
            day.tell("duty", source, clock(hour, 45), step="SIGN_ON", **patrol)
            worked = {"person_minutes": 120}
            day.tell("duty", source, clock(hour + 1, 45), step="SIGN_OFF", **patrol, **worked)
    tell_jiaxi(day)


def tell_jiaxi(day):
    """Six posts of four members, relieved one by one: every ten minutes one comes, and five minutes
    later the one who is relieved goes, after four hours. So at least 20 are on post at any time,
    24 from 00:05 on, and the town's roster speaks every five minutes."""
    source, came = "DT-441581118-001", [0] * len(TEAM)
    units = {"CADRE": "441581", "VOLUNTEER": JIAXI, "GRID_WORKER": JIAXI}
    for role, minutes in (("CADRE", 0), ("VOLUNTEER", 1), ("GRID_WORKER", 5)):
        fields = {"role": role, "unit": units[role], "persons": TEAM.count(role)}
        day.tell("duty", source, minutes, step="SIGN_ON", **fields)
        came = [minutes if of == role else was for of, was in zip(TEAM, came)]
    for k in range(1, 144):
        place, minutes = k % len(TEAM), 10 * k
        fields = {"role": TEAM[place], "unit": units[TEAM[place]], "persons": 1}
        day.tell("duty", source, minutes, step="SIGN_ON", **fields)
        worked = minutes + 5 - came[place]
        day.tell("duty", source, minutes + 5, step="SIGN_OFF", **fields, person_minutes=worked)
        came[place] = minutes


def tell_services(day):
    def tell(source, minutes, service, visits, persons, households, first_visit=False):
        fields = {"service": service, "visits": visits, "persons": persons}
        fields |= {"households": households, "first_visit": first_visit}
        day.tell("service", source, minutes, **fields)

    for i in range(17):  # Lian'an: 85 households, five on a round, each once
        tell("SV-441521106-001", clock(8, 10) + 35 * i, "FRAIL_SUPPORT", 5, 5 + i % 4, 5, True)
    for i in range(6):  # Dongkeng: what the households at home need, in the morning and at night
        tell("SV-441523106-001", clock(9 + i % 3 + i // 3 * 7, 20), "SUPPLY", 3, 8, 3)
    tell("SV-441523106-001", clock(12, 10), "SUPPLY", 4, 9, 4, True)  # those of 11:30
    for hour in range(9, 18, 2):
        tell("SV-441502003-001", clock(hour, 15), "DOOR_VISIT", 12, 31, 12, hour == 9)
        tell("SV-441502003-001", clock(hour, 35), "PUBLIC_ORDER", 3, 40, 0)
    tell("SV-441502003-001", clock(19, 0), "STAFF_CARE", 4, 26, 0)
    day.fill_silence("service", lambda *_: {"service": "DOOR_VISIT", "visits": 0})


def make(folder):
    with open(HERE / "sources.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    day = Day({(row["kind"], row["source"]): row["region"] for row in rows})
    contacts = [Contact(i) for i in range(CONTACTS)]
    tell_checkpoints(day)
    tell_contacts(day, contacts)
    tell_quarantine(day, contacts)
    tell_screening(day, contacts)
    tell_tests(day, contacts)
    tell_duty(day)
    tell_services(day)
    day.write(pathlib.Path(folder))


if __name__ == "__main__":
    make(sys.argv[1] if len(sys.argv) > 1 else HERE)
