/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text - what a string may hold before it reaches a wire, a database or a log.
 */
#ifndef FX_TEXT_H
#define FX_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Well-formed UTF-8 (RFC 3629: shortest forms, no surrogates, <= U+10FFFF) without NUL. */
bool text_is_utf8(const char *bytes, size_t size);

/* 1 to max bytes of [A-Za-z0-9._-]: the rule for a source's name. */
bool text_is_name(const char *bytes, size_t size, size_t max);

/* An SQL identifier we may quote without thought: [a-z_][a-z0-9_]*, 1 to 63 bytes. */
bool text_is_identifier(const char *text);

/*
 * What persons type of runs, numbers and offsets: digits, and nothing else around them. false: it
 * is something else, and the out-parameters say nothing.
 */
bool text_number(const char *bytes, size_t size, int64_t *number); /* decimal, 1 to 18 digits */
bool text_range(const char *bytes, size_t size, int64_t *first, int64_t *last); /* "7-12", "7" */
bool text_run(const char *bytes, size_t size, int64_t *run); /* 12 hex digits of either case */

/* ASCII lower case of text into out, cut at size - 1. Returns out. */
char *text_lower(char *out, size_t size, const char *text);

/* Copies text, cutting at size - 1; always terminated. false: it was cut. */
bool text_copy(char *out, size_t size, const char *text);

#endif
