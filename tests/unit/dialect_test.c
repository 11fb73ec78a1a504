/* SPDX-License-Identifier: Apache-2.0 */
/* What a kind's own program adds: the programs themselves are part of this one. */
#define main quarantine_main
#include "../../producers/quarantine.c"
#undef main
#define main test_site_main
#include "../../producers/test_site.c"
#undef main

#include "post_talk.h"

#define NOW_MS INT64_C(1644453000000) /* 2022-02-10T08:30:00+08:00 */

struct bench {
    struct scratch scratch;
    struct kind kind;
    struct record *record;
    struct record_line line;
    struct outbox *outbox;
    struct fx_err err;
};

static struct bench bench;

static void open_bench(const char *kind, record_complete completes)
{
    char path[128];
    bench = (struct bench){.line = {.now_ms = NOW_MS}};
    scratch_open(&bench.scratch);
    snprintf(path, sizeof path, "%s/o.db", bench.scratch.root);
    const struct record_options options = {
        .kind = &bench.kind, .source = "S-1", .region = "441521115", .complete = completes};
    const struct outbox_options outbox_options = {.path = path, .kind = kind};
    if (kind_load(FX_SCHEMAS_DIR, kind, &bench.kind, &bench.err) != FX_OK ||
        record_open(&options, &bench.record, &bench.err) != FX_OK ||
        outbox_open(&outbox_options, &bench.outbox, &bench.err) != FX_OK)
        fail_msg("%s", bench.err.text);
}

static int open_test_site(void **state)
{
    (void)state;
    open_bench("test_site", complete);
    return 0;
}

static int open_quarantine(void **state)
{
    (void)state;
    open_bench("quarantine", NULL);
    assert_int_equal(outbox_begin(bench.outbox, &bench.err), FX_OK);
    return 0;
}

static int close_bench(void **state)
{
    (void)state;
    outbox_close(bench.outbox);
    record_close(bench.record);
    kind_release(&bench.kind);
    scratch_close(&bench.scratch);
    return 0;
}

/* ---- fx-test-site ---- */

static enum fx_code read_result(const char *more)
{
    char text[512];
    int size =
        snprintf(text, sizeof text,
                 "{\"step\":\"RESULTED\",\"scheme\":\"MASS\",\"result\":\"NEGATIVE\"%s}", more);
    fx_err_clear(&bench.err);
    return record_read(bench.record, text, (size_t)size, &bench.line, &bench.err);
}

/* -1: null */
static int64_t minutes(const char *more)
{
    if (read_result(more) != FX_OK)
        fail_msg("%s: %s", more, bench.err.text);
    const struct event_value *value = find_value(&bench.line.event, "minutes_since_sampling");
    return value->is_null ? -1 : value->number;
}

static void whole_minutes_since_sampling_are_counted(void **state)
{
    (void)state;
    assert_int_equal(minutes(""), -1);
    assert_int_equal(minutes(",\"minutes_since_sampling\":7"), 7);
    assert_int_equal(minutes(",\"sampled_at\":\"2022-02-10T08:30:00+08:00\""), 0);
    assert_int_equal(minutes(",\"sampled_at\":\"2022-02-10T08:29:00.001+08:00\""), 0);
    assert_int_equal(minutes(",\"sampled_at\":\"2022-02-10T00:29:00Z\""), 1);
    assert_int_equal(minutes(",\"sampled_at\":1644452940000"), 1);
    /* the line's own time counts, wherever it stands in the line */
    assert_int_equal(minutes(",\"sampled_at\":\"2022-02-09T08:00:00+08:00\","
                             "\"at\":\"2022-02-10T09:30:59+08:00\""),
                     25 * 60 + 30);
    assert_int_equal(minutes(",\"occurred_at\":1644453060000,\"sampled_at\":1644453000000"), 1);
}

static void expect_refused(const char *more, const char *field, const char *reason)
{
    assert_int_equal(read_result(more), FX_EINPUT);
    assert_string_equal(bench.line.field, field);
    assert_holds(bench.err.text, reason);
}

static void a_sampling_that_cannot_be_is_refused(void **state)
{
    (void)state;
    expect_refused(",\"sampled_at\":\"2022-02-10T08:30:00.001+08:00\"", "sampled_at",
                   "lies after the event's own time");
    expect_refused(",\"sampled_at\":\"yesterday\"", "sampled_at", "is not a time");
    expect_refused(",\"sampled_at\":null", "sampled_at", "is not a time");
    expect_refused(",\"sampled_at\":1644452940000,\"minutes_since_sampling\":1", "sampled_at",
                   "says twice");
    /* more than a year: the schema's own bound */
    expect_refused(",\"sampled_at\":\"2020-02-10T08:30:00+08:00\"", "minutes_since_sampling",
                   "is above 525600");
    expect_refused(",\"at\":9223372036854775807,\"sampled_at\":-9223372036854775808", "sampled_at",
                   "lies too far before");
    /* the line's time is wrong: that is told, and nothing is computed from it */
    expect_refused(",\"at\":\"noon\",\"sampled_at\":1", "occurred_at", "is not a time");
}

/* ---- fx-quarantine ---- */

struct step {
    const char *source;
    const char *tier;
    const char *step;
    int persons;
    int sign;
};

static enum fx_code take(const struct step *step)
{
    char text[256];
    int size = snprintf(text, sizeof text,
                        "{\"place\":\"CENTRAL\",\"tier\":\"%s\",\"step\":\"%s\",\"persons\":%d,"
                        "\"source\":\"%s\"}",
                        step->tier, step->step, step->persons, step->source);
    fx_err_clear(&bench.err);
    if (record_read(bench.record, text, (size_t)size, &bench.line, &bench.err) != FX_OK)
        fail_msg("%s", bench.err.text);
    event_set_number(&bench.line.event, "sign", step->sign);
    return admit(&bench.line, bench.outbox, &bench.err);
}

static int64_t census_of(const char *source, const char *cell)
{
    int64_t persons = -1;
    assert_int_equal(outbox_census(bench.outbox, source, cell, &persons, &bench.err), FX_OK);
    return persons;
}

static void nobody_leaves_who_is_not_there(void **state)
{
    (void)state;
    assert_int_equal(take(&(struct step){"Q", "CLOSE", "RELEASED", 1, 1}), FX_EINPUT);
    assert_string_equal(bench.line.field, "persons");
    assert_holds(bench.err.text, "'RELEASED of 1' is more than the census, '0'");
    assert_int_equal(take(&(struct step){"Q", "CLOSE", "ADMITTED", 5, 1}), FX_OK);
    assert_int_equal(take(&(struct step){"Q", "CLOSE", "TRANSFERRED_IN", 2, 1}), FX_OK);
    static const char *const closing[] = {"RELEASED", "TRANSFERRED_OUT", "HOSPITAL", "BECAME_CASE",
                                          "ABSCONDED"};
    for (int i = 0; i < 5; i++)
        assert_int_equal(take(&(struct step){"Q", "CLOSE", closing[i], 1, 1}), FX_OK);
    assert_int_equal(census_of("Q", "CENTRAL/CLOSE"), 2);
    for (int i = 0; i < 5; i++)
        assert_int_equal(take(&(struct step){"Q", "CLOSE", closing[i], 3, 1}), FX_EINPUT);
    assert_int_equal(census_of("Q", "CENTRAL/CLOSE"), 2);
}

static void each_place_and_tier_has_its_own_census(void **state)
{
    (void)state;
    assert_int_equal(take(&(struct step){"Q", "CLOSE", "ADMITTED", 5, 1}), FX_OK);
    assert_int_equal(take(&(struct step){"Q", "SECONDARY", "RELEASED", 1, 1}), FX_EINPUT);
    assert_int_equal(take(&(struct step){"R", "CLOSE", "RELEASED", 1, 1}), FX_EINPUT);
    assert_int_equal(take(&(struct step){"Q", "CLOSE", "STATUS", 0, 1}), FX_OK);
    assert_int_equal(census_of("Q", "CENTRAL/CLOSE"), 5);
    assert_int_equal(census_of("Q", "CENTRAL/SECONDARY"), 0);
    assert_int_equal(census_of("R", "CENTRAL/CLOSE"), 0);
}

static void a_reversal_changes_the_census_back(void **state)
{
    (void)state;
    assert_int_equal(take(&(struct step){"Q", "CLOSE", "ADMITTED", 5, 1}), FX_OK);
    assert_int_equal(take(&(struct step){"Q", "CLOSE", "RELEASED", 3, 1}), FX_OK);
    assert_int_equal(take(&(struct step){"Q", "CLOSE", "ADMITTED", 5, -1}), FX_EINPUT);
    assert_holds(bench.err.text, "'a reversal of 5' is more than the census, '2'");
    assert_int_equal(take(&(struct step){"Q", "CLOSE", "RELEASED", 3, -1}), FX_OK);
    assert_int_equal(census_of("Q", "CENTRAL/CLOSE"), 5);
    assert_int_equal(take(&(struct step){"Q", "CLOSE", "ADMITTED", 5, -1}), FX_OK);
    assert_int_equal(census_of("Q", "CENTRAL/CLOSE"), 0);
}

/* The same through a station: the refused reversal leaves no event, no mark and no census behind.
 */
static void a_station_keeps_the_census(void **state)
{
    (void)state;
    static const char *const line = "{\"place\":\"HOME\",\"tier\":\"OTHER\",\"step\":\"%s\","
                                    "\"persons\":4}\n";
    static const char *const command = "{\"command\":\"reverse\",\"source\":\"Q-1\",\"run\":"
                                       "\"%.12s\",\"seq\":%d,\"reason\":\"typed wrong\"}\n";
    struct post post;
    char admitted[256];
    char released[256];
    char text[256];
    snprintf(admitted, sizeof admitted, line, "ADMITTED");
    snprintf(released, sizeof released, line, "RELEASED");
    post_init(&post);
    post_spawn(&post, "--socket --source Q-1 --region 441521115");
    int writer = post_connect(&post);
    assert_holds(post_ask(writer, released), "\"reason\":\"'RELEASED of 4' is more than");
    const char *answer = post_ask(writer, admitted);
    char run[13] = "";
    memcpy(run, strstr(answer, "\"run\":\"") + 7, 12);
    assert_int_equal(post_number(post_ask(writer, released), "seq"), 2);
    snprintf(text, sizeof text, command, run, 1);
    assert_holds(post_ask(writer, text), "'a reversal of 4' is more than the census, '0'");
    snprintf(text, sizeof text, command, run, 2);
    assert_int_equal(post_number(post_ask(writer, text), "seq"), 3);
    snprintf(text, sizeof text, command, run, 1);
    assert_int_equal(post_number(post_ask(writer, text), "seq"), 4);
    assert_holds(post_ask(writer, released), "is more than the census, '0'");
    close(writer);
    post_release(&post);
}

#define TEST(function, open) cmocka_unit_test_setup_teardown(function, open, close_bench)

int main(int argc, char **argv)
{
    static const struct dialect dialect = {.program = "fx-quarantine",
                                           .kind = "quarantine",
                                           .summary = "a station of a test",
                                           .admit = admit};
    int status = 0;
    if (post_main(&dialect, argc, argv, &status))
        return status;
    const struct CMUnitTest tests[] = {
        TEST(whole_minutes_since_sampling_are_counted, open_test_site),
        TEST(a_sampling_that_cannot_be_is_refused, open_test_site),
        TEST(nobody_leaves_who_is_not_there, open_quarantine),
        TEST(each_place_and_tier_has_its_own_census, open_quarantine),
        TEST(a_reversal_changes_the_census_back, open_quarantine),
        cmocka_unit_test(a_station_keeps_the_census)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
