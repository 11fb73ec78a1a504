/* SPDX-License-Identifier: Apache-2.0 */
/* What the loader of rollups refuses, and what it says. */
#include "rolldef_fixture.h"

static const struct {
    const char *json;
    const char *part;
} wrong_definitions[] = {
    {"", "line 1"},
    {"{\"rollup\":\"r\",\"rollup\":\"r\"}", "duplicate object key"},
    {"{\"rollup\":\"q\"}", "rollup \"q\" belongs into q.rollup.json"},
    {"{\"rollup\":\"R\"}", "rollup \"R\" is not [a-z_]"},
    {"{\"by\":[]}", "\"rollup\" is missing"},
    {"{\"rollup\":\"r\"}", "\"by\" is no list"},
    {"{\"rollup\":\"r\",\"by\":[\"town\"]}", "by: \"town\" is not source or region"},
    {"{\"rollup\":\"r\",\"by\":[\"source\",\"source\"]}", "by: \"source\" is not"},
    {"{\"rollup\":\"r\",\"by\":[\"source\"]}", "bucket: \"bucket\" is missing"},
    {HEAD "}", "\"columns\" is no list"},
    {HEAD ",\"columns\":[]}", "\"columns\" is no list"},
    {HEAD ",\"colums\":[]}", "unknown key \"colums\" (did you mean \"columns\"?)"},
    {HEAD ",\"region\":\"lane\"}", "region: field \"lane\" is no region's code"},
    {HEAD ",\"region\":\"note\"}", "region: field \"note\" is no region's code"},
    {HEAD ",\"region\":\"source\"}", "region: field \"source\" is no region's code"},
    {HEAD ",\"region\":\"town\"}", "region: no field \"town\""},
    {WITH("\"dimensions\":[\"persons\"]"), "dimensions[0]: field \"persons\" is no enum"},
    {WITH("\"dimensions\":[\"origin\"]"), "dimensions[0]: field \"origin\" is no enum"},
    {WITH("\"dimensions\":[\"note\"]"), "dimensions[0]: field \"note\" is no enum"},
    {WITH("\"dimensions\":[\"source\"]"), "belongs to the envelope"},
    {WITH("\"dimensions\":[\"lane\",\"lane\"]"), "dimensions[1]: field \"lane\" is named twice"},
    {WITH("\"dimensions\":\"lane\""), "\"dimensions\" is no list"},
    {WITH("\"dimensions\":[\"lan\"]"), "no field \"lan\" (did you mean \"lane\"?)"},
    {COLUMN("\"sum\":\"person\""), "r.rollup.json: columns[0] \"a_persons\": no field "
                                   "\"person\" (did you mean \"persons\"?)"},
    {COLUMN("\"sum\":\"zzz\""), "no field \"zzz\""},
    {COLUMN("\"sum\":\"lane\""), "sum of \"lane\", which is no int or long"},
    {COLUMN("\"sum\":\"note\""), "sum of \"note\", which is no int or long"},
    {COLUMN("\"sum\":\"first\""), "sum of \"first\", which is no int or long"},
    {COLUMN("\"sum\":\"at\""), "sum of \"at\", which is no int or long"},
    {COLUMN("\"sum\":\"bytes\""), "whose min or max is beyond"},
    {COLUMN("\"max\":\"bytes\""), "max of \"bytes\", a long without min"},
    {COLUMN("\"last\":\"bytes\""), "last of \"bytes\", a long without min"},
    {COLUMN("\"sum\":\"seq\""), "field \"seq\" belongs to the envelope"},
    {COLUMN("\"sum\":\"source\""), "field \"source\" belongs to the envelope"},
    {COLUMN("\"sum\":1"), "\"sum\" names no field"},
    {COLUMN("\"count\":1"), "\"count\" is always true"},
    {COLUMN("\"doc\":\"\""), "has none of count"},
    {COLUMN("\"count\":true,\"sum\":\"persons\""), "has more than one of count"},
    {COLUMN("\"total\":\"persons\""), "unknown key \"total\""},
    {COLUMN("\"max\":\"persons\""), "the name of a max ends in its unit and _max"},
    {COLUMN("\"count\":true,\"doc\":\"{}\""), "\"doc\" holds {}"},
    {COLUMN("\"count\":true,\"doc\":\"only English\""), "\"doc\" has no Chinese part"},
    {COLUMN("\"count\":true,\"doc\":5"), "\"doc\" is not a string"},
    {COLUMNS("5"), "columns[0] \"\": is not a JSON object"},
    {COLUMNS("{\"count\":true}"), "\"name\" is missing"},
    {COLUMNS("{\"name\":\"persons_max\",\"sum\":\"persons\"}"), "the name of a sum ends"},
    {COLUMNS("{\"name\":\"people\",\"count\":true}"), "\"people\" ends in no unit"},
    {COLUMNS("{\"name\":\"xpersons\",\"count\":true}"), "\"xpersons\" ends in no unit"},
    {COLUMNS("{\"name\":\"A_persons\",\"count\":true}"), "\"A_persons\" is not [a-z_]"},
    {COLUMNS("{\"name\":\"persons\",\"count\":true},{\"name\":\"persons\",\"count\":true}"),
     "columns[1] \"persons\": two columns are named \"persons\""},
    {"{\"rollup\":\"r\",\"by\":[\"region\"],\"bucket\":\"1h\",\"columns\":[{\"name\":"
     "\"persons\",\"last\":\"persons\"}]}",
     "last needs \"by\" to name source"},
    {WHERE(""), "\"where\" names no field"},
    {WHERE("\"lan\":\"RED\""), "where lan: no field \"lan\" (did you mean \"lane\"?)"},
    {WHERE("\"lane\":\"REDD\""), "where lane: no symbol \"REDD\" (did you mean \"RED\"?)"},
    {WHERE("\"lane\":1"), "where lane: is no symbol"},
    {WHERE("\"lane\":null"), "where lane: is never null"},
    {WHERE("\"lane\":{\"not\":null}"), "where lane: not: is never null"},
    {WHERE("\"lane\":[\"RED\",null]"), "null inside a list"},
    {WHERE("\"wait_s\":{\"not\":[1,null]}"), "null inside a list"},
    {WHERE("\"lane\":[]"), "an empty list"},
    {WHERE("\"lane\":[\"RED\",\"RED\"]"), "a value is there twice"},
    {WHERE("\"round\":[\"a\",\"a\"]"), "a value is there twice"},
    {WHERE("\"lane\":{\"gt\":\"RED\"}"), "compare numbers"},
    {WHERE("\"lane\":{}"), "no comparison"},
    {WHERE("\"lane\":{\"or\":1}"), "unknown key \"or\""},
    {WHERE("\"persons\":{\"gt\":null}"), "where persons: gt: null"},
    {WHERE("\"persons\":{\"gt\":[1,2]}"), "where persons: gt: is no whole number"},
    {WHERE("\"persons\":1.5"), "is no whole number"},
    {WHERE("\"first\":1"), "is not true or false"},
    {WHERE("\"round\":\"123456789012345678901234567890123\""), "at most 32 bytes"},
    {WHERE("\"sign\":1"), "field \"sign\" belongs to the envelope"},
    {COLUMN("\"count\":true,\"where\":[]"), "\"where\" names no field"},
    {COLUMN("\"count\":true,\"each\":[]"), "\"each\" is no list"},
    {COLUMN("\"count\":true,\"each\":[1]"), "\"each\" lists strings only"},
    {COLUMN("\"count\":true,\"each\":{\"a\":1}"), "each \"a\" has no doc"},
    {COLUMN("\"count\":true,\"each\":[\"a\",\"b\"]"), "each \"b\": two columns are named"},
    {COLUMNS("{\"each\":[\"a234567890123456789012345678901234567890123456789012345_personsX\"],"
             "\"name\":\"{}\",\"count\":true}"),
     "more than 63 bytes"},
    {COLUMN("\"count\":true,\"each\":[\"a\"],\"doc\":\"{doc}\""), "while each gives none"},
    {COLUMN("\"count\":true,\"each\":[\"a\"],\"within\":{}"), "\"each\" and \"within\""},
    {COLUMNS("{\"each\":[\"a-b\"],\"name\":\"{}_persons\",\"count\":true}"),
     "each \"a-b\": the name \"a-b_persons\" is not"},
    {COLUMN("\"count\":true,\"within\":{}"), "\"within\" names no single field"},
    {COLUMN("\"count\":true,\"within\":{\"wait_s\":{},\"persons\":{}}"), "no single field"},
    {COLUMN("\"count\":true,\"within\":{\"wait_s\":{}}"), "\"within\" has no edges"},
    {COLUMN("\"count\":true,\"within\":{\"lane\":{\"a\":1}}"), "field \"lane\" is no int"},
    {COLUMN("\"count\":true,\"within\":{\"wait_s\":{\"a\":1,\"b\":2}}"), "two columns"},
    {COLUMNS("{\"name\":\"{}_persons\",\"count\":true,\"within\":{\"wait_s\":{\"a\":2,\"b\":2}"
             "}}"),
     "edge \"b\" is no whole number above"},
    {DERIVED("1"), "derived[0] \"c_percent\": \"sql\" uses no column"},
    {DERIVED("a_persons / b_s_max"), "column \"b_s_max\" is a max"},
    {DERIVED("a_person / 2"), "uses no column"},
    {DERIVED("aa_persons"), "no column \"aa_persons\" (did you mean \"a_persons\"?)"},
    {DERIVED("a_persons; drop table x"), "is no single expression"},
    {DERIVED("a_persons -- x"), "is no single expression"},
    {DERIVED("a_persons /* x"), "is no single expression"},
    {DERIVED("(a_persons"), "is no single expression"},
    {DERIVED("a_persons) + (1"), "is no single expression"},
    {DERIVED("a_persons || 'x"), "is no single expression"},
    {DERIVED("'a_persons'"), "uses no column"},
    {DERIVED("a_persons + (Select 1)"), "is no expression over this rollup: select"},
    {WITH("\"derived\":[{\"name\":\"ratio\",\"sql\":\"a_persons\"}]"), "ends in no unit"},
    {WITH("\"derived\":[{\"name\":\"a_persons\",\"sql\":\"a_persons\"}]"), "two columns"},
    {WITH("\"derived\":[{\"name\":\"b_persons\"}]"), "\"sql\" is missing"},
    {WITH("\"derived\":{}"), "\"derived\" is no list"},
};

static void wrong_definitions_are_refused(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof wrong_definitions / sizeof wrong_definitions[0]; i++) {
        enum fx_code code = load(fixture, wrong_definitions[i].json);
        if (code != FX_ECONFIG)
            fail_msg("not refused: %s", wrong_definitions[i].json);
        assert_int_equal(fixture->set.count, 0);
        assert_holds(fixture->err.text, "r.rollup.json: ");
        assert_holds(fixture->err.text, wrong_definitions[i].part);
    }
}

static void columns_have_a_limit(void **state)
{
    struct fixture *fixture = *state;
    for (int count = ROLLUP_COLUMNS_MAX; count <= ROLLUP_COLUMNS_MAX + 1; count++) {
        char json[16384];
        int length = snprintf(json, sizeof json, HEAD ",\"columns\":[");
        for (int i = 0; i < count; i++)
            length += snprintf(json + length, sizeof json - (size_t)length,
                               "%s{\"name\":\"a%d_times\",\"count\":true}", i == 0 ? "" : ",", i);
        snprintf(json + length, sizeof json - (size_t)length, "]}");
        assert_int_equal(load(fixture, json), count == ROLLUP_COLUMNS_MAX ? FX_OK : FX_ECONFIG);
    }
    assert_holds(fixture->err.text, "more than 128 columns");
}

static int mallocs_left;

static void *fail_at_last(size_t size)
{
    return mallocs_left-- > 0 ? malloc(size) : NULL;
}

/*
 * Every allocation of the JSON library fails once, from the k-th on for good: no crash, no leak,
 * never a half result. The long doc makes its lexer grow a buffer, where it swallows failures.
 */
static void a_failed_allocation_is_reported(void **state)
{
    struct fixture *fixture = *state;
    static const char *const json =
        COLUMNS("{\"each\":{\"GREEN\":\"g 绿\"},\"name\":\"{}_persons\",\"sum\":\"persons\","
                "\"where\":{\"lane\":[\"{}\",\"RED\"]},\"doc\":\"{doc} and some more words\"},"
                "{\"name\":\"in_{}_groups\",\"count\":true,"
                "\"within\":{\"wait_s\":{\"5min\":300}}}");
    scratch_write(&fixture->scratch, "k/r.rollup.json", json);
    int failures = 0;
    enum fx_code code = FX_EMEMORY;
    for (; code != FX_OK; failures++) {
        assert_true(failures < 10000);
        mallocs_left = failures;
        json_set_alloc_funcs(fail_at_last, free);
        fx_err_clear(&fixture->err);
        code = rollup_set_load(fixture->scratch.root, &fixture->kind, &fixture->set, &fixture->err);
        json_set_alloc_funcs(malloc, free);
        if (code != FX_OK && code != FX_EMEMORY)
            fail_msg("allocation %d: %s", failures, fixture->err.text);
    }
    assert_true(failures > 50);
    assert_int_equal(fixture->set.rollups[0].column_count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_definitions_are_refused),
        TEST(columns_have_a_limit),
        TEST(a_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
