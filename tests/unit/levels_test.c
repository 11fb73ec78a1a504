/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_counter.h"
#include "fake_kinds.h"
#include "fake_regions.h"

static struct scratch scratch;
static struct catalog catalog;

static int load_catalog(void **state)
{
    (void)state;
    kinds_open(&scratch, &catalog);
    return 0;
}

static int release_catalog(void **state)
{
    (void)state;
    kinds_close(&scratch, &catalog);
    return 0;
}

static void open_bells(struct counter *counter)
{
    counter_open(counter, &catalog, TOPIC_BELL, SIZE_MAX);
    for (int i = 0; i < KINDS_REGIONS; i++)
        kinds_add_region(&counter->regions, kinds_regions[i]);
}

static void ring(struct counter *counter, const char *source, const char *region, int64_t rings)
{
    struct recount_event event;
    memset(&event, 0, sizeof event);
    event.fields.texts[ENVELOPE_SOURCE] = (struct decoded_text){source, (uint32_t)strlen(source)};
    event.fields.texts[ENVELOPE_REGION] = (struct decoded_text){region, (uint32_t)strlen(region)};
    event.fields.numbers[ENVELOPE_SIGN] = 1;
    event.fields.numbers[BELL_RINGS] = rings;
    assert_ok(counter_apply(counter, &event, &err));
}

/* "C1=3 C2=4": heads and first values of a level's rows, in their order. */
static const char *rows_of(struct counter *counter, int level)
{
    static char text[512];
    struct level_names names = {&counter->regions, counter->sources};
    struct level_table table = {.level = level};
    assert_ok(levels_derive(counter->levels[0], counter->cells[0], &names, &table, &err));
    counter_check_order(counter, &table);
    text[0] = '\0';
    for (int r = 0; r < table.count; r++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s=%" PRId64,
                 r == 0 ? "" : " ", counter_head(counter, &table, r), table.rows[r]->slots[0]);
    return text;
}

static void a_place_counts_there_and_above(void **state)
{
    (void)state;
    struct counter counter;
    open_bells(&counter);
    ring(&counter, "B", "C1-T2", 1);
    ring(&counter, "A", "C1-T1", 10);
    ring(&counter, "A", "C1", 100);     /* direct part of the county */
    ring(&counter, "B", "C", 1000);     /* direct part of the city */
    ring(&counter, "B", "C-T0", 10000); /* a town of no county */
    ring(&counter, "A", "C1-T1", 20);
    assert_string_equal(rows_of(&counter, REGION_TOWN), "C-T0=10000 C1-T1=30 C1-T2=1");
    assert_string_equal(rows_of(&counter, REGION_COUNTY), "C1=131");
    assert_string_equal(rows_of(&counter, REGION_CITY), "C=11131");
    assert_string_equal(rows_of(&counter, LEVEL_SOURCE), "A=130 B=11001");
    counter_close(&counter);
}

static void what_lies_outside_the_tree_is_a_city_of_its_own(void **state)
{
    (void)state;
    struct counter counter;
    struct table table = {0};
    counter_open(&counter, &catalog, TOPIC_GATE, SIZE_MAX);
    for (int i = 0; i < KINDS_REGIONS; i++)
        kinds_add_region(&counter.regions, kinds_regions[i]);
    struct dice dice = {1};
    struct recount_event event = counter_random(&counter, &dice);
    event.counted_ms = 0;
    event.fields.is_null[GATE_ORIGIN] = false;
    event.fields.texts[GATE_ORIGIN] = (struct decoded_text){"BEIJING", 7};
    event.fields.numbers[ENVELOPE_SIGN] = 1;
    event.fields.numbers[GATE_PERSONS] = 6;
    assert_ok(counter_apply(&counter, &event, &err));
    counter_collect(&counter, &table);
    int rows = 0;
    for (int i = 0; i < table.count; i++)
        rows += strncmp(table.rows[i].key, "gate_origin_", 12) == 0;
    assert_int_equal(rows, 1);
    assert_int_equal(table_find(&table, "gate_origin_city|-|0")->values[0], 6);
    table_release(&table);
    counter_close(&counter);
}

static void a_derived_table_is_made_anew_each_time(void **state)
{
    (void)state;
    struct counter counter;
    open_bells(&counter);
    for (int round = 0; round < 3; round++) {
        cells_reset(counter.cells[0]);
        assert_string_equal(rows_of(&counter, REGION_CITY), "");
        ring(&counter, "A", "C1-T1", round);
        ring(&counter, "A", "C2-T1", 5);
        char expected[32];
        snprintf(expected, sizeof expected, "C=%d", round + 5);
        assert_string_equal(rows_of(&counter, REGION_CITY), expected);
        assert_string_equal(rows_of(&counter, REGION_CITY), expected);
    }
    counter_close(&counter);
}

static void flushes_of_random_events_add_up_to_a_recount(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct counter counter;
        struct table expected = {0};
        struct table flushed = {0};
        struct table database = {0};
        struct dice dice = {seed};
        counter_open(&counter, &catalog, TOPIC_GATE, SIZE_MAX);
        for (int i = 0; i < KINDS_REGIONS; i++)
            kinds_add_region(&counter.regions, kinds_regions[i]);
        for (int i = 0; i < 600; i++) {
            struct recount_event event = counter_random(&counter, &dice);
            assert_ok(counter_apply(&counter, &event, &err));
            for (int r = 0; r < plan_rollup_count(counter.plan); r++)
                recount_add(&expected, counter.schema, plan_rollup(counter.plan, r),
                            &counter.regions, &event);
            if (!dice_chance(&dice, 3) && i < 599)
                continue;
            counter_collect(&counter, &flushed);
            for (int row = 0; row < flushed.count; row++)
                table_upsert(&database, &flushed.rows[row]);
            table_reset(&flushed);
            for (int r = 0; r < plan_rollup_count(counter.plan); r++)
                cells_reset(counter.cells[r]);
        }
        assert_same_tables(&database, &expected);
        table_release(&expected);
        table_release(&flushed);
        table_release(&database);
        counter_close(&counter);
    }
}

static void levels_have_names(void **state)
{
    (void)state;
    static const char *const suffixes[LEVEL_COUNT] = {"city", "county", "town", "source"};
    for (int level = 0; level < LEVEL_COUNT; level++)
        assert_string_equal(levels_suffix(level), suffixes[level]);
    const struct rollup origin = {.by_region = true};
    assert_true(levels_has(&origin, REGION_TOWN));
    assert_false(levels_has(&origin, LEVEL_SOURCE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_counts_there_and_above),
        cmocka_unit_test(what_lies_outside_the_tree_is_a_city_of_its_own),
        cmocka_unit_test(a_derived_table_is_made_anew_each_time),
        cmocka_unit_test(flushes_of_random_events_add_up_to_a_recount),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, load_catalog, release_catalog);
}
