/* SPDX-License-Identifier: Apache-2.0 */
#include "document.h"

#include "../common/text.h"
#include "guard.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_STEP 65535 /* and one for the end: buf_text */
#define HINT_WORD_MAX 63

static enum fx_code read_all(FILE *file, size_t limit, struct buf *text, struct fx_err *err)
{
    for (size_t step = 1; step > 0;) {
        uint8_t *room = buf_reserve(text, READ_STEP);
        if (room == NULL)
            return buf_check(text, err);
        step = fread(room, 1, READ_STEP, file);
        text->size += step;
        if (text->size > limit)
            return fx_err_set(err, FX_ECONFIG, "more than %zu bytes", limit);
    }
    if (ferror(file))
        return fx_err_set(err, FX_ECONFIG, "cannot be read: %s", strerror(errno));
    return FX_OK;
}

enum fx_code document_read(const char *path, size_t limit, struct buf *text, struct fx_err *err)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return fx_err_set(err, errno == ENOMEM ? FX_EMEMORY : FX_ECONFIG, "cannot be opened: %s",
                          strerror(errno));
    enum fx_code code = read_all(file, limit, text, err);
    fclose(file);
    if (code != FX_OK)
        return code;
    if (text->size >= 3 && memcmp(text->data, "\xef\xbb\xbf", 3) == 0) {
        text->size -= 3;
        memmove(text->data, text->data + 3, text->size);
    }
    if (!text_is_utf8((const char *)text->data, text->size))
        return fx_err_set(err, FX_ECONFIG, "is not UTF-8");
    return FX_OK;
}

enum fx_code document_parse(const char *text, json_t **root, struct fx_err *err)
{
    json_error_t failed;
    json_t *parsed = guard_load(text, strlen(text), JSON_REJECT_DUPLICATES, &failed);
    if (guard_was_short())
        return fx_err_set(err, FX_EMEMORY, "no memory");
    if (parsed == NULL)
        return fx_err_set(err, FX_ECONFIG, "line %d, column %d: %s", failed.line, failed.column,
                          failed.text);
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        return fx_err_set(err, FX_ECONFIG, "is not a JSON object");
    }
    *root = parsed;
    return FX_OK;
}

static bool is_known(const char *word, const char *const *known)
{
    while (*known != NULL && strcmp(word, *known) != 0)
        known++;
    return *known != NULL;
}

enum fx_code document_check_keys(const json_t *object, const char *const *known, struct fx_err *err)
{
    if (!json_is_object(object))
        return fx_err_set(err, FX_ECONFIG, "is not a JSON object");
    void *iterator = json_object_iter((json_t *)(uintptr_t)object);
    for (; iterator != NULL;
         iterator = json_object_iter_next((json_t *)(uintptr_t)object, iterator)) {
        const char *key = json_object_iter_key(iterator);
        if (is_known(key, known))
            continue;
        char text[DOCUMENT_HINT_MAX];
        struct hint hint = hint_init(key);
        for (const char *const *word = known; *word != NULL; word++)
            hint_offer(&hint, *word);
        return fx_err_set(err, FX_ECONFIG, "unknown key \"%.60s\"%s", key,
                          hint_format(&hint, text));
    }
    return FX_OK;
}

enum fx_code document_string(const json_t *object, const char *key, const char *fallback,
                             const char **value, struct fx_err *err)
{
    const json_t *found = json_object_get(object, key);
    if (found == NULL && fallback == NULL)
        return fx_err_set(err, FX_ECONFIG, "\"%s\" is missing", key);
    if (found != NULL && !json_is_string(found))
        return fx_err_set(err, FX_ECONFIG, "\"%s\" is not a string", key);
    *value = found == NULL ? fallback : json_string_value(found);
    return FX_OK;
}

/* The CJK ideographs U+4000 to U+9FFF are what begins with these bytes. */
enum fx_code document_check_doc(const char *doc, struct fx_err *err)
{
    if (doc[0] != '\0' && strpbrk(doc, "\xe4\xe5\xe6\xe7\xe8\xe9") == NULL)
        return fx_err_set(err, FX_ECONFIG, "\"doc\" has no Chinese part: \"%.40s\"", doc);
    return FX_OK;
}

enum fx_code document_take(struct buf *buf, char **text, struct fx_err *err)
{
    buf_append_byte(buf, '\0');
    if (buf_check(buf, err) != FX_OK) {
        buf_release(buf);
        return err->code;
    }
    *text = (char *)buf->data;
    *buf = (struct buf)BUF_INIT;
    return FX_OK;
}

enum fx_code document_copy(const char *text, char **copy, struct fx_err *err)
{
    char *fresh = strdup(text);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory");
    *copy = fresh;
    return FX_OK;
}

struct hint hint_init(const char *word)
{
    return (struct hint){.word = word, .nearest = NULL, .distance = 0};
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance; both words have at most HINT_WORD_MAX bytes. */
static size_t count_edits(const char *a, const char *b)
{
    size_t row[HINT_WORD_MAX + 1];
    size_t width = strlen(b);
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = smallest(row[j] + 1, row[j - 1] + 1, replaced);
        }
    }
    return row[width];
}

void hint_offer(struct hint *hint, const char *word)
{
    size_t length = strlen(hint->word);
    if (length > HINT_WORD_MAX || strlen(word) > HINT_WORD_MAX)
        return;
    size_t distance = count_edits(hint->word, word);
    bool is_near = distance <= 1 + length / 4 && distance < length;
    if (!is_near || (hint->nearest != NULL && distance >= hint->distance))
        return;
    hint->nearest = word;
    hint->distance = distance;
}

char *hint_format(const struct hint *hint, char out[DOCUMENT_HINT_MAX])
{
    out[0] = '\0';
    if (hint->nearest != NULL)
        snprintf(out, DOCUMENT_HINT_MAX, " (did you mean \"%s\"?)", hint->nearest);
    return out;
}
