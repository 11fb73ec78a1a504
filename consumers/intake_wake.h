/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_wake - gets librdkafka to fetch on when there is room in its full queue again.
 *
 * Before 2.3 librdkafka's broker thread, once it finds its queue full (queued.max.messages.kbytes),
 * sleeps for up to a second, whatever becomes of the queue: confluentinc/librdkafka#2879. A
 * consumer with a small queue then stands still most of the time, and one with a large queue keeps
 * so many messages in memory that none is in the processor's cache when it is taken. No call wakes
 * that thread but a request to its broker; so a thread of ours asks the leader of each partition
 * for its end offset, and drops the answer, whenever it is told (intake_room.h). Where followers
 * are fetched from (client.rack) the wrong ones are woken.
 */
#ifndef FX_INTAKE_WAKE_H
#define FX_INTAKE_WAKE_H

#include "../common/err.h"

#include <librdkafka/rdkafka.h>

struct intake_wake;

/* Borrows rk. *wake is NULL where librdkafka needs no waking. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code intake_wake_open(rd_kafka_t *rk, struct intake_wake **wake,
                                            struct fx_err *err);
void intake_wake_close(struct intake_wake *wake); /* before rk; waits for an answer under way */

/* Whose brokers are to be woken; takes list. wake may be NULL here and below. */
void intake_wake_assign(struct intake_wake *wake, rd_kafka_topic_partition_list_t *list);

/* There is room. Returns at once. */
void intake_wake_kick(struct intake_wake *wake);

#endif
