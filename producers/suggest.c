/* SPDX-License-Identifier: Apache-2.0 */
#include "suggest.h"

#include "../common/text.h"

#include <string.h>

static char fold(char c)
{
    return (char)(c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Three rows of the table are enough: this one, the one before, and the one before that. */
static int distance(const char *a, const char *b)
{
    int rows[3][SUGGEST_NAME_MAX + 1];
    int a_size = (int)strlen(a);
    int b_size = (int)strlen(b);
    for (int j = 0; j <= b_size; j++)
        rows[0][j] = j;
    for (int i = 1; i <= a_size; i++) {
        int *row = rows[i % 3];
        const int *before = rows[(i + 2) % 3];
        row[0] = i;
        for (int j = 1; j <= b_size; j++) {
            int change = fold(a[i - 1]) != fold(b[j - 1]);
            row[j] = least(least(row[j - 1], before[j]) + 1, before[j - 1] + change);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
                fold(a[i - 2]) == fold(b[j - 1]))
                row[j] = least(row[j], rows[(i + 1) % 3][j - 2] + 1);
        }
    }
    return rows[a_size % 3][b_size];
}

void suggest_init(struct suggest *suggest, const char *word)
{
    *suggest = (struct suggest){word, NULL, SUGGEST_NAME_MAX};
}

void suggest_offer(struct suggest *suggest, const char *name)
{
    size_t size = strlen(name);
    if (size > SUGGEST_NAME_MAX || strlen(suggest->word) > SUGGEST_NAME_MAX)
        return;
    int found = distance(suggest->word, name);
    if (found < suggest->distance && found <= ((int)size + 2) / 3) {
        suggest->best = name;
        suggest->distance = found;
    }
}

char *suggest_quote(char out[SUGGEST_QUOTE_SIZE], const char *word)
{
    size_t size = strlen(word);
    bool is_cut = size > SUGGEST_QUOTE_SIZE - 6;
    if (is_cut)
        size = SUGGEST_QUOTE_SIZE - 6;
    while (size > 0 && !text_is_utf8(word, size))
        size--;
    char *at = out;
    *at++ = '\'';
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)word[i];
        *at++ = byte < 0x20 || byte == 0x7f || byte == '\'' ? '?' : word[i];
    }
    if (is_cut) {
        memcpy(at, "...", 3);
        at += 3;
    }
    *at++ = '\'';
    *at = '\0';
    return out;
}

void suggest_mask(char *text)
{
    char *out = text;
    while (*text != '\0') {
        const char *close = *text == '\'' ? strchr(text + 1, '\'') : NULL;
        if (close != NULL && close - text >= 4) {
            memcpy(out, "'...'", 5);
            out += 5;
            text += close - text + 1;
        } else if (close != NULL) {
            *out++ = '\'';
            *out++ = '\'';
            text += close - text + 1;
        } else {
            *out++ = *text++;
        }
    }
    *out = '\0';
}
