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

bool text_is_utf8(const char *bytes, size_t size)
{
    const uint8_t *at = (const uint8_t *)bytes;
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
    for (size_t i = 0; i < size; i++) {
        char c = bytes[i];
        bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '-';
        if (!is_good)
            return false;
    }
    return true;
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
