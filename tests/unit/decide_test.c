/* SPDX-License-Identifier: Apache-2.0 */
#include "../../consumers/decide_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void numbers_name_a_run_and_a_range(void **state)
{
    static const struct {
        const char *text;
        int64_t run;
        int64_t first;
        int64_t last;
    } cases[] = {
        {"CP-1:00000000000a:7-12", 10, 7, 12},
        {"CP-1:FFFFFFFFFFFF:1", INT64_C(0xffffffffffff), 1, 1},
        {"CP-1:0123456789aB:999999999999999999-999999999999999999", INT64_C(0x0123456789ab),
         INT64_C(999999999999999999), INT64_C(999999999999999999)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decide_numbers numbers;
        struct fx_err err = FX_ERR_INIT;
        assert_int_equal(decide_parse_numbers(cases[i].text, &numbers, &err), FX_OK);
        assert_string_equal(numbers.source, "CP-1");
        assert_true(numbers.run == cases[i].run);
        assert_true(numbers.first == cases[i].first && numbers.last == cases[i].last);
    }
}

static void wrong_numbers_are_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "CP-1",
        "CP-1:00000000000a",
        "CP-1:00000000000a:",
        "CP-1:00000000000a:7-12:",
        ":00000000000a:7-12",
        "CP 1:00000000000a:7-12",
        "CP-1:0000000000a:7-12",
        "CP-1:0000000000000a:7-12",
        "CP-1:00000000000g:7-12",
        "CP-1:+0000000000a:7-12",
        "CP-1:00000000000a:12-7",
        "CP-1:00000000000a:0-7",
        "CP-1:00000000000a:-7",
        "CP-1:00000000000a:7-",
        "CP-1:00000000000a:7--9",
        "CP-1:00000000000a:7-9-11",
        "CP-1:00000000000a: 7-9",
        "CP-1:00000000000a:+7-9",
        "CP-1:00000000000a:1-9999999999999999999",
        "a2345678901234567890123456789012345678901234567890123456789012345:00000000000a:1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decide_numbers numbers = {.first = -5};
        struct fx_err err = FX_ERR_INIT;
        if (decide_parse_numbers(cases[i], &numbers, &err) != FX_ECONFIG)
            fail_msg("\"%s\" was taken", cases[i]);
        assert_true(numbers.first == -5);
    }
}

static void a_run_alone_has_no_range(void **state)
{
    (void)state;
    struct decide_numbers numbers;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(decide_parse_run("CP-1:00000000000a", &numbers, &err), FX_OK);
    assert_true(numbers.run == 10 && numbers.first == 0 && numbers.last == 0);
    assert_int_equal(decide_parse_run("CP-1:00000000000a:7", &numbers, &err), FX_ECONFIG);
    assert_non_null(strstr(err.text, "SOURCE:RUN"));
}

static void offsets_name_a_partition(void **state)
{
    (void)state;
    struct decide_offsets offsets;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(decide_parse_offsets("fangxian.test-site:11:0-99", &offsets, &err), FX_OK);
    assert_string_equal(offsets.topic, "fangxian.test-site");
    assert_int_equal(offsets.partition, 11);
    assert_true(offsets.first == 0 && offsets.last == 99);
    static const char *const cases[] = {"t:0",     "t:0:1-2:", "t::1-2",           "t:-1:1-2",
                                        "t:0:2-1", "t:0:x",    "t:2147483648:1-2", "t/x:0:1-2",
                                        ":0:1-2"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fx_err_clear(&err);
        if (decide_parse_offsets(cases[i], &offsets, &err) != FX_ECONFIG)
            fail_msg("\"%s\" was taken", cases[i]);
    }
    assert_int_equal(offsets.partition, 11);
}

static void a_reason_says_something(void **state)
{
    char longest[502];
    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[500] = '\0';
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(decide_check_reason(longest, &err), FX_OK);
    assert_int_equal(decide_check_reason("\xe6\xb2\x89", &err), FX_OK);
    longest[500] = 'x';
    longest[501] = '\0';
    const char *const cases[] = {NULL, "", " \t", "\xff", longest};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fx_err_clear(&err);
        assert_int_equal(decide_check_reason(cases[i], &err), FX_ECONFIG);
        assert_non_null(strstr(err.text, "--reason"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_name_a_run_and_a_range),
        cmocka_unit_test(wrong_numbers_are_refused),
        cmocka_unit_test(a_run_alone_has_no_range),
        cmocka_unit_test(offsets_name_a_partition),
        cmocka_unit_test(a_reason_says_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
