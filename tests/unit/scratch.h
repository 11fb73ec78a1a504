/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scratch - a temporary folder with made-up files, for tests of what reads files.
 *
 * Also includes cmocka in the order it wants.
 */
#ifndef FX_SCRATCH_H
#define FX_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char root[64];
    char path[512]; /* of the file written last */
};

static inline void scratch_open(struct scratch *scratch)
{
    snprintf(scratch->root, sizeof scratch->root, "/tmp/fx-test-XXXXXX");
    assert_non_null(mkdtemp(scratch->root));
}

/* Writes text to root/name, or to root/folder/name; returns the path. */
static inline const char *scratch_write(struct scratch *scratch, const char *name, const char *text)
{
    snprintf(scratch->path, sizeof scratch->path, "%s/%s", scratch->root, name);
    char *slash = strrchr(scratch->path + strlen(scratch->root) + 1, '/');
    if (slash != NULL) {
        *slash = '\0';
        mkdir(scratch->path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(scratch->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return scratch->path;
}

static inline int scratch_remove(const char *path, const struct stat *about, int flag,
                                 struct FTW *walk)
{
    (void)about;
    (void)flag;
    (void)walk;
    return remove(path);
}

static inline void scratch_close(struct scratch *scratch)
{
    assert_int_equal(nftw(scratch->root, scratch_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Fails the test unless text holds part; says both. */
#define assert_holds(text, part) scratch_assert_holds(text, part, __FILE__, __LINE__)
static inline void scratch_assert_holds(const char *text, const char *part, const char *file,
                                        int line)
{
    if (strstr(text, part) == NULL) {
        print_error("expected \"%s\" within \"%s\"\n", part, text);
        _fail(file, line);
    }
}

#endif
