/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_base.h"

#include "../../consumers/unread.h"

#define BATCHES_MAX 64
#define SIZE_MAX_BITS 12

/* A partition: batches one behind the other, some of which cannot be unpacked. */
struct batch {
    int64_t first;
    int64_t last;
    bool is_bad;
};

static struct batch batches[BATCHES_MAX];
static int batch_count;
static int64_t end;      /* behind the last offset */
static int64_t counted;  /* sum of what was taken */
static int64_t given_up; /* how many were */
static int questions;

static void add_batch(int64_t size, bool is_bad)
{
    batches[batch_count++] = (struct batch){end, end + size - 1, is_bad};
    end += size;
}

static void reset(void)
{
    batch_count = questions = 0;
    end = counted = given_up = 0;
}

static const struct batch *batch_of(int64_t offset)
{
    int i = 0;
    while (batches[i].last < offset)
        i++;
    return &batches[i];
}

/* All from first to last lie in bad batches. */
static void check_given_up(int64_t first, int64_t last)
{
    for (int64_t offset = first; offset <= last; offset = batch_of(offset)->last + 1)
        assert_true(batch_of(offset)->is_bad);
    given_up += last - first + 1;
}

/* Reads it all as arrive.c does: what is asked for, and then what comes behind it. */
static void read_all(void)
{
    struct unread unread = {0};
    int64_t next = 0;
    int64_t at = 0;
    while (next < end) {
        questions++;
        assert_in_range(at, next, end - 1);
        const struct batch *batch = batch_of(at);
        if (batch->is_bad) {
            int64_t last = unread_failed(&unread, next, batch->first, end);
            if (last >= next)
                check_given_up(next, last);
            next = last + 1;
            at = unread.probe;
        } else if (at > next) {
            assert_true(unread_went_too_far(&unread, next));
            at = unread.probe;
        } else {
            counted += batch->last - at + 1;
            next = at = batch->last + 1;
        }
    }
}

static void one_record_is_given_up_after_a_few_tries(void **state)
{
    (void)state;
    reset();
    add_batch(5, false);
    add_batch(1, true);
    add_batch(5, false);
    read_all();
    assert_int_equal(counted, 10);
    assert_int_equal(given_up, 1);
    assert_int_equal(questions, 1 + UNREAD_TRIES + 1 + 1); /* 2 were asked for at once */
}

static void at_the_end_of_the_log_nothing_is_behind_it(void **state)
{
    (void)state;
    reset();
    add_batch(3, false);
    add_batch(7, true);
    read_all();
    assert_int_equal(counted, 3);
    assert_int_equal(given_up, 7);
}

static void a_large_batch_takes_few_questions(void **state)
{
    (void)state;
    reset();
    add_batch(100000000, true);
    add_batch(1, false);
    read_all();
    assert_int_equal(counted, 1);
    assert_int_equal(given_up, 100000000);
    assert_in_range(questions, 1, 64);
}

/* Whatever the batches: what can be read is read, all else is given up, nothing both. */
static void any_batches(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 20000; round++) {
        int64_t good = 0;
        int64_t bad = 0;
        reset();
        for (int i = rand() % BATCHES_MAX; i >= 0; i--) {
            int64_t size = 1 + rand() % (1 << rand() % SIZE_MAX_BITS);
            bool is_bad = rand() % 3 == 0;
            add_batch(size, is_bad);
            good += is_bad ? 0 : size;
            bad += is_bad ? size : 0;
        }
        read_all();
        assert_int_equal(counted, good);
        assert_int_equal(given_up, bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_record_is_given_up_after_a_few_tries),
        cmocka_unit_test(at_the_end_of_the_log_nothing_is_behind_it),
        cmocka_unit_test(a_large_batch_takes_few_questions),
        cmocka_unit_test(any_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
