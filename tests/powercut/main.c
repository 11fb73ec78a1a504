/* SPDX-License-Identifier: Apache-2.0 */
/*
 * powercut - the power fails behind every call that the outbox makes to its disk.
 *
 * What is shown: a line answered ok is never lost; no number (run, seq) ever means two things, and
 * none is left out within its run; --follow neither skips nor repeats a line; a repeated id is
 * answered with its first number; the outbox can be opened whatever the cut left. An event that was
 * answered or handed out stays in the outbox, above its mark, and is handed out again until it is
 * acknowledged; then it stays for as long as the options say. The mark may be behind what was
 * acknowledged, never ahead of it.
 *
 * How. A post's process (life.c) is the real station_line, station_input, follow, record and
 * outbox, over SQLite on a disk that writes down each call (disk.h). A world is a mode (a writer
 * with ids, one without, a followed file whose writer syncs or does not) and a seed: lines come in
 * batches, batches are committed, rolled back or left open, rows are sent and acknowledged, pruned
 * and checkpointed, the process ends in order and begins again, until each line is taken, answered
 * and acknowledged. Answers leave as soon as they are settled, rows as soon as they are read, and
 * the first ones of those on their way are acknowledged now and then: each is noted, with the
 * number of calls so far, in the journal of what the world knows.
 *
 * A life is played once. Then, behind any of its calls, disk_cut makes what a power cut may leave,
 * the journal is cut to what was known by then, and on that disk a new process begins: it opens the
 * outbox, is checked (oracle.c), goes on to the end of the lines, and is checked again.
 *
 *   short worlds  every call is a boundary; at each: all that is not certain dropped; kept; every
 *                 subset of it (up to 2^SUBSET_MAX, else each call alone dropped and alone kept);
 *                 a write torn behind each of its sectors; in front of a sync each write that it
 *                 was to bring to the disk torn somewhere; some random ones
 *   long worlds   a chain of lives, each cut at a random call in a random way; some only killed,
 *                 so that what is not certain stays so under the next process
 *
 * A subset goes over database, WAL, journal, their names and the followed file together: calls on
 * one file say nothing of those on another. A failed call (EIO, a full disk) is no matter of this
 * suite but of tests/sim, whose disk (sim_disk.h) decides by chance at a cut; here one life is to
 * be cut at all its calls in many ways, so the calls are kept instead.
 *
 * The checks are checked: run plants bugs (mutants) in copies of the sources, each to be caught.
 */
#include "powercut.h"

#include "../../common/hash.h"
#include "../../common/log.h"

#include <getopt.h>
#include <signal.h>

#define SHORT_LINES 5
#define LONG_LINES 40
#define CHAIN_MAX 6
#define SUBSET_MAX 5
#define RANDOM_CUTS 3 /* at each boundary of a short world */
#define OUTAGE_MS 300

static const char usage[] =
    "usage: fangxian-powercut [--short N] [--long N] [--part I/N] [--failures N] [--mode M]\n"
    "                         [--seed S] [--trace]\n"
    "\n"
    "  --short N     worlds of each mode that are cut at every call (2)\n"
    "  --long N      worlds of each mode with chains of random cuts (200)\n"
    "  --part I/N    only every Nth world, from the Ith on\n"
    "  --failures N  stop after so many (10)\n"
    "  --mode M      one mode alone: ids, follow, lazy, bare\n"
    "  --seed S      one seed alone\n"
    "  --trace       each call and each cut\n"
    "Prints what happened, NAME VALUE; exit code 1 if anything was violated.\n";

static const char *const mode_names[] = {"ids", "follow", "lazy", "bare"};
static const char *const cut_names[] = {"kill", "drop", "keep", "chosen", "torn", "random"};
static const char *const violation_names[] = {
#define X(name) #name,
    VIOLATIONS
#undef X
};

static struct disk first_disk;
static struct disk second_disk;
static long cuts;
static long boundaries;
static long failures;
static long failures_max = 10;
static jmp_buf given_up;
static struct scratch scratch;

/* ---- reports ---- */

static void tell_where(void)
{
    printf("mode=%s seed=%" PRIu64 " cut=%s at=%d choice=%" PRIu64, mode_names[world.mode],
           world.seed, world.cut.op_count < 0 ? "none" : cut_names[world.cut.kind],
           world.cut.op_count, world.cut.choice);
}

void violate(enum violation violation, const char *format, ...)
{
    va_list values;
    counts.violations[violation]++;
    failures++;
    printf("FAILED ");
    tell_where();
    printf(" %s: ", violation_names[violation]);
    va_start(values, format);
    vprintf(format, values);
    va_end(values);
    printf("\n");
    fflush(stdout);
    longjmp(given_up, 1);
}

/* An assertion of production's. */
static void on_abort(int number)
{
    (void)number;
    printf("FAILED ");
    tell_where();
    printf(" aborted\n");
    fflush(stdout);
    _exit(1);
}

/* A life whose outcome is checked; false: it was given up. */
static bool play(void)
{
    if (disk_is_tracing) {
        printf("life ");
        tell_where();
        printf("\n");
    }
    if (setjmp(given_up) != 0)
        return false;
    life_play();
    return true;
}

/* ---- short worlds ---- */

/* One cut of the life on first_disk, whose journal is given, and the life after it. */
static void branch(const struct disk_cut *cut, const struct journal *journal)
{
    static struct disk_image image;
    if (failures >= failures_max)
        return;
    cuts++;
    world.cut = *cut;
    world.journal = *journal;
    journal_cut(&world.journal, cut->op_count);
    world.dice.state = hash_u64(world.seed, hash_u64((uint64_t)cut->op_count, cut->choice));
    disk_cut(&first_disk, cut, &image);
    disk_now_ms = disk_at_ms(&first_disk, cut->op_count) + dice_below(&world.dice, OUTAGE_MS);
    disk_start(&second_disk, &image);
    second_disk.dice.state = world.dice.state + 1;
    world.disk = disk_used = &second_disk;
    play();
}

static void cut_subsets(int op_count, int uncertain, const struct journal *journal)
{
    struct disk_cut cut = {.kind = CUT_CHOSEN, .op_count = op_count};
    uint64_t all = uncertain >= 64 ? UINT64_MAX : (UINT64_C(1) << uncertain) - 1;
    if (uncertain <= SUBSET_MAX) {
        for (cut.choice = 1; cut.choice < all; cut.choice++)
            branch(&cut, journal);
        return;
    }
    for (int i = 0; i < uncertain && i < 64; i++) {
        cut.choice = UINT64_C(1) << i;
        branch(&cut, journal);
        cut.choice = all ^ UINT64_C(1) << i;
        branch(&cut, journal);
    }
}

/* Behind a write: torn behind each of its sectors but the last. In front of a sync: each write that
 * is uncertain torn behind one of them. */
static void cut_torn(int op_count, const struct journal *journal)
{
    const int *ops = NULL;
    bool is_synced_next =
        op_count < first_disk.op_count && first_disk.ops[op_count].kind == OP_SYNC;
    struct disk_cut cut = {.kind = CUT_TORN, .op_count = op_count};
    int uncertain = disk_uncertain(&first_disk, op_count, &ops);
    for (int i = 0; i < uncertain; i++) {
        const struct disk_op *op = &first_disk.ops[ops[i]];
        uint64_t sectors = op->kind == OP_WRITE ? disk_sectors(op) : 0;
        uint64_t first = (uint64_t)i * DISK_TORN;
        cut.choice = first + 1;
        if (ops[i] == op_count - 1)
            for (; cut.choice < first + sectors; cut.choice++)
                branch(&cut, journal);
        else if (is_synced_next && sectors > 1) {
            cut.choice += hash_u64(world.seed, (uint64_t)ops[i]) % (sectors - 1);
            branch(&cut, journal);
        }
    }
}

static void cut_everywhere(int op_count, const struct journal *journal)
{
    const int *ops = NULL;
    int uncertain = disk_uncertain(&first_disk, op_count, &ops);
    struct disk_cut cut = {.kind = CUT_DROP, .op_count = op_count};
    boundaries++;
    branch(&cut, journal);
    if (uncertain == 0)
        return;
    cut.kind = CUT_KEEP;
    branch(&cut, journal);
    /* Uncertain calls change with each write; at a sync the same ones were seen before it. */
    cut_subsets(op_count, uncertain, journal);
    cut_torn(op_count, journal);
    cut.kind = CUT_RANDOM;
    for (int i = 0; i < RANDOM_CUTS; i++) {
        cut.choice = hash_u64(world.seed, (uint64_t)op_count * RANDOM_CUTS + (uint64_t)i);
        branch(&cut, journal);
    }
}

static void play_short(enum mode mode, uint64_t seed)
{
    static struct journal journal;
    world.disk = disk_used = &first_disk;
    world_start(mode, seed, SHORT_LINES);
    if (!play())
        return;
    journal = world.journal;
    for (int op_count = 0; op_count <= first_disk.op_count; op_count++)
        cut_everywhere(op_count, &journal);
}

/* ---- long worlds ---- */

/* How many calls there are to be, more than from unless a process was killed there: often up to a
 * sync, when most is uncertain, or shortly after the kill, before the next process syncs. */
static int pick_call(const struct disk *disk, int from)
{
    int op_count = from + 1 + dice_below(&world.dice, disk->op_count - from);
    if (from > 0 && dice_chance(&world.dice, 60))
        op_count = from + dice_below(&world.dice, 4);
    else if (dice_chance(&world.dice, 50))
        while (op_count < disk->op_count && disk->ops[op_count].kind != OP_SYNC)
            op_count++;
    return op_count < disk->op_count ? op_count : disk->op_count;
}

static void play_long(enum mode mode, uint64_t seed)
{
    static struct disk_image image;
    world.disk = disk_used = &first_disk;
    world_start(mode, seed, LONG_LINES);
    int from = 0;
    for (int lives = 0; play() && lives < CHAIN_MAX && failures < failures_max; lives++) {
        struct disk *disk = world.disk;
        if (disk->op_count == from)
            return;
        world.cut.kind = dice_chance(&world.dice, 30) ? CUT_NONE : CUT_RANDOM;
        world.cut.choice = dice_u64(&world.dice);
        world.cut.op_count = pick_call(disk, from);
        journal_cut(&world.journal, world.cut.op_count);
        disk_now_ms = disk_at_ms(disk, world.cut.op_count) + dice_below(&world.dice, OUTAGE_MS);
        cuts += world.cut.kind != CUT_NONE;
        boundaries++;
        if (world.cut.kind == CUT_NONE) {
            disk_kill(disk, world.cut.op_count);
            from = world.cut.op_count;
            continue;
        }
        disk_cut(disk, &world.cut, &image);
        disk_start(disk, &image);
        from = 0;
    }
}

/* ---- the program ---- */

struct plan {
    long short_worlds;
    long long_worlds;
    int part;
    int parts;
    int mode;  /* -1: all */
    long seed; /* -1: all */
};

static int find_mode(const char *name)
{
    for (int i = 0; i < MODES; i++)
        if (strcmp(name, mode_names[i]) == 0)
            return i;
    fputs(usage, stderr);
    exit(2);
}

static void read_options(int argc, char **argv, struct plan *plan)
{
    static const struct option options[] = {{"short", 1, NULL, 's'}, {"long", 1, NULL, 'l'},
                                            {"part", 1, NULL, 'p'},  {"failures", 1, NULL, 'x'},
                                            {"trace", 0, NULL, 't'}, {"mode", 1, NULL, 'm'},
                                            {"seed", 1, NULL, 'e'},  {NULL, 0, NULL, 0}};
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (letter == 's')
            plan->short_worlds = strtol(optarg, NULL, 10);
        else if (letter == 'l')
            plan->long_worlds = strtol(optarg, NULL, 10);
        else if (letter == 'x')
            failures_max = strtol(optarg, NULL, 10);
        else if (letter == 't')
            disk_is_tracing = true;
        else if (letter == 'm')
            plan->mode = find_mode(optarg);
        else if (letter == 'e')
            plan->seed = strtol(optarg, NULL, 10);
        else if (letter != 'p' || sscanf(optarg, "%d/%d", &plan->part, &plan->parts) != 2 ||
                 plan->parts < 1) {
            fputs(usage, stderr);
            exit(2);
        }
    }
}

static void play_all(const struct plan *plan)
{
    long worlds = plan->short_worlds + plan->long_worlds;
    for (long i = 0; i < worlds * MODES && failures < failures_max; i++) {
        int mode = (int)(i % MODES);
        long seed = i / MODES;
        if (seed % plan->parts != plan->part || (plan->mode >= 0 && mode != plan->mode) ||
            (plan->seed >= 0 && seed != plan->seed))
            continue;
        if (seed < plan->short_worlds)
            play_short((enum mode)mode, (uint64_t)seed);
        else
            play_long((enum mode)mode, (uint64_t)seed);
    }
}

static void print_counts(void)
{
    printf("cuts %ld\nboundaries %ld\nlives %ld\nopenings %ld\nanswered %ld\nrepeated_ids %ld\n"
           "sent %ld\nacked %ld\nsent_again %ld\ngiven_up %ld\nfollowed %ld\nrotations %ld\n"
           "rollbacks %ld\ndropped_calls %ld\ntorn_writes %ld\nreordered_writes %ld\n"
           "lost_names %ld\n",
           cuts, boundaries, counts.lives, counts.openings, counts.answered, counts.repeated_ids,
           counts.sent, counts.acked, counts.sent_again, counts.given_up, counts.followed,
           counts.rotations, counts.rollbacks, disk_counts.dropped, disk_counts.torn,
           disk_counts.kept_behind_a_dropped_one, disk_counts.names_lost);
    for (int i = 0; i < VIOLATION_COUNT; i++)
        printf("%s %ld\n", violation_names[i], counts.violations[i]);
}

int main(int argc, char **argv)
{
    struct plan plan = {.short_worlds = 2, .long_worlds = 200, .parts = 1, .mode = -1, .seed = -1};
    read_options(argc, argv, &plan);
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* there is no runner of cmocka's */
    signal(SIGABRT, on_abort);
    fx_log_open("fangxian-powercut", FX_LOG_ERROR);
    scratch_open(&scratch);
    disk_register();
    world_open(scratch.root);
    play_all(&plan);
    world_close();
    scratch_close(&scratch);
    print_counts();
    return failures > 0;
}
