/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer's memory fails, at every place: see fake_alloc.h. */
#include "fake_alloc.h"

#include "../../consumers/cells.h"
#include "../../consumers/ledger.h"
#include "../../consumers/levels.h"
#include "../../consumers/marks.h"

static enum fx_code load_regions(struct fx_err *err)
{
    struct region_tree tree;
    if (region_tree_init(&tree, err) != FX_OK)
        return err->code;
    (void)(region_tree_load(&tree, FX_SCHEMAS_DIR "/regions.csv", err) == FX_OK);
    region_tree_release(&tree);
    return err->code;
}

static void a_region_tree(void **state)
{
    (void)state;
    assert_true(fail_each(load_regions, 1) >= 3);
}

static enum fx_code open_plan(struct fx_err *err)
{
    struct plan *plan = NULL;
    struct levels *levels = NULL;
    if (plan_open(&catalog, TOPIC_GATE, 5, &plan, err) == FX_OK &&
        levels_open(plan, 0, 7, &levels, err) == FX_OK)
        levels_close(levels);
    plan_close(plan);
    return err->code;
}

static void a_plan(void **state)
{
    (void)state;
    assert_true(fail_each(open_plan, 1) >= 3);
}

static enum fx_code find_cells(struct fx_err *err)
{
    struct cells *cells = NULL;
    const struct rollup *rollup = &catalog.kinds[TOPIC_GATE].rollups.rollups[0];
    struct cell_key key = {0};
    struct cell *cell;
    if (cells_open(rollup, 8 << 20, 3, &cells, err) != FX_OK)
        return err->code;
    for (int i = 0; i < 5000 && err->code == FX_OK; i++) {
        key.source = (uint32_t)i;
        bool is_found = cells_find(cells, &key, &cell, err) == FX_OK;
        assert_int_equal(cells_count(cells), is_found ? i + 1 : i); /* or nothing changed */
    }
    cells_close(cells);
    return err->code;
}

static void cells_that_grow(void **state)
{
    (void)state;
    assert_true(fail_each(find_cells, 1) >= 3);
}

/* Every third number is skipped, every fifth rejected. */
static enum fx_code fill_run(struct ledger *ledger, int index, struct fx_err *err)
{
    const struct gap gap = {.cause = GAP_MISSING, .opened_ms = 1000};
    for (int64_t seq = 1; seq < 200 && err->code == FX_OK; seq++) {
        if (seq % 3 == 0)
            continue;
        if (seq % 5 == 0)
            (void)(ledger_reject(ledger, index, seq, &gap, err) == FX_OK);
        else
            (void)(ledger_count(ledger, index, seq, &gap, err) == FX_OK);
    }
    return err->code;
}

static enum fx_code keep_ledger(struct fx_err *err)
{
    struct ledger *ledger = NULL;
    char source[16];
    int index;
    if (ledger_open(2000, 7, &ledger, err) != FX_OK)
        return err->code;
    for (int i = 0; i < 60 && err->code == FX_OK; i++) {
        snprintf(source, sizeof source, "CP-%d", i);
        struct ledger_key key = {1, i, source, strlen(source)};
        if (ledger_find(ledger, &key, 3, &index, err) == FX_OK)
            (void)(fill_run(ledger, index, err) == FX_OK);
    }
    ledger_close(ledger);
    return err->code;
}

static void a_ledger(void **state)
{
    (void)state;
    assert_true(fail_each(keep_ledger, 1) >= 60);
}

static enum fx_code add_marks(struct fx_err *err)
{
    struct marks marks;
    marks_init(&marks, 9);
    for (int i = 0; i < 2000 && err->code == FX_OK; i++) {
        const struct mark one = {.run = i, .seq = i + 1, .source = "CP-1"};
        (void)(mark_set_add(&marks.reversed, &one, err) == FX_OK);
    }
    marks_release(&marks);
    return err->code;
}

static void marks_that_grow(void **state)
{
    (void)state;
    assert_true(fail_each(add_marks, 1) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_tree),
        cmocka_unit_test_setup_teardown(a_plan, open_kinds, close_kinds),
        cmocka_unit_test_setup_teardown(cells_that_grow, open_kinds, close_kinds),
        cmocka_unit_test(a_ledger),
        cmocka_unit_test(marks_that_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
