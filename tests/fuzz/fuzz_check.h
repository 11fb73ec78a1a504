/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_check - one message through every plan, against what avro-c and a naive recount make of it.
 *
 * Kinds are those of schemas/ and of tests/fuzz/schemas (gate: two versions, every type of field,
 * every kind of column). Compared are: accepted or not, the reason and the field it names, whether
 * the envelope is believed, every field's value, and, where the event counts, every column of
 * every row of every rollup table. The first difference ends the process, with a line that says
 * what it is.
 *
 * One set of plans and tables in the process: not for threads.
 */
#ifndef FX_FUZZ_CHECK_H
#define FX_FUZZ_CHECK_H

#include "../unit/fake_table.h"

#include "../../consumers/plan.h"

#define FUZZ_ROOM 4608 /* bytes of the largest input: more than a message may have */
#define FUZZ_KINDS_MAX 16
#define FUZZ_WRITERS_MAX 32

/* A schema that messages are written with. */
struct fuzz_writer {
    const struct schema *schema;
    const struct kind *kind;
};

/* What the plans made of one input; good until the next fuzz_check. */
struct fuzz_reading {
    enum reason reasons[FUZZ_KINDS_MAX]; /* by kind; REASON_COUNT: accepted */
    int reader;                          /* the kind whose plan decoded it, -1: none */
    const struct schema *schema;         /* what the event's fields are indexed by */
    struct event event;
    const struct table *table; /* the rows it makes; NULL: it does not count */
};

struct fuzz_tally {
    long inputs;
    long accepted;
    long reasons[REASON_COUNT]; /* of the kind that is written on it, else of the first */
    long values;                /* of rollup tables, compared */
};

/*
 * Loads all kinds. batch: events whose figures are added before the tables are compared (1: a
 * reading has its table). Fails the process if anything is amiss.
 */
void fuzz_open(int batch);
void fuzz_close(void);

void fuzz_check(const uint8_t *bytes, size_t size, struct fuzz_reading *reading);
/* Compares what the batch has added so far. */
void fuzz_settle(void);

const struct fuzz_tally *fuzz_tally(void);

int fuzz_kind_count(void);
const char *fuzz_kind_name(int kind);
int fuzz_writer_count(void);
const struct fuzz_writer *fuzz_writer(int writer);
/* The writer whose fingerprint stands at the head of bytes, -1: none. */
int fuzz_find_writer(const uint8_t *bytes, size_t size);
const struct region_tree *fuzz_regions(void);

#endif
