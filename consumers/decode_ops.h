/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_ops - what a decoder is made of: decode_compile.c makes it from two schemas, decode.c runs
 * it, straight_make.c writes it down as C. Private to them.
 */
#ifndef FX_DECODE_OPS_H
#define FX_DECODE_OPS_H

#include "decode.h"

#define FX_INLINE static inline __attribute__((always_inline))
#define WORD 8
#define HIGH_BITS UINT64_C(0x8080808080808080)
#define LOW_BITS UINT64_C(0x0101010101010101)

/* One field of the writer's record. */
struct step {
    enum field_type type;
    bool is_nullable;
    bool is_number;       /* an int or a long that goes somewhere */
    bool is_name_checked; /* the envelope's source: more than UTF-8 */
    int null_branch;
    int to; /* index in the current schema, -1: it has no such field any more */
    int64_t min;
    int64_t max;
    int64_t symbol_count;
    int32_t *symbols; /* writer's index -> current index; NULL if they are the same */
};

/*
 * One step or several, by the way that almost every event goes: a table of these is walked without
 * a branch that depends on what the event says. Where its bytes are not as expected, an op takes
 * nothing, and its steps decide alone.
 */
enum op_kind {
    OP_STEPS,    /* no such way */
    OP_TEXT,     /* a string of less than 64 bytes */
    OP_NUMBER,   /* a varint of at most eight bytes */
    OP_OPTIONAL, /* null, or a varint of at most three bytes */
    OP_WORD      /* whole numbers of one byte, up to eight in a row */
};

struct op {
    enum op_kind kind;
    int first; /* of its steps */
    int count;
    int to;          /* where the first one goes, the others behind it */
    int64_t min;     /* OP_NUMBER, OP_OPTIONAL */
    int64_t max;     /* these, and OP_TEXT */
    uint64_t mask;   /* OP_WORD: its bytes */
    uint64_t limits; /* OP_WORD: the highest value of each, with the high bit set */
    bool is_name;    /* OP_TEXT: more than UTF-8 */
};

/* A sum whose parts are fields in a row. */
struct sum_row {
    int sum; /* its index in the schema */
    int total;
    int first;
    int count; /* 0: its parts are in no row */
};

/* A decoder's whole way as code made for it (straight.h); size is at least WORD. */
typedef bool straight_decode(const struct decoder *decoder, const uint8_t *bytes, size_t size,
                             struct decoded *out);

struct decoder {
    const struct schema *current;
    struct step steps[SCHEMA_FIELDS_MAX];
    int step_count;
    struct op ops[SCHEMA_FIELDS_MAX];
    int op_count;
    bool is_null[SCHEMA_FIELDS_MAX]; /* what is_null begins with: an op says what differs */
    int defaults[SCHEMA_FIELDS_MAX]; /* fields the writer does not have */
    int default_count;
    struct sum_row sums[SCHEMA_SUMS_MAX];
    straight_decode *straight; /* NULL: there is none */
};

/* Fields that the writer does not have. */
void decode_fill_defaults(const struct decoder *decoder, struct decoded *out);

/* All sums; to be called only where every part is within its bounds. */
void decode_check_sums(const struct decoder *decoder, struct decoded *out);

#endif
