/* SPDX-License-Identifier: Apache-2.0 */
/* Is this the file that was read? Files that look like another one, and a disk that fails. */
#include "fake_looks.h"

/* ---- a file that is another one by its numbers ---- */

/* Numbers of devices change with a reboot. */
static void knows_its_file_on_another_device(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\nb\n");
    assert_string_equal(take(bench), "a|b");
    for (int i = 0; i < 2; i++) { /* under its name, and rotated away */
        bench->follow.at.device++;
        restart(bench);
        assert_string_equal(take(bench), "");
        rotate(bench, "1");
    }
    add(bench, "c\n");
    assert_string_equal(take(bench), "c");
}

/* Puts another file with text in the place of the one that is followed. */
static void replace(struct bench *bench, const char *text)
{
    char fresh[640];
    snprintf(fresh, sizeof fresh, "%s", scratch_write(&bench->scratch, "fresh", text));
    assert_int_equal(rename(fresh, bench->path), 0);
}

/* A backup that was played back has other inodes. */
static void goes_on_in_a_copy_of_its_file(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\nb\n");
    assert_string_equal(take(bench), "a|b");
    replace(bench, "a\nb\nc\n");
    restart(bench);
    assert_string_equal(take(bench), "c");
    restart(bench);
    assert_string_equal(take(bench), "");
    replace(bench, "a\nb\nd\ne\n");
    restart(bench);
    assert_string_equal(take(bench), "a|b|d|e");
}

/* The file is there, so the other one is what came after it. */
static void does_not_believe_a_copy_beside_its_file(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\nb\n");
    assert_string_equal(take(bench), "a|b");
    rotate(bench, "1");
    replace(bench, "a\nb\nc\n");
    restart(bench);
    assert_string_equal(take(bench), "a|b|c");
}

/* ---- a file that is truncated ---- */

/* Writes text over the file, which keeps its inode. */
static void rewrite(const struct bench *bench, const char *text)
{
    FILE *file = fopen(bench->path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* copytruncate, and then more lines than before until somebody looks again. */
static void begins_anew_in_a_file_that_grew_beyond_the_position(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\nb\n");
    assert_string_equal(take(bench), "a|b");
    rewrite(bench, "x\ny\nz\n");
    assert_string_equal(take(bench), "x|y|z");
    assert_int_equal(bench->follow.at.lines, 5);
    add(bench, "hal");
    assert_string_equal(take(bench), "");
    rewrite(bench, "a line, longer than all\nb\n");
    assert_string_equal(take(bench), "a line, longer than all|b");
    restart(bench);
    assert_string_equal(take(bench), "");
}

/* What stood behind the last line belongs to no line of the new content. */
static void forgets_a_half_line_that_was_overwritten(void **state)
{
    struct bench *bench = *state;
    add(bench, "hal");
    assert_string_equal(take(bench), "");
    rewrite(bench, "another\n");
    assert_string_equal(take(bench), "another");
    add(bench, "hal");
    assert_string_equal(take(bench), "");
    rewrite(bench, "another\nwhole\n");
    assert_string_equal(take(bench), "whole");
}

/* A device that mends its file after a crash takes the half line back; the others are taken. */
static void reads_on_behind_the_last_line(void **state)
{
    struct bench *bench = *state;
    add(bench, "a\nb\nhal");
    assert_string_equal(take(bench), "a|b");
    assert_int_equal(truncate(bench->path, 4), 0);
    assert_string_equal(take(bench), "");
    add(bench, "c\n");
    assert_string_equal(take(bench), "c");
}

/* An error while it is looked back leaves everything as it is. */
static void looks_back_again_after_an_error(void **state)
{
    struct bench *bench = *state;
    enum lines_found found;
    const char *text;
    size_t size;
    add(bench, "a\nhal");
    assert_string_equal(take(bench), "a");
    add(bench, "f\n");
    read_errno = EIO;
    assert_int_equal(follow_next(&bench->follow, &found, &text, &size, &bench->err), FX_EDISK);
    read_errno = 0;
    fx_err_clear(&bench->err);
    assert_string_equal(take(bench), "half");
}

/* ---- a disk that does not answer ---- */

/* That a file cannot be read does not mean that it was rewritten. */
static void does_not_double_what_cannot_be_read(void **state)
{
    struct bench *bench = *state;
    int *errnos[] = {&look_errno, &read_errno};
    add(bench, "a\nb\n");
    assert_string_equal(take(bench), "a|b");
    const struct outbox_position at = bench->follow.at;
    for (int i = 0; i < 2; i++) {
        follow_close(&bench->follow);
        *errnos[i] = EIO;
        fx_err_clear(&bench->err);
        assert_int_equal(follow_open(&bench->follow, bench->path, &at, &bench->err), FX_EDISK);
        *errnos[i] = 0;
        fx_err_clear(&bench->err);
        restart(bench);
        assert_string_equal(take(bench), "");
    }
}

static void does_not_wait_for_the_writer_of_a_fifo(void **state)
{
    struct bench *bench = *state;
    const struct outbox_position none = {0};
    follow_close(&bench->follow);
    assert_int_equal(unlink(bench->path), 0);
    assert_int_equal(mkfifo(bench->path, 0600), 0);
    alarm(10);
    assert_int_equal(follow_open(&bench->follow, bench->path, &none, &bench->err), FX_ECONFIG);
    alarm(0);
    assert_holds(bench->err.text, "is no file that could be followed");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, looks_open, followed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(knows_its_file_on_another_device),
                                       TEST(goes_on_in_a_copy_of_its_file),
                                       TEST(does_not_believe_a_copy_beside_its_file),
                                       TEST(begins_anew_in_a_file_that_grew_beyond_the_position),
                                       TEST(forgets_a_half_line_that_was_overwritten),
                                       TEST(reads_on_behind_the_last_line),
                                       TEST(looks_back_again_after_an_error),
                                       TEST(does_not_double_what_cannot_be_read),
                                       TEST(does_not_wait_for_the_writer_of_a_fifo)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
