/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of librdkafka's fetcher (rd_kafka_toppar_fetch_decide): it fetches as long as its queue
 * is not full when it looks, and sleeps from then on until it is told of room. Whoever takes must
 * never find the queue empty and the fetcher asleep, with nothing to wake it.
 */
#include "fake_base.h"

#include "../../consumers/intake_room.h"

#include <stdlib.h>

#define LIVES 400
#define TAKES 2000
#define QUEUE_MAX 65536
#define BATCH_MAX 256

struct model {
    struct intake_room room;
    uint32_t sizes[QUEUE_MAX]; /* of values, a ring */
    uint64_t first, count, bytes;
    uint64_t fetch_max; /* bytes of a fetch, but at least one message */
    bool is_asleep;
};

static struct model model;

static uint64_t up_to(uint64_t max)
{
    return (uint64_t)random() % max + 1;
}

/* Runs of one size, small or large or both by turns. */
static uint32_t next_size(void)
{
    static uint64_t left, size;
    if (left == 0) {
        left = up_to(random() % 2 ? 10000 : 20);
        size = up_to(random() % 3 ? 200 : random() % 2 ? 8000 : 1500000);
    }
    left--;
    return (uint32_t)size;
}

static void fetch_once(void)
{
    uint64_t bytes = 0;
    while (bytes < model.fetch_max && model.count < QUEUE_MAX) {
        uint32_t size = next_size();
        model.sizes[(model.first + model.count++) % QUEUE_MAX] = size;
        bytes += size;
    }
    model.bytes += bytes;
}

/* What the fetcher's thread does once it runs; fetches at most. */
static void let_fetch(uint64_t fetches)
{
    for (; fetches > 0 && !model.is_asleep; fetches--) {
        if (model.bytes >= model.room.bytes_max || model.count >= model.room.messages_max)
            model.is_asleep = true;
        else
            fetch_once();
    }
}

static void take_batch(void)
{
    uint64_t bytes = 0;
    uint64_t count = model.count < BATCH_MAX ? model.count : BATCH_MAX;
    for (uint64_t i = 0; i < count; i++)
        bytes += model.sizes[(model.first + i) % QUEUE_MAX];
    model.first += count;
    model.count -= count;
    model.bytes -= bytes;
    if (count > 0)
        intake_room_take(&model.room, count, bytes);
    if (intake_room_is_due(&model.room, model.count))
        model.is_asleep = false;
    assert_false(model.is_asleep && model.count == 0);
}

static void live(uint64_t messages_max, uint64_t bytes_max)
{
    memset(&model, 0, sizeof model);
    model.room.messages_max = messages_max;
    model.room.bytes_max = bytes_max;
    model.fetch_max = up_to(2000000);
    for (int i = 0; i < TAKES; i++) {
        if (random() % 3 == 0)
            let_fetch(up_to(3));
        take_batch();
    }
}

static void a_sleeping_fetcher_is_told_before_the_queue_is_dry(void **state)
{
    (void)state;
    srandom(20221126);
    for (int i = 0; i < LIVES; i++)
        live(random() % 4 ? 200000 : up_to(random() % 2 ? 3 : 3000),
             1024 * up_to(random() % 4 ? 4000 : 4));
}

static void nobody_is_told_without_need(void **state)
{
    (void)state;
    memset(&model, 0, sizeof model);
    model.room = (struct intake_room){.messages_max = 200000, .bytes_max = 1536 * 1024};
    uint64_t told = 0;
    for (int i = 0; i < 1000000; i++) { /* what is there is taken at once, one by one */
        intake_room_take(&model.room, 1, 86);
        told += intake_room_is_due(&model.room, 0);
    }
    assert_in_range(told, 1, 1000000 * 86 / (1536 * 1024 / 2) + 1);
}

static void what_leaves_unseen_counts_as_long(void **state)
{
    (void)state;
    struct intake_room room = {.messages_max = 1000, .bytes_max = 1000};
    assert_false(intake_room_is_due(&room, 0));
    intake_room_doubt(&room);
    assert_true(intake_room_is_due(&room, 0));
    assert_false(intake_room_is_due(&room, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sleeping_fetcher_is_told_before_the_queue_is_dry),
        cmocka_unit_test(nobody_is_told_without_need),
        cmocka_unit_test(what_leaves_unseen_counts_as_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
