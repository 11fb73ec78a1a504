/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rolldef - a rollup definition, schemas/<kind>/<name>.rollup.json, loaded and checked.
 *
 * The language is described in schemas/README.md; "each" and "within" are unfolded here, so what
 * follows sees plain columns only. Field references are indexes into the kind's current schema;
 * enum values are indexes of symbols.
 *
 * A condition compares one field; conditions of a column are a conjunction. A null value matches
 * only COMPARE_IS_NULL: any other comparison with null is false, as in SQL.
 *
 * The loader refuses, naming file, entry and cause: unknown keys, fields and symbols, a name that
 * is no identifier or lacks a unit, two columns of one name, a null inside a list, an aggregate
 * over the wrong type, "last" without by source, a dimension that is nullable or no enum or string
 * of max_length <= 64, a bucket that does not divide an hour (or is no whole number of hours that
 * divides a day and the zone's offset of 8 h), "derived" over columns that are not summed, fields
 * of the envelope but source and region, a sum over a field whose bounds exceed 10^9, an extreme
 * or last of a long without min, an extreme whose name lacks _max or _min after the unit, a doc
 * that is not empty and has no Chinese part, "select" in a derived expression.
 *
 * Ownership: struct rollup owns what it points to until rollup_release; read-only after loading.
 */
#ifndef FX_ROLLDEF_H
#define FX_ROLLDEF_H

#include "schema.h"

#define ROLLUP_COLUMNS_MAX 128
#define ROLLUP_DERIVED_MAX 64
#define ROLLUP_DIMENSIONS_MAX 4
#define ROLLUP_CONDITIONS_MAX 8
#define ROLLUP_VALUES_MAX 32
#define ROLLUP_NAME_MAX 64
#define ROLLUP_PER_KIND_MAX 8

enum aggregate { AGGREGATE_COUNT, AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX, AGGREGATE_LAST };

enum compare {
    COMPARE_IN,     /* equal to one of values */
    COMPARE_NOT_IN, /* equal to none of values */
    COMPARE_GT,     /* > values[0] */
    COMPARE_GTE,
    COMPARE_LT,
    COMPARE_LTE,
    COMPARE_IS_NULL,
    COMPARE_IS_NOT_NULL
};

struct condition {
    int field;
    enum compare compare;
    int64_t values[ROLLUP_VALUES_MAX]; /* numbers, symbol indexes, 0/1 */
    char *texts[ROLLUP_VALUES_MAX];    /* instead of values where the field is a string */
    int value_count;
};

struct rollup_column {
    char name[ROLLUP_NAME_MAX];
    enum aggregate aggregate;
    int field; /* summed, compared or kept; -1 for COUNT */
    struct condition conditions[ROLLUP_CONDITIONS_MAX];
    int condition_count;
    const char *unit; /* "person_times", "persons", …: the longest suffix the loader knows */
    char *doc;        /* bilingual */
};

struct rollup_derived {
    char name[ROLLUP_NAME_MAX];
    char *sql; /* an expression over summed columns */
    char *doc;
};

struct rollup {
    char name[ROLLUP_NAME_MAX];
    char *doc;
    int region_field; /* ENVELOPE_REGION, or a role field of the kind (string, maybe null) */
    bool by_source;
    bool by_region;
    int64_t bucket_ms;
    int dimensions[ROLLUP_DIMENSIONS_MAX]; /* indexes of fields */
    int dimension_count;
    struct rollup_column *columns;
    int column_count;
    struct rollup_derived *derived;
    int derived_count;
    uint64_t fingerprint; /* of what changes meaning: bucket, region, by, dimensions, columns */
};

struct rollup_set {
    struct rollup *rollups; /* sorted by name */
    int count;
};

/*
 * Loads every *.rollup.json of the kind's folder. FX_ECONFIG names file, entry and cause.
 */
FX_MUST_CHECK enum fx_code rollup_set_load(const char *directory, const struct kind *kind,
                                           struct rollup_set *set, struct fx_err *err);
void rollup_set_release(struct rollup_set *set);

/* The aggregate's name in definitions: "count", "sum", "min", "max", "last". */
const char *aggregate_name(enum aggregate aggregate);

/* The stock that a derived column changes: "net_change_persons" -> "census_persons",
 * "active_change_persons" -> "active_persons" into out; false: it is no change of a stock. */
bool rollup_stock_name(char out[ROLLUP_NAME_MAX], const char *derived);

/* Whether the rollup has stocks of regions (running sums of changes), and of sources (last values).
 */
bool rollup_has_change(const struct rollup *rollup);
bool rollup_has_last(const struct rollup *rollup);

/* Chinese gloss of a unit: "person_times" -> "人次". "" if it has none. */
const char *rollup_unit_gloss(const char *unit);

#endif
