/* SPDX-License-Identifier: Apache-2.0 */
#include "../../producers/record.h"
#include "../../producers/suggest.h"
#include "scratch.h"

#define NOW_MS INT64_C(1644453000000) /* 2022-02-10T08:30:00+08:00 */

struct bench {
    struct kind kind;
    struct record *record;
    struct record_line line;
    struct fx_err err;
};

static int set_up(void **state)
{
    static struct bench bench;
    static const struct fx_list set = {{"post_type=VILLAGE"}, 1};
    bench = (struct bench){.line = {.now_ms = NOW_MS}};
    const struct record_options options = {
        .kind = &bench.kind, .source = "CP-1", .region = "441521115", .set = &set};
    if (kind_load(FX_SCHEMAS_DIR, "checkpoint", &bench.kind, &bench.err) != FX_OK ||
        record_open(&options, &bench.record, &bench.err) != FX_OK) {
        print_error("%s\n", bench.err.text);
        return -1;
    }
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    record_close(bench->record);
    kind_release(&bench->kind);
    return 0;
}

static enum fx_code read_line(struct bench *bench, const char *text)
{
    fx_err_clear(&bench->err);
    return record_read(bench->record, text, strlen(text), &bench->line, &bench->err);
}

static int64_t number(const struct bench *bench, const char *field)
{
    int index = schema_field(bench->line.event.schema, field);
    assert_true(index >= 0);
    assert_false(bench->line.event.values[index].is_null);
    return bench->line.event.values[index].number;
}

/* A good line with one more key. */
static const char *with(const char *extra)
{
    static char text[512];
    snprintf(text, sizeof text,
             "{\"direction\":\"IN\",\"vehicle\":\"CAR\",\"plate_scope\":\"IN_PROVINCE\","
             "\"persons\":3,\"passed\":3%s}",
             extra);
    return text;
}

static void expect_refused(struct bench *bench, const char *text, const char *field,
                           const char *reason)
{
    assert_int_equal(read_line(bench, text), FX_EINPUT);
    assert_string_equal(bench->line.field, field);
    assert_holds(record_reason(&bench->line, &bench->err), reason);
}

static void fills_what_is_unsaid(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(read_line(bench, with(",\"code_green\":2")), FX_OK);
    assert_int_equal(number(bench, "code_green"), 2);
    assert_int_equal(number(bench, "code_unchecked"), 1);
    assert_int_equal(number(bench, "itinerary_unchecked"), 3);
    assert_int_equal(number(bench, "turned_back"), 0);
    assert_int_equal(number(bench, "sign"), 1);
    assert_int_equal(number(bench, "occurred_at"), NOW_MS);
    assert_true(bench->line.is_clock);
    int wait = schema_field(bench->line.event.schema, "wait_s");
    assert_true(bench->line.event.values[wait].is_null);
}

static void checks_sums(void **state)
{
    struct bench *bench = *state;
    expect_refused(bench, with(",\"turned_back\":1"), "persons", "sum of passed");
    expect_refused(bench, with(",\"code_green\":4"), "persons", "sum of code_green");
    expect_refused(bench, with(",\"code_green\":1,\"code_unchecked\":1"), "persons", "'2'");
    assert_int_equal(read_line(bench, with(",\"code_green\":1,\"code_unchecked\":2")), FX_OK);
}

static void names_what_is_wrong(void **state)
{
    struct bench *bench = *state;
    expect_refused(bench, "{\"vehicle\":\"CARR\"}", "vehicle", "did you mean CAR?");
    expect_refused(bench, "{\"vehicle\":\"car\"}", "vehicle", "did you mean CAR?");
    expect_refused(bench, "{\"vehicle\":7}", "vehicle", "wants a text, not a whole number");
    expect_refused(bench, "{\"persns\":7}", "persns", "did you mean persons?");
    assert_false(bench->line.is_field_known);
    expect_refused(bench, with(",\"wait_s\":1.5"), "wait_s", "not a fraction");
    expect_refused(bench, with(",\"wait_s\":-1"), "wait_s", "is below 0");
    expect_refused(bench, with(",\"wait_s\":99999999"), "wait_s", "is above");
    expect_refused(bench, with(",\"turned_back\":null"), "turned_back", "not null");
    expect_refused(bench, "{}", "direction", "is missing");
    expect_refused(bench, "{\"a\":1", "", "not JSON");
    expect_refused(bench, "[]", "", "a list, not an object");
    expect_refused(bench, "{\"persons\":1,\"persons\":1}", "", "given twice");
    expect_refused(bench, "{\"persons\":123456789012345678901}", "", "too large");
    expect_refused(bench, with(",\"source\":\"a b\""), "source", "A-Z");
    expect_refused(bench, with(",\"region\":\"-\""), "region", "no place");
    expect_refused(bench, with(",\"source\":\"\\u0000\""), "", "");
}

static void refuses_what_is_ours(void **state)
{
    static const char *const extras[] = {",\"run\":1",
                                         ",\"seq\":1",
                                         ",\"sign\":-1",
                                         ",\"reverses_run\":1",
                                         ",\"reverses_seq\":null",
                                         ",\"counted_at\":1"};
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++) {
        assert_int_equal(read_line(bench, with(extras[i])), FX_EINPUT);
        assert_holds(bench->err.text, "is given by the producer");
    }
}

static void takes_times(void **state)
{
    static const char *const times[] = {
        ",\"at\":\"2022-02-10T08:00:00+08:00\"", ",\"at\":\"2022-02-10T00:00:00Z\"",
        ",\"at\":\"2022-02-10 08:00\"", ",\"occurred_at\":1644451200000"};
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        assert_int_equal(read_line(bench, with(times[i])), FX_OK);
        assert_int_equal(number(bench, "occurred_at"), INT64_C(1644451200000));
        assert_false(bench->line.is_clock);
    }
    expect_refused(bench, with(",\"at\":\"yesterday\""), "occurred_at", "is not a time");
    expect_refused(bench, with(",\"at\":1,\"occurred_at\":1"), "occurred_at", "twice");
    expect_refused(bench, with(",\"at\":true"), "occurred_at", "wants a time, not true");
}

static void assert_text(const struct bench *bench, int index, const char *expected)
{
    const struct event_value *value = &bench->line.event.values[index];
    assert_int_equal(value->size, strlen(expected));
    assert_memory_equal(value->text, expected, strlen(expected));
}

static void takes_keys_of_the_line(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(
        read_line(bench, with(",\"source\":\"CP-2\",\"region\":\"4415\",\"id\":\"a-1\"")), FX_OK);
    assert_text(bench, ENVELOPE_SOURCE, "CP-2");
    assert_text(bench, ENVELOPE_REGION, "4415");
    assert_string_equal(bench->line.id, "a-1");
    expect_refused(bench, with(",\"id\":\"\""), "id", "1 to 128");
    expect_refused(bench, with(",\"id\":5"), "id", "wants a text");
    assert_int_equal(read_line(bench, with(",\"post_type\":\"PORT\"")), FX_OK);
    assert_int_equal(number(bench, "post_type"), 5);
}

/* One line that is longer than a record allows, and one that is too long to be read at all. */
static void bounds_sizes(void **state)
{
    struct bench *bench = *state;
    size_t size = RECORD_LINE_MAX + 1;
    char *text = malloc(size + 1);
    memset(text, ' ', size);
    text[size] = '\0';
    memcpy(text, with(""), strlen(with("")));
    fx_err_clear(&bench->err);
    assert_int_equal(record_read(bench->record, text, size, &bench->line, &bench->err), FX_EINPUT);
    assert_holds(bench->err.text, "longer than 65536");
    fx_err_clear(&bench->err);
    assert_int_equal(record_read(bench->record, text, size - 1, &bench->line, &bench->err), FX_OK);
    free(text);
}

static enum fx_code complete_nothing(json_t *json, struct record_line *line, struct fx_err *err)
{
    (void)json;
    (void)line;
    (void)err;
    return FX_OK;
}

static void assert_same(const struct record_line *one, const struct record_line *other)
{
    for (int i = 0; i < one->event.schema->field_count; i++) {
        const struct event_value *a = &one->event.values[i];
        const struct event_value *b = &other->event.values[i];
        assert_int_equal(a->number, b->number);
        assert_int_equal(a->is_null, b->is_null);
        assert_int_equal(a->size, b->size);
        assert_memory_equal(a->text, b->text, a->size);
    }
    assert_int_equal(one->is_clock, other->is_clock);
    assert_string_equal(one->id != NULL ? one->id : "", other->id != NULL ? other->id : "");
}

/* A plain line is read without its JSON being built, and must mean the same: a record that has to
 * build it reads good lines with a few bytes changed, too. */
static void reads_plain_lines_as_json(void **state)
{
    static const char bytes[] = "{}[]:,\"\\ \t\n-+.eE0123456789nulltruefalse\x7f\xe5\x8d\xa1\x01z";
    struct bench *bench = *state;
    struct record *slow = NULL;
    struct record_line line = {.now_ms = NOW_MS};
    const struct record_options options = {.kind = &bench->kind,
                                           .source = "CP-1",
                                           .region = "441521115",
                                           .complete = complete_nothing};
    struct fx_err err = FX_ERR_INIT;
    char text[512];
    int taken = 0;
    record_close(bench->record);
    struct record_options plain = options;
    plain.complete = NULL;
    assert_int_equal(record_open(&plain, &bench->record, &err), FX_OK);
    assert_int_equal(record_open(&options, &slow, &err), FX_OK);
    srandom(1);
    for (int i = 0; i < 30000; i++) {
        int size =
            snprintf(text, sizeof text, "%s",
                     with(",\"at\":\"2022-02-10T08:00:00+08:00\",\"id\":\"a-1\","
                          "\"post_type\":\"PORT\" , \"queue_vehicles\" : null,\"wait_s\":-0"));
        for (long changes = random() % 4; changes > 0; changes--)
            text[random() % size] = bytes[random() % (long)(sizeof bytes - 1)];
        fx_err_clear(&err);
        enum fx_code code = read_line(bench, text);
        assert_int_equal(record_read(slow, text, (size_t)size, &line, &err), code);
        assert_string_equal(bench->err.text, err.text);
        if (code == FX_OK)
            assert_same(&bench->line, &line);
        taken += code == FX_OK;
    }
    assert_in_range(taken, 7500, 15000);
    record_close(slow);
}

static void encodes_what_it_decodes(void **state)
{
    struct bench *bench = *state;
    uint8_t bytes[WIRE_EVENT_MAX];
    size_t size = 0;
    struct event again;
    assert_int_equal(read_line(bench, with(",\"wait_s\":40")), FX_OK);
    bench->line.event.values[ENVELOPE_RUN].number = SCHEMA_RUN_LIMIT - 1;
    bench->line.event.values[ENVELOPE_SEQ].number = 42;
    assert_int_equal(event_encode(&bench->line.event, bytes, &size, &bench->err), FX_OK);
    assert_int_equal(event_decode(&bench->kind, bytes, size, &again, &bench->err), FX_OK);
    struct buf first = BUF_INIT;
    struct buf second = BUF_INIT;
    event_append_json(&bench->line.event, &first);
    event_append_json(&again, &second);
    assert_string_equal(buf_text(&first), buf_text(&second));
    buf_release(&first);
    buf_release(&second);
    for (size_t cut = 0; cut < size; cut++) {
        fx_err_clear(&bench->err);
        assert_int_equal(event_decode(&bench->kind, bytes, cut, &again, &bench->err), FX_ESTATE);
    }
    fx_err_clear(&bench->err);
    bytes[size] = 0;
    assert_int_equal(event_decode(&bench->kind, bytes, size + 1, &again, &bench->err), FX_ESTATE);
}

static void checks_constants(void **state)
{
    static const char *const wrong[][2] = {{"post_type=VILAGE", "did you mean VILLAGE?"},
                                           {"no_such=1", "has no such field"},
                                           {"seq=1", "cannot be a constant"},
                                           {"at=1", "cannot be a constant"},
                                           {"persons", "not key=value"},
                                           {"persons=x", "wants a whole number"}};
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct fx_list set = {{wrong[i][0]}, 1};
        const struct record_options options = {.kind = &bench->kind, .set = &set};
        struct record *record = NULL;
        fx_err_clear(&bench->err);
        assert_int_equal(record_open(&options, &record, &bench->err), FX_ECONFIG);
        assert_null(record);
        assert_holds(bench->err.text, wrong[i][1]);
    }
}

static const char *nearest(const char *word)
{
    static const char *const names[] = {"RELEASED", "TRANSFERRED_IN", "TRANSFERRED_OUT",
                                        "HOSPITAL"};
    struct suggest suggest;
    suggest_init(&suggest, word);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        suggest_offer(&suggest, names[i]);
    return suggest.best == NULL ? "" : suggest.best;
}

static void suggests(void **state)
{
    (void)state;
    char quoted[SUGGEST_QUOTE_SIZE];
    assert_string_equal(nearest("RELAESED"), "RELEASED");
    assert_string_equal(nearest("release"), "RELEASED");
    assert_string_equal(nearest("TRANSFERED_OUT"), "TRANSFERRED_OUT");
    assert_string_equal(nearest("XYZ"), "");
    assert_string_equal(nearest(""), "");
    assert_string_equal(suggest_quote(quoted, "a'b\nc"), "'a?b?c'");
    suggest_quote(quoted, "卡卡卡卡卡卡卡卡卡卡卡卡卡卡卡卡卡");
    assert_true(strlen(quoted) < sizeof quoted);
    assert_int_equal(strlen(quoted) % 3, (2 + 3) % 3);
    char text[] = "vehicle: 'CARR' is not one of A; 'x' and 'no end";
    suggest_mask(text);
    assert_string_equal(text, "vehicle: '...' is not one of A; '' and 'no end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fills_what_is_unsaid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(checks_sums, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_what_is_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_keys_of_the_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bounds_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_plain_lines_as_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(encodes_what_it_decodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(checks_constants, set_up, tear_down),
        cmocka_unit_test(suggests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
