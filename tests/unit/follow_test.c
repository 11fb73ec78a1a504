/* SPDX-License-Identifier: Apache-2.0 */
#include "followed.h"

#include <errno.h>
#include <sys/resource.h>

static int folder_syncs;
static int sync_errno; /* what the next sync of a folder fails with; 0: it does not */

/* By the linker (--wrap). */
int __wrap_fsync(int file);
int __real_fsync(int file);

int __wrap_fsync(int file)
{
    struct stat status;
    assert_int_equal(fstat(file, &status), 0);
    if (!S_ISDIR(status.st_mode))
        return __real_fsync(file);
    folder_syncs++;
    errno = sync_errno;
    return sync_errno == 0 ? __real_fsync(file) : -1;
}

static void takes_whole_lines_only(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\nb\nhal");
    assert_string_equal(take(bench), "a|b");
    assert_string_equal(take(bench), "");
    assert_int_equal(bench->follow.at.offset, 4);
    add(bench, "f\n");
    assert_string_equal(take(bench), "half");
    assert_int_equal(bench->follow.at.offset, 9);
    assert_int_equal(bench->follow.at.lines, 3);
}

static void goes_on_where_it_was(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\nb\nhal");
    assert_string_equal(take(bench), "a|b");
    restart(bench);
    add(bench, "f\n");
    assert_string_equal(take(bench), "half");
    restart(bench);
    assert_string_equal(take(bench), "");
}

static void finishes_a_rotated_file_first(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\n");
    assert_string_equal(take(bench), "a");
    add(bench, "b\n");
    rotate(bench, "1");
    add(bench, "c\n");
    assert_string_equal(take(bench), "b|c");
}

static void finds_a_file_rotated_while_away(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\n");
    assert_string_equal(take(bench), "a");
    add(bench, "b\n");
    rotate(bench, "1");
    add(bench, "c\n");
    restart(bench);
    assert_string_equal(take(bench), "b|c");
    restart(bench);
    assert_string_equal(take(bench), "");
}

static void sync_expecting(struct bench *bench, enum fx_code code)
{
    fx_err_clear(&bench->err);
    assert_int_equal(follow_sync(&bench->follow, &bench->err), code);
}

/* A power cut must not take back the name of a file that a position is in. */
static void syncs_the_name_of_each_file_once(void **state)
{
    struct bench *bench = *state;
    folder_syncs = 0;
    add(bench, "a\n");
    assert_string_equal(take(bench), "a");
    sync_expecting(bench, FX_OK);
    sync_expecting(bench, FX_OK);
    assert_int_equal(folder_syncs, 1);
    rotate(bench, "1");
    add(bench, "b\n");
    assert_string_equal(take(bench), "b");
    sync_errno = EIO;
    sync_expecting(bench, FX_EDISK);
    sync_errno = EINVAL; /* a file system that cannot */
    sync_expecting(bench, FX_OK);
    sync_errno = 0;
    sync_expecting(bench, FX_OK);
    assert_int_equal(folder_syncs, 3);
}

/* A folder that cannot be opened just now is not synced for that. */
static void syncs_the_name_as_soon_as_it_can(void **state)
{
    struct bench *bench = *state;
    struct rlimit limit;
    folder_syncs = 0;
    add(bench, "a\n");
    assert_string_equal(take(bench), "a");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {0, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    sync_expecting(bench, FX_EDISK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    sync_expecting(bench, FX_OK);
    assert_int_equal(folder_syncs, 1);
}

static void begins_anew_after_truncation(void **state)
{
    struct bench *bench = *state;
    add(bench, "aaaa\nbbbb\n");
    assert_string_equal(take(bench), "aaaa|bbbb");
    assert_int_equal(truncate(bench->path, 0), 0);
    assert_string_equal(take(bench), "");
    add(bench, "c\n");
    assert_string_equal(take(bench), "c");
}

/* The same inode with other content: the checksum of the last line tells. */
static void does_not_believe_a_rewritten_file(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\nb\n");
    assert_string_equal(take(bench), "a|b");
    assert_int_equal(truncate(bench->path, 0), 0);
    add(bench, "x\ny\nz\n");
    restart(bench);
    assert_string_equal(take(bench), "x|y|z");
}

static void waits_for_a_missing_file(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\n");
    assert_string_equal(take(bench), "a");
    assert_int_equal(unlink(bench->path), 0);
    assert_string_equal(take(bench), "");
    assert_true(bench->follow.is_stale);
    add(bench, "b\n");
    assert_string_equal(take(bench), "b");
    assert_false(bench->follow.is_stale);
}

static void skips_a_line_that_is_too_long(void **state)
{
    struct bench *bench = *state;
    char *text = malloc(4 * LINES_MAX);
    memset(text, 'x', 4 * LINES_MAX);
    memcpy(text + 4 * LINES_MAX - 4, "\nb\n", 4);
    add(bench, "a\n");
    add(bench, text);
    free(text);
    assert_string_equal(take(bench), "a|(long)|b");
    assert_true(bench->follow.lines.buf.room <= 4 * LINES_MAX);
    restart(bench);
    assert_string_equal(take(bench), "");
}

/* A crash while such a line is read, or still written, does not make its rest another line. */
static void remembers_a_line_that_is_too_long(void **state)
{
    struct bench *bench = *state;
    char *part = malloc(2 * LINES_MAX + 1);
    memset(part, 'x', 2 * LINES_MAX);
    part[2 * LINES_MAX] = '\0';
    add(bench, "a\n");
    add(bench, part);
    assert_string_equal(take(bench), "a|(long)");
    for (int i = 0; i < 3; i++) {
        restart(bench);
        assert_string_equal(take(bench), "");
        add(bench, part);
    }
    add(bench, "end\n");
    restart(bench);
    assert_string_equal(take(bench), "");
    restart(bench);
    add(bench, "b\n");
    assert_string_equal(take(bench), "b");
    assert_int_equal(bench->follow.at.lines, 3);
    assert_int_equal(bench->follow.at.offset, 2 + 4 * 2 * LINES_MAX + 4 + 2);
    free(part);
}

/* A line of exactly the limit is taken, whatever the chunks it comes in. */
static void takes_a_line_of_the_limit(void **state)
{
    (void)state;
    int ends[2];
    static char text[LINES_MAX + 1];
    memset(text, 'y', LINES_MAX);
    text[LINES_MAX] = '\n';
    struct lines lines;
    struct fx_err err = FX_ERR_INIT;
    const char *found;
    size_t size;
    lines_init(&lines, 1000);
    for (size_t over = 0; over < 2; over++) {
        assert_int_equal(pipe(ends), 0);
        assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 18) >= 0);
        assert_int_equal(write(ends[1], "y", over), over);
        assert_int_equal(write(ends[1], text, sizeof text), sizeof text);
        close(ends[1]);
        long count = 1;
        enum lines_found what = LINES_NONE;
        while (what == LINES_NONE && count > 0) {
            assert_int_equal(lines_read(&lines, ends[0], &count, &err), FX_OK);
            what = lines_next(&lines, &found, &size);
        }
        assert_int_equal(what, over == 0 ? LINES_LINE : LINES_TOO_LONG);
        close(ends[0]);
        lines_reset(&lines);
    }
    lines_release(&lines);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, followed_open, followed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(takes_whole_lines_only),
                                       TEST(goes_on_where_it_was),
                                       TEST(finishes_a_rotated_file_first),
                                       TEST(finds_a_file_rotated_while_away),
                                       TEST(syncs_the_name_of_each_file_once),
                                       TEST(syncs_the_name_as_soon_as_it_can),
                                       TEST(begins_anew_after_truncation),
                                       TEST(does_not_believe_a_rewritten_file),
                                       TEST(waits_for_a_missing_file),
                                       TEST(skips_a_line_that_is_too_long),
                                       TEST(remembers_a_line_that_is_too_long),
                                       cmocka_unit_test(takes_a_line_of_the_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
