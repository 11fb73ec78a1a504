/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a file while it is followed, and what the disk may answer. */
#include "followed.h"

#include <errno.h>

static int look_errno; /* what looking at an open file fails with; 0: it does not */
static int read_errno; /* what reading back fails with */

/* By the linker (--wrap). */
int __wrap_fstat(int file, struct stat *status);
int __real_fstat(int file, struct stat *status);
ssize_t __wrap_pread(int file, void *bytes, size_t size, off_t offset);
ssize_t __real_pread(int file, void *bytes, size_t size, off_t offset);
ssize_t __wrap___pread_chk(int file, void *bytes, size_t size, off_t offset, size_t room);

int __wrap_fstat(int file, struct stat *status)
{
    errno = look_errno;
    return look_errno == 0 ? __real_fstat(file, status) : -1;
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

#define TEST(function) cmocka_unit_test_setup_teardown(function, followed_open, followed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(does_not_double_what_cannot_be_read),
                                       TEST(does_not_wait_for_the_writer_of_a_fifo)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
