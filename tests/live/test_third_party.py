# SPDX-License-Identifier: Apache-2.0
"""Events written by others with fastavro and confluent-kafka, knowing only schemas/."""

import random

import pytest
from lib import recount
from lib.post import HAICHENG, SHANWEI, Post
from lib.system import DAY_MS, HOUR_MS, SCHEMAS, System, now_ms
from test_new_kind import RATION, RATION_2, copy_schemas, write_kind


@pytest.fixture(scope="module")
def system():
    system = System("third")
    yield system
    system.close()


# ---- what counts ----


@pytest.mark.parametrize(
    "kind, column, per_event",
    [
        ("checkpoint", "checked_person_times", 3),
        ("test_site", "sampled_person_times", 10),
        ("quarantine", "admitted_persons", 2),
    ],
)
def test_counts_at_three_levels(system, kind, column, per_event):
    town, county, city = (Post(system, kind, region=r) for r in ("441502001", "441502", SHANWEI))
    before = city.total(column, f"{kind}_city", SHANWEI)
    town.send(1, 2, 3)
    county.send(1, 2)
    city.send(1)
    city.count()
    assert city.total(column, f"{kind}_town", "441502001") == 3 * per_event
    assert city.total(column, f"{kind}_county", "441502") == 5 * per_event
    assert city.total(column, f"{kind}_city", SHANWEI) - before == 6 * per_event
    assert [p.counted() for p in (town, county, city)] == [3, 2, 1]


def test_every_cell_of_a_mixed_run_equals_the_recount():
    """Random events of the three kinds, reversals and nulls, against the independent recount."""
    pick = random.Random(7)
    system = System("mixed")
    try:
        for name in ("checkpoint", "test_site", "quarantine"):
            tally = recount.Recount(SCHEMAS, name)
            places = list(tally.regions.level)[:-1]
            posts = [Post(system, name) for _ in range(5)]
            for seq in range(1, 301):
                for post in posts:
                    event = random_event(post, seq, pick, places)
                    post.send_raw(post.schema.encode(event))
                    tally.add(event)
            system.sent()
            system.count()
            recount.assert_equal(tally, system)
    finally:
        system.close()


def random_event(post, seq, pick, places):
    """Within every bound; a tenth of them reversals of the number before."""
    event = post.event(seq, region=pick.choice(places))
    event["occurred_at"] = now_ms() - pick.randrange(3 * DAY_MS)
    for name, field in list(post.schema.current.fields.items())[9:]:
        branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
        one = pick.choice(branches)
        if one == "null":
            event[name] = None
        elif isinstance(one, dict):
            event[name] = pick.choice(one["symbols"])
        elif one == "string":
            event[name] = pick.choice([*places[:20], "outside", "第3轮", ""])
        else:
            event[name] = pick.randrange(field["min"], min(field["max"], field["min"] + 3000) + 1)
    for rule in post.schema.current.definition.get("sums", []):
        first, *others = rule["parts"]
        event[first] = event[rule["total"]]
        event |= {part: 0 for part in others}
    if pick.random() < 0.1 and seq > 1:
        event |= {"sign": -1, "reverses_run": post.run, "reverses_seq": seq - 1}
        event["counted_at"] = pick.choice([None, event["occurred_at"] - HOUR_MS])
    return event


def test_copies_do_not_count_again(system):
    post = Post(system)
    values = [post.send(seq) for seq in (1, 2, 3)]
    post.count()
    for value in values * 2:
        post.send_raw(value)
    post.count()
    assert post.counted() == 3 and post.ledger()["duplicates"] == 6
    assert post.total() == 3


def test_gaps_open_shrink_split_and_close(system):
    post = Post(system)
    post.send(1, 10)
    post.count()
    assert post.gaps() == [(2, 9, "missing")]
    post.send(5)
    post.count()
    assert post.gaps() == [(2, 4, "missing"), (6, 9, "missing")]
    post.send(2, 9, 5)
    post.count()
    assert post.gaps() == [(3, 4, "missing"), (6, 8, "missing")]
    post.send(3, 4, 6, 7, 8)
    post.count()
    assert post.gaps() == [] and post.counted() == 10 and post.ledger()["duplicates"] == 1


def test_late_event_counts_in_its_hour(system):
    post, at = Post(system), now_ms() - 40 * DAY_MS
    post.send(1, occurred_at=at)
    post.count()
    assert post.cells() == {at // HOUR_MS * HOUR_MS: 1}
    assert post.ledger()["late"] == 1 and post.ledger()["clock_corrected"] == 0


@pytest.mark.parametrize("at", [None, 1_577_836_799_999, 0, -1])
def test_wrong_clock_counts_in_the_hour_of_the_append(system, at):
    at = now_ms() + HOUR_MS + 1 if at is None else at
    post, before = Post(system), now_ms()
    post.send(1, occurred_at=at)
    post.count()
    hours = {t // HOUR_MS * HOUR_MS for t in (before, now_ms())}
    ((bucket, number),) = post.cells().items()
    assert number == 1 and bucket in hours and post.ledger()["clock_corrected"] == 1


def test_clock_a_little_ahead_is_believed(system):
    post, at = Post(system), now_ms() + 9 * 60_000
    post.send(1, occurred_at=at)
    post.count()
    assert post.cells() == {at // HOUR_MS * HOUR_MS: 1}
    assert post.ledger()["clock_corrected"] == 0


def test_reversal_undoes_where_the_original_counted(system):
    """Also before its original, and with counted_at where the original's clock was corrected."""
    post, at = Post(system), now_ms() - 3 * DAY_MS
    original = post.event(2, occurred_at=at)
    post.send_raw(post.reversal(1, original))
    post.count()
    assert post.cells() == {at // HOUR_MS * HOUR_MS: -1}
    post.send_raw(post.schema.encode(original))
    wrong = post.event(3, occurred_at=now_ms() + 5 * HOUR_MS)
    post.send_raw(post.schema.encode(wrong))
    post.count()
    corrected = max(post.cells())
    post.send_raw(post.reversal(4, wrong, counted_at=corrected))
    post.count()
    assert set(post.cells().values()) == {0} and post.counted() == 4


def test_heartbeat_opens_a_gap_for_acknowledged_numbers(system):
    post = Post(system)
    post.send(1)
    post.send_raw(post.heartbeat(1, 4, last_seq=9))
    post.count()
    ledger = post.ledger()
    assert post.gaps() == [(2, 4, "missing")] and ledger["high"] == 4
    assert (ledger["announced"], ledger["acked"], ledger["heartbeat_state"]) == (9, 4, "ALIVE")
    post.send(2, 3, 4)
    post.send_raw(post.heartbeat(2, 4, state="ENDED", input_state="CLOSED"))
    post.count()
    assert post.gaps() == [] and post.ledger()["heartbeat_state"] == "ENDED"


def test_older_heartbeat_changes_nothing(system):
    post = Post(system)
    post.send(1)
    post.send_raw(post.heartbeat(5, 1, state="ENDED"))
    post.count()
    post.send_raw(post.heartbeat(4, 1, state="ALIVE"))
    post.count()
    assert post.ledger()["heartbeat_state"] == "ENDED" and post.ledger()["heartbeat_n"] == 5


def test_first_heartbeat_may_have_number_zero(system):
    """n is a long of min 0 in heartbeat/1.avsc."""
    post = Post(system)
    post.send_raw(post.heartbeat(0, 3))
    post.count()
    assert post.ledger() and post.ledger()["acked"] == 3 and post.gaps() == [(1, 3, "missing")]


def test_role_that_is_null_or_outside_the_tree(system):
    post = Post(system, "quarantine")
    outside = lambda table: post.total("admitted_persons", f"quarantine_origin_{table}", "-")
    before = {t: outside(t) for t in ("town", "county", "city")}
    rows = "SELECT count(*) FROM {s}.quarantine_origin_"
    count = lambda: [system.value(rows + t) for t in ("town", "county", "city")]
    post.send(1, origin="999999")
    post.send(2, origin="-")
    post.count()
    assert outside("city") - before["city"] == 4
    assert outside("town") == before["town"] == outside("county") == before["county"] == 0
    size = count()
    post.send(3, origin=None)
    post.count()
    assert count() == size and post.counted() == 3
    assert post.total("admitted_persons", "quarantine_source") == 6


def test_older_version_takes_the_newest_defaults(tmp_path):
    """A made-up kind with two versions: the field that the first lacks has the second's default."""
    folder = copy_schemas(tmp_path)
    write_kind(folder, RATION)
    write_kind(folder, RATION_2)
    system = System("versions", schemas=folder)
    try:
        post = Post(system, "ration", body={"channel": "GRID", "parcels": 3, "urgent": False})
        old = post.event(1)
        post.send_raw(post.schema.encode(old, version=1))
        post.send(2, crew=7, channel="ARMY")
        post.count()
        assert post.counted() == 2
        assert post.total("crew_persons", "ration_source") == 5 + 7
        assert post.total("delivered_visits", "ration_town", HAICHENG) == 2
    finally:
        system.close()
