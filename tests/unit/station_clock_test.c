/* SPDX-License-Identifier: Apache-2.0 */
/* Lines without a time of their own, on a clock that jumps. */
#include "../../common/day.h"
#include "../../producers/event.h"
#include "post_talk.h"

#include <sqlite3.h>

/* The times of the events in an outbox nobody has open, by number of the only run. */
static void read_times(const struct post *post, int64_t *times, int count)
{
    struct kind kind;
    struct fx_err err = FX_ERR_INIT;
    struct event event;
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(kind_load(FX_SCHEMAS_DIR, "checkpoint", &kind, &err), FX_OK);
    assert_int_equal(sqlite3_open(post->outbox, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT bytes FROM event ORDER BY seq", -1, &statement, NULL),
        SQLITE_OK);
    for (int i = 0; i < count; i++) {
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_int_equal(event_decode(&kind, sqlite3_column_blob(statement, 0),
                                      (size_t)sqlite3_column_bytes(statement, 0), &event, &err),
                         FX_OK);
        times[i] = event_envelope(&event, ENVELOPE_OCCURRED_AT)->number;
    }
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    kind_release(&kind);
}

/* A clock set back: a line without a time takes its source's last one. A time that a line gives is
 * its own affair, and one far ahead of the clock holds nobody up. */
static void a_clock_does_not_go_back(void **state)
{
    struct post *post = *state;
    int64_t now_ms = day_now_ms();
    int64_t times[5];
    char at[5][48] = {"", "", "", "", ""};
    snprintf(at[0], sizeof at[0], ",\"at\":%lld", (long long)now_ms + 5 * 60000);
    snprintf(at[2], sizeof at[2], ",\"at\":%lld", (long long)now_ms - 60000);
    snprintf(at[3], sizeof at[3], ",\"at\":%lld", (long long)now_ms + 3600000);
    post_spawn(post, POST);
    int writer = post_connect(post);
    for (int i = 0; i < 5; i++)
        assert_int_equal(post_number(post_ask(writer, good_line(at[i])), "seq"), i + 1);
    const char *status = post_ask(writer, "{\"command\":\"status\"}\n");
    assert_int_equal(post_number(status, "clock_back"), 2);
    close(writer);
    assert_int_equal(post_stop(post, SIGTERM), 0);
    read_times(post, times, 5);
    assert_int_equal(times[0], now_ms + 5 * 60000);
    assert_int_equal(times[1], times[0]);
    assert_int_equal(times[2], now_ms - 60000);
    assert_int_equal(times[3], now_ms + 3600000);
    assert_int_equal(times[4], times[0]);
}

/* As if the clock had been so much further ahead when the runs were written. */
static void move_last_time(const struct post *post, int64_t by_ms)
{
    char text[80];
    sqlite3 *db = NULL;
    snprintf(text, sizeof text, "UPDATE run SET last_at = last_at + %lld", (long long)by_ms);
    assert_int_equal(sqlite3_open(post->outbox, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* Two lines; how many times were put right. */
static int64_t take_two(struct post *post)
{
    post_spawn(post, POST);
    int writer = post_connect(post);
    for (int i = 1; i <= 2; i++)
        assert_int_equal(post_number(post_ask(writer, good_line("")), "seq"), i);
    int64_t count = post_number(post_ask(writer, "{\"command\":\"status\"}\n"), "clock_back");
    close(writer);
    assert_int_equal(post_stop(post, SIGTERM), 0);
    return count;
}

/* It said another century for a while: later runs go on from the present, not from there. */
static void a_clock_that_was_ahead_is_forgotten(void **state)
{
    struct post *post = *state;
    int64_t times[4];
    int64_t began_ms = day_now_ms();
    assert_int_equal(take_two(post), 0);
    move_last_time(post, 36500 * DAY_MS);
    assert_int_equal(take_two(post), 0);
    read_times(post, times, 4);
    for (int i = 0; i < 4; i++)
        assert_in_range(times[i], began_ms, day_now_ms());
    move_last_time(post, 60000);
    assert_int_equal(take_two(post), 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, post_set_up, post_tear_down)

int main(int argc, char **argv)
{
    int status = 0;
    if (post_is_station(argc, argv, &status))
        return status;
    const struct CMUnitTest tests[] = {TEST(a_clock_does_not_go_back),
                                       TEST(a_clock_that_was_ahead_is_forgotten)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
