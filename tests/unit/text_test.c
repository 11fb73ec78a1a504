/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_base.h"

#include "../../common/text.h"

static void numbers_are_digits_alone(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "-",
                                        "7-",
                                        "-7",
                                        "+7",
                                        " 7",
                                        "7 ",
                                        "0x7",
                                        "9-8",
                                        "7-8-9",
                                        "1234567890123456789",
                                        "7-1234567890123456789"};
    int64_t first = -1;
    int64_t last = -1;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(text_range(wrong[i], strlen(wrong[i]), &first, &last));
    assert_true(text_range("7x", 1, &first, &last)); /* no further than its size */
    assert_int_equal(first, 7);
    assert_int_equal(last, 7);
    assert_true(text_range("0-999999999999999999", 20, &first, &last));
    assert_int_equal(first, 0);
    assert_int_equal(last, INT64_C(999999999999999999));
    int64_t run = -1;
    assert_true(text_run("00ffFFabCD09", 12, &run));
    assert_int_equal(run, INT64_C(0x00ffffabcd09));
    assert_false(text_run("00ffFFabCD0", 11, &run));
    assert_false(text_run("00ffFFabCD091", 13, &run));
    assert_false(text_run("0x00ffabcd09", 12, &run));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_digits_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
