/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_base.h"

#include "../../consumers/cells.h"

enum { COUNT, SUM, LOW, HIGH, LAST, COLUMNS };

static struct rollup_column columns[COLUMNS] = {
    {.name = "checked_groups", .aggregate = AGGREGATE_COUNT, .field = -1},
    {.name = "checked_persons", .aggregate = AGGREGATE_SUM, .field = 9},
    {.name = "wait_s_min", .aggregate = AGGREGATE_MIN, .field = 10},
    {.name = "wait_s_max", .aggregate = AGGREGATE_MAX, .field = 10},
    {.name = "headcount_persons", .aggregate = AGGREGATE_LAST, .field = 11},
};
static const struct rollup rollup = {
    .name = "gate", .columns = columns, .column_count = COLUMNS, .bucket_ms = 3600000};

static struct cells *open_cells(size_t bytes_max)
{
    struct cells *cells = NULL;
    assert_ok(cells_open(&rollup, bytes_max, 11, &cells, &err));
    return cells;
}

static struct cell *find(struct cells *cells, struct cell_key key)
{
    struct cell *cell = NULL;
    assert_ok(cells_find(cells, &key, &cell, &err));
    return cell;
}

static struct cell_key key_of(int number)
{
    return (struct cell_key){
        .bucket_ms = number / 343,
        .region = (uint32_t)(number % 7),
        .dimensions = {0, (uint32_t)(number / 7 % 7), 0, (uint32_t)(number / 49 % 7)}};
}

static int64_t *slot(const struct cells *cells, struct cell *cell, int column)
{
    return &cell->slots[cells_slot(cells, column)];
}

static void a_new_cell_is_empty(void **state)
{
    (void)state;
    struct cells *cells = open_cells(SIZE_MAX);
    struct cell *cell = find(cells, key_of(0));
    assert_int_equal(*slot(cells, cell, COUNT), 0);
    assert_int_equal(*slot(cells, cell, SUM), 0);
    assert_int_equal(*slot(cells, cell, LOW), CELL_NONE);
    assert_int_equal(*slot(cells, cell, HIGH), CELL_NONE);
    assert_int_equal(*slot(cells, cell, LAST), CELL_NONE);
    assert_int_equal(cells_slot(cells, LAST), 4);
    cells_close(cells);
    cells_close(NULL);
}

static void every_part_of_the_key_tells_cells_apart(void **state)
{
    (void)state;
    struct cells *cells = open_cells(SIZE_MAX);
    const struct cell_key keys[] = {
        {.bucket_ms = 0},
        {.bucket_ms = -3600000},
        {.source = 1},
        {.region = 1},
        {.dimensions = {1}},
        {.dimensions = {0, 1}},
        {.dimensions = {0, 0, 1}},
        {.dimensions = {[3] = 1}},
    };
    const int count = (int)(sizeof keys / sizeof keys[0]);
    for (int i = 0; i < count; i++)
        find(cells, keys[i]);
    assert_int_equal(cells_count(cells), count);
    for (int i = 0; i < count; i++)
        assert_ptr_equal(find(cells, keys[i]), cells_at(cells, i));
    assert_int_equal(cells_count(cells), count);
    cells_close(cells);
}

static void cells_keep_their_slots_while_the_table_grows(void **state)
{
    (void)state;
    struct cells *cells = open_cells(SIZE_MAX);
    for (int i = 0; i < 5000; i++)
        *slot(cells, find(cells, key_of(i)), SUM) = i;
    assert_int_equal(cells_count(cells), 5000);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(*slot(cells, find(cells, key_of(i)), SUM), i);
    cells_close(cells);
}

static void a_full_table_changes_nothing_and_a_reset_makes_room(void **state)
{
    (void)state;
    struct cells *cells = open_cells(50000);
    int count = 0;
    while (cells_room(cells) > 0)
        *slot(cells, find(cells, key_of(count)), SUM) = count, count++;
    struct cell *cell = NULL;
    struct cell_key key = key_of(count);
    assert_true(count >= 64);
    assert_code(cells_find(cells, &key, &cell, &err), FX_EFULL);
    assert_null(cell);
    assert_int_equal(cells_count(cells), count);
    for (int i = 0; i < count; i++)
        assert_int_equal(*slot(cells, find(cells, key_of(i)), SUM), i);
    cells_reset(cells);
    assert_int_equal(cells_count(cells), 0);
    assert_true(cells_room(cells) > 0);
    assert_int_equal(*slot(cells, find(cells, key_of(5)), SUM), 0);
    cells_close(cells);
}

static void set(const struct cells *cells, struct cell *cell, int64_t extreme,
                const int64_t last[4])
{
    *slot(cells, cell, COUNT) = 2;
    *slot(cells, cell, SUM) = -5;
    *slot(cells, cell, LOW) = *slot(cells, cell, HIGH) = extreme;
    memcpy(slot(cells, cell, LAST), last, 4 * sizeof *last);
}

static void merging_adds_as_the_database_would(void **state)
{
    (void)state;
    struct cells *cells = open_cells(SIZE_MAX);
    for (int i = 0; i < 3; i++)
        find(cells, key_of(i));
    struct cell *a = cells_at(cells, 0);
    struct cell *b = cells_at(cells, 1);
    const struct cell *empty = cells_at(cells, 2);
    set(cells, a, 30, (const int64_t[4]){100, 7, 1, 1});
    set(cells, b, 20, (const int64_t[4]){200, 6, 9, 9});
    cells_merge(cells, a, b);
    assert_int_equal(*slot(cells, a, COUNT), 4);
    assert_int_equal(*slot(cells, a, SUM), -10);
    assert_int_equal(*slot(cells, a, LOW), 20);
    assert_int_equal(*slot(cells, a, HIGH), 30);
    assert_int_equal(*slot(cells, a, LAST), 100); /* 7 is later than 6, whatever run and seq */
    cells_merge(cells, b, a);
    assert_int_equal(*slot(cells, b, LAST), 100);
    int64_t before[8];
    memcpy(before, b->slots, sizeof before);
    cells_merge(cells, b, empty);
    assert_memory_equal(b->slots, before, sizeof before);
    cells_merge(cells, cells_at(cells, 2), b);
    assert_memory_equal(cells_at(cells, 2)->slots, before, sizeof before);
    cells_close(cells);
}

static void the_newest_wins_by_time_then_run_then_number(void **state)
{
    (void)state;
    static const struct {
        int64_t old[4];
        int64_t other[4];
        bool is_taken;
    } cases[] = {
        {{1, 5, 5, 5}, {2, 6, 1, 1}, true},   {{1, 5, 5, 5}, {2, 4, 9, 9}, false},
        {{1, 5, 5, 5}, {2, 5, 6, 1}, true},   {{1, 5, 5, 5}, {2, 5, 4, 9}, false},
        {{1, 5, 5, 5}, {2, 5, 5, 6}, true},   {{1, 5, 5, 5}, {2, 5, 5, 4}, false},
        {{1, 5, 5, 5}, {2, -1, 9, 9}, false},
    };
    struct cells *cells = open_cells(SIZE_MAX);
    find(cells, key_of(0));
    find(cells, key_of(1));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set(cells, cells_at(cells, 0), 1, cases[i].old);
        set(cells, cells_at(cells, 1), 1, cases[i].other);
        cells_merge(cells, cells_at(cells, 0), cells_at(cells, 1));
        const int64_t *expected = cases[i].is_taken ? cases[i].other : cases[i].old;
        assert_memory_equal(slot(cells, cells_at(cells, 0), LAST), expected, 4 * sizeof *expected);
    }
    cells_close(cells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_cell_is_empty),
        cmocka_unit_test(every_part_of_the_key_tells_cells_apart),
        cmocka_unit_test(cells_keep_their_slots_while_the_table_grows),
        cmocka_unit_test(a_full_table_changes_nothing_and_a_reset_makes_room),
        cmocka_unit_test(merging_adds_as_the_database_would),
        cmocka_unit_test(the_newest_wins_by_time_then_run_then_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
