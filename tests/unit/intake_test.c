/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assignments that follow one another at once, as after a fence in the middle of a rebalance.
 * librdkafka's own mock broker stands in for Kafka: what is tested is in the client.
 */
#include "fake_base.h"

#include "../../consumers/intake_kafka.h"

#include <unistd.h>

#define ROUNDS 2000
#define PARTITIONS 4 /* the mock broker's default */
#define INTAKES 24
#define JOINED_AFTER_S 5 /* it waits three seconds for more members */

static bool take(void *context, const struct intake_message *message)
{
    (void)context;
    (void)message;
    return true;
}

static struct intake *open_intake(void)
{
    static const char *const topics[] = {"events"};
    const struct intake_options options = {
        .kafka = {.brokers = "unused:1", .properties = {{"test.mock.num.brokers=1"}, 1}},
        .group = "g",
        .topics = topics,
        .topic_count = 1,
    };
    struct intake *intake = NULL;
    assert_ok(intake_open(&options, &intake, &err));
    return intake;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assignments_may_follow_one_another_at_once),
        cmocka_unit_test(an_assignment_that_nobody_served_ends_with_the_intake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
