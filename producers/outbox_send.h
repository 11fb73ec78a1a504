/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox_send - the way out: which rows Kafka still has to acknowledge.
 *
 * One watermark: every row up to outbox_acked_id is acknowledged. Rows are sent in the order of
 * their ids; after a crash or a failed delivery sending begins again behind the watermark, and
 * what was sent twice is a duplicate to the consumers. None of these functions may be called within
 * a transaction, but for outbox_oldest_kept, which only reads.
 *
 * Acknowledged events stay for as long as the options say, so that they can be sent again. A line's
 * id is known for as long as its event is kept, and for OUTBOX_ID_KEEP_MS, whatever becomes of the
 * event: who was not answered repeats it, perhaps after another start. An id takes 100 to 200
 * bytes. Where bytes_max is reached, every acknowledged event may go, and ids older than
 * OUTBOX_ID_KEEP_FULL_MS; when none is left to go, the outbox is full.
 *
 * Times are the device's and may jump. What was stored by a clock more than OUTBOX_AHEAD_MS ahead
 * of the present one is as old as what was stored next by one that was not. Nothing but the keeping
 * rests on the order of times: rows go by their ids, and events by their numbers.
 */
#ifndef FX_OUTBOX_SEND_H
#define FX_OUTBOX_SEND_H

#include "outbox.h"

#define OUTBOX_ID_KEEP_MS INT64_C(86400000)     /* how long a line's id is known, at least */
#define OUTBOX_ID_KEEP_FULL_MS INT64_C(3600000) /* the same where bytes_max is reached */
#define OUTBOX_AHEAD_MS INT64_C(3600000)        /* a time further ahead is no time */

struct outbox_row {
    int64_t id;
    struct outbox_run *run;
    int64_t seq;
    const uint8_t *bytes; /* borrowed until the next call */
    size_t size;
};

struct outbox_counts {
    int64_t kept;      /* rows */
    int64_t unsent;    /* of them not acknowledged */
    int64_t oldest_ms; /* when the oldest unsent one was stored, 0: none */
    int64_t bytes;     /* pages in use */
    int64_t runs_open; /* without an acknowledged ENDED */
};

/* The last row of all, and the last acknowledged one; rows up to the latter were all sent. */
int64_t outbox_last_id(const struct outbox *outbox);
int64_t outbox_acked_id(const struct outbox *outbox);

/* The last row that was there at the opening. */
int64_t outbox_opening_id(const struct outbox *outbox);

/* Rows behind after (a row's id, or a number when resending), in order, until visit says no. */
struct outbox_reader {
    int64_t after;
    int limit; /* rows at most */
    bool (*visit)(void *context, const struct outbox_row *row);
    void *context;
};
FX_MUST_CHECK enum fx_code outbox_read(struct outbox *outbox, const struct outbox_reader *reader,
                                       struct fx_err *err);

/* Every row up to id is acknowledged; durable with the next commit or outbox_flush. */
void outbox_ack(struct outbox *outbox, int64_t id);

/* Writes what outbox_ack and outbox_touch noted and prunes a little; goes on with that in the next
 * calls until no old row is left, whether anything else is to be written or not. now_ms 0: prunes
 * nothing. */
FX_MUST_CHECK enum fx_code outbox_flush(struct outbox *outbox, int64_t now_ms, struct fx_err *err);

/* false: bytes_max is reached, even after acknowledged events, and ids that are old enough, were
 * given up. */
bool outbox_has_room(struct outbox *outbox);

/* Does the disk take a small commit? It notes that it was tried. */
bool outbox_can_write(struct outbox *outbox);

/* Chooses the partition of each run in memory that has none, durably. */
FX_MUST_CHECK enum fx_code outbox_assign_partitions(struct outbox *outbox, int32_t partitions,
                                                    struct fx_err *err);
bool outbox_has_unassigned(const struct outbox *outbox);

/* Runs not ended, by place; NULL beyond the last. Ended ones may be NULL in between. */
struct outbox_run *outbox_run_at(struct outbox *outbox, int index, bool *is_end);

/* The lowest seq of run that is still kept, 0 if none. */
FX_MUST_CHECK enum fx_code outbox_oldest_kept(struct outbox *outbox, const struct outbox_run *run,
                                              int64_t *seq, struct fx_err *err);

/* Numbers a person wants sent again. */
struct outbox_resend {
    int64_t id;     /* of the request, 0: there is none */
    int64_t run_id; /* of the run's row */
    int64_t run;
    int64_t first;
    int64_t last;
    int64_t count; /* of them, how many are kept */
};

/*
 * Notes that the kept ones of numbers first to last of (source, run) are to be sent again; sets
 * id, run_id and count. FX_EINPUT: no such run, or none of the numbers is kept.
 */
FX_MUST_CHECK enum fx_code outbox_request_resend(struct outbox *outbox, const char *source,
                                                 struct outbox_resend *resend, struct fx_err *err);

/* The oldest request not ended behind that of id after; ids ascend as long as there is one. */
FX_MUST_CHECK enum fx_code outbox_next_resend(struct outbox *outbox, int64_t after,
                                              struct outbox_resend *resend, struct fx_err *err);
/* As outbox_read, over the numbers of resend behind reader->after. */
FX_MUST_CHECK enum fx_code outbox_read_resend(struct outbox *outbox,
                                              const struct outbox_resend *resend,
                                              const struct outbox_reader *reader,
                                              struct fx_err *err);
/* Ends the requests up to that of id last; *ended: how many. FX_EDISK: none; call again. */
FX_MUST_CHECK enum fx_code outbox_end_resends(struct outbox *outbox, int64_t last, int64_t *ended,
                                              struct fx_err *err);

FX_MUST_CHECK enum fx_code outbox_count(struct outbox *outbox, struct outbox_counts *counts,
                                        struct fx_err *err);

#endif
