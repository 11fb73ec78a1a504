/* SPDX-License-Identifier: Apache-2.0 */
#include "../../common/day.h"
#include "../../schemas/schema.h"
#include "../../schemas/wire.h"
#include "scratch.h"

#define TIME "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"
#define ENVELOPE_TOP                                                                               \
    "{\"name\":\"source\",\"type\":\"string\"},{\"name\":\"run\",\"type\":\"long\"},"              \
    "{\"name\":\"seq\",\"type\":\"long\"},{\"name\":\"occurred_at\",\"type\":" TIME "},"
#define ENVELOPE_REST                                                                              \
    "{\"name\":\"reverses_run\",\"type\":[\"null\",\"long\"],\"default\":null},"                   \
    "{\"name\":\"reverses_seq\",\"type\":[\"null\",\"long\"],\"default\":null},"                   \
    "{\"name\":\"counted_at\",\"type\":[\"null\"," TIME "],\"default\":null}"
#define ENVELOPE                                                                                   \
    ENVELOPE_TOP "{\"name\":\"region\",\"type\":\"string\"},"                                      \
                 "{\"name\":\"sign\",\"type\":\"int\",\"default\":1}," ENVELOPE_REST
#define RECORD(extra, fields)                                                                      \
    "{\"type\":\"record\",\"name\":\"k\",\"namespace\":\"t\"" extra ",\"fields\":[" ENVELOPE       \
    "" fields "]}"
#define FIELD(name, rest) ",{\"name\":\"" name "\"," rest "}"
#define COUNT(name) FIELD(name, "\"type\":\"int\",\"default\":0,\"min\":0,\"max\":100")
#define SUMS(text) ",\"sums\":[" text "]"

/* Loads kind k of root; the text of the error, "" for none, stays until the next call. */
static const char *load(const char *root, struct kind *kind)
{
    static struct fx_err err;
    fx_err_clear(&err);
    enum fx_code code = kind_load(root, "k", kind, &err);
    assert_int_equal(code, err.code);
    if (code != FX_OK)
        assert_int_equal(code, FX_ECONFIG);
    return err.text;
}

/* Loads kind k made of these versions and releases it; the text of the error, "" for none. */
static const char *try_versions(const char *first, const char *second)
{
    struct scratch scratch;
    struct kind kind = {0};
    scratch_open(&scratch);
    scratch_write(&scratch, "k/1.avsc", first);
    if (second != NULL)
        scratch_write(&scratch, "k/2.avsc", second);
    const char *text = load(scratch.root, &kind);
    kind_release(&kind);
    scratch_close(&scratch);
    return text;
}

static void shipped_kinds_load(void **state)
{
    (void)state;
    char names[8][SCHEMA_NAME_MAX];
    int count = 0;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(kind_list(FX_SCHEMAS_DIR, names, 8, &count, &err), FX_OK);
    assert_true(count >= 3);
    for (int i = 0; i < count; i++) {
        struct kind kind;
        if (kind_load(FX_SCHEMAS_DIR, names[i], &kind, &err) != FX_OK)
            fail_msg("%s", err.text);
        const struct schema *schema = kind_current(&kind);
        assert_string_equal(kind.name, names[i]);
        assert_true(schema->field_count > ENVELOPE_COUNT);
        for (int j = 0; j < schema->field_count; j++)
            if (strlen(schema->fields[j].doc) < 4)
                fail_msg("%s.%s has no doc", names[i], schema->fields[j].name);
        kind_release(&kind);
    }
}

/* Known from fastavro's to_parsing_canonical_form and fingerprint; a change breaks old topics. */
static void shipped_fingerprints_stay(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t fingerprint;
    } cases[] = {
        {"checkpoint", UINT64_C(0x2a5743e808332784)},
        {"test_site", UINT64_C(0x3d2bf803339cee7b)},
        {"quarantine", UINT64_C(0xd7e0a228f433fa2d)},
        {"heartbeat", UINT64_C(0x7b2b0d889f6dcb23)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kind kind;
        struct fx_err err = FX_ERR_INIT;
        bool is_kind = strcmp(cases[i].name, "heartbeat") != 0;
        enum fx_code code = is_kind ? kind_load(FX_SCHEMAS_DIR, cases[i].name, &kind, &err)
                                    : schema_load_heartbeat(FX_SCHEMAS_DIR, &kind, &err);
        if (code != FX_OK)
            fail_msg("%s", err.text);
        if (kind.versions[0].fingerprint != cases[i].fingerprint)
            fail_msg("%s: %016llx", cases[i].name,
                     (unsigned long long)kind.versions[0].fingerprint);
        kind_release(&kind);
    }
}

static void shipped_checkpoint_holds_its_promises(void **state)
{
    (void)state;
    struct kind kind;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(kind_load(FX_SCHEMAS_DIR, "checkpoint", &kind, &err), FX_OK);
    const struct schema *schema = kind_current(&kind);
    const struct field *fields = schema->fields;
    assert_int_equal(schema->sum_count, 3);
    assert_string_equal(fields[schema->sums[0].rest].name, "code_unchecked");
    assert_string_equal(fields[schema->sums[1].rest].name, "itinerary_unchecked");
    assert_int_equal(schema->sums[2].rest, -1);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(fields[schema->sums[i].total].name, "persons");
        assert_int_equal(schema->sums[i].part_count, 5);
    }
    const struct field *vehicle = &fields[schema_field(schema, "vehicle")];
    assert_int_equal(vehicle->type, FIELD_ENUM);
    assert_int_equal(vehicle->symbol_count, 7);
    assert_int_equal(field_symbol(vehicle, "SUPPLY", 6), 6);
    assert_int_equal(field_symbol(vehicle, "SUPPLY", 5), -1);
    assert_int_equal(field_symbol(vehicle, "SUPPLYX", 7), -1);
    assert_false(vehicle->has_default);
    const struct field *wait = &fields[schema_field(schema, "wait_s")];
    assert_true(wait->is_nullable && wait->has_default && wait->is_default_null);
    assert_true(wait->min == 0 && wait->max == 86400);
    assert_int_equal(schema_field(schema, "plate"), -1);
    assert_true(schema->not_before_ms == DAY_2020_MS);
    kind_release(&kind);
}

static void heartbeat_is_no_kind_of_event(void **state)
{
    (void)state;
    struct kind kind;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(kind_load(FX_SCHEMAS_DIR, "heartbeat", &kind, &err), FX_ECONFIG);
    fx_err_clear(&err);
    assert_int_equal(schema_load_heartbeat(FX_SCHEMAS_DIR, &kind, &err), FX_OK);
    assert_string_equal(kind.name, "heartbeat");
    assert_int_equal(kind.version_count, 1);
    assert_int_equal(kind_current(&kind)->field_count, 14);
    kind_release(&kind);
}

static void canonical_form_is_avros(void **state)
{
    (void)state;
    struct scratch scratch;
    struct kind kind;
    scratch_open(&scratch);
    scratch_write(&scratch, "k/1.avsc",
                  RECORD(",\"doc\":\"d\",\"not_before\":\"2022-01-01T00:00:00Z\"",
                         FIELD("e", "\"default\":\"B\",\"doc\":\"x\",\"type\":{\"symbols\":[\"A\","
                                    "\"B\"],\"doc\":\"y\",\"name\":\"k_e\",\"type\":\"enum\"}")
                             FIELD("s", "\"type\":[{\"type\":\"string\"},\"null\"]")
                                 FIELD("b", "\"type\":\"boolean\",\"default\":true")));
    assert_string_equal(load(scratch.root, &kind), "");
    const struct schema *schema = kind_current(&kind);
    assert_string_equal(
        schema->canonical,
        "{\"name\":\"t.k\",\"type\":\"record\",\"fields\":["
        "{\"name\":\"source\",\"type\":\"string\"},{\"name\":\"run\",\"type\":\"long\"},"
        "{\"name\":\"seq\",\"type\":\"long\"},{\"name\":\"occurred_at\",\"type\":\"long\"},"
        "{\"name\":\"region\",\"type\":\"string\"},{\"name\":\"sign\",\"type\":\"int\"},"
        "{\"name\":\"reverses_run\",\"type\":[\"null\",\"long\"]},"
        "{\"name\":\"reverses_seq\",\"type\":[\"null\",\"long\"]},"
        "{\"name\":\"counted_at\",\"type\":[\"null\",\"long\"]},"
        "{\"name\":\"e\",\"type\":{\"name\":\"t.k_e\",\"type\":\"enum\",\"symbols\":[\"A\",\"B\"]}"
        "},{\"name\":\"s\",\"type\":[\"string\",\"null\"]},{\"name\":\"b\",\"type\":\"boolean\"}]"
        "}");
    assert_true(schema->fingerprint ==
                wire_fingerprint(schema->canonical, strlen(schema->canonical)));
    assert_true(schema->not_before_ms == INT64_C(1640995200000));
    assert_string_equal(schema->doc, "d");
    const struct field *fields = &schema->fields[ENVELOPE_COUNT];
    assert_int_equal(fields[0].default_number, 1);
    assert_int_equal(fields[1].null_branch, 1);
    assert_int_equal(fields[1].max_length, 256);
    assert_false(fields[1].has_default);
    assert_int_equal(fields[2].default_number, 1);
    kind_release(&kind);
    scratch_close(&scratch);
}

static void envelope_gets_its_bounds(void **state)
{
    (void)state;
    struct scratch scratch;
    struct kind kind;
    scratch_open(&scratch);
    scratch_write(&scratch, "k/1.avsc", RECORD("", COUNT("n")));
    assert_string_equal(load(scratch.root, &kind), "");
    const struct field *fields = kind_current(&kind)->fields;
    assert_int_equal(fields[ENVELOPE_SOURCE].max_length, SCHEMA_SOURCE_MAX);
    assert_int_equal(fields[ENVELOPE_REGION].max_length, SCHEMA_REGION_MAX);
    assert_true(fields[ENVELOPE_RUN].min == 0);
    assert_true(fields[ENVELOPE_RUN].max == SCHEMA_RUN_LIMIT - 1);
    assert_true(fields[ENVELOPE_SEQ].min == 1);
    assert_true(fields[ENVELOPE_SIGN].min == -1 && fields[ENVELOPE_SIGN].max == 1);
    assert_true(fields[ENVELOPE_OCCURRED_AT].is_time);
    kind_release(&kind);
    scratch_close(&scratch);
}

#define NAMED_SPACE(space)                                                                         \
    "{\"type\":\"record\",\"name\":\"k\",\"namespace\":\"" space "\",\"fields\":[]}"

static const struct {
    const char *json;
    const char *part;
} wrong_schemas[] = {
    {"", "k/1.avsc: line 1"},
    {"[]", "k/1.avsc: is not a JSON object"},
    {"{\"type\":\"record\",\"type\":\"record\"}", "duplicate object key"},
    {"{\"type\":\"enum\",\"name\":\"k\",\"fields\":[]}", "is no record"},
    {"{\"type\":\"record\",\"name\":\"other\",\"fields\":[]}", "is named \"other\""},
    {"{\"type\":\"record\",\"name\":\"k\",\"fields\":[]}", "a record has 1 to 96"},
    {"{\"type\":\"record\",\"name\":\"k\",\"fields\":[{\"name\":\"source\","
     "\"type\":\"string\"}]}",
     "envelope: field 2, \"run\", is missing"},
    {"{\"type\":\"record\",\"name\":\"k\",\"fields\":[{\"name\":\"run\",\"type\":\"long\"}]}",
     "envelope: field 1: is \"run\" where \"source\" belongs"},
    {"{\"type\":\"record\",\"name\":\"k\",\"fields\":[{\"name\":\"source\","
     "\"type\":\"long\"}]}",
     "\"source\" has to be string"},
    {"{\"type\":\"record\",\"name\":\"k\",\"fields\":[{\"name\":\"source\","
     "\"type\":\"string\",\"max_length\":65}]}",
     "max_length has to be 64"},
    {"{\"type\":\"record\",\"name\":\"k\",\"fields\":[{\"name\":\"source\","
     "\"type\":\"string\"},{\"name\":\"run\",\"type\":\"long\",\"min\":-1}]}",
     "\"run\": min and max have to be"},
    {"{\"type\":\"record\",\"name\":\"k\",\"fields\":[" ENVELOPE_TOP
     "{\"name\":\"region\",\"type\":\"string\"},{\"name\":\"sign\",\"type\":\"int\"},"
     "" ENVELOPE_REST "]}",
     "\"sign\" has to have the default 1"},
    {RECORD(",\"aliases\":[]", ""), "unknown key \"aliases\""},
    {RECORD(",\"sum\":[]", ""), "unknown key \"sum\" (did you mean \"sums\"?)"},
    {RECORD(",\"not_before\":\"soon\"", ""), "\"not_before\": 'soon' is not a time"},
    {RECORD(",\"not_before\":5", ""), "\"not_before\" is not a string"},
    {NAMED_SPACE("a.1b"), "\"a.1b\" is no namespace"},
    {NAMED_SPACE(".a"), "\".a\" is no namespace"},
    {NAMED_SPACE("a..b"), "\"a..b\" is no namespace"},
    {NAMED_SPACE("a."), "\"a.\" is no namespace"},
    {NAMED_SPACE("A"), "\"A\" is no namespace"},
    {RECORD("", FIELD("x", "\"type\":\"double\"")), "field x: type \"double\" is not int"},
    {RECORD("", FIELD("x", "\"type\":\"bytes\"")), "field x: type \"bytes\" is not int"},
    {RECORD("", FIELD("x", "\"type\":{\"type\":\"array\",\"items\":\"int\"}")),
     "field x: type \"array\" is not int"},
    {RECORD("", FIELD("x", "\"type\":{\"type\":\"map\",\"values\":\"int\"}")),
     "type \"map\" is not int"},
    {RECORD("", FIELD("x", "\"type\":{\"type\":\"record\",\"name\":\"y\",\"fields\":[]}")),
     "type \"record\" is not int"},
    {RECORD("", FIELD("x", "\"type\":[\"null\",\"int\",\"string\"]")), "the union is not of"},
    {RECORD("", FIELD("x", "\"type\":[\"int\",\"string\"]")), "the union is not of"},
    {RECORD("", FIELD("x", "\"type\":[\"null\",\"null\"]")), "type \"null\" is not int"},
    {RECORD("", FIELD("x", "\"type\":[\"null\",[\"null\",\"int\"]]")), "the type is not int"},
    {RECORD("", FIELD("x", "\"doc\":\"\"")), "field x: \"type\" is missing"},
    {RECORD("", ",{\"type\":\"int\"}"), "field 10: \"name\" is missing"},
    {RECORD("", FIELD("X", "\"type\":\"int\"")), "\"X\" is not [a-z_]"},
    {RECORD("", COUNT("x") COUNT("x")), "two fields are named x"},
    {RECORD("", FIELD("x", "\"type\":\"int\",\"maximum\":3")), "unknown key \"maximum\""},
    {RECORD("", FIELD("x", "\"type\":\"int\",\"min\":5,\"max\":4")), "\"max\" is no number"},
    {RECORD("", FIELD("x", "\"type\":\"int\",\"max\":2147483648")), "\"max\" is no number"},
    {RECORD("", FIELD("x", "\"type\":\"int\",\"max\":1.5")), "\"max\" is no number"},
    {RECORD("", FIELD("x", "\"type\":\"string\",\"max\":5")), "\"max\" is for int and long"},
    {RECORD("", FIELD("x", "\"type\":\"int\",\"max_length\":5")), "is for strings only"},
    {RECORD("", FIELD("x", "\"type\":\"string\",\"max_length\":0")), "\"max_length\" is no"},
    {RECORD("", FIELD("x", "\"type\":\"string\",\"max_length\":1025")), "\"max_length\" is no"},
    {RECORD("", FIELD("x", "\"type\":\"int\",\"default\":null")), "default cannot be null"},
    {RECORD("", FIELD("x", "\"type\":[\"null\",\"int\"],\"default\":0")),
     "the default has to be null"},
    {RECORD("", FIELD("x", "\"type\":\"int\",\"default\":\"0\"")), "default is no value"},
    {RECORD("", FIELD("x", "\"type\":\"int\",\"max\":9,\"default\":10")), "default is no value"},
    {RECORD("", FIELD("x", "\"type\":\"boolean\",\"default\":1")), "default is no value"},
    {RECORD("", FIELD("x", "\"type\":\"string\",\"max_length\":1,\"default\":\"ab\"")),
     "default is no value"},
    {RECORD("", FIELD("x", "\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\"]},"
                           "\"default\":\"B\"")),
     "default is no value"},
    {RECORD("", FIELD("x", "\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[]}")),
     "an enum has 1 to"},
    {RECORD("", FIELD("x", "\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\","
                           "\"A\"]}")),
     "two symbols are named A"},
    {RECORD("", FIELD("x", "\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A-B\"]}")),
     "symbol 1 is no name"},
    {RECORD("", FIELD("x", "\"type\":{\"type\":\"enum\",\"name\":\"k\",\"symbols\":[\"A\"]}")),
     "two types are named \"k\""},
    {RECORD("", FIELD("x", "\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}")),
     "logicalType \"date\" is not timestamp-millis"},
    {RECORD(SUMS("{\"total\":\"n\",\"parts\":[\"a\",\"c\"]}"), COUNT("n") COUNT("a")),
     "sums[0]: no field \"c\""},
    {RECORD(SUMS("{\"total\":\"n\",\"parts\":[\"a\"]}"), COUNT("n") COUNT("a")),
     "two or more fields"},
    {RECORD(SUMS("{\"total\":\"n\",\"parts\":[\"a\",\"n\"]}"), COUNT("n") COUNT("a")),
     "field n is named twice"},
    {RECORD(SUMS("{\"total\":\"n\",\"parts\":[\"a\",\"b\"],\"rest\":\"n\"}"),
            COUNT("n") COUNT("a") COUNT("b")),
     "the rest \"n\" is none of the parts"},
    {RECORD(SUMS("{\"total\":\"n\",\"parts\":[\"a\",\"b\"]}"),
            COUNT("n") COUNT("a") FIELD("b", "\"type\":\"int\",\"min\":0")),
     "field b in a sum"},
    {RECORD(SUMS("{\"total\":\"n\",\"parts\":[\"a\",\"b\"]}"),
            COUNT("n") COUNT("a") FIELD("b", "\"type\":[\"null\",\"int\"],\"min\":0,"
                                             "\"max\":5")),
     "field b in a sum"},
    {RECORD(",\"sums\":{}", COUNT("n")), "\"sums\" is no list"},
};

static void wrong_schemas_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong_schemas / sizeof wrong_schemas[0]; i++) {
        const char *text = try_versions(wrong_schemas[i].json, NULL);
        assert_holds(text, wrong_schemas[i].part);
        assert_holds(text, "k/1.avsc: ");
    }
}

#define ENUM(symbols)                                                                              \
    FIELD("e", "\"type\":{\"type\":\"enum\",\"name\":\"ke\",\"symbols\":[" symbols "]}")

static void versions_follow_from_each_other(void **state)
{
    (void)state;
    static const char *const same = RECORD("", COUNT("n") ENUM("\"A\",\"B\""));
    static const struct {
        const char *second;
        const char *part; /* "" for none */
    } cases[] = {
        {RECORD("", COUNT("n") ENUM("\"A\",\"B\",\"C\"")), ""},
        {RECORD("", ENUM("\"A\",\"B\"") COUNT("n") COUNT("m")), ""},
        {RECORD("", ENUM("\"A\",\"B\"")), ""},
        {RECORD(",\"doc\":\"another\"", COUNT("n") ENUM("\"A\",\"B\"")),
         "has the fingerprint of 1.avsc"},
        {RECORD("", COUNT("n") ENUM("\"A\",\"C\"")), "drops the symbol B"},
        {RECORD("", COUNT("n") ENUM("\"B\",\"A\"")), "moves the symbol A"},
        {RECORD("", COUNT("n") ENUM("\"A\",\"B\"") FIELD("m", "\"type\":\"int\"")),
         "field m is not in 1.avsc and has no default"},
        {RECORD("", FIELD("n", "\"type\":\"long\"") ENUM("\"A\",\"B\"")),
         "field n, as in 1.avsc: changes its type"},
        {RECORD("", FIELD("n", "\"type\":[\"null\",\"int\"]") ENUM("\"A\",\"B\"")),
         "field n, as in 1.avsc: changes its type"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text = try_versions(same, cases[i].second);
        assert_holds(text, cases[i].part);
        assert_holds(text, cases[i].part[0] == '\0' ? "" : "k/2.avsc: ");
        assert_int_equal(text[0] == '\0', cases[i].part[0] == '\0');
    }
}

static void folders_are_checked(void **state)
{
    (void)state;
    struct scratch scratch;
    struct kind kind = {.version_count = 77};
    struct fx_err err = FX_ERR_INIT;
    scratch_open(&scratch);
    assert_holds(load(scratch.root, &kind), "k: folder cannot be read");
    scratch_write(&scratch, "k/readme.txt", "");
    assert_holds(load(scratch.root, &kind), "k: 1.avsc is missing");
    scratch_write(&scratch, "k/2.avsc", RECORD("", COUNT("n")));
    assert_holds(load(scratch.root, &kind), "k: 2.avsc is there, but not all from 1 on");
    scratch_write(&scratch, "k/1.avsc", RECORD("", COUNT("m")));
    scratch_write(&scratch, "k/03.avsc", RECORD("", COUNT("o")));
    assert_holds(load(scratch.root, &kind), "03.avsc is not named N.avsc");
    assert_int_equal(kind.version_count, 77);
    unlink(scratch.path);
    assert_string_equal(load(scratch.root, &kind), "");
    assert_int_equal(kind.version_count, 2);
    assert_int_equal(kind_current(&kind)->version, 2);
    assert_true(schema_field(kind_current(&kind), "n") >= 0);
    kind_release(&kind);
    assert_int_equal(kind_load(scratch.root, "../k", &kind, &err), FX_ECONFIG);
    assert_holds(err.text, "\"../k\" is no kind's name");
    scratch_close(&scratch);
}

static void kinds_are_listed_in_order(void **state)
{
    (void)state;
    struct scratch scratch;
    struct fx_err err = FX_ERR_INIT;
    char names[3][SCHEMA_NAME_MAX];
    int count = 77;
    scratch_open(&scratch);
    scratch_write(&scratch, "zeta/1.avsc", "");
    scratch_write(&scratch, "alpha/1.avsc", "");
    scratch_write(&scratch, "heartbeat/1.avsc", "");
    scratch_write(&scratch, "views/a.sql", "");
    scratch_write(&scratch, "a.csv", "");
    assert_int_equal(kind_list(scratch.root, names, 1, &count, &err), FX_ECONFIG);
    assert_holds(err.text, "more than 1 kinds");
    assert_int_equal(count, 77);
    fx_err_clear(&err);
    assert_int_equal(kind_list(scratch.root, names, 2, &count, &err), FX_OK);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "alpha");
    assert_string_equal(names[1], "zeta");
    scratch_write(&scratch, "Bad-name/1.avsc", "");
    assert_int_equal(kind_list(scratch.root, names, 3, &count, &err), FX_ECONFIG);
    assert_holds(err.text, "\"Bad-name\" is no kind's name");
    scratch_close(&scratch);
    fx_err_clear(&err);
    assert_int_equal(kind_list("/nowhere", names, 3, &count, &err), FX_ECONFIG);
}

static void heartbeat_fields_are_checked(void **state)
{
    (void)state;
    struct scratch scratch;
    struct kind kind;
    struct fx_err err = FX_ERR_INIT;
    scratch_open(&scratch);
    scratch_write(&scratch, "heartbeat/1.avsc",
                  "{\"type\":\"record\",\"name\":\"heartbeat\",\"fields\":["
                  "{\"name\":\"source\",\"type\":\"string\"},{\"name\":\"run\",\"type\":\"long\"},"
                  "{\"name\":\"n\",\"type\":\"long\"},{\"name\":\"state\",\"type\":{\"type\":"
                  "\"enum\",\"name\":\"s\",\"symbols\":[\"OPEN\",\"ENDED\",\"ALIVE\"]}}]}");
    assert_int_equal(schema_load_heartbeat(scratch.root, &kind, &err), FX_ECONFIG);
    assert_holds(err.text, "heartbeat/1.avsc: field 4: \"state\" has to have the symbols OPEN");
    scratch_close(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_kinds_load),
        cmocka_unit_test(shipped_fingerprints_stay),
        cmocka_unit_test(shipped_checkpoint_holds_its_promises),
        cmocka_unit_test(heartbeat_is_no_kind_of_event),
        cmocka_unit_test(canonical_form_is_avros),
        cmocka_unit_test(envelope_gets_its_bounds),
        cmocka_unit_test(wrong_schemas_are_refused),
        cmocka_unit_test(versions_follow_from_each_other),
        cmocka_unit_test(folders_are_checked),
        cmocka_unit_test(kinds_are_listed_in_order),
        cmocka_unit_test(heartbeat_fields_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
