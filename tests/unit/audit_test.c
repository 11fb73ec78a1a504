/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_audit.h"

#include "../../consumers/audit_json.h"
#include "../../consumers/audit_query.h"
#include "../../consumers/audit_recount.h"
#include "../../consumers/audit_text.h"

#include <jansson.h>

static struct audit_report report;

static struct audit_rows *section(enum audit_section which, const char *names)
{
    columns(&report.sections[which], names);
    return &report.sections[which];
}

/* 17 posts, all heard: one kind, judged, nobody else. */
static int make_report(void **state)
{
    (void)state;
    columns(&report.head, "schema audited_at day");
    ADD(&report.head, "fangxian", "2022-02-10T08:05:00+08:00", NULL);
    columns(&report.kinds, "kind sources+ sources_expected+ sources_heard+ missing+ judged_at "
                           "unknown_since");
    ADD(&report.kinds, "checkpoint", "17", "17", "17", "0", "2022-02-10T08:04:00+08:00", NULL);
    return 0;
}

static int drop_report(void **state)
{
    (void)state;
    audit_report_release(&report);
    return 0;
}

static void add_missing(const char *first, const char *last, const char *events)
{
    struct audit_rows *rows = &report.sections[AUDIT_MISSING];
    if (rows->column_count == 0)
        columns(rows, "kind source name run first_seq+ last_seq+ events+ day cause is_gone? "
                      "reasons");
    ADD(rows, "checkpoint", "CP-9", "九号卡点", "0123456789ab", first, last, events, "2022-02-10",
        "missing", "f", NULL);
}

/* ---- rows ---- */

static void rows_keep_copies_and_nulls(void **state)
{
    (void)state;
    struct audit_rows rows = AUDIT_ROWS_INIT;
    char text[] = "CP-1";
    columns(&rows, "kind source events+ is_gone?");
    for (int i = 0; i < 100; i++)
        ADD(&rows, i % 2 == 0 ? "checkpoint" : "quarantine", text, "3", i == 7 ? "t" : NULL);
    text[0] = 'X';
    assert_string_equal(audit_rows_cell(&rows, 99, "source"), "CP-1");
    assert_null(audit_rows_cell(&rows, 0, "is_gone"));
    assert_null(audit_rows_cell(&rows, 0, "no such column"));
    assert_true(audit_rows_is_true(&rows, 7, "is_gone"));
    assert_false(audit_rows_is_true(&rows, 8, "is_gone"));
    assert_int_equal(audit_rows_sum(&rows, "events", NULL), 300);
    assert_int_equal(audit_rows_sum(&rows, "events", "quarantine"), 150);
    assert_int_equal(audit_rows_count_kind(&rows, "checkpoint"), 50);
    audit_rows_release(&rows);
}

static void pick_takes_columns_of_flagged_rows(void **state)
{
    (void)state;
    struct audit_rows rows = AUDIT_ROWS_INIT;
    struct audit_rows picked = AUDIT_ROWS_INIT;
    columns(&rows, "kind source events+ is_silent?");
    ADD(&rows, "checkpoint", "A", "1", "t");
    ADD(&rows, "checkpoint", "B", "2", "f");
    ADD(&rows, "checkpoint", "C", NULL, "t");
    assert_ok(audit_rows_pick(&rows, "is_silent", "events absent source", &picked, &err));
    assert_int_equal(picked.column_count, 2);
    assert_int_equal(picked.count, 2);
    assert_string_equal(audit_rows_cell(&picked, 1, "source"), "C");
    assert_null(audit_rows_cell(&picked, 1, "events"));
    assert_int_equal(picked.columns[0].type, AUDIT_NUMBER);
    audit_rows_release(&rows);
    audit_rows_release(&picked);
}

/* ---- verdict ---- */

static void nothing_found_is_complete(void **state)
{
    (void)state;
    assert_int_equal(audit_judge(&report), AUDIT_COMPLETE);
    assert_int_equal(audit_exit_status(audit_judge(&report)), 0);
}

static void a_fault_of_any_section_is_incomplete(void **state)
{
    (void)state;
    for (int i = 0; i < AUDIT_SECTION_COUNT; i++) {
        struct audit_rows *rows = section((enum audit_section)i, "kind");
        bool is_notice = i == AUDIT_CLOSED || i == AUDIT_CLOCKS || i == AUDIT_UNREGISTERED;
        ADD(rows, "checkpoint");
        int status = audit_exit_status(audit_judge(&report));
        assert_int_equal(status, is_notice ? 0 : i == AUDIT_BEHIND ? 2 : 1);
        audit_rows_release(rows);
    }
}

static void a_breach_has_no_kind_and_counts(void **state)
{
    (void)state;
    struct audit_rows *rows = section(AUDIT_BREACHES, "rule");
    ADD(rows, "counted + gaps = high");
    assert_int_equal(audit_judge(&report), AUDIT_INCOMPLETE);
}

static void what_nobody_knows_is_unknown_and_known_faults_stay(void **state)
{
    (void)state;
    audit_rows_release(&report.kinds);
    columns(&report.kinds, "kind sources+ sources_expected+ sources_heard+ unknown_since");
    ADD(&report.kinds, "checkpoint", "17", "17", "17", "2022-02-10T08:04:00+08:00");
    assert_int_equal(audit_judge(&report), AUDIT_UNKNOWN);
    struct audit_rows *rows = section(AUDIT_PENDING, "kind");
    ADD(rows, "checkpoint"); /* they may have come since */
    assert_int_equal(audit_judge(&report), AUDIT_UNKNOWN);
    add_missing("1", "1", "1");
    assert_int_equal(audit_judge(&report), AUDIT_INCOMPLETE);
}

static void a_kind_without_anybody_does_not_decide(void **state)
{
    (void)state;
    ADD(&report.kinds, "quarantine", "0", "0", "0", "0", NULL, NULL);
    assert_int_equal(audit_judge_kind(&report, 1), AUDIT_IDLE);
    assert_int_equal(audit_judge(&report), AUDIT_COMPLETE);
    ADD(&report.kinds, "test_site", "3", "0", "0", "0", NULL, NULL); /* none of 3 is expected */
    assert_int_equal(audit_judge_kind(&report, 2), AUDIT_UNKNOWN);
    assert_int_equal(audit_judge(&report), AUDIT_UNKNOWN);
}

static void nobody_at_all_is_unknown(void **state)
{
    (void)state;
    audit_rows_release(&report.kinds);
    columns(&report.kinds, "kind sources+ sources_expected+ unknown_since");
    ADD(&report.kinds, "quarantine", "0", "0", NULL);
    assert_int_equal(audit_exit_status(audit_judge(&report)), 2);
}

/* ---- for people ---- */

static void assert_text(int lines_max, const char *expected)
{
    struct buf out = BUF_INIT;
    audit_text(&report, lines_max, &out);
    assert_string_equal(buf_text(&out), expected);
    buf_release(&out);
}

static void the_first_line_is_the_verdict(void **state)
{
    (void)state;
    assert_text(20, "complete as of 2022-02-10T08:04:00+08:00, 17 of 17 posts, 0 missing\n\n"
                    "  kind        verdict   expected  heard  missing\n"
                    "  checkpoint  complete  17        17     0\n");
}

static void columns_are_aligned_and_cut_lines_counted(void **state)
{
    (void)state;
    add_missing("4811", "4813", "3");
    add_missing("5", "5", "1");
    add_missing("9", "9", "1");
    assert_text(
        2, "NOT complete as of 2022-02-10T08:04:00+08:00, 17 of 17 posts, 5 missing\n\n"
           "  kind        verdict     expected  heard  missing\n"
           "  checkpoint  incomplete  17        17     0\n"
           "\nnumbers not counted (3)\n"
           "  checkpoint  CP-9  九号卡点  run 0123456789ab  seq 4811-4813  3  2022-02-10  missing  "
           "> the source is asked by itself; or on the device: "
           "fx-checkpoint --resend CP-9:0123456789ab:4811-4813\n"
           "  checkpoint  CP-9  九号卡点  run 0123456789ab  seq 5-5        1  2022-02-10  missing  "
           "> the source is asked by itself; or on the device: "
           "fx-checkpoint --resend CP-9:0123456789ab:5-5\n"
           "  ... and 1 more, see --json or --all\n");
}

static void a_cell_without_value_vanishes(void **state)
{
    (void)state;
    struct audit_rows *rows = section(AUDIT_SILENT, "kind source name region state last_sign_at");
    ADD(rows, "checkpoint", "A", NULL, "441521", "never heard", NULL);
    ADD(rows, "checkpoint", "BB", "卡", NULL, "silent", "2022-02-10T07:00:00+08:00");
    struct buf out = BUF_INIT;
    audit_text(&report, 0, &out);
    assert_non_null(strstr(buf_text(&out), "0 missing, 2 silent\n"));
    assert_non_null(strstr(buf_text(&out), "\n  checkpoint  A       in 441521  never heard"));
    assert_non_null(
        strstr(buf_text(&out), "\n  checkpoint  BB  卡             silent       last sign 2022"));
    buf_release(&out);
}

static void chinese_is_two_columns_wide(void **state)
{
    (void)state;
    assert_int_equal(audit_text_width(""), 0);
    assert_int_equal(audit_text_width("CP-1"), 4);
    assert_int_equal(audit_text_width("卡点"), 4);
    assert_int_equal(audit_text_width("é"), 1);
    assert_int_equal(audit_text_width("\xF0\xA0\x80\x80"), 2); /* U+20000 */
}

/* ---- for programs ---- */

static void json_holds_everything(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    for (int i = 0; i < 50; i++)
        add_missing("4811", "4813", "3");
    assert_ok(audit_json(&report, &out, &err));
    json_t *root = json_loads(buf_text(&out), 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "verdict")), "incomplete");
    assert_int_equal(json_integer_value(json_object_get(root, "exit_status")), 1);
    assert_true(json_is_null(json_object_get(root, "day")));
    json_t *findings = json_object_get(root, "findings");
    assert_int_equal(json_object_size(findings), AUDIT_SECTION_COUNT);
    json_t *missing = json_object_get(findings, "missing");
    assert_int_equal(json_array_size(missing), 50);
    json_t *first = json_array_get(missing, 0);
    assert_int_equal(json_integer_value(json_object_get(first, "first_seq")), 4811);
    assert_true(json_is_false(json_object_get(first, "is_gone")));
    assert_string_equal(json_string_value(json_object_get(first, "name")), "九号卡点");
    assert_string_equal(json_string_value(json_object_get(first, "command")),
                        "fx-checkpoint --resend CP-9:0123456789ab:4811-4813");
    assert_int_equal(json_array_size(json_object_get(findings, "silent")), 0);
    json_decref(root);
    buf_release(&out);
}

/* ---- queries ---- */

static void a_section_is_queried_or_picked(void **state)
{
    (void)state;
    for (int i = 0; i < AUDIT_SECTION_COUNT; i++) {
        enum audit_section which = (enum audit_section)i;
        bool is_picked = audit_query_flag(which) != NULL;
        assert_true(is_picked == (audit_query_picks(which) != NULL));
        if (which != AUDIT_BREACHES)
            assert_true(is_picked != (audit_query_section(which) != NULL));
    }
}

static void assert_recount(const char *by, const char *kind_of_sum, enum audit_recount recount,
                           const char *expected)
{
    struct audit_rows definitions = AUDIT_ROWS_INIT;
    struct audit_rows fields = AUDIT_ROWS_INIT;
    struct buf sql = BUF_INIT;
    const char *has_sources = strchr(by, 's') ? "t" : "f";
    const char *has_regions = strchr(by, 'r') ? "t" : "f";
    columns(&definitions, "rollup topic by_source? by_region? counts_all? dimensions "
                          "has_source_totals? has_region_totals?");
    ADD(&definitions, "gate", "p.gate", has_sources, has_regions, "t", "post_type, round",
        has_sources, has_regions);
    columns(&fields, "rollup name aggregate rule may_be_negative?");
    ADD(&fields, "other", "x", "count", "count", "f");
    ADD(&fields, "gate", "n", kind_of_sum, "sum(persons)", "f");
    ADD(&fields, "gate", "free", "sum", "sum(delta)", "t");
    ADD(&fields, "gate", "stock", "last", "last(persons)", "f");
    ADD(&fields, "gate", "share", "derived", "1", "f");
    audit_recount_sql(&(struct audit_rollup){&definitions, 0, &fields}, recount, &sql);
    if (expected == NULL)
        assert_int_equal(sql.size, 0);
    else
        assert_non_null(strstr(buf_text(&sql), expected));
    if (recount != AUDIT_TOTALS)
        assert_null(strstr(buf_text(&sql), "stock"));
    assert_null(strstr(buf_text(&sql), "share"));
    buf_release(&sql);
    audit_rows_release(&definitions);
    audit_rows_release(&fields);
}

static void a_recount_compares_what_can_be_compared(void **state)
{
    (void)state;
    assert_recount("rs", "sum", AUDIT_CHILDREN,
                   "(NULL::text, p.region IS NULL, 'no row', 'a row'), ('n', p.\"n\" < s.\"n\", "
                   "p.\"n\"::text, 'at least ' || s.\"n\")) v ");
    assert_recount("r", "min", AUDIT_CHILDREN, "coalesce(p.\"n\" > s.\"n\", ");
    assert_recount("r", "max", AUDIT_CHILDREN, "max(t.\"n\") AS \"n\"");
    assert_recount("s", "sum", AUDIT_CHILDREN, NULL);
    assert_recount("rs", "sum", AUDIT_ROOTS, "('free', p.\"free\" <> s.\"free\", ");
    assert_recount("rs", "sum", AUDIT_ROOTS,
                   "s ON p.bucket_start = s.bucket_start AND p.\"post_type\" = s.\"post_type\" AND "
                   "p.\"round\" = s.\"round\" ");
    assert_recount("r", "sum", AUDIT_ROOTS, NULL);
    assert_recount("s", "sum", AUDIT_ROOTS, NULL);
    assert_recount("s", "sum", AUDIT_NEGATIVE,
                   "FROM \"gate_source\" t CROSS JOIN LATERAL (VALUES "
                   "(NULL::text, 0::bigint), ('n', t.\"n\")) v ");
    assert_recount("rs", "sum", AUDIT_EVENTS, NULL); /* no column counts every event */
}

static void totals_are_compared_with_their_cells(void **state)
{
    (void)state;
    assert_recount("rs", "sum", AUDIT_TOTALS,
                   "FROM \"gate_town_total\" p FULL JOIN (SELECT t.region, "
                   "t.\"post_type\", t.\"round\", ");
    assert_recount("rs", "sum", AUDIT_TOTALS, "('n', p.\"n\" <> s.\"n\", ");
    assert_recount("s", "max", AUDIT_TOTALS,
                   "'one on both sides'), ('first_bucket', p.first_bucket <> s.first_bucket, "
                   "p.first_bucket::text, s.first_bucket::text), ('free', ");
    assert_recount("s", "sum", AUDIT_TOTALS,
                   "('stock_at', p.\"stock_at\" IS DISTINCT FROM s.\"stock_at\", ");
    assert_recount("", "sum", AUDIT_TOTALS, NULL);
}

int main(void)
{
#define WITH_REPORT(test) cmocka_unit_test_setup_teardown(test, make_report, drop_report)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_keep_copies_and_nulls),
        cmocka_unit_test(pick_takes_columns_of_flagged_rows),
        WITH_REPORT(nothing_found_is_complete),
        WITH_REPORT(a_fault_of_any_section_is_incomplete),
        WITH_REPORT(a_breach_has_no_kind_and_counts),
        WITH_REPORT(what_nobody_knows_is_unknown_and_known_faults_stay),
        WITH_REPORT(a_kind_without_anybody_does_not_decide),
        WITH_REPORT(nobody_at_all_is_unknown),
        WITH_REPORT(the_first_line_is_the_verdict),
        WITH_REPORT(columns_are_aligned_and_cut_lines_counted),
        WITH_REPORT(a_cell_without_value_vanishes),
        cmocka_unit_test(chinese_is_two_columns_wide),
        WITH_REPORT(json_holds_everything),
        cmocka_unit_test(a_section_is_queried_or_picked),
        cmocka_unit_test(a_recount_compares_what_can_be_compared),
        cmocka_unit_test(totals_are_compared_with_their_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
