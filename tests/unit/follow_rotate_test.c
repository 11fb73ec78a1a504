/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a file while it is followed, and what the disk may answer. */
#include "followed.h"

#include <errno.h>

static int look_errno; /* what looking at an open file fails with; 0: it does not */
static int read_errno; /* what reading back fails with */

static char told[4096];       /* what was logged, a line each: event and the rest */
static struct bench *rotated; /* whose device acts between two looks */
static int looks_until_rotation;

/* By the linker (--wrap). */
void __wrap_fx_log(enum fx_log_level level, const char *event, const char *format, ...)
    FX_PRINTF(3, 4);
int __wrap_stat(const char *path, struct stat *status);
int __real_stat(const char *path, struct stat *status);
int __wrap_fstat(int file, struct stat *status);
int __real_fstat(int file, struct stat *status);
ssize_t __wrap_pread(int file, void *bytes, size_t size, off_t offset);
ssize_t __real_pread(int file, void *bytes, size_t size, off_t offset);
ssize_t __wrap___pread_chk(int file, void *bytes, size_t size, off_t offset, size_t room);

void __wrap_fx_log(enum fx_log_level level, const char *event, const char *format, ...)
{
    size_t used = strlen(told);
    va_list values;
    (void)level;
    used += (size_t)snprintf(told + used, sizeof told - used, "%s ", event);
    va_start(values, format);
    used += (size_t)vsnprintf(told + used, sizeof told - used, format, values);
    va_end(values);
    snprintf(told + used, sizeof told - used, "\n");
}

/* Its last line, another file, and that one's first line. */
static void rotate_at_last(void)
{
    struct bench *bench = rotated;
    if (bench == NULL || looks_until_rotation-- > 0)
        return;
    rotated = NULL;
    add(bench, "b\n");
    rotate(bench, "1");
    add(bench, "c\n");
}

int __wrap_stat(const char *path, struct stat *status)
{
    int result = __real_stat(path, status);
    rotate_at_last();
    return result;
}

int __wrap_fstat(int file, struct stat *status)
{
    errno = look_errno;
    int result = look_errno == 0 ? __real_fstat(file, status) : -1;
    rotate_at_last();
    return result;
}

ssize_t __wrap_pread(int file, void *bytes, size_t size, off_t offset)
{
    errno = read_errno;
    return read_errno == 0 ? __real_pread(file, bytes, size, offset) : -1;
}

ssize_t __wrap___pread_chk(int file, void *bytes, size_t size, off_t offset, size_t room)
{
    assert_true(size <= room);
    return __wrap_pread(file, bytes, size, offset);
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

/* ---- a file that is rotated ---- */

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

static int set_up(void **state)
{
    look_errno = 0;
    read_errno = 0;
    told[0] = '\0';
    return followed_open(state);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, followed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(loses_no_line_to_a_rotation_between_two_looks),
                                       TEST(takes_what_is_written_before_the_writer_goes_over),
                                       TEST(knows_its_file_on_another_device),
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
