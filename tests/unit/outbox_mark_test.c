/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers are found without an index, however the runs of many sources lie among each other. */
#include "../../common/day.h"
#include "../../producers/outbox_rules.h"
#include "../../producers/outbox_send.h"
#include "../../producers/outbox_sql.h"
#include "scratch.h"

#include <sqlite3.h>
#include <stdlib.h>

#define SOURCES 5
#define EVENTS (4 * MARK_ROWS)
#define GROUP 1000
#define PRUNED_AT_ONCE 4096 /* by one outbox_flush */

/* What was stored: of event id i + 1 its source and number. */
struct truth {
    int source;
    int64_t seq;
};

struct bench {
    struct scratch scratch;
    char path[512];
    struct outbox *outbox;
    struct truth truth[EVENTS];
    int count;
    int64_t last_seq[SOURCES];
    int64_t run[SOURCES]; /* of the opening that stored */
    struct fx_err err;
};

static void reopen(struct bench *bench)
{
    const struct outbox_options options = {
        .path = bench->path, .kind = "checkpoint", .keep_ms = 1000};
    outbox_close(bench->outbox);
    bench->outbox = NULL;
    if (outbox_open(&options, &bench->outbox, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
}

static int set_up(void **state)
{
    static struct bench bench;
    bench = (struct bench){0};
    scratch_open(&bench.scratch);
    snprintf(bench.path, sizeof bench.path, "%s/o.db", bench.scratch.root);
    reopen(&bench);
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    outbox_close(bench->outbox);
    scratch_close(&bench->scratch);
    return 0;
}

static const char *name_of(int source)
{
    static const char *const names[SOURCES] = {"A", "B", "C", "D", "E"};
    return names[source];
}

static void append(struct bench *bench, int source)
{
    struct outbox_run *run = NULL;
    uint8_t bytes[8] = {(uint8_t)source};
    int64_t seq = bench->last_seq[source] + 1;
    memcpy(bytes + 1, &seq, 7);
    const struct outbox_event event = {bytes, sizeof bytes, 1, 1, NULL};
    assert_int_equal(outbox_take_run(bench->outbox, name_of(source), "4415", &run, &bench->err),
                     FX_OK);
    assert_int_equal(outbox_append(bench->outbox, run, &event, &bench->err), FX_OK);
    assert_int_equal(run->last_seq, seq);
    bench->last_seq[source] = seq;
    bench->run[source] = run->run;
    bench->truth[bench->count++] = (struct truth){source, seq};
}

/* A is busy, B and C come now and then, D only at first, E never again after a long silence. */
static int pick(int i)
{
    if (i < 3)
        return 3;
    if (i == 7 || i == EVENTS - 2)
        return 4;
    return i % 97 == 0 ? 1 : i % 3000 == 1 ? 2 : 0;
}

static void fill(struct bench *bench)
{
    for (int i = 0; i < EVENTS; i++) {
        if (i % GROUP == 0)
            assert_int_equal(outbox_begin(bench->outbox, &bench->err), FX_OK);
        append(bench, pick(i));
        if (i % GROUP == GROUP - 1 || i == EVENTS - 1)
            assert_int_equal(outbox_commit(bench->outbox, &bench->err), FX_OK);
    }
}

static void acknowledge(struct bench *bench, int64_t id)
{
    outbox_ack(bench->outbox, id);
    assert_int_equal(outbox_flush(bench->outbox, 0, &bench->err), FX_OK);
}

/* Acknowledges up to id and prunes that; flushes while something is acknowledged anew. */
static void prune(struct bench *bench, int64_t id)
{
    for (int64_t at = outbox_acked_id(bench->outbox); at < id;) {
        at += PRUNED_AT_ONCE;
        outbox_ack(bench->outbox, at);
        assert_int_equal(outbox_flush(bench->outbox, day_now_ms(), &bench->err), FX_OK);
    }
}

static struct outbox_run *run_of(struct bench *bench, int source)
{
    bool is_end = false;
    for (int i = 0; !is_end; i++) {
        struct outbox_run *run = outbox_run_at(bench->outbox, i, &is_end);
        if (run != NULL && strcmp(run->source, name_of(source)) == 0 &&
            run->run == bench->run[source])
            return run;
    }
    fail_msg("no run of %s", name_of(source));
    return NULL;
}

/* The lowest number of source behind row id; 0: none. */
static int64_t first_behind(const struct bench *bench, int source, int64_t id)
{
    for (int64_t i = id; i < bench->count; i++)
        if (bench->truth[i].source == source)
            return bench->truth[i].seq;
    return 0;
}

static void check_oldest(struct bench *bench, int64_t pruned_id)
{
    for (int source = 0; source < SOURCES; source++) {
        int64_t seq = -1;
        const struct outbox_run *run = run_of(bench, source);
        assert_int_equal(outbox_oldest_kept(bench->outbox, run, &seq, &bench->err), FX_OK);
        assert_int_equal(seq, first_behind(bench, source, pruned_id));
    }
}

/* Every event is found, or known to be gone. */
static void check_found(struct bench *bench, int64_t pruned_id)
{
    for (int i = 0; i < bench->count; i += i % 1000 == 3 ? 996 : 1) { /* 5 of 1000 */
        struct outbox_stored stored = {.size = 0};
        const struct truth *truth = &bench->truth[i];
        const struct outbox_number number = {bench->run[truth->source], truth->seq};
        assert_int_equal(
            outbox_find_event(bench->outbox, name_of(truth->source), &number, &stored, &bench->err),
            FX_OK);
        assert_int_equal(stored.size, i < pruned_id ? 0 : 8);
        if (stored.size > 0)
            assert_int_equal(stored.id, i + 1);
    }
}

struct walk {
    int64_t next;
    int64_t first;
    int64_t last;
    int left; /* rows that fit before visit says no */
};

static bool note_row(void *context, const struct outbox_row *row)
{
    struct walk *walk = context;
    int64_t seq = 0;
    if (walk->left-- == 0)
        return false;
    memcpy(&seq, row->bytes + 1, 7);
    assert_int_equal(seq, row->seq);
    assert_in_range(row->seq, walk->next, walk->last);
    if (walk->first == 0)
        walk->first = row->seq;
    else
        assert_int_equal(row->seq, walk->next);
    walk->next = row->seq + 1;
    return true;
}

/* All that is kept of first to last comes once and in order, in portions. */
static void check_resend(struct bench *bench, int source, int64_t first, int64_t last,
                         int64_t oldest)
{
    struct outbox_resend resend = {.run = bench->run[source], .first = first, .last = last};
    int64_t from = first > oldest ? first : oldest;
    int64_t to = last < bench->last_seq[source] ? last : bench->last_seq[source];
    enum fx_code code = outbox_request_resend(bench->outbox, name_of(source), &resend, &bench->err);
    if (oldest == 0 || from > to) {
        assert_int_equal(code, FX_EINPUT);
        fx_err_clear(&bench->err);
        return;
    }
    assert_int_equal(code, FX_OK);
    assert_int_equal(resend.count, to - from + 1);
    struct walk walk = {.next = first, .last = to};
    int64_t before;
    do {
        before = walk.next;
        walk.left = before % 2 == 0 ? 700 : INT32_MAX;
        const struct outbox_reader reader = {walk.next - 1, 1000, note_row, &walk};
        assert_int_equal(outbox_read_resend(bench->outbox, &resend, &reader, &bench->err), FX_OK);
    } while (walk.next > before);
    assert_int_equal(walk.first, from);
    assert_int_equal(walk.next, to + 1);
}

static void check_resends(struct bench *bench, int64_t pruned_id)
{
    for (int source = 0; source < SOURCES; source++) {
        int64_t oldest = first_behind(bench, source, pruned_id);
        int64_t last = bench->last_seq[source];
        check_resend(bench, source, 1, INT64_MAX, oldest);
        check_resend(bench, source, 1, last, oldest);
        check_resend(bench, source, last, last, oldest);
        check_resend(bench, source, last / 3 + 1, last / 2 + 1, oldest);
        check_resend(bench, source, last + 1, last + 5, 0);
    }
}

static void check_acked(struct bench *bench, int64_t acked_id)
{
    for (int source = 0; source < SOURCES; source++) {
        int64_t next = first_behind(bench, source, acked_id);
        assert_int_equal(run_of(bench, source)->acked_seq,
                         next == 0 ? bench->last_seq[source] : next - 1);
    }
}

static void every_number_is_found(void **state)
{
    struct bench *bench = *state;
    fill(bench);
    check_found(bench, 0);
    check_oldest(bench, 0);
    check_resends(bench, 0);
    reopen(bench);
    check_acked(bench, 0);
    check_found(bench, 0);
    check_oldest(bench, 0);
    check_resends(bench, 0);
}

static void marks_are_sparse(void **state)
{
    struct bench *bench = *state;
    fill(bench);
    sqlite3_stmt *statement = NULL;
    assert_int_equal(
        sqlite3_prepare_v2(bench->outbox->db, "SELECT count(*) FROM mark", -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_in_range(sqlite3_column_int(statement, 0), SOURCES, SOURCES * EVENTS / MARK_ROWS);
    sqlite3_finalize(statement);
}

/* With each part pruned, before and after the outbox is opened anew. */
static void what_is_left_is_found_after_pruning(void **state)
{
    struct bench *bench = *state;
    fill(bench);
    for (int64_t id = PRUNED_AT_ONCE; id < EVENTS; id += 3 * PRUNED_AT_ONCE) {
        prune(bench, id);
        check_oldest(bench, id);
        check_found(bench, id);
        check_resends(bench, id);
    }
    int64_t pruned_id = outbox_acked_id(bench->outbox);
    reopen(bench);
    check_oldest(bench, pruned_id);
    check_found(bench, pruned_id);
    check_resends(bench, pruned_id);
}

/* All is acknowledged at once, and nothing comes behind it. */
static void pruning_goes_on_when_nothing_else_is_written(void **state)
{
    struct bench *bench = *state;
    fill(bench);
    outbox_ack(bench->outbox, EVENTS);
    for (int flushed = 0; flushed <= EVENTS; flushed += PRUNED_AT_ONCE) {
        check_oldest(bench, flushed);
        assert_int_equal(outbox_flush(bench->outbox, day_now_ms(), &bench->err), FX_OK);
    }
    check_oldest(bench, EVENTS);
}

static void acknowledged_numbers_are_known_at_the_opening(void **state)
{
    struct bench *bench = *state;
    fill(bench);
    static const int64_t ids[] = {1, 2, 8, 9, MARK_ROWS - 1, MARK_ROWS, 2 * MARK_ROWS + 3, EVENTS};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        acknowledge(bench, ids[i]);
        reopen(bench);
        check_acked(bench, ids[i]);
    }
}

/* A rolled back mark is set again, at the event that takes the number: it lies too far from the
 * oldest event to be found without. */
static void a_rollback_takes_marks_back(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(outbox_begin(bench->outbox, &bench->err), FX_OK);
    for (int i = 0; i < MARK_ROWS; i++)
        append(bench, 1);
    assert_int_equal(outbox_commit(bench->outbox, &bench->err), FX_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(outbox_begin(bench->outbox, &bench->err), FX_OK);
        append(bench, 0);
        if (round == 0) {
            outbox_rollback(bench->outbox);
            bench->count--;
            bench->last_seq[0] = 0;
        }
    }
    assert_int_equal(outbox_commit(bench->outbox, &bench->err), FX_OK);
    for (int round = 0; round < 2; round++) {
        check_found(bench, 0);
        check_resend(bench, 0, 1, 1, 1);
        reopen(bench);
    }
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(every_number_is_found),
                                       TEST(marks_are_sparse),
                                       TEST(what_is_left_is_found_after_pruning),
                                       TEST(pruning_goes_on_when_nothing_else_is_written),
                                       TEST(acknowledged_numbers_are_known_at_the_opening),
                                       TEST(a_rollback_takes_marks_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
