/* SPDX-License-Identifier: Apache-2.0 */
#include "flat.h"

#include <endian.h>
#include <limits.h>
#include <string.h>

#define DIGITS_MAX 18 /* fit an int64_t whatever they are */

/* What is left of the line. */
struct rest {
    const char *at;
    const char *end;
};

static void skip_blanks(struct rest *rest)
{
    while (rest->at < rest->end && *rest->at <= ' ' &&
           (*rest->at == ' ' || *rest->at == '\t' || *rest->at == '\r' || *rest->at == '\n'))
        rest->at++;
}

/* Takes c, and blanks around it. */
static bool take(struct rest *rest, char c)
{
    skip_blanks(rest);
    if (rest->at == rest->end || *rest->at != c)
        return false;
    rest->at++;
    skip_blanks(rest);
    return true;
}

#define ALL(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The high bit of each byte of word that is below bound (at most 0x80), and perhaps of such behind
 * it. */
static uint64_t find_below(uint64_t word, uint8_t bound)
{
    return (word - ALL(bound)) & ~word;
}

/*
 * The high bit of the first byte that is no printable ASCII, or a quote or a backslash, and perhaps
 * of such behind it; 0: all eight are plain. The first byte is the lowest.
 */
static uint64_t find_stop(uint64_t word)
{
    uint64_t stops = word | find_below(word, 0x20) | find_below(word ^ ALL('"'), 1) |
                     find_below(word ^ ALL('\\'), 1) | find_below(word ^ ALL(0x7f), 1);
    return stops & ALL(0x80);
}

/* Up to the first byte that is not plain, or to less than a word before the end. */
static void skip_plain_words(struct rest *rest)
{
    uint64_t word;
    while (rest->end - rest->at >= (ptrdiff_t)sizeof word) {
        memcpy(&word, rest->at, sizeof word);
        uint64_t stop = find_stop(le64toh(word));
        if (stop != 0) {
            rest->at += __builtin_ctzll(stop) / 8;
            return;
        }
        rest->at += sizeof word;
    }
}

static bool take_text(struct rest *rest, const char **text, int *size)
{
    if (rest->at == rest->end || *rest->at != '"')
        return false;
    const char *begin = ++rest->at;
    skip_plain_words(rest);
    while (rest->at < rest->end && *rest->at >= 0x20 && *rest->at < 0x7f && *rest->at != '"' &&
           *rest->at != '\\')
        rest->at++;
    if (rest->at == rest->end || *rest->at != '"' || rest->at - begin > INT_MAX)
        return false;
    *text = begin;
    *size = (int)(rest->at++ - begin);
    return true;
}

/* -?(0|[1-9][0-9]*); a fraction, an exponent or one more digit is left, and take refuses it. */
static bool take_number(struct rest *rest, int64_t *number)
{
    bool is_negative = rest->at < rest->end && *rest->at == '-';
    rest->at += is_negative;
    const char *begin = rest->at;
    int64_t value = 0;
    while (rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9' &&
           rest->at - begin < DIGITS_MAX)
        value = value * 10 + (*rest->at++ - '0');
    long digits = rest->at - begin;
    if (digits < 1 || (*begin == '0' && digits > 1))
        return false;
    *number = is_negative ? -value : value;
    return true;
}

static bool take_word(struct rest *rest, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(rest->end - rest->at) < size || memcmp(rest->at, word, size) != 0)
        return false;
    rest->at += size;
    return true;
}

static bool take_value(struct rest *rest, struct flat_value *value)
{
    *value = (struct flat_value){FLAT_NULL, 0, "", 0};
    if (rest->at == rest->end)
        return false;
    switch (*rest->at) {
    case '"':
        value->type = FLAT_TEXT;
        return take_text(rest, &value->text, &value->size);
    case 't':
        value->type = FLAT_TRUE;
        return take_word(rest, "true");
    case 'f':
        value->type = FLAT_FALSE;
        return take_word(rest, "false");
    case 'n':
        return take_word(rest, "null");
    default:
        value->type = FLAT_NUMBER;
        return take_number(rest, &value->number);
    }
}

/* The key and its quotes, if it is this one. */
static bool take_expected(struct rest *rest, const struct flat_key *expected,
                          struct flat_pair *pair)
{
    size_t size = expected->size;
    if (expected->text == NULL || (size_t)(rest->end - rest->at) < size + 2 || rest->at[0] != '"' ||
        rest->at[size + 1] != '"' || memcmp(rest->at + 1, expected->text, size) != 0)
        return false;
    pair->key = expected->text;
    pair->key_size = (int)size;
    rest->at += size + 2;
    return true;
}

static bool take_key(struct rest *rest, const struct flat_key *expected, struct flat_pair *pair)
{
    return (expected != NULL && take_expected(rest, expected, pair)) ||
           take_text(rest, &pair->key, &pair->key_size);
}

bool flat_parse(const char *line, size_t size, const struct flat_key expected[FLAT_PAIRS_MAX],
                struct flat *flat)
{
    struct rest rest = {line, line + size};
    flat->count = 0;
    if (!take(&rest, '{'))
        return false;
    if (take(&rest, '}'))
        return rest.at == rest.end;
    do {
        if (flat->count == FLAT_PAIRS_MAX)
            return false;
        const struct flat_key *key = expected != NULL ? &expected[flat->count] : NULL;
        struct flat_pair *pair = &flat->pairs[flat->count++];
        if (!take_key(&rest, key, pair) || !take(&rest, ':') || !take_value(&rest, &pair->value))
            return false;
    } while (take(&rest, ','));
    return take(&rest, '}') && rest.at == rest.end;
}
