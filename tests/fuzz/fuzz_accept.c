/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_accept.h"

#include "fuzz_check.h"

void fuzz_accept_open(void)
{
    fuzz_open(1);
    atexit(fuzz_close);
}

void fuzz_accept(const uint8_t *bytes, size_t size)
{
    struct fuzz_reading reading;
    int writer = fuzz_find_writer(bytes, size);
    assert_true(writer >= 0);
    const char *name = fuzz_writer(writer)->kind->name;
    fuzz_check(bytes, size, &reading);
    for (int i = 0; i < fuzz_kind_count(); i++)
        if (strcmp(fuzz_kind_name(i), name) == 0 && reading.reasons[i] != REASON_COUNT)
            fail_msg("kind %s: what the producer takes is rejected as %s", name,
                     reason_name(reading.reasons[i]));
}
