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
    assert_int_equal(flat_parse(line, (size_t)size + 8, &flat), is_plain);
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
    assert_true(flat_parse(line, size, &flat));
    assert_int_equal(flat.count, 3);
    assert_int_equal(flat.pairs[1].value.number, -17);
    for (size_t cut = 0; cut < size - 2; cut++) {
        char *copy = malloc(cut > 0 ? cut : 1); /* a sanitizer sees reading on */
        assert_non_null(copy);
        memcpy(copy, line, cut);
        assert_false(flat_parse(copy, cut, &flat));
        free(copy);
    }
    assert_false(flat_parse("{}x", 3, &flat));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts_are_plain_ascii),
                                       cmocka_unit_test(a_line_ends_where_it_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
