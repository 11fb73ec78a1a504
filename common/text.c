/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdint.h>
#include <string.h>

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

/* The high bit of each byte of word, all below 0x80, that is from low to high. */
static uint64_t in_range(uint64_t word, uint8_t low, uint8_t high)
{
    return (word + ALL(0x80 - low)) & ~(word + ALL(0x7f - high));
}

/* Whether all eight bytes are of [A-Za-z0-9._-]. */
static bool is_name_word(uint64_t word)
{
    uint64_t letters = in_range(word | ALL(0x20), 'a', 'z') & word << 1; /* 0x40 and above */
    uint64_t others =
        in_range(word, '0', '9') | in_range(word, '-', '.') | in_range(word, '_', '_');
    return (word & ALL(0x80)) == 0 && ((letters | others) & ALL(0x80)) == ALL(0x80);
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

bool text_is_name(const char *bytes, size_t size, size_t max)
{
    if (size < 1 || size > max)
        return false;
    uint64_t word = ALL('a');
    if (size < sizeof word) {
        memcpy(&word, bytes, size);
        return is_name_word(word);
    }
    bool is_name = true;
    for (size_t at = 0; at + sizeof word <= size; at += sizeof word) {
        memcpy(&word, bytes + at, sizeof word);
        is_name &= is_name_word(word);
    }
    memcpy(&word, bytes + size - sizeof word, sizeof word); /* the rest, some of it again */
    return is_name && is_name_word(word);
}

bool text_is_identifier(const char *text)
{
    size_t size = strlen(text);
    if (size < 1 || size > 63 || (text[0] >= '0' && text[0] <= '9'))
        return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
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
