/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_base.h"

#include "../../consumers/gapset.h"

#define NUMBERS_MAX 400
#define COUNTED (-1)
#define OPERATIONS 400000

static const char cause_letters[] = "mrwb";

/* "1-3m 7-7r": the set as text. */
static const char *text_of(const struct gapset *set)
{
    static char text[1024];
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < set->count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64 "-%" PRId64 "%c",
                                 i == 0 ? "" : " ", set->gaps[i].first, set->gaps[i].last,
                                 cause_letters[set->gaps[i].cause]);
    return text;
}

static struct gap gap_of(int64_t first, int64_t last, char letter)
{
    const char *at = strchr(cause_letters, letter);
    return (struct gap){.first = first,
                        .last = last,
                        .opened_ms = first * 1000,
                        .cause = (enum gap_cause)(at - cause_letters)};
}

static void open_gap(struct gapset *set, int64_t first, int64_t last, char letter)
{
    struct gap gap = gap_of(first, last, letter);
    assert_ok(gapset_open(set, &gap, &err));
}

static void take(struct gapset *set, int64_t seq)
{
    assert_ok(gapset_take(set, gapset_find(set, seq), seq, &err));
}

static void mark(struct gapset *set, int64_t seq, char letter)
{
    struct gap one = gap_of(seq, seq, letter);
    assert_ok(gapset_mark(set, gapset_find(set, seq), &one, &err));
}

static void opened_ranges_join_when_they_touch_and_agree(void **state)
{
    (void)state;
    struct gapset set = GAPSET_INIT;
    open_gap(&set, 2, 4, 'm');
    open_gap(&set, 5, 6, 'm');
    assert_string_equal(text_of(&set), "2-6m");
    assert_int_equal(set.gaps[0].opened_ms, 2000);
    open_gap(&set, 7, 7, 'r');
    open_gap(&set, 9, 9, 'r');
    assert_string_equal(text_of(&set), "2-6m 7-7r 9-9r");
    assert_int_equal(gapset_sum(&set), 7);
    gapset_release(&set);
}

static void taking_shrinks_splits_and_removes(void **state)
{
    (void)state;
    struct gapset set = GAPSET_INIT;
    open_gap(&set, 1, 9, 'b');
    take(&set, 1);
    assert_string_equal(text_of(&set), "2-9b");
    take(&set, 9);
    assert_string_equal(text_of(&set), "2-8b");
    take(&set, 5);
    assert_string_equal(text_of(&set), "2-4b 6-8b");
    assert_int_equal(gapset_find(&set, 5), -1);
    assert_int_equal(gapset_find(&set, 6), 1);
    open_gap(&set, 11, 11, 'm');
    take(&set, 11);
    assert_string_equal(text_of(&set), "2-4b 6-8b");
    gapset_release(&set);
}

static void marking_cuts_out_and_joins_both_neighbours(void **state)
{
    (void)state;
    struct gapset set = GAPSET_INIT;
    open_gap(&set, 1, 5, 'm');
    mark(&set, 3, 'm');
    assert_string_equal(text_of(&set), "1-5m");
    mark(&set, 2, 'r');
    mark(&set, 4, 'r');
    assert_string_equal(text_of(&set), "1-1m 2-2r 3-3m 4-4r 5-5m");
    mark(&set, 3, 'r');
    assert_string_equal(text_of(&set), "1-1m 2-4r 5-5m");
    mark(&set, 3, 'w');
    assert_string_equal(text_of(&set), "1-1m 2-2r 3-3w 4-4r 5-5m");
    assert_int_equal(gapset_sum(&set), 5);
    gapset_release(&set);
}

static void only_rows_of_the_database_are_removed_from_it(void **state)
{
    (void)state;
    struct gapset set = GAPSET_INIT;
    open_gap(&set, 1, 5, 'm');
    take(&set, 3);
    assert_int_equal(set.removed_count, 0);
    gapset_stored(&set);
    take(&set, 4);
    take(&set, 5);
    assert_int_equal(set.removed_count, 1);
    assert_int_equal(set.removed[0], 4);
    assert_true(set.gaps[0].is_stored);
    open_gap(&set, 7, 8, 'm');
    assert_false(set.gaps[1].is_stored);
    gapset_stored(&set);
    assert_int_equal(set.removed_count, 0);
    open_gap(&set, 9, 9, 'm');
    assert_int_equal(set.removed[0], 7);
    assert_false(set.gaps[1].is_stored);
    gapset_release(&set);
}

static void causes_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < GAP_CAUSE_COUNT; i++)
        assert_int_equal(gap_cause_parse(gap_cause_name((enum gap_cause)i)), i);
    assert_int_equal(gap_cause_parse("lost"), GAP_CAUSE_COUNT);
}

/* The set as a naive man keeps it, and source_gap as the database does. */
struct model {
    int high;
    int causes[NUMBERS_MAX + 1];   /* of each number up to high; COUNTED */
    int64_t last[NUMBERS_MAX + 1]; /* of the row that begins here; 0: no row */
    int row_causes[NUMBERS_MAX + 1];
};

static void check_numbers(const struct model *model, const struct gapset *set)
{
    int64_t sum = 0;
    int at = 0;
    for (int seq = 1; seq <= model->high; seq++) {
        bool is_inside = at < set->count && set->gaps[at].first <= seq;
        assert_int_equal(is_inside ? (int)set->gaps[at].cause : COUNTED, model->causes[seq]);
        sum += is_inside;
        at += is_inside && set->gaps[at].last == seq;
    }
    assert_int_equal(at, set->count);
    assert_int_equal(gapset_sum(set), sum);
    for (int i = 1; i < set->count; i++)
        assert_true(set->gaps[i - 1].last < set->gaps[i].first);
}

/* What a flush does: deletes what is removed, inserts what is not stored. Every row is there
 * when it is deleted, none when it is inserted, and the table is the set in the end. */
static void flush(struct model *model, struct gapset *set)
{
    for (int i = 0; i < set->removed_count; i++) {
        assert_true(model->last[set->removed[i]] > 0);
        model->last[set->removed[i]] = 0;
    }
    for (int i = 0; i < set->count; i++) {
        const struct gap *gap = &set->gaps[i];
        assert_int_equal(model->last[gap->first] > 0, gap->is_stored);
        if (gap->is_stored) {
            assert_int_equal(model->last[gap->first], gap->last);
            assert_int_equal(model->row_causes[gap->first], gap->cause);
        }
        model->last[gap->first] = gap->last;
        model->row_causes[gap->first] = gap->cause;
    }
    int rows = 0;
    for (int seq = 1; seq <= NUMBERS_MAX; seq++)
        rows += model->last[seq] > 0;
    assert_int_equal(rows, set->count);
    gapset_stored(set);
}

static void load(const struct model *model, struct gapset *set)
{
    gapset_release(set);
    for (int seq = 1; seq <= NUMBERS_MAX; seq++) {
        struct gap row = {.first = seq, .last = model->last[seq]};
        row.cause = (enum gap_cause)model->row_causes[seq];
        if (row.last > 0)
            assert_ok(gapset_load(set, &row, &err));
    }
}

static void open_random(struct dice *dice, struct model *model, struct gapset *set)
{
    for (int skip = dice_below(dice, 3); skip > 0; skip--)
        model->causes[++model->high] = COUNTED;
    int cause = dice_below(dice, GAP_CAUSE_COUNT);
    int first = model->high + 1;
    for (int size = 1 + dice_below(dice, 5); size > 0; size--)
        model->causes[++model->high] = cause;
    open_gap(set, first, model->high, cause_letters[cause]);
}

/* One number, met again: counted, or marked with another cause, if it lies in a range. */
static void touch_random(struct dice *dice, struct model *model, struct gapset *set)
{
    int seq = 1 + dice_below(dice, model->high);
    int index = gapset_find(set, seq);
    assert_int_equal(index >= 0, model->causes[seq] != COUNTED);
    if (index < 0)
        return;
    assert_true(set->gaps[index].first <= seq && seq <= set->gaps[index].last);
    if (dice_chance(dice, 50)) {
        take(set, seq);
        model->causes[seq] = COUNTED;
    } else {
        model->causes[seq] = dice_below(dice, GAP_CAUSE_COUNT);
        mark(set, seq, cause_letters[model->causes[seq]]);
    }
}

static void random_operations_agree_with_a_bitmap_and_a_table(void **state)
{
    (void)state;
    static struct model model;
    struct dice dice = {1};
    struct gapset set = GAPSET_INIT;
    for (int i = 0; i < OPERATIONS; i++) {
        if (model.high == 0 || (dice_chance(&dice, 10) && model.high < NUMBERS_MAX - 8))
            open_random(&dice, &model, &set);
        else
            touch_random(&dice, &model, &set);
        if (i % 16 == 0)
            check_numbers(&model, &set);
        if (dice_chance(&dice, 3))
            flush(&model, &set);
        if (i % 1000 == 999) {
            flush(&model, &set);
            load(&model, &set);
            check_numbers(&model, &set);
        }
        if (i % 2000 == 1999) {
            gapset_release(&set);
            memset(&model, 0, sizeof model);
        }
    }
    gapset_release(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opened_ranges_join_when_they_touch_and_agree),
        cmocka_unit_test(taking_shrinks_splits_and_removes),
        cmocka_unit_test(marking_cuts_out_and_joins_both_neighbours),
        cmocka_unit_test(only_rows_of_the_database_are_removed_from_it),
        cmocka_unit_test(causes_have_names),
        cmocka_unit_test(random_operations_agree_with_a_bitmap_and_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
