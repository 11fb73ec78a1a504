/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdint.h>
#include <string.h>

#define NUMBER_DIGITS_MAX 18 /* whatever they are, they fit an int64_t */
#define RUN_DIGITS 12

/* Bytes of the sequence that begins at bytes; 0 when it is not well formed. */
static size_t sequence_size(const uint8_t *bytes, size_t left)
{
    uint8_t first = bytes[0];
    if (first < 0x80)
        return first != 0;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || left < size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    bool is_overlong = (first == 0xe0 && bytes[1] < 0xa0) || (first == 0xf0 && bytes[1] < 0x90);
    bool is_surrogate = first == 0xed && bytes[1] >= 0xa0;
    bool is_beyond = first == 0xf4 && bytes[1] >= 0x90;
    return is_overlong || is_surrogate || is_beyond ? 0 : size;
}

#define ALL(byte) (UINT64_C(0x0101010101010101) * (byte)) /* a word of eight such bytes */

/* Whether a word has neither a NUL nor a byte above 0x7f: then all of it is ASCII. */
static bool is_ascii(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return ((word | (word - ALL(1))) & ALL(0x80)) == 0;
}

typedef uint8_t block __attribute__((vector_size(16)));
typedef uint64_t pair __attribute__((vector_size(16)));

/* Whether all sixteen bytes are of [A-Za-z0-9._-]. */
static inline bool is_name_block(block bytes)
{
    const block lower = (bytes | 0x20) - (uint8_t)'a';
    const block digit = bytes - (uint8_t)'0';
    const block mark = bytes - (uint8_t)'-'; /* - and . follow one another */
    const block is_name = (block)(lower < 26) | (block)(digit < 10) | (block)(mark < 2) |
                          (block)(bytes == (uint8_t)'_');
    const pair halves = (pair)is_name;
    return (halves[0] & halves[1]) == UINT64_MAX;
}

bool text_is_utf8(const char *bytes, size_t size)
{
    const uint8_t *at = (const uint8_t *)bytes;
    for (; size >= sizeof(uint64_t) && is_ascii(at); size -= sizeof(uint64_t))
        at += sizeof(uint64_t);
    while (size > 0) {
        size_t step = sequence_size(at, size);
        if (step == 0)
            return false;
        at += step;
        size -= step;
    }
    return true;
}

/* Less than a block: its two ends, which may overlap, or all of it behind good ones. */
static bool is_short_name(const char *bytes, size_t size)
{
    uint64_t first = ALL('a');
    uint64_t last = ALL('a');
    if (size < sizeof first) {
        memcpy(&first, bytes, size);
    } else {
        memcpy(&first, bytes, sizeof first);
        memcpy(&last, bytes + size - sizeof last, sizeof last);
    }
    return is_name_block((block)(pair){first, last});
}

bool text_is_name(const char *bytes, size_t size, size_t max)
{
    block next;
    if (size < 1 || size > max)
        return false;
    if (size < sizeof next)
        return is_short_name(bytes, size);
    for (size_t at = 0; at + sizeof next < size; at += sizeof next) {
        memcpy(&next, bytes + at, sizeof next);
        if (!is_name_block(next))
            return false;
    }
    memcpy(&next, bytes + size - sizeof next, sizeof next); /* the rest, some of it again */
    return is_name_block(next);
}

bool text_is_identifier(const char *text)
{
    size_t size = strlen(text);
    if (size < 1 || size > 63 || (text[0] >= '0' && text[0] <= '9'))
        return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
}

bool text_number(const char *bytes, size_t size, int64_t *number)
{
    if (size < 1 || size > NUMBER_DIGITS_MAX)
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return false;
        value = value * 10 + (bytes[i] - '0');
    }
    *number = value;
    return true;
}

bool text_range(const char *bytes, size_t size, int64_t *first, int64_t *last)
{
    const char *dash = memchr(bytes, '-', size);
    if (dash == NULL) {
        if (!text_number(bytes, size, first))
            return false;
        *last = *first;
        return true;
    }
    size_t before = (size_t)(dash - bytes);
    return text_number(bytes, before, first) && text_number(dash + 1, size - before - 1, last) &&
           *first <= *last;
}

bool text_run(const char *bytes, size_t size, int64_t *run)
{
    int64_t value = 0;
    if (size != RUN_DIGITS)
        return false;
    for (size_t i = 0; i < size; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *digit = memchr(digits, bytes[i], sizeof digits - 1);
        if (digit == NULL)
            return false;
        int64_t at = digit - digits;
        value = value * 16 + (at < 16 ? at : at - 6);
    }
    *run = value;
    return true;
}

char *text_lower(char *out, size_t size, const char *text)
{
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < size; i++)
        out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
    out[i] = '\0';
    return out;
}

bool text_copy(char *out, size_t size, const char *text)
{
    size_t length = strlen(text);
    bool is_whole = length < size;
    if (!is_whole)
        length = size - 1;
    memcpy(out, text, length);
    out[length] = '\0';
    return is_whole;
}
