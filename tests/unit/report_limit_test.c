/* SPDX-License-Identifier: Apache-2.0 */
/* The daily report at its limits: more findings than it prints. */
#include "fake_report.h"

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
        TEST(a_list_that_is_cut_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
