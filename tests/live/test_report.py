# SPDX-License-Identifier: Apache-2.0
"""fx-report: a version that is kept stays the same bytes, whatever is counted later; the next one
lists exactly what differs; and what the log of corrections adds to a kept figure is what is counted
now."""

import csv
import html.parser
import io
import secrets
import subprocess

import psycopg
import pytest
from lib.post import HAICHENG, HAIFENG, SHANWEI, Post
from lib.system import HOUR_MS, System, now_ms, wait_until
from psycopg import sql

FORMS = [(lang, form) for lang in ("zh", "en", "both") for form in ("md", "csv", "html")]
DAY_MS = 24 * HOUR_MS


@pytest.fixture(scope="module")
def system():
    system = System("report")
    yield system
    system.close()


@pytest.fixture
def alone():
    system = System("report")
    yield system
    system.close()


def local_midnight():
    """The last one that is over by an hour or more."""
    zone_ms = 8 * HOUR_MS
    return (now_ms() - HOUR_MS + zone_ms) // DAY_MS * DAY_MS - zone_ms


def count(system):
    system.sent()
    system.count()


def report(system, as_of, *words, **kw):
    return system.run("fx-report", "--as-of", as_of, *words, **kw)


def texts(system, as_of, version, *words):
    """Every document of a version."""
    asked = ("--report-version", version, *words)
    return {
        (lang, form): report(system, as_of, *asked, "--lang", lang, "--format", form).out
        for lang, form in FORMS
    }


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def key(row):
    return tuple(row[c] for c in ("section", "part", "place", "item", "measure"))


def figures(text):
    """{key: value} of a report's CSV."""
    return {key(row): row["value"] for row in rows_of(text) if row["row"] == "figure"}


def corrections(text):
    """{key: (old, new)}"""
    found = [row for row in rows_of(text) if row["row"] == "correction"]
    assert len({key(row) for row in found}) == len(found)
    return {key(row): (row["old_value"], row["value"]) for row in found}


def differences(old, new):
    keys = old.keys() | new.keys()
    pairs = {k: (old.get(k, ""), new.get(k, "")) for k in keys}
    return {k: pair for k, pair in pairs.items() if pair[0] != pair[1]}


def csv_of(system, as_of, *words):
    return report(system, as_of, "--format", "csv", *words).out


def test_a_kept_version_stays_and_the_next_lists_what_differs(system, note):
    as_of = local_midnight()
    first = as_of - 20 * HOUR_MS
    posts = [Post(system, region=code) for code in (HAICHENG, "441502001", HAIFENG, SHANWEI)]
    for number, post in enumerate(posts, start=1):
        post.send(*range(1, 11), occurred_at=first, persons=number, code_green=number, code_none=0,
                  itinerary_unchecked=number, passed=number)
    ward = Post(system, "quarantine")
    ward.send(1, 2, 3, occurred_at=first)
    count(system)
    report(system, as_of, "--freeze")
    kept = texts(system, as_of, 1)
    value = figures(kept["both", "csv"])
    checked = {part: ("checkpoints", part, SHANWEI, "", "checked_person_times")
               for part in ("total", "own")}
    assert value[checked["total"]] == str(10 * (1 + 2 + 3 + 4)) and value[checked["own"]] == "40"
    assert value["checkpoints", "unit", HAIFENG, "", "checked_person_times"] == str(10 * (1 + 3))
    assert value["quarantine", "total", SHANWEI, "CLOSE", "census_persons"] == "6"

    # 1,000 late events, and one that is undone
    late = Post(system, region=HAICHENG)
    late.send(*range(1, 1001), occurred_at=first + HOUR_MS)
    posts[0].send_raw(posts[0].reversal(11, posts[0].event(
        1, occurred_at=first, persons=1, code_green=1, code_none=0, itinerary_unchecked=1,
        passed=1)))
    count(system)
    assert texts(system, as_of, 1) == kept
    assert report(system, as_of).out == kept["both", "md"], "the newest is the one that is shown"
    draft = csv_of(system, as_of, "--draft")
    report(system, as_of, "--freeze")
    assert texts(system, as_of, 1) == kept
    second = csv_of(system, as_of, "--report-version", 2)
    assert figures(draft) == figures(second) and corrections(draft) == corrections(second)
    listed, differ = corrections(second), differences(value, figures(second))
    assert listed == differ
    assert listed[checked["total"]] == ("100", str(100 + 3000 - 1))
    assert listed["checkpoints", "unit", HAIFENG, "", "checked_vehicles"] == ("20", "1019")
    assert not any(k[0] in ("quarantine", "tests", "duty") for k in listed)
    for row in rows_of(second):
        if row["row"] == "correction" and row["measure"] == "checked_person_times":
            assert row["changed_at"] >= "2022", row
    report(system, as_of, "--freeze")
    assert corrections(csv_of(system, as_of)) == {}, "nothing was counted since"
    note(f"report: {len(value)} figures, {len(listed)} of them corrected by 1,001 late events")


def test_the_log_leads_from_the_kept_figures_to_the_present_ones(alone):
    """While two workers count: a version is kept between two flushes, with the cut-off."""
    as_of = local_midnight()
    post = Post(alone)
    worker = alone.start("fx-rollup", "--workers", 2)
    sent = 0
    for _ in range(6):
        post.send(*range(sent + 1, sent + 2001), occurred_at=as_of - 5 * HOUR_MS)
        sent += 2000
        if sent == 6000:
            wait_until(lambda: alone.value("SELECT count(*) FROM {s}.checkpoint_city"))
            report(alone, as_of, "--freeze")
    alone.sent()
    counted = "SELECT sum(checked_groups)::bigint FROM {s}.checkpoint_city"
    wait_until(lambda: alone.value(counted) == sent)
    worker.stop()
    kept = figures(csv_of(alone, as_of, "--report-version", 1))
    then = int(kept["checkpoints", "total", SHANWEI, "", "checked_vehicles"])
    logged = alone.value(
        "SELECT coalesce(sum(added), 0)::bigint FROM {s}.correction_by_column WHERE region = %s"
        " AND column_name = 'checked_vehicles'", SHANWEI)
    assert 0 < then < sent
    assert then + logged == sent


def test_another_region_another_time_and_the_report_before(system):
    """A county has its towns; what a later report says of the one before is its corrections."""
    as_of = local_midnight()
    report(system, as_of, "--freeze", "--region", HAIFENG)
    county = rows_of(csv_of(system, as_of, "--region", HAIFENG))
    assert {row["level"] for row in county if row["part"] == "unit"} == {"town"}
    assert {row["part"] for row in county if row["place"] == HAIFENG} == {"total", "own"}
    town = rows_of(csv_of(system, as_of, "--region", HAICHENG, "--draft"))
    assert {row["part"] for row in town} == {"total"}
    post = Post(system)
    post.send(1, 2, 3, 4, 5, occurred_at=as_of - 3 * HOUR_MS)
    count(system)
    later = as_of + HOUR_MS
    report(system, later, "--freeze", "--region", HAIFENG)
    told = rows_of(csv_of(system, later, "--region", HAIFENG))
    value = figures(csv_of(system, later, "--region", HAIFENG))
    vehicles = value["checkpoints", "total", HAIFENG, "", "checked_vehicles"]
    assert vehicles == "", "nobody is expected: no word is no 0"
    changed = [row for row in told if row["row"] == "correction"]
    assert {row["section"] for row in changed} == {"checkpoints"}
    vehicles = {row["place"]: int(row["value"]) - int(row["old_value"])
                for row in changed if row["measure"] == "checked_vehicles"}
    assert vehicles == {HAIFENG: 5, HAICHENG: 5}
    listing = rows_of(system.run("fx-report", "--list", "--region", HAIFENG).out)
    assert [(row["region"], row["version"]) for row in listing] == [(HAIFENG, "1")] * 2
    assert listing[0]["as_of"] > listing[1]["as_of"]


def test_a_rebuild_and_a_swap_change_no_kept_byte(alone):
    as_of = local_midnight()
    post = Post(alone)
    post.send(*range(1, 51), occurred_at=as_of - 5 * HOUR_MS)
    count(alone)
    report(alone, as_of, "--freeze")
    kept = texts(alone, as_of, 1)
    other = f"{alone.schema}_next"
    alone.setup("--record-schema", f"{alone.schema}_record", schema=other)
    alone.count("--schema-name", other)
    refused = report(alone, as_of, "--freeze", "--schema-name", other, code=2)
    assert "counted anew" in refused.err
    alone.run("fx-setup", "--swap", other)
    assert texts(alone, as_of, 1) == kept
    report(alone, as_of, "--freeze")
    assert corrections(csv_of(alone, as_of)) == {}, "counted anew, it is the same"
    alone.db.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(other)))
    assert texts(alone, as_of, 1) == kept


def test_what_is_missing_stands_first_by_number(alone):
    as_of = local_midnight()
    post = Post(alone, source="CP-441521115-001")
    post.send(1, 2, 6, 7, 9, occurred_at=as_of - 2 * HOUR_MS)
    count(alone)
    text = csv_of(alone, as_of)
    missing = [row for row in rows_of(text) if row["row"] == "missing"]
    found = {(int(row["first_seq"]), int(row["last_seq"]), row["cause"]) for row in missing}
    assert found == {(3, 5, "missing"), (8, 8, "missing")}
    assert {row["run"] for row in missing} == {f"{post.run:012x}"}
    value = figures(text)
    assert value["completeness", "total", SHANWEI, "checkpoint", "missing_events"] == "4"
    page = report(alone, as_of, "--lang", "en").out
    assert "NOT complete" in page or "not known" in page
    assert page.index("3–5") < page.index("## Screening")
    post.send(3, 4, 5, 8, occurred_at=as_of - 2 * HOUR_MS)
    count(alone)
    assert not [row for row in rows_of(csv_of(alone, as_of)) if row["row"] == "missing"]


def test_in_the_morning_figures_are_of_then_and_numbers_of_the_whole_day(alone):
    """Numbers have a day, but no time: the report says so."""
    midnight = local_midnight() - DAY_MS
    as_of = midnight + 8 * HOUR_MS
    post, later = Post(alone), Post(alone)
    post.send(1, 2, 3, occurred_at=as_of - HOUR_MS)
    post.send(4, 5, 8, occurred_at=as_of + 2 * HOUR_MS)
    later.send(1, 2, occurred_at=as_of + HOUR_MS)
    count(alone)
    value = figures(csv_of(alone, as_of))
    assert value["checkpoints", "total", SHANWEI, "", "checked_vehicles"] == "3"
    said = {name: value["completeness", "total", SHANWEI, "checkpoint", name]
            for name in ("announced_events", "counted_events", "missing_events")}
    assert said == {"announced_events": "10", "counted_events": "8", "missing_events": "2"}
    assert "含截至时间之后的" in report(alone, as_of, "--lang", "zh").out
    assert "also those of after its time" in report(alone, as_of, "--lang", "en").out


def test_a_list_that_is_cut_says_so(alone):
    as_of = local_midnight()
    post = Post(alone)
    post.send(*range(1, 2002, 2), occurred_at=as_of - HOUR_MS)
    count(alone)

    def listed():
        rows = rows_of(csv_of(alone, as_of))
        return [sum(row["row"] == kind for row in rows) for kind in ("missing", "cut")]

    assert listed() == [1000, 0]
    post.send(2003, occurred_at=as_of - HOUR_MS)
    count(alone)
    assert listed() == [1000, 1]


def test_households_that_move_are_in_no_figure_of_households(alone):
    """A household that moves is neither admitted nor ended: there is no number of those there."""
    as_of = local_midnight()
    at_home = {"place": "HOME", "tier": "RISK_AREA", "origin": HAICHENG}
    team = Post(alone, "quarantine", body=at_home)
    at = as_of - 2 * HOUR_MS
    team.send(1, occurred_at=at, step="ADMITTED", persons=6, households=3)
    team.send(2, occurred_at=at, step="TRANSFERRED_OUT", persons=4, households=2)
    team.send(3, occurred_at=at, step="RELEASED", persons=2, households=1)
    count(alone)
    found = figures(csv_of(alone, as_of))
    home = {name: value for (section, part, _, _, name), value in found.items()
            if (section, part) == ("home", "total") and value}
    assert home["observed_persons"] == "0"
    households = {name: value for name, value in home.items() if name.endswith("_households")}
    assert households == {"admitted_households": "3", "ended_households": "1"}


def test_what_no_kind_records_is_said_and_what_is_not_installed_never_fails(tmp_path):
    """A system that counts checkpoints alone."""
    from lib.system import SCHEMAS

    for name in ("checkpoint", "heartbeat", "views"):
        (tmp_path / name).symlink_to(SCHEMAS / name)
    for path in SCHEMAS.glob("*.*"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "sources.csv").unlink()
    (tmp_path / "sources.csv").write_text((SCHEMAS / "sources.csv").read_text().split("\n")[0])
    system = System("report", schemas=tmp_path)
    try:
        post = Post(system)
        as_of = local_midnight()
        post.send(1, 2, occurred_at=as_of - HOUR_MS)
        count(system)
        report(system, as_of, "--freeze")
        rows = rows_of(csv_of(system, as_of))
        recorded = {row["section"] for row in rows if row["recorded"] == "true"}
        assert recorded == {"completeness", "checkpoints"}
        without = [row for row in rows if row["recorded"] == "false"]
        unrecorded = {(row["section"], row["measure"]) for row in without}
        assert {("contacts", "confirmed_cases"), ("tests", "target_coverage_percent"),
                ("duty", "posted_persons")} <= unrecorded
        page = report(system, as_of, "--lang", "both").out
        assert "未记录: 确诊病例" not in page and "确诊病例 Not recorded" in page
    finally:
        system.close()


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "--as-of TIME is needed"),
        (("--as-of", "yesterday"), "--as-of"),
        (("--as-of", "2022-02-10 08:30"), "no full hour"),
        (("--as-of", "2099-01-01"), "yet to come"),
        (("--as-of", "2022-02-11", "--region", "999"), 'no region'),
        (("--as-of", "2022-02-11", "--region", "999", "--freeze"), 'no region'),
        (("--as-of", "2022-02-11", "--report-version", "3"), "no version of the report"),
        (("--as-of", "2022-02-11", "--report-version", "0"), "--report-version"),
        (("--as-of", "2022-02-11", "--freeze", "--draft"), "at a time"),
        (("--as-of", "2022-02-11", "--lang", "fr"), "none of zh, en, both"),
        (("--as-of", "2022-02-11", "--format", "pdf"), "none of md, csv, html, all"),
        (("--as-of", "2022-02-11", "--format", "all"), "goes with --output"),
        (("--as-of", "2022-02-11", "--schema-name", "nowhere"), "fx-setup"),
        (("--as-of", "2022-02-11", "extra"), "unexpected"),
    ],
)
def test_wrong_usage_is_named_and_keeps_nothing(system, words, said):
    before = system.value(f"SELECT count(*) FROM {system.schema}_record.report")
    result = system.run("fx-report", *words, code=2)
    assert said in result.err and result.out == ""
    assert system.value(f"SELECT count(*) FROM {system.schema}_record.report") == before


def test_versions_that_are_there_are_named(system):
    as_of = local_midnight()
    system.run("fx-report", "--as-of", as_of, "--freeze")
    result = report(system, as_of, "--report-version", 99, code=2)
    assert "versions 1 to " in result.err


@pytest.fixture
def login(alone):
    """login(role): the name of a login that has no more than the role."""
    made = []

    def make(role):
        name = f"report_{secrets.token_hex(4)}"
        alone.db.execute(f"CREATE ROLE {name} LOGIN IN ROLE {role}")
        made.append(name)
        return {"PGUSER": name}

    yield make
    for name in made:
        alone.db.execute(f"DROP ROLE {name}")


def test_an_analyst_reads_and_a_writer_keeps(alone, login):
    as_of = local_midnight()
    analyst, writer = login("fangxian_analyst"), login("fangxian_writer")
    post = Post(alone)
    post.send(1, 2, occurred_at=as_of - HOUR_MS)
    count(alone)
    draft = report(alone, as_of, "--format", "csv", env=analyst).out
    assert figures(draft)["checkpoints", "total", SHANWEI, "", "checked_vehicles"] == "2"
    refused = report(alone, as_of, "--freeze", env=analyst, code=2)
    assert "fangxian_writer or fangxian_owner" in refused.err
    report(alone, as_of, "--freeze", env=writer)
    assert report(alone, as_of, env=analyst).out == report(alone, as_of, env=writer).out
    made = alone.rows(f"SELECT made_by FROM {alone.schema}_record.report")
    assert [row["made_by"] for row in made] == [writer["PGUSER"]]
    with psycopg.connect(autocommit=True, user=writer["PGUSER"]) as theirs:
        for statement in ("UPDATE {}.report_figure SET value = 0", "DELETE FROM {}.report_text",
                          "TRUNCATE {}.report"):
            query = sql.SQL(statement).format(sql.Identifier(f"{alone.schema}_record"))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                theirs.execute(query)


def test_nothing_is_added_to_a_version_that_is_kept(alone, login):
    """Nor by whoever may insert, such as the writer's login."""
    as_of = local_midnight()
    writer = login("fangxian_writer")
    post = Post(alone)
    post.send(1, 2, 4, occurred_at=as_of - HOUR_MS)
    count(alone)
    report(alone, as_of, "--freeze", env=writer)
    record = sql.Identifier(f"{alone.schema}_record")
    of = "SELECT as_of, region, version, "
    statements = {
        "place": of + "999, part, place, name, name_latin, level FROM {r}.report_place",
        "figure": of + "9999, 'duty', 'total', region, 'x', 'posted_persons', 'persons', 1, true,"
                       " true FROM {r}.report",
        "finding": of + "999, finding, kind, source, name, place, place_name, place_latin, run,"
                        " day, first_seq, last_seq, cause, silent_minutes FROM {r}.report_finding",
        "correction": of + "999, 'duty', 'total', region, '', 'posted_persons', 'persons', 1, 2,"
                           " NULL FROM {r}.report",
        "text": of + "'fr', 'md', 'x' FROM {r}.report",
    }
    with psycopg.connect(autocommit=True, user=writer["PGUSER"]) as theirs:
        for part, query in statements.items():
            text = sql.SQL(f"INSERT INTO {{r}}.report_{part} {query} LIMIT 1").format(r=record)
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="kept"):
                theirs.execute(text)
    report(alone, as_of, "--freeze", env=writer)


def test_a_cut_off_is_recorded_once(alone):
    """By whichever of the two comes first."""
    as_of = local_midnight()
    cut_offs = f"SELECT count(*) FROM {alone.schema}_record.cutoff"
    alone.run("fx-setup", "--cut-off", as_of)
    report(alone, as_of, "--freeze")
    assert alone.value(cut_offs) == 1
    report(alone, as_of - HOUR_MS, "--freeze")
    assert alone.value(cut_offs) == 2
    assert "recorded" in alone.run("fx-setup", "--cut-off", as_of - HOUR_MS, code=2).err


class Page(html.parser.HTMLParser):
    """What stands open, and every attribute that could fetch something."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.rows = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.links += [a for a in attributes if a[0] in ("src", "href", "action", "style")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append(dict(attributes))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def tables(self):
        return [row for row in self.rows if all("scope" in cell for cell in row)]


@pytest.mark.parametrize("lang", ["zh", "en", "both"])
def test_html_is_whole_and_needs_nothing_else(system, lang):
    as_of = local_midnight()
    page = Page(report(system, as_of, "--draft", "--lang", lang, "--format", "html").out)
    assert page.open == [] and page.links == []
    assert len(page.tables()) >= 10 and all(len(row) > 2 for row in page.rows)


def test_files_are_whole_and_what_is_printed(system, tmp_path):
    as_of = local_midnight()
    report(system, as_of, "--freeze")
    words = ("--format", "all", "--lang", "zh", "--output", tmp_path)
    named = report(system, as_of, *words).out.split()
    assert sorted(named) == sorted(str(path) for path in tmp_path.iterdir()) and len(named) == 3
    for path in tmp_path.iterdir():
        form = path.suffix.removeprefix(".")
        shown = report(system, as_of, "--lang", "zh", "--format", form).out
        assert path.read_text(encoding="utf-8") == shown
    gone = report(system, as_of, "--output", tmp_path / "nowhere", code=5)
    assert "No such file" in gone.err
    with open("/dev/full", "wb") as full:
        words = [str(w) for w in ("--as-of", as_of)]
        program = system.start("fx-report", *words).popen.args[0]
        result = subprocess.run([program, *words], env=system.env, stdout=full,
                                stderr=subprocess.PIPE, check=False)
    assert result.returncode == 5


def test_two_that_freeze_at_once_make_two_versions(system):
    as_of = local_midnight() - 2 * HOUR_MS
    running = [system.start("fx-report", "--as-of", as_of, "--freeze") for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    listing = rows_of(system.run("fx-report", "--list", "--as-of", as_of).out)
    assert [row["version"] for row in listing] == ["4", "3", "2", "1"]
