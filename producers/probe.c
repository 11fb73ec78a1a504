/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <string.h>
#include <unistd.h>

static void *ask(void *context)
{
    struct probe *probe = context;
    probe->code = kafka_partition_count(probe->rk, probe->topic, PROBE_TIMEOUT_MS,
                                        &probe->partitions, &probe->err);
    atomic_store(&probe->is_done, true);
    ssize_t written = write(probe->wake_fd, "p", 1);
    (void)written; /* a full pipe wakes just as well */
    return NULL;
}

enum fx_code probe_ask(struct probe *probe, rd_kafka_t *rk, const char *topic, struct fx_err *err)
{
    fx_assert(!probe->is_started);
    probe->rk = rk;
    probe->topic = topic;
    fx_err_clear(&probe->err);
    atomic_store(&probe->is_done, false);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    int failed = pthread_create(&probe->thread, &attributes, ask, probe);
    pthread_attr_destroy(&attributes);
    if (failed != 0)
        return fx_err_set(err, FX_ERETRY, "a thread: %s", strerror(failed));
    probe->is_started = true;
    return FX_OK;
}

bool probe_poll(struct probe *probe, int32_t *partitions, struct fx_err *err)
{
    if (!probe->is_started || !atomic_load(&probe->is_done))
        return false;
    probe_cancel(probe);
    if (probe->code != FX_OK)
        fx_err_set(err, probe->code, "%s", probe->err.text);
    else
        *partitions = probe->partitions;
    return true;
}

void probe_cancel(struct probe *probe)
{
    if (probe->is_started)
        pthread_join(probe->thread, NULL);
    probe->is_started = false;
}
