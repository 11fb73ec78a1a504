/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_target - what a target is to its driver, and what all targets ask of a refusal.
 *
 * A target is one file NAME_fuzz.c that defines fuzz_target: how to get ready, and a check of one
 * input that ends the process at the first broken promise. The driver, fuzz_main.c, makes a program
 * of it, or with FX_LIBFUZZER a target of libFuzzer.
 *
 * An input is what stands in a file; a target that needs more than that (a kind, a file's name)
 * takes it from the first line, the head.
 */
#ifndef FX_FUZZ_TARGET_H
#define FX_FUZZ_TARGET_H

#include "fuzz_files.h"

struct fuzz_target {
    void (*open)(void);
    /* true: taken, false: refused. bytes are a block of exactly this size. */
    bool (*check)(const uint8_t *bytes, size_t size);
};

extern const struct fuzz_target fuzz_target;

/* An input in two. */
struct fuzz_text {
    char head[256]; /* the first line, cut, up to its first NUL */
    const char *body;
    size_t size; /* of body */
};

void fuzz_split(const uint8_t *bytes, size_t size, struct fuzz_text *text);

/* The error has this code, and its text is not empty, is UTF-8 and holds each of names (ended by
 * NULL): what is wrong, and where. */
void fuzz_check_refusal(const struct fx_err *err, enum fx_code code, const char *const *names);

#endif
