/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_days - rows of source_day and source_tally in a table of numbers by text; an empty database.
 */
#ifndef FX_FAKE_DAYS_H
#define FX_FAKE_DAYS_H

#include "fake_database.h"

static inline void day_key(char key[TABLE_KEY_MAX], const struct db_run *run,
                           const struct ledger_day *day)
{
    snprintf(key, TABLE_KEY_MAX, "%d|%s|%" PRId64 "|%" PRId64 "|%" PRId64, run->topic, run->source,
             run->run, day->end_ms, day->first);
}

/* Adds a tally to the three rows of a source's day. */
static inline void tally_add(struct table *tallies, int topic, const char *source,
                             const struct ledger_tally *tally)
{
    const int64_t values[] = {tally->duplicates, tally->late, tally->clock_corrected};
    for (int i = 0; i < 3; i++) {
        char key[TABLE_KEY_MAX];
        snprintf(key, sizeof key, "%d|%s|%" PRId64 "|%d", topic, source, tally->day_end_ms, i);
        if (values[i] != 0)
            table_row(tallies, key, NULL)->values[0] += values[i];
    }
}

/* Empty, and its tables released: the room of the rest is not looked at. */
static inline void database_reset(struct database *db, struct db_homes *homes)
{
    db->homes = homes;
    db->is_rebuild = false;
    memset(db->positions, 0, sizeof db->positions);
    db->run_count = db->gap_count = db->rejected_count = db->reversal_count = 0;
    db->hole_count = db->write_off_count = db->corrected_count = db->commits = 0;
    db->acceptance_count = db->settled_count = 0;
    db->cluster = NULL;
    memset(db->redriven, 0, sizeof db->redriven);
    memset(db->simulated_from, 0, sizeof db->simulated_from);
}

static inline void database_release_tables(struct database *db)
{
    table_release(&db->rollups);
    table_release(&db->hours);
    table_release(&db->days);
    table_release(&db->tallies);
}

static inline void transaction_release(struct transaction *flight)
{
    table_release(&flight->rollups);
    table_release(&flight->hours);
    table_release(&flight->days);
    table_release(&flight->tallies);
}

#endif
