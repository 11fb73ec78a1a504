/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup - what fx-setup makes: topics, schema, rollup tables, regions, sources, roles, views.
 *
 * Everything is safe to run again. The database's part is one transaction under an advisory lock;
 * what it changed is found by comparing the catalogs before and after (setup_snapshot.c), so that
 * --check can run the very same code and roll back. What would make old rows mean something else
 * is refused, never done: FX_ECONFIG, "needs a rebuild".
 *
 *   setup.c             options, order of the steps
 *   setup_topics.c      Kafka's Admin API
 *   setup_database.c    connection, transaction, files of SQL, the definition row
 *   setup_version.c     schema_version; setup_bounds.c compares what fields may hold
 *   setup_definition.c  what is refused; rollup_definition and rollup_column
 *   setup_tables.c      the rollup tables; setup_totals.c their totals
 *   setup_load.c        regions.csv, sources.csv
 *   setup_install.c     the generated views and those of schemas/views/, if they are not made yet
 *   setup_generated.h   how they are exchanged while others read them
 *   setup_views.c, setup_sums.c, setup_parts.c, setup_stocks.c    the generated views, as text
 *   setup_roles.c       roles and grants
 *   setup_dictionary.c  prints what is there, instead of all this
 *   decide.h            instead of all this: what a person decides
 */
#ifndef FX_SETUP_H
#define FX_SETUP_H

#include "../common/kafka.h"
#include "catalog.h"
#include "decide.h"
#include "pg.h"

#include <stdbool.h>

#define SETUP_RETENTION_KEPT INT64_MIN

struct setup_options {
    struct kafka_options kafka;
    const char *conninfo;
    const char *schemas;
    const char *schema_name;
    const char *record_schema;
    const char *topic_prefix;
    const char *regions;
    const char *sources; /* NULL: none */
    const char *log_level;
    int64_t partitions;         /* 0: not given */
    int64_t replication;        /* 0: by the number of brokers */
    int64_t retention_ms;       /* SETUP_RETENTION_KEPT: as it is, for ever in new topics */
    bool is_simulated_accepted; /* neither: as it was */
    bool is_simulated_refused;
    bool is_check;
    bool is_dictionary; /* print it instead of all else */
    bool has_no_topics;
    bool has_no_database;
    struct decide_options decide; /* what a person decides instead of all else */
};

struct setup {
    struct setup_options options;
    struct catalog catalog;
    PGconn *conn;
    char cluster[KAFKA_CLUSTER_MAX]; /* id of the Kafka at -b, "" with --no-topics */
    bool accepts_simulated;          /* known once the definition row was read */
    bool is_short;                   /* a decision is done, but figures are missing */
    int changes;                     /* found to differ, and made unless is_check */
};

/* One thing that differs: a line on stdout with --check, else a log line. */
void setup_change(struct setup *setup, const char *format, ...) FX_PRINTF(2, 3);

/* FX_ERETRY: no broker; FX_ECONFIG: refused. */
FX_MUST_CHECK enum fx_code setup_topics(struct setup *setup, struct fx_err *err);

/* Fills setup->cluster. FX_ERETRY: no broker. */
FX_MUST_CHECK enum fx_code setup_cluster(struct setup *setup, struct fx_err *err);

/* All that is in PostgreSQL. On error nothing changed. */
FX_MUST_CHECK enum fx_code setup_database(struct setup *setup, struct fx_err *err);

/* Prints schemas/dictionary.sql of the schema on stdout, as Markdown. FX_ERETRY, FX_ECONFIG. */
FX_MUST_CHECK enum fx_code setup_dictionary(const struct setup_options *options,
                                            struct fx_err *err);

/* The steps of setup_database, in this order, inside its transaction. */

/*
 * Gives every partition a new generation if is_changed or the definitions differ from those that
 * are stored. Running workers compiled the old ones: they stop at their next flush, and the claim
 * that follows reads what is new or tells them to stop. Before tables are touched: workers lock
 * their positions before the tables too.
 */
FX_MUST_CHECK enum fx_code setup_fence(const struct setup *setup, bool is_changed,
                                       struct fx_err *err);

/* Refuses a changed, missing or narrower version of a schema, then writes schema_version. */
FX_MUST_CHECK enum fx_code setup_versions(struct setup *setup, struct fx_err *err);

/* Refuses what needs a rebuild, then writes rollup_definition and rollup_column. */
FX_MUST_CHECK enum fx_code setup_definitions(struct setup *setup, struct fx_err *err);
FX_MUST_CHECK enum fx_code setup_regions(struct setup *setup, struct fx_err *err);
FX_MUST_CHECK enum fx_code setup_sources(struct setup *setup, struct fx_err *err);
FX_MUST_CHECK enum fx_code setup_rollup_tables(struct setup *setup, struct fx_err *err);
FX_MUST_CHECK enum fx_code setup_totals(struct setup *setup, struct fx_err *err);
FX_MUST_CHECK enum fx_code setup_rollup_views(struct setup *setup, struct fx_err *err);

/* Roles are the cluster's: a user who may not create them gets a warning, no error. */
FX_MUST_CHECK enum fx_code setup_roles(struct setup *setup, struct fx_err *err);
FX_MUST_CHECK enum fx_code setup_grants(struct setup *setup, struct fx_err *err);

/* What the two schemas and the roles look like, as rows (key, value) sorted by key. */
FX_MUST_CHECK enum fx_code setup_snapshot(struct setup *setup, PGresult **rows, struct fx_err *err);

/* Reports every key that differs with setup_change. */
void setup_compare(struct setup *setup, const PGresult *before, const PGresult *after);

#endif
