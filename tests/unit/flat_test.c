/* SPDX-License-Identifier: Apache-2.0 */
#include "../../producers/flat.h"
#include "scratch.h"

#define TEXT_SIZE 27 /* three words, and three bytes more */

static void check_byte(int size, int place, int byte)
{
    struct flat flat;
    char line[64] = "{\"k\":\"";
    memset(line + 6, 'x', (size_t)size);
    line[6 + place] = (char)byte;
    memcpy(line + 6 + size, "\"}", 3);
    bool is_plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
    assert_int_equal(flat_parse(line, (size_t)size + 8, NULL, &flat), is_plain);
    if (!is_plain)
        return;
    assert_int_equal(flat.count, 1);
    assert_int_equal(flat.pairs[0].value.size, size);
    assert_memory_equal(flat.pairs[0].value.text, line + 6, (size_t)size);
}

/* A text with each byte at each place, at every distance from the end of the line. */
static void texts_are_plain_ascii(void **state)
{
    (void)state;
    for (int size = 1; size <= TEXT_SIZE; size++)
        for (int place = 0; place < size; place++)
            for (int byte = 0; byte < 256; byte++)
                check_byte(size, place, byte);
}

/* No byte behind the line is looked at, and none of it is left. */
static void a_line_ends_where_it_ends(void **state)
{
    (void)state;
    struct flat flat;
    static const char line[] = " { \"a\" : \"0123456789abcdef\" ,\t\"b\":-17, \"c\":null } ";
    size_t size = sizeof line - 1;
    assert_true(flat_parse(line, size, NULL, &flat));
    assert_int_equal(flat.count, 3);
    assert_int_equal(flat.pairs[1].value.number, -17);
    for (size_t cut = 0; cut < size - 2; cut++) {
        char *copy = malloc(cut > 0 ? cut : 1); /* a sanitizer sees reading on */
        assert_non_null(copy);
        memcpy(copy, line, cut);
        assert_false(flat_parse(copy, cut, NULL, &flat));
        free(copy);
    }
    assert_false(flat_parse("{}x", 3, NULL, &flat));
}

/* Keys are what the line says, whatever was expected, at every distance from the end. */
static void an_expected_key_is_compared(void **state)
{
    (void)state;
    struct flat flat;
    static const char line[] = "{\"persons\":1,\"to\":2,\"id\":3}";
    static const char *const keys[] = {"persons", "to", "id"};
    static const char *const other[] = {"person", "persons_", "persons\"", "tox",
                                        "t",      "i",        "",          "iD"};
    size_t size = sizeof line - 1;
    struct flat_key expected[FLAT_PAIRS_MAX] = {{NULL, 0}};
    for (int i = 0; i < 3; i++)
        expected[i] = (struct flat_key){keys[i], strlen(keys[i])};
    assert_true(flat_parse(line, size, expected, &flat));
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(flat.pairs[i].key, keys[i]);
    for (size_t cut = 0; cut < size; cut++) {
        char *copy = malloc(cut > 0 ? cut : 1); /* a sanitizer sees reading on */
        assert_non_null(copy);
        memcpy(copy, line, cut);
        assert_false(flat_parse(copy, cut, expected, &flat));
        free(copy);
    }
    for (size_t o = 0; o < sizeof other / sizeof other[0]; o++) {
        for (int i = 0; i < 3; i++)
            expected[i] = (struct flat_key){other[o], strlen(other[o])};
        assert_true(flat_parse(line, size, expected, &flat));
        for (int i = 0; i < 3; i++) {
            assert_int_equal(flat.pairs[i].key_size, strlen(keys[i]));
            assert_memory_equal(flat.pairs[i].key, keys[i], strlen(keys[i]));
            assert_ptr_not_equal(flat.pairs[i].key, other[o]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts_are_plain_ascii),
                                       cmocka_unit_test(a_line_ends_where_it_ends),
                                       cmocka_unit_test(an_expected_key_is_compared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
