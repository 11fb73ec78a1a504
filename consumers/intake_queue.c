/* SPDX-License-Identifier: Apache-2.0 */
#include "intake_queue.h"

#include "intake_wake.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 256 /* what is taken of it is still in the processor's cache */

struct intake_queue {
    rd_kafka_t *rk;
    rd_kafka_queue_t *data;
    struct intake_wake *wake;
    size_t messages_max; /* it is full with as many, */
    size_t bytes_max;    /* or with values of this size */

    rd_kafka_message_t *batch[BATCH_MAX]; /* NULL: dropped */
    int next;                             /* the one before it is the caller's */
    int count;

    size_t half;   /* as many messages are half of it, as large as those of the last batch */
    size_t taken;  /* since the fetcher was last told */
    bool was_long; /* half full at least, since then */
};

/* A setting as librdkafka has it. */
static size_t setting(rd_kafka_t *rk, const char *name)
{
    char text[32];
    size_t size = sizeof text;
    if (rd_kafka_conf_get(rd_kafka_conf(rk), name, text, &size) != RD_KAFKA_CONF_OK)
        return 1;
    return (size_t)strtoull(text, NULL, 10);
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
    fresh->messages_max = setting(rk, "queued.min.messages");
    fresh->bytes_max = setting(rk, "queued.max.messages.kbytes") * 1024;
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
    for (int i = queue->next; i < queue->count; i++) {
        const rd_kafka_message_t *one = queue->batch[i];
        if (one == NULL || topic == NULL ||
            (one->rkt != NULL && one->partition == partition &&
             strcmp(rd_kafka_topic_name(one->rkt), topic) == 0))
            drop(queue, i);
    }
}

/* What the batch tells of the size of messages: librdkafka counts their values alone. */
static void measure(struct intake_queue *queue)
{
    size_t bytes = 1;
    for (int i = 0; i < queue->count; i++)
        bytes += queue->batch[i]->len;
    size_t full = queue->bytes_max * (size_t)queue->count / bytes;
    queue->half = (full < queue->messages_max ? full : queue->messages_max) / 2;
    queue->taken += (size_t)queue->count;
}

/* That it fell to half may go unseen where messages are large and few: then it is empty, and more
 * than half of it was taken. */
static void tell_of_room(struct intake_queue *queue)
{
    size_t length = rd_kafka_queue_length(queue->data);
    if (length >= queue->half)
        queue->was_long = true;
    else if (queue->was_long || (length == 0 && queue->taken >= queue->half)) {
        queue->was_long = false;
        queue->taken = 0;
        intake_wake_kick(queue->wake);
    }
}

/* Asked for more than one message at once librdkafka would wait for all of them. */
static void take_batch(struct intake_queue *queue, int timeout_ms)
{
    ssize_t got = rd_kafka_consume_batch_queue(queue->data, 0, queue->batch, BATCH_MAX);
    if (got <= 0 && timeout_ms > 0)
        got = rd_kafka_consume_batch_queue(queue->data, timeout_ms, queue->batch, 1);
    queue->next = 0;
    queue->count = got < 0 ? 0 : (int)got;
    if (queue->count > 0) {
        measure(queue);
        tell_of_room(queue);
    }
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
