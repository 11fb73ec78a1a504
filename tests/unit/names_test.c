/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_base.h"

#include "../../consumers/names.h"

static uint32_t intern(struct names *names, const char *text)
{
    uint32_t id = UINT32_MAX;
    assert_ok(names_intern(names, text, strlen(text), &id, &err));
    return id;
}

static void a_string_has_one_id(void **state)
{
    (void)state;
    struct names *names = NULL;
    uint32_t id;
    assert_ok(names_open(1, &names, &err));
    assert_int_equal(intern(names, ""), 0);
    assert_int_equal(intern(names, "CP-1"), 1);
    assert_int_equal(intern(names, "CP-2"), 2);
    assert_int_equal(intern(names, "CP-1"), 1);
    assert_ok(names_intern(names, "CP-12", 4, &id, &err)); /* the bytes, not the terminator */
    assert_int_equal(id, 1);
    assert_string_equal(names_text(names, 1), "CP-1");
    assert_string_equal(names_text(names, 0), "");
    assert_int_equal(names_count(names), 3);
    names_close(names);
}

static void many_strings_keep_their_ids_and_addresses(void **state)
{
    (void)state;
    struct names *names = NULL;
    char text[256];
    assert_ok(names_open(2, &names, &err));
    intern(names, "first");
    const char *first = names_text(names, 0);
    for (uint32_t i = 1; i < 50000; i++) {
        snprintf(text, sizeof text, "%0*u", (int)(6 + i % 249), i);
        assert_int_equal(intern(names, text), i);
    }
    for (uint32_t i = 1; i < 50000; i++) {
        snprintf(text, sizeof text, "%0*u", (int)(6 + i % 249), i);
        assert_string_equal(names_text(names, i), text);
        assert_int_equal(intern(names, text), i);
    }
    assert_ptr_equal(names_text(names, 0), first);
    names_close(names);
}

static void a_reset_forgets(void **state)
{
    (void)state;
    struct names *names = NULL;
    assert_ok(names_open(3, &names, &err));
    intern(names, "A");
    intern(names, "B");
    names_reset(names);
    assert_int_equal(names_count(names), 0);
    assert_int_equal(intern(names, "B"), 0);
    assert_string_equal(names_text(names, 0), "B");
    names_close(names);
    names_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_has_one_id),
        cmocka_unit_test(many_strings_keep_their_ids_and_addresses),
        cmocka_unit_test(a_reset_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
