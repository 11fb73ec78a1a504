/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_counter.h"
#include "fake_encode.h"
#include "fake_regions.h"

#define EVENTS 30000 /* of each kind */

static struct scratch scratch;
static struct catalog catalog;      /* of fake_kinds */
static struct catalog real_catalog; /* of schemas/ */

static int load_catalogs(void **state)
{
    (void)state;
    kinds_open(&scratch, &catalog);
    assert_ok(catalog_load(FX_SCHEMAS_DIR, &real_catalog, &err));
    return 0;
}

static int release_catalogs(void **state)
{
    (void)state;
    kinds_close(&scratch, &catalog);
    catalog_release(&real_catalog);
    return 0;
}

static struct plan *open_plan(int topic)
{
    struct plan *plan = NULL;
    assert_ok(plan_open(&catalog, topic, 5, &plan, &err));
    return plan;
}

static void assert_reason(enum reason actual, enum reason expected)
{
    assert_string_equal(reason_name(actual), reason_name(expected));
}

/* What plan_read of the kind topic makes of saying; detail stays in *detail. */
static enum reason read_saying(int topic, const struct saying *saying, struct event *event,
                               char detail[static 96])
{
    struct plan *plan = open_plan(topic);
    struct saying_bytes value = saying_encode(&catalog, saying);
    detail[0] = '\0';
    enum reason reason = plan_read(plan, value.bytes, value.size, event, detail);
    plan_close(plan);
    return reason;
}

static void a_good_event_is_read(void **state)
{
    (void)state;
    struct event event;
    char detail[96];
    struct saying saying = saying_of("CP-1", 77, 5);
    assert_reason(read_saying(TOPIC_GATE, &saying, &event, detail), REASON_COUNT);
    assert_true(event.is_envelope_valid);
    assert_false(event.is_heartbeat);
    assert_int_equal(event.run, 77);
    assert_int_equal(event.seq, 5);
    assert_int_equal(event.source.size, 4);
    assert_int_equal(event.fields.numbers[GATE_WAIT_S], 45);
}

static void bytes_that_are_no_event_have_a_reason(void **state)
{
    (void)state;
    struct plan *plan = open_plan(TOPIC_GATE);
    struct saying saying = saying_of("CP-1", 77, 5);
    struct saying_bytes value = saying_encode(&catalog, &saying);
    static uint8_t large[WIRE_EVENT_MAX + 1];
    struct event event;
    char detail[96];
    memcpy(large, value.bytes, value.size);
    assert_reason(plan_read(plan, large, sizeof large, &event, detail), REASON_UNDECODABLE);
    assert_reason(plan_read(plan, large, WIRE_EVENT_MAX, &event, detail), REASON_UNDECODABLE);
    assert_reason(plan_read(plan, NULL, 0, &event, detail), REASON_UNDECODABLE);
    assert_reason(plan_read(plan, value.bytes, 9, &event, detail), REASON_UNDECODABLE);
    assert_reason(plan_read(plan, value.bytes, value.size - 1, &event, detail), REASON_UNDECODABLE);
    assert_false(event.is_envelope_valid);
    wire_write_header(value.bytes, kind_current(&catalog.kinds[TOPIC_BELL].kind)->fingerprint);
    assert_reason(plan_read(plan, value.bytes, value.size, &event, detail), REASON_WRONG_KIND);
    wire_write_header(value.bytes, 0x123);
    assert_reason(plan_read(plan, value.bytes, value.size, &event, detail), REASON_UNKNOWN_SCHEMA);
    assert_string_equal(detail, "fingerprint 0000000000000123");
    assert_false(event.is_envelope_valid);
    plan_close(plan);
}

static void a_wrong_envelope_has_a_reason(void **state)
{
    (void)state;
    const struct saying good = saying_of("CP-1", 77, 5);
    struct saying cases[8];
    static const char *const details[8] = {
        "sign is neither 1 nor -1",
        "a reversal without reverses_run and reverses_seq",
        "a reversal without reverses_run and reverses_seq",
        "reverses_run or reverses_seq on an event that is no reversal",
        "reverses_run or reverses_seq on an event that is no reversal",
        "counted_at on an event that is no reversal",
        "region is out of its bounds",
        "sign is out of its bounds",
    };
    for (int i = 0; i < 8; i++)
        cases[i] = good;
    cases[0].sign = 0;
    cases[1].sign = -1;
    cases[1].reverses_run = 7;
    cases[2].sign = -1;
    cases[2].reverses_seq = 7;
    cases[3].reverses_run = 7;
    cases[4].reverses_seq = 7;
    cases[5].counted_ms = good.occurred_ms;
    cases[6].region = "a region's code that is too long.";
    cases[7].sign = 2;
    for (int i = 0; i < 8; i++) {
        struct event event;
        char detail[96];
        assert_reason(read_saying(TOPIC_GATE, &cases[i], &event, detail), REASON_INVALID_FIELD);
        assert_string_equal(detail, details[i]);
        assert_true(event.is_envelope_valid);
    }
}

static void source_run_and_number_must_be_good_to_be_believed(void **state)
{
    (void)state;
    const struct saying good = saying_of("CP-1", 77, 5);
    struct saying cases[5] = {good, good, good, good, good};
    cases[0].source = "CP 1";
    cases[1].source = "";
    cases[2].run = SCHEMA_RUN_LIMIT;
    cases[3].run = -1;
    cases[4].seq = 0;
    for (int i = 0; i < 5; i++) {
        struct event event;
        char detail[96];
        assert_reason(read_saying(TOPIC_GATE, &cases[i], &event, detail), REASON_INVALID_FIELD);
        assert_false(event.is_envelope_valid);
    }
}

static void parts_must_add_up(void **state)
{
    (void)state;
    struct plan *plan = open_plan(TOPIC_GATE);
    struct saying saying = saying_of("CP-1", 77, 5);
    saying.origin = NULL;
    saying.wait_s = SAYING_NEVER;
    struct saying_bytes value = saying_encode(&catalog, &saying);
    struct event event;
    char detail[96];
    value.bytes[value.size - 3] += 2; /* one child more */
    assert_reason(plan_read(plan, value.bytes, value.size, &event, detail), REASON_SUMS_MISMATCH);
    assert_string_equal(detail, "the parts of persons do not add up");
    assert_true(event.is_envelope_valid);
    plan_close(plan);
}

static void heartbeats_are_read_in_every_kind(void **state)
{
    (void)state;
    struct event event;
    char detail[96];
    struct saying beat = saying_of("CP-1", 77, 3);
    beat.is_heartbeat = true;
    beat.acked_seq = 9;
    for (int topic = 0; topic < TOPICS; topic++) {
        beat.region = "C1-T1";
        assert_reason(read_saying(topic, &beat, &event, detail), REASON_COUNT);
        assert_true(event.is_heartbeat && event.is_envelope_valid);
        assert_int_equal(event.fields.numbers[HEARTBEAT_N], 3);
        assert_int_equal(event.fields.numbers[HEARTBEAT_ACKED_SEQ], 9);
        assert_int_equal(event.seq, 0);
        beat.region = "a region's code that is too long.";
        assert_reason(read_saying(topic, &beat, &event, detail), REASON_INVALID_FIELD);
        assert_string_equal(detail, "region is out of its bounds"); /* the heartbeat's field */
    }
}

/* The gate's one row at the source after these sayings. */
static struct row count_sayings(const struct saying *sayings, int count)
{
    struct counter counter;
    struct table table = {0};
    counter_open(&counter, &catalog, TOPIC_GATE, SIZE_MAX);
    for (int i = 0; i < KINDS_REGIONS; i++)
        kinds_add_region(&counter.regions, kinds_regions[i]);
    for (int i = 0; i < count; i++) {
        struct recount_event event = {saying_fields(&sayings[i]), sayings[i].occurred_ms};
        assert_ok(counter_apply(&counter, &event, &err));
    }
    counter_collect(&counter, &table);
    const struct row *found = table_find(&table, "gate_source|CP-1|1644451200000|STATION|A");
    assert_non_null(found);
    struct row row = *found;
    table_release(&table);
    counter_close(&counter);
    return row;
}

static int64_t value_of(const struct row *row, const char *column)
{
    for (int i = 0, at = 0; i < row->rollup->column_count; i++) {
        if (strcmp(row->rollup->columns[i].name, column) == 0)
            return row->values[at];
        at += row->rollup->columns[i].aggregate == AGGREGATE_LAST ? 4 : 1;
    }
    fail_msg("no column %s", column);
    return 0;
}

static void a_reversal_subtracts_but_undoes_no_extreme(void **state)
{
    (void)state;
    struct saying sayings[3];
    for (int i = 0; i < 3; i++) {
        sayings[i] = saying_of("CP-1", 77, i + 1);
        sayings[i].post = 2;
    }
    sayings[1].persons = 8;
    sayings[1].wait_s = 20;
    sayings[2] = sayings[1];
    sayings[2].seq = 3;
    sayings[2].sign = -1;
    struct row row = count_sayings(sayings, 3);
    assert_int_equal(value_of(&row, "passed_groups"), 1);
    assert_int_equal(value_of(&row, "passed_persons"), 3);
    assert_int_equal(value_of(&row, "group_persons_max"), 8);
    assert_int_equal(value_of(&row, "wait_s_min"), 20);
    assert_int_equal(value_of(&row, "wait_total_s"), 45);
    assert_int_equal(value_of(&row, "headcount_persons"), 7);
}

static void nulls_and_edges(void **state)
{
    (void)state;
    static const int64_t waits[] = {SAYING_NEVER, 10, 11, 59, 60, 61, 300, 301};
    struct saying sayings[8];
    for (int i = 0; i < 8; i++) {
        sayings[i] = saying_of("CP-1", 77, i + 1);
        sayings[i].post = 2;
        sayings[i].wait_s = waits[i];
    }
    struct row row = count_sayings(sayings, 8);
    assert_int_equal(value_of(&row, "unmeasured_groups"), 1);
    assert_int_equal(value_of(&row, "middle_groups"), 2); /* 11, 59 */
    assert_int_equal(value_of(&row, "within_1min_groups"), 4);
    assert_int_equal(value_of(&row, "within_5min_groups"), 6);
    assert_int_equal(value_of(&row, "wait_s_min"), 10);
    assert_int_equal(value_of(&row, "local_groups"), 0); /* null is not "not C2" */
}

static void of_events_at_one_instant_the_highest_number_is_last(void **state)
{
    (void)state;
    struct saying sayings[4];
    static const int64_t runs[] = {5, 6, 6, 5};
    static const int64_t seqs[] = {9, 2, 1, 10};
    for (int i = 0; i < 4; i++) {
        sayings[i] = saying_of("CP-1", runs[i], seqs[i]);
        sayings[i].post = 2;
        sayings[i].persons = 10 + i;
        sayings[i].children = 0;
    }
    struct row row = count_sayings(sayings, 4);
    assert_int_equal(value_of(&row, "headcount_persons"), 11);
}

static void full_cells_leave_the_figures_as_they_were(void **state)
{
    (void)state;
    struct counter counter;
    struct table before = {0};
    struct table after = {0};
    struct dice dice = {4};
    counter_open(&counter, &catalog, TOPIC_GATE, 40000);
    for (int i = 0; i < KINDS_REGIONS; i++)
        kinds_add_region(&counter.regions, kinds_regions[i]);
    struct fx_err full = FX_ERR_INIT;
    struct recount_event event = counter_random(&counter, &dice);
    while (counter_apply(&counter, &event, &full) == FX_OK) {
        counter_collect(&counter, &before);
        event = counter_random(&counter, &dice);
        event.counted_ms += dice_below(&dice, 100) * INT64_C(3600000);
        table_reset(&before);
    }
    assert_int_equal(full.code, FX_EFULL);
    counter_collect(&counter, &before);
    fx_err_clear(&full);
    assert_int_equal(counter_apply(&counter, &event, &full), FX_EFULL);
    counter_collect(&counter, &after);
    assert_same_tables(&after, &before);
    table_release(&before);
    table_release(&after);
    counter_close(&counter);
}

static void check_kind(const struct catalog *of, int kind, const char *regions)
{
    struct counter counter;
    struct table expected = {0};
    struct table actual = {0};
    struct dice dice = {(uint64_t)kind};
    counter_open(&counter, of, kind, SIZE_MAX);
    if (regions != NULL)
        assert_ok(region_tree_load(&counter.regions, regions, &err));
    for (int i = 0; regions == NULL && i < KINDS_REGIONS; i++)
        kinds_add_region(&counter.regions, kinds_regions[i]);
    for (int i = 0; i < EVENTS; i++) {
        struct recount_event event = counter_random(&counter, &dice);
        assert_ok(counter_apply(&counter, &event, &err));
        for (int r = 0; r < plan_rollup_count(counter.plan); r++)
            recount_add(&expected, counter.schema, plan_rollup(counter.plan, r), &counter.regions,
                        &event);
    }
    counter_collect(&counter, &actual);
    assert_in_range(actual.count, 50, EVENTS * 4);
    assert_same_tables(&actual, &expected);
    table_release(&expected);
    table_release(&actual);
    counter_close(&counter);
}

static void random_events_of_every_kind_make_the_figures_of_a_recount(void **state)
{
    (void)state;
    for (int kind = 0; kind < real_catalog.kind_count; kind++)
        check_kind(&real_catalog, kind, FX_SCHEMAS_DIR "/regions.csv");
    for (int kind = 0; kind < catalog.kind_count; kind++)
        check_kind(&catalog, kind, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_event_is_read),
        cmocka_unit_test(bytes_that_are_no_event_have_a_reason),
        cmocka_unit_test(a_wrong_envelope_has_a_reason),
        cmocka_unit_test(source_run_and_number_must_be_good_to_be_believed),
        cmocka_unit_test(parts_must_add_up),
        cmocka_unit_test(heartbeats_are_read_in_every_kind),
        cmocka_unit_test(a_reversal_subtracts_but_undoes_no_extreme),
        cmocka_unit_test(nulls_and_edges),
        cmocka_unit_test(of_events_at_one_instant_the_highest_number_is_last),
        cmocka_unit_test(full_cells_leave_the_figures_as_they_were),
        cmocka_unit_test(random_events_of_every_kind_make_the_figures_of_a_recount),
    };
    return cmocka_run_group_tests(tests, load_catalogs, release_catalogs);
}
