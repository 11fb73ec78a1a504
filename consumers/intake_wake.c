/* SPDX-License-Identifier: Apache-2.0 */
#include "intake_wake.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define ANSWER_TIMEOUT_MS 20 /* nobody wants it, and a broker with nothing new is late with it */
#define NEEDLESS_SINCE 0x02030000 /* fetch.queue.backoff.ms */

struct intake_wake {
    rd_kafka_t *rk;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t is_due;
    rd_kafka_topic_partition_list_t *list; /* NULL: nothing is assigned */
    bool is_kicked;
    bool is_closing;
};

/* A copy of the list when a kick is due; NULL: the end. */
static rd_kafka_topic_partition_list_t *wait_for_kick(struct intake_wake *wake)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    pthread_mutex_lock(&wake->mutex);
    while (!wake->is_closing && !(wake->is_kicked && wake->list != NULL))
        pthread_cond_wait(&wake->is_due, &wake->mutex);
    wake->is_kicked = false;
    if (!wake->is_closing)
        list = rd_kafka_topic_partition_list_copy(wake->list);
    pthread_mutex_unlock(&wake->mutex);
    return list;
}

/* Whatever the answer is: the request has woken the thread. */
static void *run(void *context)
{
    struct intake_wake *wake = context;
    rd_kafka_topic_partition_list_t *list;
    while ((list = wait_for_kick(wake)) != NULL) {
        (void)rd_kafka_offsets_for_times(wake->rk, list, ANSWER_TIMEOUT_MS);
        rd_kafka_topic_partition_list_destroy(list);
    }
    return NULL;
}

enum fx_code intake_wake_open(rd_kafka_t *rk, struct intake_wake **wake, struct fx_err *err)
{
    *wake = NULL;
    if (rd_kafka_version() >= NEEDLESS_SINCE)
        return FX_OK;
    struct intake_wake *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a thread");
    fresh->rk = rk;
    pthread_mutex_init(&fresh->mutex, NULL);
    pthread_cond_init(&fresh->is_due, NULL);
    if (pthread_create(&fresh->thread, NULL, run, fresh) != 0) {
        free(fresh);
        return fx_err_set(err, FX_EMEMORY, "cannot start a thread");
    }
    *wake = fresh;
    return FX_OK;
}

void intake_wake_close(struct intake_wake *wake)
{
    if (wake == NULL)
        return;
    pthread_mutex_lock(&wake->mutex);
    wake->is_closing = true;
    pthread_cond_signal(&wake->is_due);
    pthread_mutex_unlock(&wake->mutex);
    pthread_join(wake->thread, NULL);
    if (wake->list != NULL)
        rd_kafka_topic_partition_list_destroy(wake->list);
    pthread_cond_destroy(&wake->is_due);
    pthread_mutex_destroy(&wake->mutex);
    free(wake);
}

void intake_wake_assign(struct intake_wake *wake, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *old = list;
    if (wake != NULL) {
        for (int i = 0; i < list->cnt; i++)
            list->elems[i].offset = RD_KAFKA_OFFSET_END;
        pthread_mutex_lock(&wake->mutex);
        old = wake->list;
        wake->list = list;
        pthread_mutex_unlock(&wake->mutex);
    }
    if (old != NULL)
        rd_kafka_topic_partition_list_destroy(old);
}

void intake_wake_kick(struct intake_wake *wake)
{
    if (wake == NULL)
        return;
    pthread_mutex_lock(&wake->mutex);
    wake->is_kicked = true;
    pthread_cond_signal(&wake->is_due);
    pthread_mutex_unlock(&wake->mutex);
}
