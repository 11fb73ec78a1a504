/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of what reports fails, at every place: see fake_shortage.h. */
#include "fake_report.h"

#include "fake_shortage.h"

#include "../../consumers/audit_json.h"
#include "../../consumers/audit_text.h"
#include "../../consumers/report_compare.h"
#include "../../consumers/report_csv.h"

/* Rows are added by hand here: ADD would end the test. */
static void add_row(struct audit_rows *rows, const char *const *cells, struct fx_err *err)
{
    int count = rows->count;
    while (audit_rows_add(rows, cells, err) != FX_OK) {
        assert_int_equal(rows->count, count); /* nothing changed */
        assert_true(is_short(err));
    }
}

static void say_rows(const struct audit_rows *rows)
{
    for (int row = 0; row < rows->count; row++) {
        for (int i = 0; i < rows->column_count; i++) {
            const char *cell = rows->cells[row * rows->column_count + i];
            say("%s ", cell == NULL ? "-" : cell);
        }
        say("\n");
    }
}

/* ---- the audit ---- */

static enum fx_code pick_rows(struct fx_err *err)
{
    struct audit_rows rows = AUDIT_ROWS_INIT;
    struct audit_rows picked = AUDIT_ROWS_INIT;
    columns(&rows, "kind source events+ is_silent?");
    for (int i = 0; i < 40; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        const char *const cells[] = {"checkpoint", i % 3 == 0 ? NULL : "CP-1", number,
                                     i % 2 == 0 ? "t" : "f"};
        add_row(&rows, cells, err);
    }
    if (audit_rows_pick(&rows, "is_silent", "events absent source", &picked, err) == FX_OK)
        say_rows(&picked);
    audit_rows_release(&rows);
    audit_rows_release(&picked);
    return err->code;
}

static void rows_of_an_audit(void **state)
{
    (void)state;
    assert_true(fail_each(pick_rows, 1, REPORTED).count >= 150);
}

static struct audit_report findings;

static int make_findings(void **state)
{
    (void)state;
    struct audit_rows *missing = &findings.sections[AUDIT_MISSING];
    columns(&findings.head, "schema audited_at day");
    ADD(&findings.head, "fangxian", "2022-02-10T08:05:00+08:00", NULL);
    columns(&findings.kinds, "kind sources+ sources_expected+ sources_heard+ missing+ judged_at "
                             "unknown_since");
    ADD(&findings.kinds, "checkpoint", "17", "17", "17", "3", "2022-02-10T08:04:00+08:00", NULL);
    columns(missing, "kind source name run first_seq+ last_seq+ events+ day cause is_gone? "
                     "reasons");
    ADD(missing, "checkpoint", "CP-9", "九号卡点", "0123456789ab", "4811", "4813", "3",
        "2022-02-10", "missing", "f", NULL);
    ADD(missing, "checkpoint", "CP-9", "九号卡点", "0123456789ab", "4820", "4820", "1",
        "2022-02-10", "rejected", "f", "unknown_region");
    return 0;
}

static int drop_findings(void **state)
{
    (void)state;
    audit_report_release(&findings);
    return 0;
}

static enum fx_code write_findings(struct fx_err *err)
{
    struct buf text = BUF_INIT;
    audit_text(&findings, 0, &text);
    if (buf_check(&text, err) == FX_OK && audit_json(&findings, &text, err) == FX_OK)
        say("%s", buf_text(&text));
    if (err->code == FX_OK)
        (void)(buf_check(&text, err) == FX_OK);
    buf_release(&text);
    return err->code;
}

static void an_audit(void **state)
{
    (void)state;
    assert_true(fail_each(write_findings, 1, REPORTED).count >= 100);
}

/* ---- the daily report ---- */

static const char *format;

static enum fx_code render_report(struct fx_err *err)
{
    struct buf text = BUF_INIT;
    if (report_render(&report, REPORT_BOTH, format, &text, err) == FX_OK)
        say("%.*s", (int)text.size, (const char *)text.data);
    buf_release(&text);
    return err->code;
}

static void a_report(void **state)
{
    (void)state;
    static const char *const formats[] = {"md", "csv", "html"};
    ADD(part(REPORT_FINDINGS), "missing", "contact", "S-1", "一号", "U<1>", "海丰县", "Haifeng",
        "0123456789ab", "2022-02-10", "3", "3", "missing", NULL);
    ADD(part(REPORT_FINDINGS), "silent", "contact", "S-1", "一号", "U<1>", "海丰县", "Haifeng",
        NULL, NULL, NULL, NULL, NULL, "65");
    ADD(part(REPORT_CORRECTIONS), "contacts", "unit", "U<1>", "", "listed_persons", "persons",
        "1229", "1230", "2022-02-11T09:00:00+08:00");
    for (int i = 0; i < 3; i++) {
        format = formats[i];
        assert_true(fail_each(render_report, 1, REPORTED).count > 5);
    }
}

/* The report as it was before two of its figures changed and a third came. */
static enum fx_code compare_reports(struct fx_err *err)
{
    struct report base;
    struct audit_rows log = AUDIT_ROWS_INIT;
    struct audit_rows *corrections = part(REPORT_CORRECTIONS);
    columns(&log, "rollup region column item changed_at");
    report_init(&base);
    for (int i = 0; i < report.parts[REPORT_HEAD].count; i++)
        add_row(&base.parts[REPORT_HEAD], (const char *const *)report.parts[REPORT_HEAD].cells,
                err);
    for (int row = 1; row < part(REPORT_FIGURES)->count; row++) {
        const char *cells[FIGURE_COLUMNS];
        for (int i = 0; i < FIGURE_COLUMNS; i++)
            cells[i] = report_cell(&report, REPORT_FIGURES, row, i);
        if (row <= 2)
            cells[FIGURE_VALUE] = "7";
        add_row(&base.parts[REPORT_FIGURES], cells, err);
    }
    if (report_compare(&base, &report, &log, &report, err) == FX_OK)
        say_rows(corrections);
    audit_rows_release(corrections);
    const struct report_shape *shape = report_shape(REPORT_CORRECTIONS);
    for (int i = 0; shape->columns[i][0] != NULL; i++)
        audit_rows_column(corrections, shape->columns[i][0], AUDIT_TEXT);
    audit_rows_release(&log);
    report_release(&base);
    return err->code;
}

static void corrections_of_a_report(void **state)
{
    (void)state;
    assert_true(fail_each(compare_reports, 1, REPORTED).count >= 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_an_audit),
        cmocka_unit_test_setup_teardown(an_audit, make_findings, drop_findings),
        TEST(a_report),
        TEST(corrections_of_a_report),
    };
    lead_jansson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
