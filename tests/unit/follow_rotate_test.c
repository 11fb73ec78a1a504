/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are rotated while they are followed, or while nobody follows. */
#include "fake_looks.h"

#include <time.h>

/* All that is there within a few looks, joined by '|'. */
static const char *take_in_looks(struct bench *bench)
{
    static char all[1024];
    size_t used = 0;
    for (int i = 0; i < 6; i++) {
        const char *some = take(bench);
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s",
                                 used > 0 && some[0] != '\0' ? "|" : "", some);
    }
    return all;
}

static void loses_no_line_to_a_rotation_between_two_looks(void **state)
{
    struct bench *bench = *state;
    for (int looks = 0; looks < 8; looks++) {
        add(bench, "a\n");
        rotated = bench;
        looks_until_rotation = looks;
        assert_string_equal(take_in_looks(bench), "a|b|c");
    }
}

/* Adds text to the file that was rotated away as path.suffix. */
static void add_late(struct bench *bench, const char *suffix, const char *text)
{
    struct bench old = {0};
    snprintf(old.path, sizeof old.path, "%.400s.%s", bench->path, suffix);
    add(&old, text);
}

/* logrotate: it renames the file, makes an empty one, and tells the writer. */
static void takes_what_is_written_before_the_writer_goes_over(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\nhal");
    assert_string_equal(take(bench), "a");
    rotate(bench, "1");
    assert_string_equal(take(bench), "");
    add_late(bench, "1", "f\nb\nhal");
    assert_string_equal(take(bench), "half|b");
    restart(bench);
    assert_string_equal(take(bench), "");
    assert_false(bench->follow.is_stale);
    assert_null(strstr(told, "follow_half_line"));
    add(bench, "c\n");
    assert_string_equal(take(bench), "c");
    assert_holds(told, "follow_half_line bytes=3 effect=not_taken\n");
}

/* Nobody read while files were rotated: the outbox was full, or the station did not run. */
static void go_through(struct bench *bench, int first, bool is_away)
{
    const char *lines[] = {"b\n", "c\n", "", "d\n", "e\n"};
    add(bench, "a\n");
    assert_string_equal(take(bench), "a");
    for (int i = 0; i < 5; i++) {
        add(bench, lines[i]);
        if (i < 4)
            shift(bench, first);
    }
    if (is_away)
        restart(bench);
    assert_string_equal(take(bench), "b|c|d|e");
    restart(bench);
    assert_string_equal(take(bench), "");
    assert_null(strstr(told, "follow_skipped"));
}

static void goes_through_the_files_in_between(void **state)
{
    go_through(*state, 1, false);
}

static void goes_through_them_after_it_was_away(void **state)
{
    go_through(*state, 1, true);
}

static void goes_through_them_where_0_is_the_last(void **state)
{
    go_through(*state, 0, true);
}

/* In between two files of the row there is one rotation more. */
static void is_not_confused_by_one_more_rotation(void **state)
{
    struct bench *bench = *state;
    for (int looks = 0; looks < 12; looks++) {
        add(bench, "a\n");
        assert_string_equal(take_in_looks(bench), "a");
        shift(bench, 1);
        add(bench, "x\n");
        rotated = bench;
        looks_until_rotation = looks;
        assert_string_equal(take_in_looks(bench), "x|b|c");
    }
}

/* Sets when the file that was rotated away as path.suffix was written, in seconds from now. */
static void set_written(const struct bench *bench, const char *suffix, long seconds)
{
    char path[640];
    struct timespec times[2] = {{0, UTIME_OMIT}, {time(NULL) + seconds, 0}};
    snprintf(path, sizeof path, "%.512s%s", bench->path, suffix);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Numbers of days: the one before is the day before, and was taken. */
static void does_not_go_back_by_days(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\n");
    assert_string_equal(take(bench), "a");
    rotate(bench, "20220209");
    set_written(bench, ".20220209", -86400);
    add(bench, "b\n");
    assert_string_equal(take(bench), "b");
    rotate(bench, "20220210");
    add(bench, "c\n");
    assert_string_equal(take(bench), "c");
    assert_null(strstr(told, "follow_skipped"));
}

/* A file that may be a copy is not counted, but nobody loses lines without being told. */
static void names_what_it_does_not_read(void **state)
{
    struct bench *bench = *state;
    const char *const names[] = {"log-1", "log-2", "log-2.gz", "log-empty", "log.0.gz", "logbook"};
    char line[128];
    add(bench, "a\n");
    assert_string_equal(take(bench), "a");
    for (int i = 0; i < 6; i++)
        scratch_write(&bench->scratch, names[i], i == 3 ? "" : "x\n");
    rotate(bench, "old");
    set_written(bench, ".old", -100);
    set_written(bench, "-1", -200);
    add(bench, "b\n");
    assert_string_equal(take(bench), "b");
    for (int i = 0; i < 6; i++) {
        snprintf(line, sizeof line, "follow_skipped name=\"%s\" effect=not_read\n", names[i]);
        assert_int_equal(strstr(told, line) != NULL, i == 1 || i == 2 || i == 4);
    }
    assert_null(strstr(told, "log.old"));
}

/* The row has a hole: what stood there was packed. */
static void names_what_was_packed(void **state)
{
    struct bench *bench = *state;
    char from[640];
    char to[640];
    add(bench, "a\n");
    assert_string_equal(take(bench), "a");
    shift(bench, 1);
    add(bench, "b\n");
    shift(bench, 1);
    set_written(bench, ".2", -100);
    snprintf(from, sizeof from, "%.512s.1", bench->path);
    snprintf(to, sizeof to, "%.512s.1.gz", bench->path);
    assert_int_equal(rename(from, to), 0);
    add(bench, "c\n");
    assert_string_equal(take(bench), "c");
    assert_holds(told, "follow_skipped name=\"log.1.gz\" effect=not_read\n");
}

static void names_what_may_be_in_place_of_a_lost_file(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\n");
    assert_string_equal(take(bench), "a");
    rotate(bench, "1");
    scratch_write(&bench->scratch, "log.2", "x\n");
    set_written(bench, ".2", -100000);
    char gone[640];
    snprintf(gone, sizeof gone, "%.512s.1", bench->path);
    assert_int_equal(unlink(gone), 0);
    add(bench, "c\n");
    restart(bench);
    assert_string_equal(take(bench), "c");
    assert_holds(told, "follow_lost offset=2 reason=file_gone effect=begins_at_0\n");
    assert_holds(told, "follow_skipped name=\"log.2\" effect=not_read\n");
}

/* Who may not read the directory still follows the path, and is told. */
static void goes_on_in_a_directory_that_may_not_be_read(void **state)
{
    struct bench *bench = *state;
    bool is_root = geteuid() == 0;
    add(bench, "a\n");
    assert_string_equal(take(bench), "a");
    rotate(bench, "1");
    add(bench, "b\n");
    assert_int_equal(chmod(bench->scratch.root, 0311), 0);
    assert_int_equal(chmod(bench->path, 0644), 0);
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    const char *taken = take(bench);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(bench->scratch.root, 0700), 0);
    assert_string_equal(taken, "b");
    assert_holds(told, "follow_unsearched ");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, looks_open, followed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(loses_no_line_to_a_rotation_between_two_looks),
                                       TEST(takes_what_is_written_before_the_writer_goes_over),
                                       TEST(goes_through_the_files_in_between),
                                       TEST(goes_through_them_after_it_was_away),
                                       TEST(goes_through_them_where_0_is_the_last),
                                       TEST(is_not_confused_by_one_more_rotation),
                                       TEST(does_not_go_back_by_days),
                                       TEST(names_what_it_does_not_read),
                                       TEST(names_what_was_packed),
                                       TEST(names_what_may_be_in_place_of_a_lost_file),
                                       TEST(goes_on_in_a_directory_that_may_not_be_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
