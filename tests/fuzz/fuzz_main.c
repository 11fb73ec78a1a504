/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_main - the driver of a target (fuzz_target.h).
 *
 *   NAME_fuzz PATH...                        files and folders of inputs
 *   NAME_fuzz --random SEED COUNT PATH...    COUNT inputs, made from those by a seed
 *
 * Prints how many inputs were checked and taken. At the first broken promise it says which, keeps
 * the input, and ends with another status than 0. With FX_LIBFUZZER it is a libFuzzer target.
 */
#include "fuzz_target.h"

#include <signal.h>

#ifdef FX_LIBFUZZER

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    fuzz_target.open();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    (void)fuzz_target.check(bytes, size);
    return 0;
}

#else

#define POOL_MAX 4096
#define ROOM 16384 /* bytes of an input that was changed */

struct input {
    const char *name;
    uint8_t *bytes;
    size_t size;
};

static struct input pool[POOL_MAX];
static int pool_count;
static struct input checked; /* name NULL: none is at present */
static long executions;
static long taken;

/* A broken promise ends the process from within. */
static void keep_input(void)
{
    char path[64];
    if (checked.name == NULL)
        return;
    snprintf(path, sizeof path, "/tmp/fx-fuzz-input-%ld", (long)getpid());
    FILE *file = fopen(path, "wb");
    bool is_kept = file != NULL && fwrite(checked.bytes, 1, checked.size, file) == checked.size;
    if (file != NULL)
        is_kept &= fclose(file) == 0;
    fprintf(stderr, "input %s, %zu bytes, %s %s\n", checked.name, checked.size,
            is_kept ? "is kept as" : "could not be kept as", path);
    checked.name = NULL; /* once */
}

static void keep_and_die(int number)
{
    keep_input();
    signal(number, SIG_DFL);
    raise(number);
}

/* Of a sanitizer's runtime, where there is one: it ends a process past atexit and signals. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* However it ends, an input that is being checked is kept. */
static void watch_the_end(void)
{
    atexit(keep_input);
    signal(SIGABRT, keep_and_die);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(keep_input);
    else
        signal(SIGSEGV, keep_and_die);
}

static void check(const char *name, const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    assert_non_null(exact);
    if (size > 0)
        memcpy(exact, bytes, size);
    checked = (struct input){name, exact, size};
    executions++;
    taken += fuzz_target.check(exact, size);
    checked.name = NULL;
    free(exact);
}

static void collect(const char *name, const uint8_t *bytes, size_t size)
{
    if (pool_count == POOL_MAX)
        fail_msg("more than %d inputs", POOL_MAX);
    struct input *input = &pool[pool_count++];
    *input = (struct input){strdup(name), malloc(size + 1), size};
    assert_true(input->name != NULL && input->bytes != NULL);
    memcpy(input->bytes, bytes, size);
}

/* ---- changes --------------------------------------------------------------------------------- */

/* Puts size bytes in the place of cut bytes at at, as far as there is room. */
static size_t replace(uint8_t bytes[ROOM], size_t used, size_t at, size_t cut,
                      const struct input *with)
{
    if (used - cut + with->size > ROOM)
        return used;
    memmove(bytes + at + with->size, bytes + at + cut, used - at - cut);
    memcpy(bytes + at, with->bytes, with->size);
    return used - cut + with->size;
}

/* A part of some input, at most 64 bytes of it most of the time. */
static struct input take_part(struct dice *dice)
{
    const struct input *from = &pool[dice_below(dice, pool_count)];
    size_t at = (size_t)dice_below(dice, (int)from->size + 1);
    size_t most = from->size - at;
    if (most > 64 && dice_chance(dice, 80))
        most = 64;
    return (struct input){NULL, from->bytes + at, (size_t)dice_below(dice, (int)most + 1)};
}

static size_t change(struct dice *dice, uint8_t bytes[ROOM], size_t used)
{
    static const char *const words[] = {
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\n",
        "\\u0000",
        "0",
        "-1",
        "1e3",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "1000000001",
        "null",
        "true",
        "\xc3",
        "\xe5\x8d\xa1",
        "{}",
        "\"\"",
        "--",
        "'",
        "\xf0\x9f\x98\xb7",
        "_",
        "\t",
        "\xed\xa0\x80",
    };
    size_t at = (size_t)dice_below(dice, (int)used + 1);
    size_t cut = dice_chance(dice, 50) ? 0 : (size_t)dice_below(dice, 9);
    if (cut > used - at)
        cut = used - at;
    int kind = dice_below(dice, 10);
    const char *word = words[dice_below(dice, (int)(sizeof words / sizeof words[0]))];
    uint8_t byte = (uint8_t)dice_u64(dice);
    struct input with = {NULL, &byte, 1};
    if (kind < 3)
        with = take_part(dice);
    else if (kind < 6)
        with = (struct input){NULL, (uint8_t *)(uintptr_t)word, strlen(word)};
    else if (kind < 8)
        with.size = 0;
    else if (kind == 8 && at < used)
        byte = (uint8_t)(bytes[at] ^ 1u << dice_below(dice, 8));
    return replace(bytes, used, at, cut, &with);
}

static void check_random(uint64_t seed, long count)
{
    static uint8_t bytes[ROOM];
    for (long i = 0; i < count; i++) {
        struct dice dice = {seed + (uint64_t)i * 1000003};
        const struct input *from = &pool[dice_below(&dice, pool_count)];
        size_t used = from->size < ROOM ? from->size : ROOM;
        char name[64];
        memcpy(bytes, from->bytes, used);
        for (int changes = 1 + dice_below(&dice, 4); changes > 0; changes--)
            used = change(&dice, bytes, used);
        snprintf(name, sizeof name, "random-%" PRIu64 "-%ld", seed, i);
        check(name, bytes, used);
    }
}

static void release_pool(void)
{
    for (int i = 0; i < pool_count; i++) {
        free((char *)(uintptr_t)pool[i].name);
        free(pool[i].bytes);
    }
}

int main(int argc, char **argv)
{
    bool is_random = argc > 1 && strcmp(argv[1], "--random") == 0;
    int at = is_random ? 4 : 1;
    if (argc <= at) {
        fprintf(stderr, "usage: %s [--random SEED COUNT] PATH...\n", argv[0]);
        return 2;
    }
    watch_the_end();
    fuzz_target.open();
    for (; at < argc; at++)
        fuzz_visit_files(argv[at], is_random ? collect : check);
    if (is_random && pool_count > 0)
        check_random(strtoull(argv[2], NULL, 10), strtol(argv[3], NULL, 10));
    release_pool();
    printf("executions %ld\ntaken %ld\nrefused %ld\n", executions, taken, executions - taken);
    return 0;
}

#endif
