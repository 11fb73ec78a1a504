/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_queue - what librdkafka has fetched, short and never dry.
 *
 * All assigned partitions are forwarded to one queue, from which small batches are taken. (What is
 * given to a callback counts as gone from the queue before the first message of it is looked at:
 * rd_kafka_q_serve in 2.0.2. So librdkafka fetches on, and what is in memory has no bound that is
 * of use, or the queue must be so small that it is dry half of the time.)
 *
 * It is fetched for until it holds queued.max.messages.kbytes or queued.min.messages, whichever is
 * less; what is on its way then comes on top. The fetcher is told when there is room again
 * (intake_room.h, intake_wake.h).
 *
 * In librdkafka before 2.1.0 a batch taken while another thread assigns, seeks or pauses may skip
 * messages (its CHANGELOG). The thread that takes does all of that here; librdkafka itself pauses
 * only before a rebalance, after which every partition begins at an offset that is named.
 */
#ifndef FX_INTAKE_QUEUE_H
#define FX_INTAKE_QUEUE_H

#include "../common/err.h"

#include <librdkafka/rdkafka.h>

struct intake_queue;

/* Borrows rk. FX_EMEMORY: *queue is as it was. */
FX_MUST_CHECK enum fx_code intake_queue_open(rd_kafka_t *rk, struct intake_queue **queue,
                                             struct fx_err *err);

/* To be called in this order, with queue NULL or not: the first before the assignment ends, the
 * second before rk does. */
void intake_queue_stop(struct intake_queue *queue);
void intake_queue_close(struct intake_queue *queue);

/* What is assigned from now on; takes list. Nothing of the time before is held any more. */
void intake_queue_assign(struct intake_queue *queue, rd_kafka_topic_partition_list_t *list);

/*
 * The partition's messages go to the queue. librdkafka forgets this when it stops fetching a
 * partition, which it does some time after a new assignment is asked for
 * (rd_kafka_toppar_fetch_stop in 2.0.2): so it is said again whenever nothing comes. Saying it
 * moves what has come in the meantime, in order.
 */
void intake_queue_forward(struct intake_queue *queue, const char *topic, int32_t partition);

/* The next message, or an error in place of one, owned by the queue until the next call. NULL: none
 * came within timeout_ms. */
const rd_kafka_message_t *intake_queue_next(struct intake_queue *queue, int timeout_ms);

/* Forgets what its batch holds of a partition; topic NULL: of all. To be called once librdkafka
 * begins elsewhere: by then the rest of its queue is outdated, which it drops by itself. */
void intake_queue_drop(struct intake_queue *queue, const char *topic, int32_t partition);

#endif
