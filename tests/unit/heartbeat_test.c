/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_base.h"

#include "../../consumers/heartbeat.h"

/* Who says again that a run has ended does not make it end later: store_sql.c says the same of two
 * that are stored one after the other. */
static void a_run_ends_once(void **state)
{
    (void)state;
    static const struct {
        enum heartbeat_state state;
        int64_t appended_ms;
        int64_t heard_ms;
    } beats[] = {{HEARTBEAT_ALIVE, 10, 10}, {HEARTBEAT_ENDED, 20, 20}, {HEARTBEAT_ENDED, 30, 20},
                 {HEARTBEAT_ENDED, 40, 20}, {HEARTBEAT_ALIVE, 50, 50}, {HEARTBEAT_ENDED, 60, 60}};
    struct ledger_heartbeat kept = {.state = HEARTBEAT_OPEN};
    for (size_t i = 0; i < sizeof beats / sizeof beats[0]; i++) {
        const struct ledger_heartbeat beat = {
            .n = (int64_t)i, .state = beats[i].state, .appended_ms = beats[i].appended_ms};
        heartbeat_replace(&kept, &beat);
        assert_int_equal(kept.n, i);
        assert_int_equal(kept.heard_ms, beats[i].heard_ms);
        assert_int_equal(kept.appended_ms, beats[i].appended_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_run_ends_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
