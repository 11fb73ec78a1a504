/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog - every kind and rollup of a schemas directory, and one hash of what they mean.
 *
 * The hash covers what decides a figure: schema fingerprints, bounds, sums, defaults and the
 * rollups' fingerprints. It does not cover regions (adding and renaming are live, and consumers
 * read the table region only), docs or derived columns. fx-setup stores it; a claim with another
 * one stops the worker: "run fx-setup, restart".
 *
 * Ownership: owns all it points to until catalog_release. Read-only after loading.
 */
#ifndef FX_CATALOG_H
#define FX_CATALOG_H

#include "../schemas/rolldef.h"
#include "../schemas/schema.h"

#define CATALOG_KINDS_MAX 32
#define CATALOG_HASH_SIZE 33 /* 32 hex digits */

struct catalog_kind {
    struct kind kind;
    struct rollup_set rollups;
};

struct catalog {
    struct catalog_kind kinds[CATALOG_KINDS_MAX]; /* sorted by name */
    int kind_count;
    struct kind heartbeat;
    char hash[CATALOG_HASH_SIZE];
};

/* FX_ECONFIG names file, entry and cause; also two rollups of one name in different kinds. */
FX_MUST_CHECK enum fx_code catalog_load(const char *directory, struct catalog *catalog,
                                        struct fx_err *err);
void catalog_release(struct catalog *catalog);

#endif
