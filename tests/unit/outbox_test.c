/* SPDX-License-Identifier: Apache-2.0 */
#include "../../producers/outbox_rules.h"
#include "../../producers/outbox_send.h"
#include "scratch.h"

#include <sqlite3.h>

#define NOW_MS INT64_C(1644453000000)

struct bench {
    struct scratch scratch;
    char path[512];
    struct outbox *outbox;
    int64_t pages_max;
    int64_t bytes_max;
    struct fx_err err;
};

static enum fx_code try_open(struct bench *bench, const char *kind, struct outbox **outbox)
{
    const struct outbox_options options = {.path = bench->path,
                                           .kind = kind,
                                           .bytes_max = bench->bytes_max,
                                           .keep_ms = 1000,
                                           .pages_max = bench->pages_max};
    fx_err_clear(&bench->err);
    return outbox_open(&options, outbox, &bench->err);
}

static void reopen(struct bench *bench)
{
    outbox_close(bench->outbox);
    bench->outbox = NULL;
    if (try_open(bench, "checkpoint", &bench->outbox) != FX_OK)
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

static void copy_file(const char *from, const char *to)
{
    static char bytes[1 << 20];
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, in)) > 0;)
        assert_int_equal(fwrite(bytes, 1, got, out), got);
    assert_int_equal(fclose(out), 0);
    fclose(in);
}

/* The files as a crash would leave them, mid-transaction, are opened anew. */
static void crash(struct bench *bench)
{
    char wal[528];
    char crashed[528];
    char crashed_wal[528];
    snprintf(wal, sizeof wal, "%s-wal", bench->path);
    snprintf(crashed, sizeof crashed, "%.500s.new", bench->path);
    snprintf(crashed_wal, sizeof crashed_wal, "%.500s.new-wal", bench->path);
    copy_file(bench->path, crashed);
    copy_file(wal, crashed_wal);
    memcpy(bench->path, crashed, sizeof bench->path);
    reopen(bench);
}

static void begin(struct bench *bench)
{
    assert_int_equal(outbox_begin(bench->outbox, &bench->err), FX_OK);
}

static void commit(struct bench *bench)
{
    if (outbox_commit(bench->outbox, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
}

static struct outbox_run *run_of(struct bench *bench, const char *source)
{
    struct outbox_run *run = NULL;
    assert_int_equal(outbox_take_run(bench->outbox, source, "441521115", &run, &bench->err), FX_OK);
    return run;
}

static enum fx_code append(struct bench *bench, const char *source, const char *id)
{
    uint8_t bytes[100];
    memset(bytes, 'x', sizeof bytes);
    const struct outbox_event event = {bytes, sizeof bytes, NOW_MS, NOW_MS, id};
    return outbox_append(bench->outbox, run_of(bench, source), &event, &bench->err);
}

static void store(struct bench *bench, const char *source, int count)
{
    begin(bench);
    for (int i = 0; i < count; i++)
        assert_int_equal(append(bench, source, NULL), FX_OK);
    commit(bench);
}

struct seen {
    int count;
    int64_t seqs[64];
    int64_t runs[64];
    int64_t last_id;
};

static bool note_row(void *context, const struct outbox_row *row)
{
    struct seen *seen = context;
    assert_true(row->size == 100);
    assert_true(row->id > seen->last_id);
    seen->last_id = row->id;
    seen->seqs[seen->count] = row->seq;
    seen->runs[seen->count++] = row->run->run;
    return seen->count < 64;
}

static struct seen read_rows(struct bench *bench, int64_t after)
{
    struct seen seen = {0};
    const struct outbox_reader reader = {after, 64, note_row, &seen};
    assert_int_equal(outbox_read(bench->outbox, &reader, &bench->err), FX_OK);
    return seen;
}

static void numbers_are_gapless_over_openings(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 3);
    store(bench, "A", 2);
    int64_t first_run;
    begin(bench);
    first_run = run_of(bench, "A")->run;
    commit(bench);
    reopen(bench);
    store(bench, "A", 2);
    begin(bench);
    struct outbox_run *run = run_of(bench, "A");
    commit(bench);
    assert_true(run->run != first_run);
    assert_int_equal(run->previous_run, first_run);
    assert_int_equal(run->previous_last_seq, 5);
    struct seen seen = read_rows(bench, 0);
    static const int64_t expected[] = {1, 2, 3, 4, 5, 1, 2};
    assert_int_equal(seen.count, 7);
    assert_memory_equal(seen.seqs, expected, sizeof expected);
    assert_int_equal(seen.runs[4], first_run);
    assert_int_equal(seen.runs[5], run->run);
}

static void a_rollback_uses_no_number(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 1);
    begin(bench);
    assert_int_equal(append(bench, "A", "x"), FX_OK);
    assert_int_equal(append(bench, "B", "y"), FX_OK);
    outbox_rollback(bench->outbox);
    store(bench, "B", 1);
    store(bench, "A", 1);
    struct seen seen = read_rows(bench, 0);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.seqs[1], 1);
    assert_int_equal(seen.seqs[2], 2);
    reopen(bench);
    assert_int_equal(read_rows(bench, 0).count, 3);
}

static void a_crash_keeps_what_was_committed(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 2);
    begin(bench);
    assert_int_equal(append(bench, "A", NULL), FX_OK);
    crash(bench);
    assert_int_equal(read_rows(bench, 0).count, 2);
    assert_int_equal(outbox_opening_id(bench->outbox), 2);
}

static void a_line_is_stored_once(void **state)
{
    struct bench *bench = *state;
    struct outbox_number number;
    begin(bench);
    assert_int_equal(append(bench, "A", "id-1"), FX_OK);
    assert_int_equal(outbox_find_line(bench->outbox, "A", "id-1", &number, &bench->err), FX_OK);
    assert_int_equal(number.seq, 1);
    int64_t run = number.run;
    commit(bench);
    reopen(bench);
    assert_int_equal(outbox_find_line(bench->outbox, "A", "id-1", &number, &bench->err), FX_OK);
    assert_int_equal(number.seq, 1);
    assert_int_equal(number.run, run);
    assert_int_equal(outbox_find_line(bench->outbox, "B", "id-1", &number, &bench->err), FX_OK);
    assert_int_equal(number.seq, 0);
}

static void a_second_process_is_told(void **state)
{
    struct bench *bench = *state;
    struct outbox *second = NULL;
    assert_int_equal(try_open(bench, "checkpoint", &second), FX_ECONFIG);
    assert_holds(bench->err.text, "another process has it open");
    assert_holds(bench->err.text, bench->path);
}

static void another_kind_is_told(void **state)
{
    struct bench *bench = *state;
    struct outbox *second = NULL;
    outbox_close(bench->outbox);
    bench->outbox = NULL;
    assert_int_equal(try_open(bench, "quarantine", &second), FX_ECONFIG);
    assert_holds(bench->err.text, "holds events of checkpoint");
    scratch_write(&bench->scratch, "text", "this is no database at all, but it is long enough");
    memcpy(bench->path, bench->scratch.path, sizeof bench->path);
    assert_int_equal(try_open(bench, "checkpoint", &second), FX_ECONFIG);
    assert_holds(bench->err.text, "is no outbox");
    assert_int_equal(try_open(bench, "checkpoint", &second), FX_ECONFIG);
}

static void a_full_disk_loses_nothing(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 3);
    bench->pages_max = 40;
    reopen(bench);
    begin(bench);
    enum fx_code code = FX_OK;
    for (int i = 0; code == FX_OK && i < 10000; i++)
        code = append(bench, "A", NULL);
    assert_int_equal(code, FX_EDISK);
    outbox_rollback(bench->outbox);
    fx_err_clear(&bench->err);
    assert_int_equal(read_rows(bench, 0).count, 3);
    store(bench, "A", 1);
    struct seen seen = read_rows(bench, 0);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.seqs[3], 1);
}

static void a_bound_gives_up_acknowledged_rows_only(void **state)
{
    struct bench *bench = *state;
    bench->bytes_max = 1 << 20;
    reopen(bench);
    while (outbox_has_room(bench->outbox))
        store(bench, "A", 500);
    int64_t last = outbox_last_id(bench->outbox);
    assert_int_equal(read_rows(bench, 0).seqs[0], 1);
    outbox_ack(bench->outbox, last - 10);
    assert_true(outbox_has_room(bench->outbox));
    struct outbox_counts counts;
    assert_int_equal(outbox_count(bench->outbox, &counts, &bench->err), FX_OK);
    assert_int_equal(counts.unsent, 10);
    assert_true(counts.kept < last);
    assert_true(counts.bytes < bench->bytes_max);
}

/* Ids must not be given again when everything before was pruned. */
static void pruned_ids_stay_used(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 5);
    outbox_ack(bench->outbox, 5);
    assert_int_equal(outbox_flush(bench->outbox, NOW_MS + 5000, &bench->err), FX_OK);
    assert_int_equal(read_rows(bench, 0).count, 0);
    reopen(bench);
    assert_int_equal(outbox_acked_id(bench->outbox), 5);
    store(bench, "A", 1);
    assert_int_equal(outbox_last_id(bench->outbox), 6);
    assert_int_equal(read_rows(bench, outbox_acked_id(bench->outbox)).count, 1);
}

static void young_rows_stay(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 5);
    outbox_ack(bench->outbox, 4);
    assert_int_equal(outbox_flush(bench->outbox, NOW_MS + 900, &bench->err), FX_OK);
    assert_int_equal(read_rows(bench, 0).count, 5);
    outbox_ack(bench->outbox, 4);
    begin(bench);
    outbox_touch(bench->outbox, run_of(bench, "A"));
    commit(bench);
}

static void position_goes_with_the_lines(void **state)
{
    struct bench *bench = *state;
    struct outbox_position position = {.inode = 7, .offset = 100, .lines = 3};
    memcpy(position.detail, "seed=1", 7);
    begin(bench);
    assert_int_equal(append(bench, "A", NULL), FX_OK);
    assert_int_equal(outbox_set_position(bench->outbox, "in", &position, &bench->err), FX_OK);
    commit(bench);
    begin(bench);
    position.offset = 200;
    assert_int_equal(append(bench, "A", NULL), FX_OK);
    assert_int_equal(outbox_set_position(bench->outbox, "in", &position, &bench->err), FX_OK);
    crash(bench);
    struct outbox_position found;
    assert_int_equal(outbox_position(bench->outbox, "in", &found, &bench->err), FX_OK);
    assert_int_equal(found.offset, 100);
    assert_int_equal(found.inode, 7);
    assert_string_equal(found.detail, "seed=1");
    assert_int_equal(read_rows(bench, 0).count, 1);
    assert_int_equal(outbox_position(bench->outbox, "other", &found, &bench->err), FX_OK);
    assert_int_equal(found.offset, 0);
}

static void partitions_are_chosen_once(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 1);
    assert_true(outbox_has_unassigned(bench->outbox));
    assert_int_equal(outbox_assign_partitions(bench->outbox, 6, &bench->err), FX_OK);
    assert_false(outbox_has_unassigned(bench->outbox));
    bool is_end;
    int32_t chosen = outbox_run_at(bench->outbox, 0, &is_end)->partition;
    assert_in_range(chosen, 0, 5);
    reopen(bench);
    assert_int_equal(outbox_assign_partitions(bench->outbox, 1000, &bench->err), FX_OK);
    assert_int_equal(outbox_run_at(bench->outbox, 0, &is_end)->partition, chosen);
    store(bench, "A", 1);
    assert_true(outbox_run_at(bench->outbox, 1, &is_end)->partition >= 0);
}

/* A topic that grew: runs stay where their first events lie, later runs may lie anywhere. */
static void later_partitions_are_for_later_runs(void **state)
{
    struct bench *bench = *state;
    bool is_end;
    char source[16];
    int beyond = 0;
    store(bench, "A", 1);
    assert_int_equal(outbox_assign_partitions(bench->outbox, 6, &bench->err), FX_OK);
    int32_t chosen = outbox_run_at(bench->outbox, 0, &is_end)->partition;
    assert_int_equal(chosen, wire_partition("A", 1, 6));
    assert_int_not_equal(chosen, wire_partition("A", 1, 1000));
    assert_int_equal(outbox_assign_partitions(bench->outbox, 1000, &bench->err), FX_OK);
    store(bench, "A", 1);
    assert_int_equal(outbox_run_at(bench->outbox, 0, &is_end)->partition, chosen);
    for (int i = 1; i <= 10; i++) {
        snprintf(source, sizeof source, "B-%d", i);
        store(bench, source, 1);
        int32_t partition = outbox_run_at(bench->outbox, i, &is_end)->partition;
        assert_int_equal(partition, wire_partition(source, strlen(source), 1000));
        beyond += partition >= 6;
    }
    assert_true(beyond > 0);
}

static void an_event_is_reversed_once(void **state)
{
    struct bench *bench = *state;
    struct outbox_stored stored;
    store(bench, "A", 2);
    begin(bench);
    struct outbox_run *run = run_of(bench, "A");
    const struct outbox_number number = {run->run, 2};
    assert_int_equal(outbox_find_event(bench->outbox, "A", &number, &stored, &bench->err), FX_OK);
    assert_int_equal(stored.size, 100);
    assert_false(stored.is_reversed);
    assert_int_equal(append(bench, "A", NULL), FX_OK);
    assert_int_equal(outbox_note_reversal(bench->outbox, stored.id, run, "typo", &bench->err),
                     FX_OK);
    commit(bench);
    reopen(bench);
    assert_int_equal(outbox_find_event(bench->outbox, "A", &number, &stored, &bench->err), FX_OK);
    assert_true(stored.is_reversed);
    const struct outbox_number unknown = {number.run, 9};
    assert_int_equal(outbox_find_event(bench->outbox, "A", &unknown, &stored, &bench->err), FX_OK);
    assert_int_equal(stored.size, 0);
}

static void census_goes_with_the_event(void **state)
{
    struct bench *bench = *state;
    int64_t persons = -1;
    begin(bench);
    assert_int_equal(outbox_census_add(bench->outbox, "Q", "C", 5, &bench->err), FX_OK);
    commit(bench);
    begin(bench);
    assert_int_equal(outbox_census_add(bench->outbox, "Q", "C", -2, &bench->err), FX_OK);
    outbox_rollback(bench->outbox);
    assert_int_equal(outbox_census(bench->outbox, "Q", "C", &persons, &bench->err), FX_OK);
    assert_int_equal(persons, 5);
    assert_int_equal(outbox_census(bench->outbox, "Q", "D", &persons, &bench->err), FX_OK);
    assert_int_equal(persons, 0);
}

static void a_resend_is_kept_until_ended(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 5);
    bool is_end;
    struct outbox_resend wanted = {
        .run = outbox_run_at(bench->outbox, 0, &is_end)->run, .first = 2, .last = 9};
    assert_int_equal(outbox_request_resend(bench->outbox, "A", &wanted, &bench->err), FX_OK);
    assert_int_equal(wanted.count, 4);
    reopen(bench);
    struct outbox_resend found;
    int64_t ended = 0;
    struct seen seen = {0};
    const struct outbox_reader reader = {2, 64, note_row, &seen};
    assert_int_equal(outbox_next_resend(bench->outbox, 0, &found, &bench->err), FX_OK);
    assert_int_equal(outbox_read_resend(bench->outbox, &found, &reader, &bench->err), FX_OK);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.seqs[0], 3);
    assert_int_equal(outbox_end_resends(bench->outbox, found.id, &ended, &bench->err), FX_OK);
    assert_int_equal(ended, 1);
    assert_int_equal(outbox_next_resend(bench->outbox, 0, &found, &bench->err), FX_OK);
    assert_int_equal(found.id, 0);
    wanted.first = 50;
    wanted.last = 60;
    assert_int_equal(outbox_request_resend(bench->outbox, "A", &wanted, &bench->err), FX_EINPUT);
    fx_err_clear(&bench->err);
    assert_int_equal(outbox_request_resend(bench->outbox, "B", &wanted, &bench->err), FX_EINPUT);
}

/* A run's row and its events say different things: nobody but a person can tell which is right. */
static void a_contradiction_stops(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 3);
    outbox_close(bench->outbox);
    bench->outbox = NULL;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(bench->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE run SET last_seq = 2", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(try_open(bench, "checkpoint", &bench->outbox), FX_ESTATE);
}

static void many_sources_have_their_own_runs(void **state)
{
    struct bench *bench = *state;
    char source[16];
    for (int round = 0; round < 3; round++) {
        begin(bench);
        for (int i = 0; i < 1000; i++) {
            snprintf(source, sizeof source, "S-%d", i);
            assert_int_equal(append(bench, source, NULL), FX_OK);
            assert_int_equal(run_of(bench, source)->last_seq, round + 1);
        }
        commit(bench);
    }
    reopen(bench);
    struct outbox_counts counts;
    assert_int_equal(outbox_count(bench->outbox, &counts, &bench->err), FX_OK);
    assert_int_equal(counts.runs_open, 1000);
    assert_int_equal(counts.kept, 3000);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(numbers_are_gapless_over_openings),
                                       TEST(a_rollback_uses_no_number),
                                       TEST(a_crash_keeps_what_was_committed),
                                       TEST(a_line_is_stored_once),
                                       TEST(a_second_process_is_told),
                                       TEST(another_kind_is_told),
                                       TEST(a_full_disk_loses_nothing),
                                       TEST(a_bound_gives_up_acknowledged_rows_only),
                                       TEST(pruned_ids_stay_used),
                                       TEST(young_rows_stay),
                                       TEST(position_goes_with_the_lines),
                                       TEST(partitions_are_chosen_once),
                                       TEST(later_partitions_are_for_later_runs),
                                       TEST(an_event_is_reversed_once),
                                       TEST(census_goes_with_the_event),
                                       TEST(a_resend_is_kept_until_ended),
                                       TEST(a_contradiction_stops),
                                       TEST(many_sources_have_their_own_runs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
