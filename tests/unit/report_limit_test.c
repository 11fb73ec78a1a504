/* SPDX-License-Identifier: Apache-2.0 */
/* The daily report at its limits: no memory, and more findings than it prints. The linker leads
 * allocations of the program through here (CMakeLists.txt). */
#include "fake_report.h"

void *__real_realloc(void *memory, size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static long until_failure = -1; /* allocations that still succeed; negative: all do */

static bool fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

static void add_missing(int first)
{
    char number[24];
    snprintf(number, sizeof number, "%d", first);
    ADD(part(REPORT_FINDINGS), "missing", "contact", "S-1", "一号", "U<1>", "海丰县", "Haifeng",
        "0123456789ab", "2022-02-10", number, number, "missing", NULL);
}

static void add_silent(void)
{
    ADD(part(REPORT_FINDINGS), "silent", "contact", "S-1", "一号", "U<1>", "海丰县", "Haifeng",
        NULL, NULL, NULL, NULL, NULL, "65");
}

/* One allocation fails, those after it do not: the report fails, or is whole. */
static int fail_each(const char *format, const char *whole)
{
    for (int k = 0;; k++) {
        struct fx_err refusal = FX_ERR_INIT;
        buf_release(&out); /* or it would have its room already */
        until_failure = k;
        enum fx_code code = report_render(&report, REPORT_BOTH, format, &out, &refusal);
        bool has_failed = until_failure < 0;
        until_failure = -1;
        assert_int_equal(code, has_failed ? FX_EMEMORY : FX_OK);
        if (has_failed)
            continue;
        assert_string_equal(buf_text(&out), whole);
        return k;
    }
}

static void a_report_without_memory_fails(void **state)
{
    (void)state;
    static const char *const formats[] = {"md", "csv", "html"};
    add_missing(3);
    add_silent();
    ADD(part(REPORT_CORRECTIONS), "contacts", "unit", "U<1>", "", "listed_persons", "persons",
        "1229", "1230", "2022-02-11T09:00:00+08:00");
    for (int i = 0; i < 3; i++) {
        char *whole = strdup(render(REPORT_BOTH, formats[i]));
        assert_non_null(whole);
        assert_true(fail_each(formats[i], whole) > 5);
        free(whole);
    }
}

static int count(const char *text, const char *word)
{
    int found = 0;
    for (; (text = strstr(text, word)) != NULL; text++)
        found++;
    return found;
}

static void a_list_that_is_cut_says_so(void **state)
{
    (void)state;
    const char *const formats[] = {"md", "csv", "html"};
    for (int i = 0; i < 2 * REPORT_FINDINGS_MAX; i++)
        if (i < REPORT_FINDINGS_MAX)
            add_missing(i + 1);
        else
            add_silent();
    for (int i = 0; i < 3; i++)
        LACKS(render(REPORT_EN, formats[i]), REPORT_CUT_EN);
    LACKS(render(REPORT_EN, "csv"), "\ncut,");
    add_silent();
    assert_int_equal(count(render(REPORT_EN, "csv"), "\nsilent,"), REPORT_FINDINGS_MAX);
    assert_int_equal(count(render(REPORT_EN, "csv"), "\nmissing,"), REPORT_FINDINGS_MAX);
    assert_int_equal(count(render(REPORT_EN, "csv"), "\ncut,"), 1);
    HOLDS(render(REPORT_EN, "csv"), ",silent_minutes,\"The first 1,000 rows alone\",");
    for (int i = 0; i < 3; i++)
        assert_int_equal(count(render(REPORT_EN, formats[i]), REPORT_CUT_EN), 1);
    add_missing(REPORT_FINDINGS_MAX + 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(count(render(REPORT_ZH, formats[i]), REPORT_CUT_ZH), 2);
    LACKS(render(REPORT_EN, "md"), "| 1001–1001 |");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_report_without_memory_fails),
        TEST(a_list_that_is_cut_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
