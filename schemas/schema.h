/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema - a kind of event, loaded from its folder schemas/<kind>/.
 *
 * A kind is data: N.avsc (N = 1, 2, …; the highest is current, older ones stay for ever because
 * Kafka and outboxes still hold events written with them) and *.rollup.json (see rolldef.h).
 * Every event record starts with the envelope, in the order of enum envelope_field. The schema
 * heartbeat/1.avsc has no envelope and is loaded by schema_load_heartbeat.
 *
 * Field types: int, long, enum, boolean, string and unions of null with one of these. No floats
 * (fixed point, unit in the name), no arrays or maps. Extra attributes, metadata in Avro's sense:
 * on a field "min", "max" (numbers) and "max_length" (strings, in bytes); on the record "sums"
 * and "not_before". Both sides enforce them. Fields in sums are not nullable and have
 * max <= 10^9.
 *
 * The loader refuses, naming file, entry and cause: two versions with equal fingerprints, a
 * version that drops or moves an enum symbol (new ones go to the end) or changes a field's type,
 * a field added without a default, an envelope out of order, floats and nested types, unknown
 * attributes, attributes out of their range.
 *
 * Sources: Avro 1.11 specification, "Parsing Canonical Form for Schemas" and "Schema
 * Fingerprints" (CRC-64-AVRO).
 *
 * Ownership: a struct kind owns everything it points to until kind_release; read-only after
 * loading, so threads may share it.
 */
#ifndef FX_SCHEMA_H
#define FX_SCHEMA_H

#include "../common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEMA_FIELDS_MAX 96
#define SCHEMA_SUMS_MAX 8
#define SCHEMA_NAME_MAX 64 /* a kind's, field's or symbol's name, with its terminator */
#define SCHEMA_SOURCE_MAX 64
#define SCHEMA_REGION_MAX 32
#define SCHEMA_RUN_LIMIT (INT64_C(1) << 48)

enum field_type { FIELD_INT, FIELD_LONG, FIELD_ENUM, FIELD_BOOLEAN, FIELD_STRING };

/* The envelope: field i of every event record of every version. */
enum envelope_field {
    ENVELOPE_SOURCE,       /* string, 1-64 of [A-Za-z0-9._-]: the registered device or post */
    ENVELOPE_RUN,          /* long, 0 <= run < 2^48: drawn when an outbox is opened for input */
    ENVELOPE_SEQ,          /* long >= 1, gapless within (topic, source, run) */
    ENVELOPE_OCCURRED_AT,  /* timestamp-millis: the device's clock, UTC */
    ENVELOPE_REGION,       /* string, 1-32: any node of the region tree */
    ENVELOPE_SIGN,         /* int, default 1: 1, or -1 for a reversal */
    ENVELOPE_REVERSES_RUN, /* null or long: both set exactly when sign = -1 */
    ENVELOPE_REVERSES_SEQ, /* null or long */
    ENVELOPE_COUNTED_AT,   /* null or timestamp-millis; on reversals only */
    ENVELOPE_COUNT
};

struct field {
    char name[SCHEMA_NAME_MAX];
    enum field_type type;
    bool is_nullable; /* a union with null */
    int null_branch;  /* which branch of the union is null: 0 or 1 */
    bool is_time;     /* logicalType timestamp-millis */
    int64_t min;      /* FIELD_INT, FIELD_LONG: inclusive bounds, the type's own if not given */
    int64_t max;      /* FIELD_ENUM, FIELD_BOOLEAN: the highest symbol's index, 1; min is 0 */
    int max_length;   /* FIELD_STRING: bytes; 256 if not given */
    char **symbols;   /* FIELD_ENUM, in the order of the schema */
    int symbol_count;
    bool has_default;
    bool is_default_null;
    int64_t default_number; /* number, symbol's index, or 0/1 */
    char *default_text;     /* FIELD_STRING, else NULL */
    char *doc;              /* "" if none */
};

/* total = sum of parts, checked on both sides ("不漏一人"). */
struct sum {
    int total; /* index of a field */
    int parts[SCHEMA_FIELDS_MAX];
    int part_count;
    int rest; /* the part that takes what a line leaves unsaid; -1: none, all must be said */
};

struct schema {
    int version;          /* N of N.avsc */
    uint64_t fingerprint; /* CRC-64-AVRO of canonical */
    char *json;           /* the file as it was read */
    char *canonical;      /* Parsing Canonical Form */
    struct field *fields;
    int field_count;
    struct sum sums[SCHEMA_SUMS_MAX];
    int sum_count;
    int64_t not_before_ms; /* earliest occurred_at believed; 2020-01-01T00:00Z if not given */
    char *doc;
};

struct kind {
    char name[SCHEMA_NAME_MAX]; /* the folder's name: [a-z][a-z0-9_]* */
    struct schema *versions;    /* ascending; the last is current */
    int version_count;
};

/*
 * Loads directory/name. *kind is filled on success only; release it with kind_release.
 *
 * FX_ECONFIG  a file is missing or wrong: "checkpoint/1.avsc: field persons: max …".
 * FX_EMEMORY
 */
FX_MUST_CHECK enum fx_code kind_load(const char *directory, const char *name, struct kind *kind,
                                     struct fx_err *err);
void kind_release(struct kind *kind);

/*
 * The names of the kinds in directory (folders that hold a 1.avsc, but heartbeat), sorted, into
 * names. FX_ECONFIG: directory cannot be read, or more than limit.
 */
FX_MUST_CHECK enum fx_code kind_list(const char *directory, char (*names)[SCHEMA_NAME_MAX],
                                     int limit, int *count, struct fx_err *err);

/* Loads directory/heartbeat/1.avsc as a kind named "heartbeat", see heartbeat_schema.h. */
FX_MUST_CHECK enum fx_code schema_load_heartbeat(const char *directory, struct kind *kind,
                                                 struct fx_err *err);

/* Where programs look unless told: the installed folder if there is one, else the source tree's. */
const char *schema_default_directory(void);

const struct schema *kind_current(const struct kind *kind);

/* Index of the field called name, -1 if there is none. */
int schema_field(const struct schema *schema, const char *name);

/* Index of the symbol called name (size bytes), -1 if there is none. */
int field_symbol(const struct field *field, const char *name, size_t size);

#endif
