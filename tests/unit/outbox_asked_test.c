/* SPDX-License-Identifier: Apache-2.0 */
#include "../../common/day.h"
#include "../../producers/outbox_asked.h"
#include "../../producers/outbox_rules.h"
#include "../../producers/outbox_send.h"
#include "scratch.h"

#include <sodium.h>
#include <sqlite3.h>

#define NOW_MS INT64_C(1644453000000)

struct bench {
    struct scratch scratch;
    char path[512];
    struct outbox *outbox;
    struct fx_err err;
};

static void open_outbox(struct bench *bench)
{
    const struct outbox_options options = {.path = bench->path, .kind = "checkpoint", .keep_ms = 1};
    if (outbox_open(&options, &bench->outbox, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
}

static void close_outbox(struct bench *bench)
{
    outbox_close(bench->outbox);
    bench->outbox = NULL;
}

static void reopen(struct bench *bench)
{
    close_outbox(bench);
    open_outbox(bench);
}

static int set_up(void **state)
{
    static struct bench bench;
    bench = (struct bench){0};
    scratch_open(&bench.scratch);
    snprintf(bench.path, sizeof bench.path, "%s/o.db", bench.scratch.root);
    *state = &bench;
    return sodium_init() < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    outbox_close(bench->outbox);
    scratch_close(&bench->scratch);
    return 0;
}

/* Runs statements on the closed outbox; the last one's first column. */
static int64_t edit(struct bench *bench, const char *text)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_null(bench->outbox);
    assert_int_equal(sqlite3_open(bench->path, &db), SQLITE_OK);
    int64_t found = 0;
    for (const char *rest = text; *rest != '\0';) {
        if (sqlite3_prepare_v2(db, rest, -1, &statement, &rest) != SQLITE_OK)
            fail_msg("%s", sqlite3_errmsg(db));
        int code = sqlite3_step(statement);
        assert_true(code == SQLITE_ROW || code == SQLITE_DONE);
        found = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
        sqlite3_finalize(statement);
    }
    sqlite3_close(db);
    return found;
}

/* Events of source; the run they have. */
static struct outbox_run *store(struct bench *bench, const char *source, int count)
{
    struct outbox_run *run = NULL;
    const struct outbox_event event = {(const uint8_t *)"x", 1, NOW_MS, NOW_MS, NULL};
    assert_int_equal(outbox_begin(bench->outbox, &bench->err), FX_OK);
    assert_int_equal(outbox_take_run(bench->outbox, source, "4415", &run, &bench->err), FX_OK);
    for (int i = 0; i < count; i++)
        assert_int_equal(outbox_append(bench->outbox, run, &event, &bench->err), FX_OK);
    assert_int_equal(outbox_commit(bench->outbox, &bench->err), FX_OK);
    return run;
}

/* Everything up to row id is acknowledged and given up. */
static void prune(struct bench *bench, int64_t id)
{
    outbox_ack(bench->outbox, id);
    assert_int_equal(outbox_flush(bench->outbox, NOW_MS + 1000, &bench->err), FX_OK);
}

static struct outbox_obeyed obey(struct bench *bench, int64_t at_ms, int64_t attempt,
                                 struct outbox_span span)
{
    struct outbox_obeyed obeyed;
    const struct outbox_request request = {"A", at_ms, attempt, &span, 1};
    if (outbox_obey(bench->outbox, &request, &obeyed, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
    return obeyed;
}

static int64_t count_resends(struct bench *bench)
{
    int64_t count = -1;
    assert_int_equal(outbox_count_resends(bench->outbox, &count, &bench->err), FX_OK);
    return count;
}

/* The first run that owes a heartbeat, its row's id; 0: none. */
static int64_t owing(struct bench *bench, int64_t after)
{
    struct outbox_run *run = NULL;
    assert_int_equal(outbox_next_declared(bench->outbox, after, &run, &bench->err), FX_OK);
    return run == NULL ? 0 : run->id;
}

static void what_is_kept_is_noted_once(void **state)
{
    struct bench *bench = *state;
    open_outbox(bench);
    int64_t run = store(bench, "A", 9)->run;
    struct outbox_obeyed obeyed = obey(bench, NOW_MS, 1, (struct outbox_span){run, 3, 5});
    assert_int_equal(obeyed.numbers, 3);
    assert_int_equal(obeyed.gone, 0);
    assert_int_equal(owing(bench, 0), 0);
    reopen(bench);
    struct outbox_resend next;
    int64_t ended = 0;
    assert_int_equal(outbox_next_resend(bench->outbox, 0, &next, &bench->err), FX_OK);
    assert_int_equal(next.run, run);
    assert_int_equal(next.first, 3);
    assert_int_equal(next.last, 5);
    assert_true(obey(bench, NOW_MS, 1, (struct outbox_span){run, 3, 5}).is_repeated);
    assert_true(obey(bench, NOW_MS - 1, 7, (struct outbox_span){run, 1, 1}).is_repeated);
    assert_int_equal(count_resends(bench), 1);
    assert_int_equal(outbox_end_resends(bench->outbox, next.id, &ended, &bench->err), FX_OK);
    assert_false(obey(bench, NOW_MS, 2, (struct outbox_span){run, 3, 5}).is_repeated);
    assert_int_equal(count_resends(bench), 1);
}

/* Attempts read one after the other, before the first was sent, are sent once. */
static void what_waits_already_is_not_added(void **state)
{
    struct bench *bench = *state;
    open_outbox(bench);
    int64_t run = store(bench, "A", 9)->run;
    obey(bench, NOW_MS, 1, (struct outbox_span){run, 3, 8});
    obey(bench, NOW_MS, 2, (struct outbox_span){run, 3, 8});
    obey(bench, NOW_MS, 3, (struct outbox_span){run, 4, 6});
    assert_int_equal(count_resends(bench), 1);
    obey(bench, NOW_MS, 4, (struct outbox_span){run, 4, 9});
    assert_int_equal(count_resends(bench), 2);
}

static void what_was_given_up_is_declared(void **state)
{
    struct bench *bench = *state;
    open_outbox(bench);
    int64_t run = store(bench, "A", 9)->run;
    prune(bench, 4);
    struct outbox_obeyed obeyed = obey(bench, NOW_MS, 1, (struct outbox_span){run, 3, 6});
    assert_int_equal(obeyed.numbers, 2);
    assert_int_equal(obeyed.gone, 1);
    assert_int_equal(owing(bench, 0), 1);
    reopen(bench);
    assert_int_equal(owing(bench, 0), 1);
    assert_int_equal(outbox_end_declared(bench->outbox, 1, 2, &bench->err), FX_OK);
    assert_int_equal(owing(bench, 0), 0);
}

/* The word that is on its way says nothing of what was given up after it. */
static void what_is_asked_for_meanwhile_stays_owed(void **state)
{
    struct bench *bench = *state;
    struct outbox_run *found = NULL;
    open_outbox(bench);
    int64_t run = store(bench, "A", 9)->run;
    prune(bench, 4);
    obey(bench, NOW_MS, 1, (struct outbox_span){run, 3, 6});
    assert_int_equal(outbox_next_declared(bench->outbox, 0, &found, &bench->err), FX_OK);
    int64_t owed = found->owed;
    prune(bench, 6);
    obey(bench, NOW_MS, 2, (struct outbox_span){run, 6, 6});
    assert_int_equal(outbox_end_declared(bench->outbox, 1, owed, &bench->err), FX_OK);
    assert_int_equal(owing(bench, 0), 1);
    assert_int_equal(outbox_next_declared(bench->outbox, 0, &found, &bench->err), FX_OK);
    assert_int_equal(outbox_end_declared(bench->outbox, 1, found->owed, &bench->err), FX_OK);
    assert_int_equal(owing(bench, 0), 0);
}

/* A number given to a run that ended is not given again, whatever crashes. */
static void a_beat_of_a_run_that_ended_here_is_written_at_once(void **state)
{
    struct bench *bench = *state;
    open_outbox(bench);
    struct outbox_run *run = store(bench, "A", 9);
    run->is_ended = true;
    run->beats = 3;
    outbox_touch(bench->outbox, run);
    assert_int_equal(outbox_count_beat(bench->outbox, run, &bench->err), FX_OK);
    close_outbox(bench); /* without a flush */
    assert_int_equal(edit(bench, "SELECT beats FROM run WHERE id = 1"), 4);
}

/* A number given to a run that goes on is not that of another word after a crash. */
static void beats_after_a_crash_come_behind_those_before(void **state)
{
    struct bench *bench = *state;
    open_outbox(bench);
    struct outbox_run *run = store(bench, "A", 9);
    for (int i = 0; i < 3 * OUTBOX_BEATS_AHEAD; i++)
        assert_int_equal(outbox_count_beat(bench->outbox, run, &bench->err), FX_OK);
    int64_t sent = run->beats;
    close_outbox(bench); /* without a flush */
    assert_in_range(edit(bench, "SELECT beats FROM run WHERE id = 1"), 1, sent);
    open_outbox(bench);
    bool is_end;
    const struct outbox_run *found = outbox_run_at(bench->outbox, 0, &is_end);
    assert_true(!is_end && !found->is_ended && found->beats >= sent);
}

/* The word of the ended run is not the last one: that of the present run follows. */
static void an_ended_run_is_declared_and_the_present_one(void **state)
{
    struct bench *bench = *state;
    open_outbox(bench);
    struct outbox_run *old = store(bench, "A", 9);
    int64_t run = old->run;
    old->is_ended = true;
    old->ended_ms = day_now_ms();
    old->beats = 3;
    outbox_touch(bench->outbox, old);
    prune(bench, 9);
    reopen(bench);
    int64_t current = store(bench, "A", 1)->id;
    struct outbox_obeyed obeyed = obey(bench, NOW_MS, 1, (struct outbox_span){run, 3, 6});
    assert_int_equal(obeyed.numbers, 0);
    assert_int_equal(obeyed.gone, 1);
    assert_int_equal(owing(bench, 0), 1);
    assert_int_equal(owing(bench, 1), current);
    struct outbox_run *found = NULL;
    assert_int_equal(outbox_next_declared(bench->outbox, 0, &found, &bench->err), FX_OK);
    assert_int_equal(found->acked_seq, 9);
    assert_int_equal(outbox_count_beat(bench->outbox, found, &bench->err), FX_OK);
    assert_int_equal(found->beats, 4);
    close_outbox(bench);
    assert_int_equal(edit(bench, "SELECT beats FROM run WHERE id = 1"), 4);
}

static void what_was_never_here_is_left_alone(void **state)
{
    struct bench *bench = *state;
    bool is_known = true;
    open_outbox(bench);
    int64_t run = store(bench, "A", 9)->run;
    assert_int_equal(outbox_knows(bench->outbox, "B", &is_known, &bench->err), FX_OK);
    assert_false(is_known);
    assert_int_equal(outbox_knows(bench->outbox, "A", &is_known, &bench->err), FX_OK);
    assert_true(is_known);
    struct outbox_obeyed obeyed = obey(bench, NOW_MS, 1, (struct outbox_span){run ^ 1, 1, 9});
    assert_int_equal(obeyed.unknown, 1);
    obeyed = obey(bench, NOW_MS, 2, (struct outbox_span){run, 10, 12});
    assert_int_equal(obeyed.unknown, 1);
    assert_int_equal(count_resends(bench), 0);
    assert_int_equal(owing(bench, 0), 0);
    obeyed = obey(bench, NOW_MS, 3, (struct outbox_span){run, 9, INT64_MAX});
    assert_int_equal(obeyed.numbers, 1);
}

/* Runs 1 to count of A, ended at ended_at, by SQL's i; those where declares owe a word. */
static void make_runs(struct bench *bench, int count, const char *ended_at, const char *declares)
{
    char text[400];
    open_outbox(bench);
    close_outbox(bench);
    snprintf(
        text, sizeof text,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
        " INSERT INTO run SELECT i, 'A', i, '4415', -1, 0, 0, 5, 0, 0, 0, 1, 1, %s, %s, 0 FROM n",
        count, ended_at, declares);
    edit(bench, text);
    open_outbox(bench);
    close_outbox(bench);
}

/* An ended run without events is known for a while, but not for ever, and not without bound. */
static void ended_runs_are_remembered_for_a_while(void **state)
{
    struct bench *bench = *state;
    char ended_at[100];
    int64_t edge_ms = day_now_ms() - OUTBOX_RUN_KEEP_MS;
    snprintf(ended_at, sizeof ended_at, "CASE WHEN i < 3 THEN %lld ELSE %lld END",
             (long long)(edge_ms - 1000), (long long)(edge_ms + 1000000));
    make_runs(bench, 4, ended_at, "i = 2");
    /* 1 is too old; 2 is too, but owes a word; 3 and 4 are young */
    assert_int_equal(edit(bench, "SELECT sum(1 << id) FROM run"), 4 + 8 + 16);
}

static void remembered_runs_are_bounded(void **state)
{
    struct bench *bench = *state;
    char ended_at[32];
    snprintf(ended_at, sizeof ended_at, "%lld", (long long)day_now_ms());
    make_runs(bench, OUTBOX_RUNS_MAX + 20, ended_at, "0");
    assert_int_equal(edit(bench, "SELECT count(*) FROM run"), OUTBOX_RUNS_MAX);
    assert_int_equal(edit(bench, "SELECT min(id) FROM run"), 21);
}

/* Nothing that is forgotten keeps what the city asks for waiting. */
static void requests_go_with_their_run(void **state)
{
    struct bench *bench = *state;
    make_runs(bench, 4, "CASE WHEN i < 3 THEN 1 ELSE 9000000000000 END", "0");
    assert_int_equal(edit(bench, "SELECT count(*) FROM run"), 2);
    edit(bench, "INSERT INTO resend VALUES (1, 1, 1, 5), (2, 3, 1, 5), (3, 77, 1, 1)");
    open_outbox(bench);
    assert_int_equal(count_resends(bench), 1);
}

/* ---- from format 1, as version 0.1 wrote it ---- */

static const char format_1[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE run (id INTEGER PRIMARY KEY, source TEXT NOT NULL, run INTEGER NOT NULL,"
    " region TEXT NOT NULL, previous_run INTEGER NOT NULL, previous_last_seq INTEGER NOT NULL,"
    " partition INTEGER NOT NULL, last_seq INTEGER NOT NULL, last_at INTEGER NOT NULL,"
    " last_line INTEGER NOT NULL, refused INTEGER NOT NULL, beats INTEGER NOT NULL,"
    " is_ended INTEGER NOT NULL, UNIQUE (source, run));"
    "CREATE INDEX run_open ON run (id) WHERE NOT is_ended;"
    "CREATE TABLE event (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " stored_at INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (run, seq));"
    "CREATE TABLE line (source TEXT NOT NULL, line TEXT NOT NULL, event INTEGER NOT NULL,"
    " PRIMARY KEY (source, line)) WITHOUT ROWID;"
    "CREATE INDEX line_event ON line (event);"
    "CREATE TABLE reversal (event INTEGER PRIMARY KEY, run INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, reason TEXT NOT NULL);"
    "CREATE TABLE census (source TEXT NOT NULL, cell TEXT NOT NULL, persons INTEGER NOT NULL,"
    " PRIMARY KEY (source, cell)) WITHOUT ROWID;"
    "CREATE TABLE position (input TEXT PRIMARY KEY, detail TEXT NOT NULL,"
    " device INTEGER NOT NULL, inode INTEGER NOT NULL, offset INTEGER NOT NULL,"
    " crc INTEGER NOT NULL, line_size INTEGER NOT NULL, lines INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE resend (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, first INTEGER NOT NULL,"
    " last INTEGER NOT NULL);"
    "INSERT INTO meta VALUES ('kind', 'checkpoint'), ('acked', 2);"
    "INSERT INTO run VALUES (1, 'A', 77, '4415', -1, 0, 2, 5, 9, 8, 1, 4, 1),"
    " (2, 'A', 78, '4415', 77, 5, 3, 3, 9, 8, 0, 2, 0);"
    "INSERT INTO event VALUES (1, 2, 1, 1644453000000, x'78'), (2, 2, 2, 1644453000000, x'78'),"
    " (3, 2, 3, 1644453000000, x'78');"
    "INSERT INTO line VALUES ('A', 'x', 2);"
    "PRAGMA application_id = 1180192578; PRAGMA user_version = 1;";

static bool count_row(void *context, const struct outbox_row *row)
{
    assert_int_equal(row->run->run, 78);
    assert_int_equal(row->run->partition, 3);
    ++*(int *)context;
    return true;
}

static void an_old_outbox_is_upgraded_in_place(void **state)
{
    struct bench *bench = *state;
    int rows = 0;
    const struct outbox_reader reader = {0, 10, count_row, &rows};
    edit(bench, format_1);
    open_outbox(bench);
    assert_int_equal(outbox_acked_id(bench->outbox), 2);
    assert_int_equal(outbox_read(bench->outbox, &reader, &bench->err), FX_OK);
    assert_int_equal(rows, 3);
    struct outbox_obeyed obeyed = obey(bench, NOW_MS, 1, (struct outbox_span){77, 1, 5});
    assert_int_equal(obeyed.gone, 1);
    assert_int_equal(store(bench, "A", 1)->previous_run, 78);
    struct outbox_number number = {0, 0};
    assert_int_equal(outbox_find_line(bench->outbox, "A", "x", &number, &bench->err), FX_OK);
    assert_int_equal(number.run, 78);
    assert_int_equal(number.seq, 2);
    close_outbox(bench);
    assert_int_equal(edit(bench, "SELECT stored_at FROM line"), NOW_MS);
    assert_int_equal(edit(bench, "PRAGMA user_version"), 4);
    assert_int_equal(edit(bench, "SELECT beats FROM run WHERE id = 1"), 4);
    assert_int_equal(edit(bench, "SELECT refused FROM run WHERE id = 1"), 1);
    int64_t age_ms = day_now_ms() - edit(bench, "SELECT ended_at FROM run WHERE id = 1");
    assert_in_range(age_ms + 2000, 0, 60000); /* it ended at the upgrade, as far as we know */
    open_outbox(bench);
}

/* A new outbox and an upgraded one have the same tables, but for an index that is not needed. */
static void both_roads_lead_to_the_same_tables(void **state)
{
    struct bench *bench = *state;
    static const char columns[] = "SELECT sum((cid + 1) * unicode(c.name) * length(c.name))"
                                  " FROM sqlite_schema AS s JOIN pragma_table_info(s.name) AS c";
    static const char things[] = "SELECT count(*) FROM sqlite_schema"
                                 " WHERE name <> 'sqlite_autoindex_event_1'";
    open_outbox(bench);
    close_outbox(bench);
    int64_t sum = edit(bench, columns);
    int64_t count = edit(bench, things);
    unlink(bench->path);
    edit(bench, format_1);
    assert_int_not_equal(edit(bench, columns), sum);
    open_outbox(bench);
    close_outbox(bench);
    assert_int_equal(edit(bench, columns), sum);
    assert_int_equal(edit(bench, things), count);
}

/* A change that fails half-way leaves format 1. */
static void an_upgrade_that_fails_changes_nothing(void **state)
{
    struct bench *bench = *state;
    const struct outbox_options options = {.path = bench->path, .kind = "checkpoint"};
    edit(bench, format_1);
    edit(bench, "CREATE TABLE asked (x)");
    assert_int_not_equal(outbox_open(&options, &bench->outbox, &bench->err), FX_OK);
    assert_holds(bench->err.text, "upgrade from format 1 to 4");
    bench->outbox = NULL;
    assert_int_equal(edit(bench, "PRAGMA user_version"), 1);
    edit(bench, "DROP TABLE asked");
    fx_err_clear(&bench->err);
    open_outbox(bench);
}

static void a_later_format_is_refused(void **state)
{
    struct bench *bench = *state;
    const struct outbox_options options = {.path = bench->path, .kind = "checkpoint"};
    open_outbox(bench);
    close_outbox(bench);
    edit(bench, "PRAGMA user_version = 5");
    assert_int_equal(outbox_open(&options, &bench->outbox, &bench->err), FX_ECONFIG);
    assert_holds(bench->err.text, "has format 5, this program writes 4");
    bench->outbox = NULL;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(what_is_kept_is_noted_once),
                                       TEST(what_waits_already_is_not_added),
                                       TEST(what_was_given_up_is_declared),
                                       TEST(what_is_asked_for_meanwhile_stays_owed),
                                       TEST(a_beat_of_a_run_that_ended_here_is_written_at_once),
                                       TEST(beats_after_a_crash_come_behind_those_before),
                                       TEST(an_ended_run_is_declared_and_the_present_one),
                                       TEST(what_was_never_here_is_left_alone),
                                       TEST(ended_runs_are_remembered_for_a_while),
                                       TEST(remembered_runs_are_bounded),
                                       TEST(requests_go_with_their_run),
                                       TEST(an_old_outbox_is_upgraded_in_place),
                                       TEST(both_roads_lead_to_the_same_tables),
                                       TEST(an_upgrade_that_fails_changes_nothing),
                                       TEST(a_later_format_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
