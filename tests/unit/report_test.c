/* SPDX-License-Identifier: Apache-2.0 */
/* The daily report's pure parts: the table of measures, layout, languages, escaping, comparison. */
#include "fake_report.h"

#include "../../consumers/report_compare.h"
#include "../../consumers/report_csv.h"
#include "../../consumers/report_layout.h"
#include "../../consumers/report_query.h"

#include <ctype.h>

/* ---- the table of measures ---- */

static void every_measure_has_its_section_unit_and_words(void **state)
{
    (void)state;
    const struct report_measure *measure;
    int per_section[64] = {0};
    for (int i = 0; (measure = report_measure_at(i)) != NULL; i++) {
        const struct report_section *section = report_section_named(measure->section);
        assert_non_null(section);
        assert_ptr_equal(report_measure_named(measure->section, measure->name), measure);
        assert_non_null(report_word_named("unit", measure->unit));
        assert_true(measure->zh[0] != '\0' && measure->en[0] != '\0');
        assert_true(!measure->is_by_item || section->dimension != NULL);
        if (measure->op == REPORT_MINUS) {
            assert_non_null(report_measure_named(measure->section, measure->from));
            assert_non_null(report_measure_named(measure->section, measure->sql));
        }
        for (int s = 0; report_section_at(s) != NULL; s++)
            if (report_section_at(s) == section)
                assert_true(++per_section[s] <= REPORT_MEASURES_MAX);
    }
    for (int s = 0; report_section_at(s) != NULL; s++)
        assert_true(per_section[s] > 0);
    assert_string_equal(report_section_at(0)->name, "completeness");
}

static void count_column(const char *name, void *context)
{
    int *count = context;
    for (const char *at = name; *at != '\0'; at++)
        assert_true(islower((unsigned char)*at) || isdigit((unsigned char)*at) || *at == '_');
    ++*count;
}

static void columns_of_a_measure_are_those_in_braces(void **state)
{
    (void)state;
    const struct report_measure *measure;
    for (int i = 0; (measure = report_measure_at(i)) != NULL; i++) {
        int count = 0;
        report_query_each_column(measure, count_column, &count);
        bool reads = measure->op == REPORT_SUMS || measure->op == REPORT_VALUE ||
                     measure->op == REPORT_LAST || measure->op == REPORT_SOURCES;
        assert_true(reads ? count > 0 : count == 0);
    }
    int turnaround = 0;
    report_query_each_column(report_measure_named("tests", "turnaround_p90_min"), count_column,
                             &turnaround);
    assert_int_equal(turnaround, 9);
}

/* ---- what is installed ---- */

static void install(struct report_installed *installed, const char *dimensions,
                    const char *counted_by)
{
    *installed = (struct report_installed){.rollups = AUDIT_ROWS_INIT, .columns = AUDIT_ROWS_INIT};
    columns(&installed->rollups, "rollup kind topic bucket_ms dimensions counted_by region_field");
    columns(&installed->columns, "rollup name");
    ADD(&installed->rollups, "contact", "contact", "fangxian.contact", "3600000", dimensions,
        counted_by, "region");
    ADD(&installed->columns, "contact", "listed_persons");
}

static void drop(struct report_installed *installed)
{
    audit_rows_release(&installed->rollups);
    audit_rows_release(&installed->columns);
}

static void what_is_not_installed_is_not_recorded(void **state)
{
    (void)state;
    struct report_installed installed;
    const struct report_measure *listed = report_measure_named("contacts", "listed_persons");
    install(&installed, "tier", "region");
    assert_int_equal(report_query_rollup(&installed, listed), 0);
    assert_true(report_query_has_dimension(&installed, 0, "tier"));
    assert_false(report_query_has_dimension(&installed, 0, "ti"));
    assert_int_equal(
        report_query_rollup(&installed, report_measure_named("contacts", "located_persons")), -1);
    assert_int_equal(report_query_rollup(&installed, report_measure_named("services", "visits")),
                     -1);
    assert_int_equal(
        report_query_rollup(&installed, report_measure_named("contacts", "confirmed_cases")), -1);
    drop(&installed);
    install(&installed, "tier", "source");
    assert_int_equal(report_query_rollup(&installed, listed), -1);
    drop(&installed);
}

static void a_query_reads_all_levels_once(void **state)
{
    (void)state;
    struct report_installed installed;
    install(&installed, "tier", "source, region");
    buf_reset(&out);
    report_query_sums(&out, &installed, report_measure_named("contacts", "listed_persons"), 1,
                      "tier");
    const char *sql = buf_text(&out);
    HOLDS(sql, "\"contact_town\"");
    HOLDS(sql, "\"contact_county\"");
    HOLDS(sql, "\"contact_city\"");
    HOLDS(sql, "GROUPING SETS ((t.region), (t.region, t.\"tier\"))");
    HOLDS(sql, "interval '1 millisecond' * 3600000");
    drop(&installed);
}

/* ---- words and numbers ---- */

static void check_number(const char *number, const char *said)
{
    buf_reset(&out);
    report_say_number(&out, number);
    assert_string_equal(buf_text(&out), said);
}

static void numbers_are_grouped(void **state)
{
    (void)state;
    check_number("0", "0");
    check_number("999", "999");
    check_number("1000", "1,000");
    check_number("-1234567.5", "-1,234,567.5");
    check_number("12.5", "12.5");
    check_number(NULL, "–");
}

static void check_instant(enum report_lang lang, const char *instant, bool is_end, const char *said)
{
    buf_reset(&out);
    report_say_instant(&out, lang, instant, is_end);
    assert_string_equal(buf_text(&out), said);
}

static void midnight_is_the_end_of_the_day_before(void **state)
{
    (void)state;
    check_instant(REPORT_ZH, "2022-02-11T00:00:00+08:00", true, "2022年2月10日24时");
    check_instant(REPORT_EN, "2022-02-11T00:00:00+08:00", true, "2022-02-10 24:00");
    check_instant(REPORT_ZH, "2022-03-01T00:00:00+08:00", true, "2022年2月28日24时");
    check_instant(REPORT_ZH, "2022-02-10T08:00:00+08:00", true, "2022年2月10日8时");
    check_instant(REPORT_EN, "2022-02-10T00:00:00+08:00", false, "2022-02-10 00:00");
    check_instant(REPORT_ZH, "2022-02-10T08:05:30.250000+08:00", false, "2022年2月10日8时05分");
}

static void languages_are_told_apart(void **state)
{
    (void)state;
    enum report_lang lang = REPORT_EN;
    assert_ok(report_lang_parse("zh", &lang, &err));
    assert_int_equal(lang, REPORT_ZH);
    assert_ok(report_lang_parse("both", &lang, &err));
    assert_int_equal(lang, REPORT_BOTH);
    struct fx_err refusal = FX_ERR_INIT;
    assert_int_equal(report_lang_parse("de", &lang, &refusal), FX_ECONFIG);
    assert_int_equal(lang, REPORT_BOTH);
    HOLDS(render(REPORT_ZH, "md"), "汕尾市");
    LACKS(render(REPORT_ZH, "md"), "Shanwei");
    LACKS(render(REPORT_EN, "md"), "汕尾市");
    HOLDS(render(REPORT_EN, "md"), "# Daily situation report: Shanwei");
    HOLDS(render(REPORT_BOTH, "md"), "# 汕尾市疫情防控日报 Daily situation report: Shanwei");
}

/* ---- rendering ---- */

static void markdown_takes_no_name_for_markup(void **state)
{
    (void)state;
    const char *text = render(REPORT_BOTH, "md");
    HOLDS(text, "海\\|丰\\*县 Hai\\<feng\\> \\& \"Co\"");
    HOLDS(text, "| 1,234 |");
    size_t cells = 0;
    for (const char *line = strstr(text, "| 单位"); *line == '|'; line = strchr(line, '\n') + 1) {
        size_t count = 0;
        for (const char *at = line; *at != '\n'; at++)
            count += at[0] == '|' && (at == line || at[-1] != '\\');
        if (cells == 0)
            cells = count;
        assert_int_equal(count, cells);
    }
    assert_true(cells > 4);
}

static void html_stands_alone_and_escapes(void **state)
{
    (void)state;
    const char *text = render(REPORT_BOTH, "html");
    HOLDS(text, "<html lang=\"zh-Hans\">");
    HOLDS(text, "<span lang=\"en\">Hai&lt;feng&gt; &amp; &quot;Co&quot;, &#39;x&#39;</span>");
    HOLDS(text, "<th scope=\"col\">");
    HOLDS(text, "<th scope=\"row\">");
    HOLDS(text, "@page");
    LACKS(text, "<script");
    LACKS(text, "<link");
    LACKS(text, "http:");
    LACKS(text, "https:");
    LACKS(text, "url(");
    LACKS(text, "Hai<feng>");
    HOLDS(render(REPORT_EN, "html"), "<html lang=\"en\">");
    LACKS(render(REPORT_EN, "html"), "<span");
}

static void csv_quotes_what_needs_it(void **state)
{
    (void)state;
    const char *text = render(REPORT_EN, "csv");
    HOLDS(text, "figure,2022-02-11T00:00:00+08:00,R1,1,contacts,unit,U<1>,"
                "\"Hai<feng> & \"\"Co\"\", 'x'\",county,CLOSE,listed_persons,Listed,Close "
                "contacts,persons,1230,,true,true,");
    HOLDS(text, ",confirmed_cases,Confirmed cases,,persons,,,false,,");
    HOLDS(render(REPORT_ZH, "csv"), ",列入,密接,persons,1230,");
    int header = 0;
    for (const char *at = text; *at != '\n'; at++)
        header += *at == ',';
    assert_int_equal(header, 25);
    buf_reset(&out);
    struct audit_rows rows = AUDIT_ROWS_INIT;
    columns(&rows, "a b c d");
    ADD(&rows, "line\nbreak", "", NULL, "plain");
    report_csv_rows(&rows, &out);
    assert_string_equal(buf_text(&out), "a,b,c,d\n\"line\nbreak\",\"\",,plain\n");
    audit_rows_release(&rows);
}

/* A name is typed in by somebody; a spreadsheet runs what begins with one of these. */
static void csv_holds_no_formula(void **state)
{
    (void)state;
    struct audit_rows rows = AUDIT_ROWS_INIT;
    columns(&rows, "a b c d");
    ADD(&rows, "=1+1", "+1", "-A1", "@SUM(A1)");
    ADD(&rows, "\t=1", "\r=1", "=HYPERLINK(\"x\",1)", "-1-1");
    ADD(&rows, "-12", "-12.5", "1=1", "a@b");
    buf_reset(&out);
    report_csv_rows(&rows, &out);
    assert_string_equal(buf_text(&out), "a,b,c,d\n'=1+1,'+1,'-A1,'@SUM(A1)\n"
                                        "'\t=1,\"'\r=1\",\"'=HYPERLINK(\"\"x\"\",1)\",'-1-1\n"
                                        "-12,-12.5,1=1,a@b\n");
    audit_rows_release(&rows);
    ADD(part(REPORT_FINDINGS), "silent", "contact", "S-1", "=cmd|' /C calc'!A0", "U<1>", NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, "5");
    HOLDS(render(REPORT_EN, "csv"), ",S-1,'=cmd|' /C calc'!A0,");
}

static void what_is_not_recorded_is_said(void **state)
{
    (void)state;
    HOLDS(render(REPORT_BOTH, "md"), "未记录: 确诊病例 Not recorded: Confirmed cases");
    LACKS(render(REPORT_BOTH, "md"), "| 确诊病例");
}

static void a_draft_says_so(void **state)
{
    (void)state;
    LACKS(render(REPORT_EN, "md"), "Draft");
    HOLDS(render(REPORT_EN, "md"), "Version 1");
    LACKS(render(REPORT_EN, "md"), "Made anew");
    struct report kept = report;
    report_init(&report);
    ADD(part(REPORT_HEAD), "2022-02-11T00:00:00+08:00", "R1", "1", "2022-02-10T00:00:00+08:00",
        NULL, "fangxian", "fx-report 0.1.0", NULL, NULL, NULL);
    ADD(part(REPORT_PLACES), "total", "R1", "汕尾市", "Shanwei", "city");
    HOLDS(render(REPORT_EN, "md"), "Draft");
    HOLDS(render(REPORT_EN, "md"), "Counted up to not known");
    LACKS(render(REPORT_EN, "md"), "Version");
    report_release(&report);
    report = kept;
}

static void unit_rows_of_nothing_are_left_out(void **state)
{
    (void)state;
    struct report_index index = {NULL, 0};
    assert_ok(report_index_build(part(REPORT_FIGURES), &index, &err));
    struct report_table table = {
        .report = &report, .section = report_section_named("contacts"), .index = &index};
    assert_ok(report_table_build(&table, &err));
    assert_int_equal(table.column_count, 1);
    assert_int_equal(table.absent_count, 1);
    /* total: all, CLOSE, SECONDARY (0); unit: all, CLOSE; own: all */
    assert_int_equal(table.line_count, 6);
    assert_string_equal(table.lines[2].item, "SECONDARY");
    assert_string_equal(report_table_value(&table, 2, 0), "0");
    assert_int_equal(table.lines[5].place, 2);
    assert_string_equal(report_table_value(&table, 5, 0), "4");
    report_table_release(&table);
    report_index_release(&index);
}

/* ---- corrections ---- */

static void a_measure_that_one_program_did_not_know_is_no_correction(void **state)
{
    (void)state;
    struct report old;
    struct audit_rows log = AUDIT_ROWS_INIT;
    struct audit_rows *found = part(REPORT_CORRECTIONS);
    report_init(&old);
    columns(&log, "rollup region column_name item changed_at");
    ADD(&old.parts[REPORT_HEAD], "2022-02-11T00:00:00+08:00", "R1", "1",
        "2022-02-10T00:00:00+08:00", NULL, "fangxian", "fx-report 0.0.1", NULL, NULL,
        "2022-02-11T00:01:00.000000+08:00");
    ADD(&old.parts[REPORT_FIGURES], "contacts", "unit", "U<1>", "", "listed_persons", "persons",
        "1200", "t", "t");
    ADD(&old.parts[REPORT_FIGURES], "contacts", "unit", "U<1>", "", "given_up_persons", "persons",
        "9", "t", "t");
    add_figure("total", "", "located_persons", "7"); /* new, and another section has it */
    ADD(&old.parts[REPORT_FIGURES], "duty", "total", "R1", "", "located_persons", "persons", "8",
        "t", "t");
    assert_ok(report_compare(&old, &report, &log, &report, &err));
    for (int i = 0; i < found->count; i++)
        assert_string_equal(report_cell(&report, REPORT_CORRECTIONS, i, CORRECTION_MEASURE),
                            "listed_persons");
    /* all seven, as the old report has but one of them: a place that is new is told */
    assert_int_equal(found->count, 7);
    assert_string_equal(report_cell(&report, REPORT_CORRECTIONS, 1, CORRECTION_OLD), "1200");
    audit_rows_release(&log);
    report_release(&old);
}

static void a_comparison_lists_what_differs(void **state)
{
    (void)state;
    struct report old;
    struct audit_rows log = AUDIT_ROWS_INIT;
    struct audit_rows *found = part(REPORT_CORRECTIONS);
    report_init(&old);
    columns(&log, "rollup region column_name item changed_at");
    ADD(&log, "contact", "U<1>", "listed_persons", "", "2022-02-11T07:00:00+08:00");
    ADD(&log, "contact", "U<1>", "listed_persons", "", "2022-02-11T09:00:00+08:00");
    ADD(&log, "contact", "U<1>", "listed_persons", "CLOSE", "2022-02-11T11:00:00+08:00");
    ADD(&log, "screening", "R1", "listed_persons", "", "2022-02-11T10:00:00+08:00");
    ADD(&old.parts[REPORT_FIGURES], "contacts", "total", "R1", "", "listed_persons", "persons",
        "1234", "t", "t");
    ADD(&old.parts[REPORT_FIGURES], "contacts", "unit", "U<1>", "", "listed_persons", "persons",
        "1200", "t", "t");
    ADD(&old.parts[REPORT_FIGURES], "contacts", "unit", "gone", "", "listed_persons", "persons",
        "7", "t", "t");
    ADD(&old.parts[REPORT_FIGURES], "completeness", "total", "R1", "contact", "heard_posts",
        "posts", "3", "t", "t");
    ADD(part(REPORT_FIGURES), "completeness", "total", "R1", "duty", "heard_posts", "posts", "2",
        "t", "t");
    ADD(&old.parts[REPORT_HEAD], "2022-02-10T00:00:00+08:00", "R1", "1",
        "2022-02-09T00:00:00+08:00", NULL, "fangxian", "fx-report 0.1.0", NULL, NULL,
        "2022-02-10T00:05:00.000000+08:00");
    assert_ok(report_compare(&old, &report, &log, &report, &err));
    /* differing; 0 and more that were not there before; gone: of another time, no completeness */
    int differing = 0;
    for (int i = 0; i < found->count; i++) {
        const char *was = report_cell(&report, REPORT_CORRECTIONS, i, CORRECTION_OLD);
        const char *is = report_cell(&report, REPORT_CORRECTIONS, i, CORRECTION_NEW);
        assert_true(was == NULL || is == NULL || strcmp(was, is) != 0);
        differing += was != NULL;
    }
    assert_int_equal(differing, 2);
    assert_string_equal(report_cell(&report, REPORT_CORRECTIONS, 0, CORRECTION_OLD), "1200");
    assert_string_equal(report_cell(&report, REPORT_CORRECTIONS, 0, CORRECTION_NEW), "1230");
    assert_string_equal(report_cell(&report, REPORT_CORRECTIONS, 0, CORRECTION_CHANGED),
                        "2022-02-11T09:00:00+08:00");
    assert_string_equal(
        report_cell(&report, REPORT_CORRECTIONS, found->count - 1, CORRECTION_PLACE), "gone");
    assert_null(report_cell(&report, REPORT_CORRECTIONS, found->count - 1, CORRECTION_NEW));
    int before = found->count;
    struct report again;
    report_init(&again);
    ADD(&again.parts[REPORT_HEAD], "2022-02-10T00:00:00+08:00", "R1", "2",
        "2022-02-09T00:00:00+08:00", NULL, "fangxian", "fx-report 0.1.0", NULL, NULL, NULL);
    assert_ok(report_compare(&old, &report, &log, &again, &err));
    assert_int_equal(again.parts[REPORT_CORRECTIONS].count, before + 2);
    assert_ok(report_compare(&report, &report, &log, &report, &err));
    assert_int_equal(found->count, before);
    report_release(&again);
    HOLDS(render(REPORT_EN, "csv"), "correction,2022-02-11T00:00:00+08:00,R1,1,contacts,unit,U<1>");
    audit_rows_release(&log);
    report_release(&old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_measure_has_its_section_unit_and_words),
        TEST(columns_of_a_measure_are_those_in_braces),
        TEST(what_is_not_installed_is_not_recorded),
        TEST(a_query_reads_all_levels_once),
        TEST(numbers_are_grouped),
        TEST(midnight_is_the_end_of_the_day_before),
        TEST(languages_are_told_apart),
        TEST(markdown_takes_no_name_for_markup),
        TEST(html_stands_alone_and_escapes),
        TEST(csv_quotes_what_needs_it),
        TEST(csv_holds_no_formula),
        TEST(what_is_not_recorded_is_said),
        TEST(a_draft_says_so),
        TEST(unit_rows_of_nothing_are_left_out),
        TEST(a_comparison_lists_what_differs),
        TEST(a_measure_that_one_program_did_not_know_is_no_correction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
