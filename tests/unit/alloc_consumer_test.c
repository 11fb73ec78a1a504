/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer's memory fails, at every place: see fake_shortage.h. */
#include "fake_encode.h"

#include "fake_shortage.h"

#include "../../consumers/ask.h"
#include "../../consumers/cells.h"
#include "../../consumers/ledger.h"
#include "../../consumers/levels.h"
#include "../../consumers/marks.h"
#include "../../consumers/plan.h"
#include "../../consumers/store_array.h"
#include "../../schemas/wire.h"

/* Of every length: none that was checked is lost for want of a place for its end. */
static enum fx_code write_texts(struct fx_err *err)
{
    for (int length = 1; length <= 300 && err->code == FX_OK; length++) {
        struct buf buf = BUF_INIT;
        for (int i = 0; i < length; i++)
            buf_append_byte(&buf, 'x');
        if (buf_check(&buf, err) == FX_OK)
            say("%zu ", strlen(buf_text(&buf)));
        buf_release(&buf);
    }
    return err->code;
}

static void texts(void **state)
{
    (void)state;
    assert_true(fail_each(write_texts, 1, REPORTED).count >= 300);
}

static enum fx_code load_regions(struct fx_err *err)
{
    struct region_tree tree;
    if (region_tree_init(&tree, err) != FX_OK)
        return err->code;
    if (region_tree_load(&tree, FX_SCHEMAS_DIR "/regions.csv", err) == FX_OK)
        for (int i = 0; i < tree.count; i++)
            say("%s %d\n", tree.nodes[i].code, tree.nodes[i].parent);
    region_tree_release(&tree);
    return err->code;
}

static void a_region_tree(void **state)
{
    (void)state;
    assert_true(fail_each(load_regions, 1, REPORTED).count >= 5);
}

/* ---- definitions ---- */

static enum fx_code load_definitions(struct fx_err *err)
{
    struct catalog loaded;
    if (catalog_load(scratch.root, &loaded, err) != FX_OK)
        return err->code;
    for (int k = 0; k < loaded.kind_count; k++) {
        const struct rollup_set *set = &loaded.kinds[k].rollups;
        say("%s", loaded.kinds[k].kind.name);
        for (int i = 0; i < set->count; i++)
            say(" %s %d %d %016" PRIx64, set->rollups[i].name, set->rollups[i].column_count,
                set->rollups[i].derived_count, set->rollups[i].fingerprint);
    }
    for (size_t i = 0; i < sizeof loaded.hash; i++)
        say(" %02x", (unsigned)(unsigned char)loaded.hash[i]);
    catalog_release(&loaded);
    return FX_OK;
}

/* Texts that outgrow jansson's buffer, where it swallows failures, lists, derived columns, and a
 * second version of a schema. */
static void definitions(void **state)
{
    (void)state;
    static const char bell_2[] =
        "{'type': 'record', 'name': 'bell', 'namespace': 'fangxian', " KINDS_DOC ", 'fields': "
        "[" KINDS_ENVELOPE ","
        "{'name': 'rings', 'type': 'int', 'min': 0, 'max': 1000000, 'doc': '数'},"
        "{'name': 'tone', 'type': 'string', 'default': 'dull', 'max_length': 8, 'doc': '数'}]}";
    static const char bell_lists[] =
        "{'rollup': 'bell_lists', 'by': ['source'], 'bucket': '1h', 'doc': '数', 'columns': ["
        "{'each': {'ONE': '一', 'TWO': '二'}, 'name': 'rung_{}_times', 'sum': 'rings',"
        " 'doc': '{doc} and a text that is longer than what a buffer has room for at first'}],"
        " 'derived': [{'name': 'one_change_times', 'sql': 'rung_one_times - rung_two_times',"
        " 'doc': '差'}]}";
    kinds_write(&scratch, "bell/bell_lists.rollup.json", bell_lists);
    kinds_write(&scratch, "bell/2.avsc", bell_2);
    assert_true(fail_each(load_definitions, 1, REPORTED).count >= 1000);
}

/* ---- the plan ---- */

#define SAYINGS 40
#define GATE_ROLLUPS 2

/* A gate's plan with all it counts into. */
struct counting {
    struct plan *plan;
    struct region_tree regions;
    struct cells *cells[GATE_ROLLUPS];
    struct names *sources;
};

static enum fx_code open_counting(struct counting *counting, struct fx_err *err)
{
    const struct rollup_set *set = &catalog.kinds[TOPIC_GATE].rollups;
    memset(counting, 0, sizeof *counting);
    assert_int_equal(set->count, GATE_ROLLUPS);
    if (region_tree_init(&counting->regions, err) != FX_OK)
        return err->code;
    for (int i = 0; i < GATE_ROLLUPS; i++)
        if (cells_open(&set->rollups[i], 8 << 20, 3, &counting->cells[i], err) != FX_OK)
            return err->code;
    if (names_open(1, &counting->sources, err) != FX_OK)
        return err->code;
    return plan_open(&catalog, TOPIC_GATE, 5, &counting->plan, err);
}

static void close_counting(struct counting *counting)
{
    plan_close(counting->plan);
    for (int i = 0; i < GATE_ROLLUPS; i++)
        cells_close(counting->cells[i]);
    names_close(counting->sources);
    region_tree_release(&counting->regions);
}

static void apply(struct counting *counting, const struct saying *saying, struct fx_err *err)
{
    struct saying_bytes value = saying_encode(&catalog, saying);
    char detail[96];
    struct event event;
    struct plan_target target = {.event = &event, .regions = &counting->regions};
    assert_int_equal(plan_read(counting->plan, value.bytes, value.size, &event, detail),
                     REASON_COUNT);
    target.counted_ms = saying->occurred_ms;
    target.sign = saying->sign;
    target.cells = counting->cells;
    while (names_intern(counting->sources, event.source.bytes, event.source.size, &target.source,
                        err) != FX_OK ||
           plan_apply(counting->plan, &target, err) != FX_OK)
        assert_true(is_short(err));
}

/* The columns of a row of one rollup, in the order the database gets them. */
static void say_rows(struct counting *counting, int rollup, struct levels *levels, int level,
                     struct fx_err *err)
{
    const struct level_names names = {&counting->regions, counting->sources};
    struct level_table table = {.level = level};
    while (levels_derive(levels, counting->cells[rollup], &names, &table, err) != FX_OK)
        assert_true(is_short(err));
    for (int row = 0; row < table.count; row++) {
        const struct cell *cell = table.rows[row];
        say("%s %" PRIu32 " %" PRIu32 " %" PRId64, levels_suffix(level), cell->key.region,
            cell->key.source, cell->key.bucket_ms);
        for (int i = 0; i < table.rollup->column_count; i++)
            say(" %" PRId64, cell->slots[cells_slot(table.cells, i)]);
        say("\n");
    }
}

static void say_levels(struct counting *counting, int rollup, struct fx_err *err)
{
    struct levels *levels = NULL;
    while (levels_open(counting->plan, rollup, 7, &levels, err) != FX_OK)
        assert_true(is_short(err));
    for (int level = 0; level < LEVEL_COUNT; level++)
        if (levels_has(plan_rollup(counting->plan, rollup), level))
            say_rows(counting, rollup, levels, level, err);
    levels_close(levels);
}

static enum fx_code count_sayings(struct fx_err *err)
{
    struct counting counting;
    static const char *const lanes[] = {"A", "AB", "C", "D2", "E"};
    struct dice dice = {1};
    if (open_counting(&counting, err) == FX_OK) {
        for (int i = 0; i < SAYINGS; i++) {
            char source[16];
            struct saying saying = saying_of(source, 77, i + 1);
            snprintf(source, sizeof source, "CP-%d", i % 7);
            saying_draw(&saying, &dice);
            saying.lane = lanes[i % 5];
            saying.region = "-";
            saying.occurred_ms += i * INT64_C(7200000);
            apply(&counting, &saying, err);
        }
        for (int i = 0; i < GATE_ROLLUPS; i++)
            say_levels(&counting, i, err);
    }
    close_counting(&counting);
    return err->code;
}

/* An event that could not be counted counts once when it is tried again, in every rollup. */
static void a_plan(void **state)
{
    (void)state;
    assert_true(fail_each(count_sayings, 1, REPORTED).count >= 20);
}

/* ---- tables ---- */

static enum fx_code find_cells(struct fx_err *err)
{
    struct cells *cells = NULL;
    const struct rollup *rollup = &catalog.kinds[TOPIC_GATE].rollups.rollups[0];
    struct cell_key key = {0};
    struct cell *cell;
    if (cells_open(rollup, 8 << 20, 3, &cells, err) != FX_OK)
        return err->code;
    for (int i = 0; i < 5000; i++) {
        key.source = (uint32_t)i;
        while (cells_find(cells, &key, &cell, err) != FX_OK) {
            assert_int_equal(cells_count(cells), i); /* nothing changed */
            assert_true(is_short(err));
        }
    }
    for (int i = 0; i < 5000; i += 100)
        say("%d %" PRIu32 "\n", i, cells_at(cells, i)->key.source);
    say("%d", cells_count(cells));
    cells_close(cells);
    return err->code;
}

static void cells_that_grow(void **state)
{
    (void)state;
    assert_true(fail_each(find_cells, 1, REPORTED).count >= 3);
}

static void fill(struct cells *cells, uint32_t count)
{
    struct cell_key key = {0};
    struct cell *cell = NULL;
    for (key.source = 0; key.source < count; key.source++)
        assert_int_equal(cells_find(cells, &key, &cell, &(struct fx_err)FX_ERR_INIT), FX_OK);
    assert_int_equal(cells_count(cells), count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(cells_at(cells, (int)i)->key.source, i);
}

static void cells_give_back_what_a_backlog_needed(void **state)
{
    (void)state;
    struct cells *cells = NULL;
    struct fx_err err = FX_ERR_INIT;
    const struct rollup *rollup = &catalog.kinds[TOPIC_GATE].rollups.rollups[0];
    assert_int_equal(cells_open(rollup, 8 << 20, 3, &cells, &err), FX_OK);
    for (uint32_t needed = 5000; needed > 1100; needed -= 200, cells_reset(cells))
        fill(cells, needed);
    const int held = live_count;
    is_for_good = true;
    until_failure = 0;
    for (int i = 0; i < 20; i++, cells_reset(cells))
        fill(cells, 3);
    assert_int_equal(live_count, held); /* it would take memory: none, and all goes on */
    assert_true(failures > 0);
    fill(cells, 5000);
    cells_reset(cells);
    until_failure = -1;
    is_for_good = false;
    int given_back = 0;
    for (int i = 0; i < 20; i++) {
        fill(cells, 3);
        cells_reset(cells);
        given_back += live_count == held - 1;
    }
    assert_int_equal(given_back, 1);
    fill(cells, 5000);
    cells_close(cells);
}

/* counted + sum of gaps = high, at every return: ledger.h. */
static void check_entry(const struct ledger_entry *entry)
{
    assert_int_equal(entry->delta.counted + gapset_sum(&entry->gaps), entry->high);
}

/* Every third number is skipped, every fifth rejected, every seventh comes late. */
static void fill_run(struct ledger *ledger, int index, struct fx_err *err)
{
    const struct gap gap = {.cause = GAP_MISSING, .opened_ms = 1000};
    for (int64_t i = 1; i < 200; i++) {
        int64_t seq = i % 7 == 0 ? i - 4 : i;
        const struct ledger_entry *entry = ledger_entry(ledger, index);
        if (i % 3 == 0 || ledger_judge(entry, 3, seq, i % 5 == 0) != LEDGER_NEW)
            continue;
        while ((i % 5 == 0 ? ledger_reject(ledger, index, seq, &gap, err)
                           : ledger_count(ledger, index, seq, &gap, err)) != FX_OK) {
            check_entry(ledger_entry(ledger, index));
            assert_true(is_short(err));
        }
        check_entry(ledger_entry(ledger, index));
    }
    const struct ledger_heartbeat heartbeat = {.n = 1, .acked_seq = 205, .last_seq = 210};
    while (ledger_apply_heartbeat(ledger, index, &heartbeat, &gap, err) != FX_OK)
        assert_true(is_short(err));
    const struct gap stored = {.first = 300, .last = 301, .cause = GAP_MISSING};
    while (ledger_load_gap(ledger, index, &stored, err) != FX_OK)
        assert_true(is_short(err));
}

static void say_ledger(struct ledger *ledger)
{
    int dirty = 0;
    (void)ledger_dirty(ledger, &dirty);
    say("%d dirty\n", dirty);
    for (int i = 0; i < ledger_count_entries(ledger); i++) {
        const struct ledger_entry *entry = ledger_entry(ledger, i);
        say("%s high %" PRId64 " counted %" PRId64 " rejected %" PRId64 " beat %" PRId64,
            names_text(ledger_names(ledger), entry->source), entry->high, entry->delta.counted,
            entry->delta.rejected, ledger_pending_heartbeat(ledger, i)->acked_seq);
        for (int g = 0; i < 2 && g < entry->gaps.count; g++)
            say(" %" PRId64 "-%" PRId64 " %s", entry->gaps.gaps[g].first, entry->gaps.gaps[g].last,
                gap_cause_name(entry->gaps.gaps[g].cause));
        say(" %d gaps of %" PRId64 "\n", entry->gaps.count, gapset_sum(&entry->gaps));
    }
}

static enum fx_code keep_ledger(struct fx_err *err)
{
    struct ledger *ledger = NULL;
    char source[16];
    int index;
    if (ledger_open(2000, 7, &ledger, err) != FX_OK)
        return err->code;
    for (int i = 0; i < 130; i++) {
        snprintf(source, sizeof source, "CP-%d", i);
        struct ledger_key key = {1, i, source, strlen(source)};
        while (ledger_find(ledger, &key, 3, &index, err) != FX_OK)
            assert_true(is_short(err));
        fill_run(ledger, index, err);
    }
    say_ledger(ledger);
    ledger_close(ledger);
    return err->code;
}

static void a_ledger(void **state)
{
    (void)state;
    assert_true(fail_each(keep_ledger, 1, REPORTED).count >= 500);
}

static enum fx_code add_marks(struct fx_err *err)
{
    struct marks marks;
    int found = 0;
    marks_init(&marks, 9);
    for (int i = 0; i < 2000; i++) {
        const struct mark one = {.run = i, .seq = i + 1, .source = "CP-1"};
        while (mark_set_add(&marks.reversed, &one, err) != FX_OK) {
            assert_null(mark_set_find(&marks.reversed, &one));
            assert_true(is_short(err));
        }
    }
    for (int i = 0; i < 2000; i++) {
        const struct mark one = {.run = i, .seq = i + 1, .source = "CP-1"};
        found += mark_set_find(&marks.reversed, &one) != NULL;
    }
    say("%d of %d found", found, marks.reversed.count);
    marks_release(&marks);
    return err->code;
}

static void marks_that_grow(void **state)
{
    (void)state;
    assert_true(fail_each(add_marks, 1, REPORTED).count >= 3);
}

/* ---- what goes to PostgreSQL and to the posts ---- */

static enum fx_code fill_array(struct fx_err *err)
{
    struct array array = {BUF_INIT, 0, false};
    array_begin(&array, ARRAY_TEXT);
    for (int i = 0; i < 3000; i++) {
        if (i % 3 == 0)
            array_add_null(&array);
        else if (i % 3 == 1)
            array_add_int8(&array, i);
        else
            array_add_text(&array, "a text that is longer than a number");
    }
    array_end(&array);
    if (buf_check(&array.buf, err) == FX_OK)
        say("%d %016" PRIx64, (int)array.count,
            wire_fingerprint((const char *)array.buf.data, array.buf.size));
    array_release(&array);
    return err->code;
}

static void an_array(void **state)
{
    (void)state;
    assert_true(fail_each(fill_array, 1, REPORTED).count >= 3);
}

static enum fx_code write_request(struct fx_err *err)
{
    static struct ask ask;
    const struct ask_policy policy = {600000, 10000000};
    const struct ask_run run = {10000000, -1, 0, false};
    struct buf body = BUF_INIT;
    ask_reset(&ask);
    for (int64_t i = 0; i < 400; i++) {
        const struct ask_gap gap = {"fangxian.checkpoint", i % 9, 10 * i + 1, 10 * i + 5, 1000};
        ask_add(&ask, &policy, &gap, &run);
    }
    const struct ask_known nothing = {0, 0, ""};
    assert_int_equal(ask_decide(&ask, &policy, &nothing).action, ASK_SEND);
    ask_write_body(&ask, &body);
    if (buf_check(&body, err) == FX_OK)
        say("%016" PRIx64, wire_fingerprint((const char *)body.data, body.size));
    buf_release(&body);
    return err->code;
}

static void a_request(void **state)
{
    (void)state;
    assert_true(fail_each(write_request, 1, REPORTED).count >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(a_region_tree),
        cmocka_unit_test_setup_teardown(definitions, open_kinds, close_kinds),
        cmocka_unit_test_setup_teardown(a_plan, open_kinds, close_kinds),
        cmocka_unit_test_setup_teardown(cells_that_grow, open_kinds, close_kinds),
        cmocka_unit_test_setup_teardown(cells_give_back_what_a_backlog_needed, open_kinds,
                                        close_kinds),
        cmocka_unit_test(a_ledger),
        cmocka_unit_test(marks_that_grow),
        cmocka_unit_test(an_array),
        cmocka_unit_test(a_request),
    };
    lead_jansson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
