/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_base.h"

#include "../../common/day.h"
#include "../../consumers/store_array.h"

/* "01 ff": the array's bytes after array_end. */
static void assert_bytes(struct array *array, const char *expected)
{
    char text[1024] = "";
    array_end(array);
    assert_true(array->buf.size * 3 < sizeof text);
    for (size_t i = 0; i < array->buf.size; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%02x", i == 0 ? "" : " ",
                 array->buf.data[i]);
    assert_string_equal(text, expected);
}

#define HEAD(null, type, count)                                                                    \
    "00 00 00 01 00 00 00 " null " 00 00 " type " 00 00 00 " count " 00 00 00 01"

static void elements_lie_behind_the_header(void **state)
{
    (void)state;
    struct array array = {BUF_INIT, 0, false};
    array_begin(&array, ARRAY_INT8);
    array_add_int8(&array, 1);
    array_add_int8(&array, -2);
    assert_bytes(&array, HEAD("00", "00 14", "02") " 00 00 00 08 00 00 00 00 00 00 00 01"
                                                   " 00 00 00 08 ff ff ff ff ff ff ff fe");
    array_begin(&array, ARRAY_INT4);
    array_add_int4(&array, 0x01020304);
    array_add_int4(&array, INT32_MIN);
    assert_bytes(&array, HEAD("00", "00 17", "02") " 00 00 00 04 01 02 03 04"
                                                   " 00 00 00 04 80 00 00 00");
    array_begin(&array, ARRAY_TEXT);
    array_add_text(&array, "卡");
    array_add_text(&array, "");
    assert_bytes(&array, HEAD("00", "00 19", "02") " 00 00 00 03 e5 8d a1 00 00 00 00");
    array_begin(&array, ARRAY_BOOL);
    array_add_bool(&array, true);
    array_add_bool(&array, false);
    assert_bytes(&array, HEAD("00", "00 10", "02") " 00 00 00 01 01 00 00 00 01 00");
    array_begin(&array, ARRAY_BYTEA);
    array_add_bytes(&array, "\0\xff", 2);
    assert_bytes(&array, HEAD("00", "00 11", "01") " 00 00 00 02 00 ff");
    array_release(&array);
}

static void nulls_are_flagged_and_forgotten(void **state)
{
    (void)state;
    struct array array = {BUF_INIT, 0, false};
    array_begin(&array, ARRAY_INT8);
    array_add_null(&array);
    array_add_int8(&array, 7);
    assert_bytes(&array, HEAD("01", "00 14", "02") " ff ff ff ff"
                                                   " 00 00 00 08 00 00 00 00 00 00 00 07");
    array_begin(&array, ARRAY_INT8);
    assert_bytes(&array, HEAD("00", "00 14", "00"));
    array_release(&array);
}

/* The instant as PostgreSQL holds it: microseconds since 2000-01-01. */
static int64_t stored_us(int64_t instant_ms)
{
    struct array array = {BUF_INIT, 0, false};
    array_begin(&array, ARRAY_TIMESTAMPTZ);
    array_add_instant(&array, instant_ms);
    array_end(&array);
    assert_int_equal(array.buf.size, 32);
    uint64_t bits = 0;
    for (int i = 24; i < 32; i++)
        bits = bits << 8 | array.buf.data[i];
    array_release(&array);
    return (int64_t)bits;
}

static void instants_count_from_2000_and_stay_within_reach(void **state)
{
    (void)state;
    assert_int_equal(stored_us(INT64_C(946684800000)), 0);
    assert_int_equal(stored_us(INT64_C(946684800000) - 1), -1000);
    assert_int_equal(stored_us(DAY_2020_MS), INT64_C(631152000000000)); /* 7,305 days */
    const int64_t last_us = INT64_C(9223371331200000000);  /* 294277-01-01, exclusive */
    const int64_t first_us = INT64_C(-211813488000000000); /* 4714-11-24 BC */
    assert_in_range(stored_us(INT64_MAX), 0, last_us - 1);
    assert_true(stored_us(INT64_MIN) > first_us && stored_us(INT64_MIN) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_lie_behind_the_header),
        cmocka_unit_test(nulls_are_flagged_and_forgotten),
        cmocka_unit_test(instants_count_from_2000_and_stay_within_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
