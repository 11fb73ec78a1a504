/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redrive_state - what the files of redrive share: redrive.c (which rows, and their records from
 * Kafka), redrive_batch.c (what becomes of them). Private to them.
 */
#ifndef FX_REDRIVE_STATE_H
#define FX_REDRIVE_STATE_H

#include "../common/buf.h"
#include "../common/retry.h"
#include "claim.h"
#include "pipeline_state.h"
#include "redrive.h"
#include "store_rejected.h"

enum row_state {
    ROW_WANTED,    /* to be fetched */
    ROW_FETCHED,   /* to be judged */
    ROW_GONE,      /* Kafka does not have it */
    ROW_STAYS,     /* rejected as it stands; verdict says why */
    ROW_COUNTED,   /* the flush settles it, as those below */
    ROW_DUPLICATE, /* a copy had counted */
    ROW_ANEW       /* rejected for another reason; verdict says which */
};

/* A row of the batch, and its record in bytes. */
struct row {
    enum row_state state;
    enum reason verdict;
    bool is_tallied; /* in source_ledger.rejected */
    size_t key_at;
    size_t key_size;
    size_t value_at;
    size_t value_size;
};

struct redrive {
    struct redrive_options options;
    struct redrive_stats stats;
    struct pipeline *pipeline; /* its memory and rules; it never steps */
    int64_t now_ms;
    int64_t next_ms; /* not before, after a fence or an error */
    struct retry retry;
    char trouble[FX_ERR_TEXT_MAX];
    bool is_draining;
    bool is_done;

    /* the batch: rows[i] is about listed.rows[i] */
    struct rejected_list listed;
    struct row rows[REDRIVE_BATCH_MAX];
    struct buf bytes;          /* keys and values */
    int batch_max;             /* less after a refusal */
    struct intake_range range; /* what Kafka has of the partition */
    int64_t end;               /* rows from here on were added since it was begun */
    bool has_company;          /* another claimed the partition since */
    bool is_in_flight;
    int taken; /* records of the flush in flight */

    /* reading Kafka */
    bool is_fetched;
    int at;               /* next row to fetch */
    int64_t read_next;    /* offset that comes next, -1: assign first */
    int64_t passed;       /* offset that was passed over */
    int passes;           /* so often */
    int refusals;         /* of Kafka, one after another */
    int64_t fetch_end_ms; /* not later, unless a record comes */
    struct fx_err doubt;

    struct claim_wanted wanted[2 * REDRIVE_BATCH_MAX];
    int wanted_count;
    struct claim_partition claimed;
    struct flush_settled settled[REDRIVE_BATCH_MAX];
};

/* redrive_batch.c: judges what was fetched. What changes is in flight then, or there is nothing
 * to change and the batch is done. Any error means: begin anew. */
FX_MUST_CHECK enum fx_code redrive_send_batch(struct redrive *redrive, struct fx_err *err);

/* redrive_batch.c: all rows of the batch are done with. */
void redrive_finish_batch(struct redrive *redrive);

/* redrive_batch.c: what the failed flush says about the next one. */
void redrive_note_failure(struct redrive *redrive, enum fx_code code);

#endif
