# SPDX-License-Identifier: Apache-2.0
"""As test_shortage.py: programs that keep or print something, of which no half may be there."""

import pytest
from lib.post import Post
from lib.shortage import AWAY, WITHOUT_SANITIZER
from lib.system import DAY_MS, HOUR_MS, System, now_ms

pytestmark = WITHOUT_SANITIZER
YESTERDAY_MS = (now_ms() + 8 * HOUR_MS) // DAY_MS * DAY_MS - 8 * HOUR_MS - DAY_MS


@pytest.fixture(scope="module")
def system():
    """What was counted yesterday at each kind of post."""
    system = System("kept", is_simulated=True)
    for kind in ("checkpoint", "test_site", "quarantine"):
        Post(system, kind).send(*range(1, 10), occurred_at=YESTERDAY_MS + 10 * HOUR_MS)
    system.sent()
    system.count()
    yield system
    system.close()


def test_what_was_rejected_is_counted_once(system, strike):
    """Of a simulated source, which the schema refuses while its events are met."""
    post = Post(system, source="SIM-CP-1")
    sent = [0]

    def take(is_accepted):
        system.db.execute(f"UPDATE {system.schema}.definition SET accept_simulated = {is_accepted}")

    def feed():
        post.send(*range(sent[0] + 1, sent[0] + 4))
        sent[0] += 3
        take(False)
        post.count()
        take(True)

    for _ in strike("fx-rollup", "--redrive", prepare=feed, limit_s=8):
        assert post.counted() == post.total() <= sent[0]
    system.run("fx-rollup", "--redrive")
    assert post.counted() == post.total() == sent[0]
    assert post.ledger()["duplicates"] == 0 and post.gaps() == []


def test_a_report_is_kept_whole_or_not(system, strike):
    kept, record = 0, f"{system.schema}_record"
    texts = (
        f"SELECT count(*) FROM {record}.report JOIN {record}.report_text USING (as_of, region, "
        "version) HAVING count(*) = 9 * count(DISTINCT version)"
    )
    for result, _ in strike("fx-report", "--freeze", "--as-of", YESTERDAY_MS + DAY_MS):
        is_kept = "ev=freeze" in result.err  # and may not be printed then
        assert is_kept or result.code == AWAY, result
        kept += is_kept
        assert system.value(f"SELECT count(*) FROM {record}.report") == kept
        assert system.value(texts) == (9 * kept or None)
    contents = f"SELECT count(DISTINCT content) FROM {record}.report_text WHERE format = 'csv'"
    assert kept and system.value(contents) == 3 * kept  # it tells its version


def test_what_is_published_is_whole_or_not_there(system, strike):
    published = f"{system.schema}_published"
    names = "SELECT tablename AS name FROM pg_tables WHERE schemaname = %s"

    def tables():
        return [f'{published}."{row["name"]}"' for row in system.rows(names, published)]

    def undo():
        system.db.execute(f"TRUNCATE {', '.join(tables())}")

    def count():
        return {table: system.value(f"SELECT count(*) FROM {table}") for table in tables()}

    words = ["--publish", "--as-of", YESTERDAY_MS + 12 * HOUR_MS]
    system.run("fx-report", *words)
    whole = count()
    assert sum(whole.values()) > 20
    for result, _ in strike("fx-report", *words, prepare=undo):
        assert count() == (whole if result.code == 0 else dict.fromkeys(whole, 0)), result


@pytest.mark.parametrize(
    "words",
    [
        ("fx-audit", "--json"),
        ("fx-audit", "--all"),
        ("fx-report", "--as-of", YESTERDAY_MS + DAY_MS, "--report-version", 1),
        ("fx-report", "--as-of", YESTERDAY_MS + DAY_MS, "--draft"),
    ],
)
def test_what_is_printed_is_whole_or_not_there(system, strike, words):
    if words[-2:] == ("--report-version", 1):
        system.run(*words[:3], "--freeze")
    whole = system.run(*words, code=None).out
    for result, failed in strike(*words):
        if failed and result.code == AWAY:
            assert result.out == ""
        elif "--report-version" in words:  # others tell the time
            assert result.out == whole
