/* SPDX-License-Identifier: Apache-2.0 */
/*
 * followed - a file in a scratch folder that is followed, for tests of what becomes of its lines.
 */
#ifndef FX_FOLLOWED_H
#define FX_FOLLOWED_H

#include "../../common/log.h"
#include "../../producers/follow.h"
#include "scratch.h"

#include <fcntl.h>

struct bench {
    struct scratch scratch;
    char path[512];
    struct follow follow;
    struct fx_err err;
};

static inline int followed_open(void **state)
{
    static struct bench bench;
    bench = (struct bench){0};
    fx_log_open("followed", FX_LOG_ERROR);
    scratch_open(&bench.scratch);
    memcpy(bench.path, scratch_write(&bench.scratch, "log", ""), sizeof bench.path);
    const struct outbox_position none = {0};
    if (follow_open(&bench.follow, bench.path, &none, &bench.err) != FX_OK)
        return -1;
    *state = &bench;
    return 0;
}

static inline int followed_close(void **state)
{
    struct bench *bench = *state;
    follow_close(&bench->follow);
    scratch_close(&bench->scratch);
    return 0;
}

static inline void add(struct bench *bench, const char *text)
{
    FILE *file = fopen(bench->path, "ab");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* All lines that are there now, joined by '|'. */
static inline const char *take(struct bench *bench)
{
    static char joined[1024];
    size_t used = 0;
    joined[0] = '\0';
    for (;;) {
        enum lines_found found;
        const char *text;
        size_t size;
        if (follow_next(&bench->follow, &found, &text, &size, &bench->err) != FX_OK)
            fail_msg("%s", bench->err.text);
        if (found == LINES_NONE)
            return joined;
        const char *what = found == LINES_TOO_LONG ? "(long)" : text;
        int length = found == LINES_TOO_LONG ? 6 : (int)size;
        used += (size_t)snprintf(joined + used, sizeof joined - used, "%s%.*s", used > 0 ? "|" : "",
                                 length, what);
    }
}

/* As after a crash: a new follower begins at the position the old one had reached. */
static inline void restart(struct bench *bench)
{
    const struct outbox_position at = bench->follow.at;
    follow_close(&bench->follow);
    assert_int_equal(follow_open(&bench->follow, bench->path, &at, &bench->err), FX_OK);
}

static inline void rotate(struct bench *bench, const char *suffix)
{
    char old[640];
    snprintf(old, sizeof old, "%s.%.64s", bench->path, suffix);
    assert_int_equal(rename(bench->path, old), 0);
    add(bench, "");
}

#endif
