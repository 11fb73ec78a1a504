/* SPDX-License-Identifier: Apache-2.0 */
#include "intake_queue.h"

#include "intake_room.h"
#include "intake_wake.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 256 /* few: what is in a batch does not count as queued any more */

struct intake_queue {
    rd_kafka_t *rk;
    rd_kafka_queue_t *data;
    struct intake_wake *wake; /* NULL: not needed, or stopped */
    struct intake_room room;

    rd_kafka_message_t *batch[BATCH_MAX]; /* NULL: dropped */
    int next;                             /* the one before it is the caller's */
    int count;
};

/* A number that librdkafka knows and lets nobody set below 1. */
static uint64_t read_setting(rd_kafka_t *rk, const char *name)
{
    char text[32];
    size_t size = sizeof text;
    rd_kafka_conf_res_t result = rd_kafka_conf_get(rd_kafka_conf(rk), name, text, &size);
    fx_assert(result == RD_KAFKA_CONF_OK);
    return strtoull(text, NULL, 10);
}

enum fx_code intake_queue_open(rd_kafka_t *rk, struct intake_queue **queue, struct fx_err *err)
{
    struct intake_queue *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a queue");
    if (intake_wake_open(rk, &fresh->wake, err) != FX_OK) {
        free(fresh);
        return err->code;
    }
    fresh->rk = rk;
    fresh->data = rd_kafka_queue_new(rk);
    fresh->room.messages_max = read_setting(rk, "queued.min.messages");
    fresh->room.bytes_max = read_setting(rk, "queued.max.messages.kbytes") * 1024;
    *queue = fresh;
    return FX_OK;
}

static void drop(struct intake_queue *queue, int i)
{
    if (queue->batch[i] != NULL)
        rd_kafka_message_destroy(queue->batch[i]);
    queue->batch[i] = NULL;
}

void intake_queue_stop(struct intake_queue *queue)
{
    if (queue == NULL)
        return;
    intake_wake_close(queue->wake);
    queue->wake = NULL;
    queue->next = 0;
    intake_queue_drop(queue, NULL, 0);
}

void intake_queue_close(struct intake_queue *queue)
{
    if (queue == NULL)
        return;
    rd_kafka_queue_destroy(queue->data);
    free(queue);
}

void intake_queue_assign(struct intake_queue *queue, rd_kafka_topic_partition_list_t *list)
{
    intake_queue_drop(queue, NULL, 0);
    intake_wake_assign(queue->wake, list);
}

void intake_queue_forward(struct intake_queue *queue, const char *topic, int32_t partition)
{
    rd_kafka_queue_t *own = rd_kafka_queue_get_partition(queue->rk, topic, partition);
    if (own == NULL)
        return;
    rd_kafka_queue_forward(own, queue->data);
    rd_kafka_queue_destroy(own);
}

void intake_queue_drop(struct intake_queue *queue, const char *topic, int32_t partition)
{
    fx_assert(queue->next <= queue->count);
    for (int i = queue->next; i < queue->count; i++) {
        const rd_kafka_message_t *one = queue->batch[i];
        if (one != NULL && (topic == NULL || (one->rkt != NULL && one->partition == partition &&
                                              strcmp(rd_kafka_topic_name(one->rkt), topic) == 0)))
            drop(queue, i);
    }
    intake_room_doubt(&queue->room); /* librdkafka drops what is outdated when it comes to it */
}

/* Of messages librdkafka counts the values alone. */
static void tell_of_room(struct intake_queue *queue)
{
    uint64_t bytes = 0;
    for (int i = 0; i < queue->count; i++)
        bytes += queue->batch[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR ? queue->batch[i]->len : 0;
    if (queue->count > 0)
        intake_room_take(&queue->room, (uint64_t)queue->count, bytes);
    if (intake_room_is_due(&queue->room, rd_kafka_queue_length(queue->data)))
        intake_wake_kick(queue->wake);
}

/* Asked for more than one message at once librdkafka would wait for all of them. */
static void take_batch(struct intake_queue *queue, int timeout_ms)
{
    ssize_t got = rd_kafka_consume_batch_queue(queue->data, 0, queue->batch, BATCH_MAX);
    if (got <= 0 && timeout_ms > 0)
        got = rd_kafka_consume_batch_queue(queue->data, timeout_ms, queue->batch, 1);
    queue->next = 0;
    queue->count = got < 0 ? 0 : (int)got;
    tell_of_room(queue);
}

const rd_kafka_message_t *intake_queue_next(struct intake_queue *queue, int timeout_ms)
{
    if (queue->next > 0)
        drop(queue, queue->next - 1);
    while (queue->next < queue->count && queue->batch[queue->next] == NULL)
        queue->next++;
    if (queue->next == queue->count)
        take_batch(queue, timeout_ms);
    return queue->count == 0 ? NULL : queue->batch[queue->next++];
}
