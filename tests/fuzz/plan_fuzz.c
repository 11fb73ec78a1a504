/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_fuzz - the compiled plan against avro-c and a naive recount (see fuzz_check.h).
 *
 *   plan_fuzz [--dump] PATH...               files and folders of messages
 *   plan_fuzz [--dump] --random SEED COUNT   messages made up from a seed, good ones and changed
 *
 * With -fsanitize=fuzzer it is a libFuzzer target instead. Ends with 0, or at the first difference
 * with a message that names it and the input.
 */
#include "fuzz_dump.h"
#include "fuzz_files.h"
#include "fuzz_make.h"

#include "../../schemas/wire.h"

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned int seed);

#ifdef FX_LIBFUZZER

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t room);

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    fuzz_open(1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_reading reading;
    fuzz_check(bytes, size, &reading);
    return 0;
}

/* Half of the changes know where fields lie; the fuzzer's own spare the header, or nothing behind
 * it would be reached. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned int seed)
{
    struct dice dice = {seed};
    if (room >= FUZZ_ROOM && (size < WIRE_HEADER_SIZE || dice_chance(&dice, 2)))
        return fuzz_make(&dice, bytes);
    if (size >= WIRE_HEADER_SIZE && dice_chance(&dice, 50))
        return fuzz_change(&dice, bytes, size, room);
    if (size >= WIRE_HEADER_SIZE && dice_chance(&dice, 95))
        return WIRE_HEADER_SIZE + LLVMFuzzerMutate(bytes + WIRE_HEADER_SIZE,
                                                   size - WIRE_HEADER_SIZE,
                                                   room - WIRE_HEADER_SIZE);
    return LLVMFuzzerMutate(bytes, size, room);
}

#else

#define BATCH 32 /* events between two comparisons of tables, so that cells are added to */

static struct fuzz_input input; /* the one that is being checked */
static bool is_dumped;

/* A difference ends the process from within: say then which input it was. */
static void name_input(void)
{
    if (input.name == NULL)
        return;
    fprintf(stderr, "input %s, %zu bytes: ", input.name, input.size);
    for (size_t i = 0; i < input.size; i++)
        fprintf(stderr, "%02x", input.bytes[i]);
    fputc('\n', stderr);
}

static void check(const char *name, const uint8_t *bytes, size_t size)
{
    struct fuzz_reading reading;
    input = (struct fuzz_input){name, bytes, size};
    fuzz_check(bytes, size, &reading);
    if (is_dumped)
        fuzz_dump(&input, &reading);
    input.name = NULL;
}

/* A third as they are made, the others changed once to four times. */
static void check_random(uint64_t seed, long count)
{
    static uint8_t bytes[FUZZ_ROOM];
    for (long i = 0; i < count; i++) {
        struct dice dice = {seed + (uint64_t)i * 1000003};
        char name[64];
        size_t size = fuzz_make(&dice, bytes);
        int changes = dice_chance(&dice, 33) ? 0 : 1 + dice_below(&dice, 4);
        for (; changes > 0; changes--)
            size = fuzz_change(&dice, bytes, size, sizeof bytes);
        snprintf(name, sizeof name, "random-%" PRIu64 "-%ld", seed, i);
        check(name, bytes, size);
    }
    fuzz_settle();
}

static void report(void)
{
    const struct fuzz_tally *tally = fuzz_tally();
    printf("executions %ld\naccepted %ld\n", tally->inputs, tally->accepted);
    for (int i = 0; i < REASON_COUNT; i++)
        if (tally->reasons[i] > 0)
            printf("%s %ld\n", reason_name((enum reason)i), tally->reasons[i]);
    printf("values %ld\n", tally->values);
}

int main(int argc, char **argv)
{
    int at = 1;
    is_dumped = at < argc && strcmp(argv[at], "--dump") == 0;
    at += is_dumped;
    bool is_random = at < argc && strcmp(argv[at], "--random") == 0;
    if (at == argc || (is_random && argc != at + 3)) {
        fprintf(stderr, "usage: plan_fuzz [--dump] PATH... | --random SEED COUNT\n");
        return 2;
    }
    atexit(name_input);
    fuzz_open(is_random && !is_dumped ? BATCH : 1);
    if (is_random)
        check_random(strtoull(argv[at + 1], NULL, 10), strtol(argv[at + 2], NULL, 10));
    for (; !is_random && at < argc; at++)
        fuzz_visit_files(argv[at], check);
    if (!is_dumped)
        report();
    fuzz_close();
    return 0;
}

#endif
