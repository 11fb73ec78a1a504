/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document - a file of definitions, read whole and parsed strictly.
 *
 * Strict because people edit these files: a key given twice or misspelt is an error that names
 * itself and, where a known word is near, that word. Errors name the cause; the caller wraps
 * them in file and entry.
 */
#ifndef FX_DOCUMENT_H
#define FX_DOCUMENT_H

#include "../common/buf.h"
#include "../common/err.h"

#include <jansson.h>
#include <stddef.h>

#define DOCUMENT_SIZE_MAX (1U << 20) /* bytes of a schema or rollup definition */
#define DOCUMENT_HINT_MAX 96

/*
 * Appends the file at path to text: UTF-8, at most limit bytes; a byte order mark is dropped.
 * FX_ECONFIG: cannot be read, too long, not UTF-8; FX_EMEMORY.
 */
FX_MUST_CHECK enum fx_code document_read(const char *path, size_t limit, struct buf *text,
                                         struct fx_err *err);

/*
 * Parses a JSON object without duplicate keys; release *root with json_decref. FX_ECONFIG names
 * line and column; FX_EMEMORY.
 */
FX_MUST_CHECK enum fx_code document_parse(const char *text, json_t **root, struct fx_err *err);

/* FX_ECONFIG: object is none, or has a key that is not among known (ended by NULL). */
FX_MUST_CHECK enum fx_code document_check_keys(const json_t *object, const char *const *known,
                                               struct fx_err *err);

/*
 * The string under key, borrowed from object; fallback if there is no such key.
 * FX_ECONFIG: not a string, or missing while fallback is NULL.
 */
FX_MUST_CHECK enum fx_code document_string(const json_t *object, const char *key,
                                           const char *fallback, const char **value,
                                           struct fx_err *err);

/* FX_ECONFIG: doc is not empty and holds no Chinese character: both languages are shown to readers.
 */
FX_MUST_CHECK enum fx_code document_check_doc(const char *doc, struct fx_err *err);

/*
 * Takes the content of buf as a C string that the caller frees; buf is empty afterwards, also on
 * error. FX_EMEMORY if any append had no memory.
 */
FX_MUST_CHECK enum fx_code document_take(struct buf *buf, char **text, struct fx_err *err);

/* A copy of text that the caller frees. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code document_copy(const char *text, char **copy, struct fx_err *err);

/* The nearest of the words offered, for "did you mean". */
struct hint {
    const char *word;    /* what was written */
    const char *nearest; /* NULL until an offer is near enough; borrowed from the offers */
    size_t distance;     /* edits between the two */
};

struct hint hint_init(const char *word);
void hint_offer(struct hint *hint, const char *word);

/* ` (did you mean "persons"?)`, or "" if nothing was near. Returns out. */
char *hint_format(const struct hint *hint, char out[DOCUMENT_HINT_MAX]);

#endif
