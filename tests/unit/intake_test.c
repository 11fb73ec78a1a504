/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assignments that follow one another at once, as after a fence in the middle of a rebalance; and
 * messages that come in their order, whatever is taken, refused and sought in between. librdkafka's
 * own mock broker stands in for Kafka: what is tested is in the client.
 */
#include "fake_base.h"

#include "../../consumers/intake_kafka.h"

#include <librdkafka/rdkafka_mock.h>
#include <unistd.h>

#define ROUNDS 2000
#define PARTITIONS 4 /* the mock broker's default */
#define INTAKES 24
#define JOINED_AFTER_S 5 /* it waits three seconds for more members */
#define MESSAGES 20000   /* in each partition; several times what the queue may hold */
#define BACK 300         /* a seek goes so far back */
#define POLLS_MAX 100000

static bool take(void *context, const struct intake_message *message)
{
    (void)context;
    (void)message;
    return true;
}

static struct intake *open_intake_at(const char *brokers, const char *property)
{
    static const char *const topics[] = {"events"};
    const struct intake_options options = {
        .kafka = {.brokers = brokers, .properties = {{property}, 1}},
        .group = "g",
        .topics = topics,
        .topic_count = 1,
    };
    struct intake *intake = NULL;
    assert_ok(intake_open(&options, &intake, &err));
    return intake;
}

static struct intake *open_intake(void)
{
    return open_intake_at("unused:1", "test.mock.num.brokers=1");
}

static void assignments_may_follow_one_another_at_once(void **state)
{
    (void)state;
    struct intake_partition list[PARTITIONS] = {{0}};
    struct intake *intake = open_intake();
    for (int i = 0; i < PARTITIONS; i++)
        list[i].partition = i;
    for (int i = 0; i < ROUNDS; i++) {
        assert_ok(intake_assign(intake, list, PARTITIONS, &err));
        if (i % 3 != 0) /* over the one before */
            assert_ok(intake_assign(intake, list, PARTITIONS, &err));
        assert_ok(intake_poll(intake, 0, take, NULL, &err));
        intake_unassign(intake);
    }
    intake_close(intake);
}

static void an_assignment_that_nobody_served_ends_with_the_intake(void **state)
{
    (void)state;
    struct intake *intakes[INTAKES];
    for (int i = 0; i < INTAKES; i++) {
        intakes[i] = open_intake();
        assert_ok(intake_subscribe(intakes[i], &err));
    }
    sleep(JOINED_AFTER_S);
    for (int i = 0; i < INTAKES; i++)
        intake_close(intakes[i]);
}

/* A producer with a mock broker of its own, which holds MESSAGES in each partition. */
static rd_kafka_t *open_filled(void)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", NULL, 0), 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    assert_non_null(rk);
    char value[100] = "an event";
    for (int i = 0; i < MESSAGES * PARTITIONS; i++)
        while (rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("events"),
                                 RD_KAFKA_V_PARTITION(i % PARTITIONS),
                                 RD_KAFKA_V_VALUE(value, sizeof value),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END) != 0)
            rd_kafka_poll(rk, 10);
    assert_int_equal(rd_kafka_flush(rk, 60000), 0);
    return rk;
}

struct taken {
    int64_t next[PARTITIONS];
    int64_t count;
    int64_t wrong;
    int64_t ends; /* told of */
};

/* Every 997th is the last for now. */
static bool take_next(void *context, const struct intake_message *message)
{
    struct taken *taken = context;
    taken->wrong += message->offset != taken->next[message->partition];
    taken->ends += message->is_end;
    if (message->is_end)
        return true;
    taken->next[message->partition] = message->offset + 1;
    return ++taken->count % 997 != 0;
}

static void poll_until(struct intake *intake, struct taken *taken, int64_t count)
{
    for (int i = 0; i < POLLS_MAX && taken->count < count; i++)
        assert_ok(intake_poll(intake, 10, take_next, taken, &err));
    assert_true(taken->count >= count);
}

static void messages_come_in_order_whatever_is_refused_and_sought(void **state)
{
    (void)state;
    rd_kafka_t *broker = open_filled();
    const char *brokers = rd_kafka_mock_cluster_bootstraps(rd_kafka_handle_mock_cluster(broker));
    struct intake *intake = open_intake_at(brokers, "fetch.wait.max.ms=10");
    struct intake_partition list[PARTITIONS] = {{0}};
    struct taken taken = {{0}, 0, 0, 0};
    for (int i = 0; i < PARTITIONS; i++)
        list[i].partition = i;
    assert_ok(intake_assign(intake, list, PARTITIONS, &err));
    int64_t wanted = (int64_t)MESSAGES * PARTITIONS;
    for (int i = 1; i <= 8; i++) {
        poll_until(intake, &taken, wanted * i / 10 + i); /* in the middle of a batch */
        int64_t *next = &taken.next[i % PARTITIONS];
        *next = *next > BACK ? *next - BACK : 0;
        assert_ok(intake_seek(intake, 0, i % PARTITIONS, *next, &err));
    }
    poll_until(intake, &taken, taken.count + 1);
    for (int i = 0; i < PARTITIONS; i++) /* and begins anew elsewhere */
        list[i].offset = taken.next[i] = 7 * i;
    assert_ok(intake_assign(intake, list, PARTITIONS, &err));
    taken.count = taken.ends = 0;
    poll_until(intake, &taken, wanted - 7 * (0 + 1 + 2 + 3));
    for (int i = 0; i < POLLS_MAX && taken.ends < PARTITIONS; i++)
        assert_ok(intake_poll(intake, 10, take_next, &taken, &err));
    assert_int_equal(taken.ends, PARTITIONS);
    assert_int_equal(taken.wrong, 0);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(taken.next[i], MESSAGES);
    intake_close(intake);
    rd_kafka_destroy(broker);
}

/* FX_OK within a few seconds: what the client knows of leaders is up to a second old. */
static void ask_until(struct intake *intake, struct intake_range *ranges, int known)
{
    int found = -1;
    for (int i = 0; i < 100 && found != known; i++) {
        struct fx_err failed = FX_ERR_INIT;
        for (int p = 0; p < PARTITIONS; p++)
            ranges[p] = (struct intake_range){.partition = p};
        enum fx_code code = intake_ask_ranges(intake, ranges, PARTITIONS, &failed);
        assert_true(code == FX_OK || code == FX_ERETRY);
        found = 0;
        for (int p = 0; p < PARTITIONS && code == FX_OK; p++)
            found += ranges[p].is_known;
        usleep(100000);
    }
    assert_int_equal(found, known);
}

static void a_partition_without_a_leader_is_not_known(void **state)
{
    (void)state;
    rd_kafka_t *broker = open_filled();
    rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(broker);
    struct intake *intake =
        open_intake_at(rd_kafka_mock_cluster_bootstraps(cluster), "fetch.wait.max.ms=10");
    struct intake_range ranges[PARTITIONS];
    ask_until(intake, ranges, PARTITIONS);
    assert_int_equal(rd_kafka_mock_partition_set_leader(cluster, "events", 1, -1), 0);
    ask_until(intake, ranges, PARTITIONS - 1);
    assert_false(ranges[1].is_known);
    struct intake_partition list[PARTITIONS] = {{0}};
    struct taken taken = {{0}, 0, 0, 0};
    for (int p = 0, count = 0; p < PARTITIONS; p++) {
        assert_true(p == 1 || ranges[p].high == MESSAGES);
        if (p != 1)
            list[count++].partition = p;
    }
    assert_ok(intake_assign(intake, list, PARTITIONS - 1, &err));
    poll_until(intake, &taken, (int64_t)MESSAGES * (PARTITIONS - 1));
    assert_int_equal(taken.next[1], 0);
    for (int p = 0; p < PARTITIONS; p++)
        assert_int_equal(rd_kafka_mock_partition_set_leader(cluster, "events", p, -1), 0);
    ask_until(intake, ranges, 0);
    for (int p = 0; p < PARTITIONS; p++)
        assert_int_equal(rd_kafka_mock_partition_set_leader(cluster, "events", p, 1), 0);
    ask_until(intake, ranges, PARTITIONS);
    for (int p = 0; p < PARTITIONS; p++)
        list[p] = (struct intake_partition){0, p, taken.next[p]};
    assert_ok(intake_assign(intake, list, PARTITIONS, &err));
    poll_until(intake, &taken, (int64_t)MESSAGES * PARTITIONS);
    assert_int_equal(taken.wrong, 0);
    intake_close(intake);
    rd_kafka_destroy(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assignments_may_follow_one_another_at_once),
        cmocka_unit_test(messages_come_in_order_whatever_is_refused_and_sought),
        cmocka_unit_test(a_partition_without_a_leader_is_not_known),
        cmocka_unit_test(an_assignment_that_nobody_served_ends_with_the_intake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
