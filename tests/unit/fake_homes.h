/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_homes - the table run_home in memory: where runs live that were met in several partitions.
 *
 * It is of the record schema: all databases of a world share one.
 */
#ifndef FX_FAKE_HOMES_H
#define FX_FAKE_HOMES_H

#include <stdint.h>
#include <string.h>

#define WORLD_HOMES_MAX 64

struct db_home {
    int topic;
    char source[65];
    int64_t run;
    int32_t partition;
};

struct db_homes {
    struct db_home rows[WORLD_HOMES_MAX];
    int count;
};

/* NULL: it was met in one partition only. */
static inline struct db_home *db_find_home(struct db_homes *homes, int topic, const char *source,
                                           int64_t run)
{
    for (int i = 0; i < homes->count; i++)
        if (homes->rows[i].topic == topic && homes->rows[i].run == run &&
            strcmp(homes->rows[i].source, source) == 0)
            return &homes->rows[i];
    return NULL;
}

struct database;
struct flush_rejected;

/* fake_apply.c: what a live schema notes about an event it rejected, whose run lives elsewhere. */
void db_note_home(struct database *db, const struct flush_rejected *row);

#endif
