/* SPDX-License-Identifier: Apache-2.0 */
/* fangxian-sim - plays seeds; see usage. */
#include "sim_disk.h"

#include "../../common/log.h"

#include <getopt.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#define CHUNK 40        /* seeds that a process takes at once */
#define SEEDS_EACH 2000 /* of one process: what frozen steps had allocated is not freed */
#define JOBS_MAX 64
#define SEED_LIMIT_S 20

static const char usage[] =
    "usage: fangxian-sim --seeds FROM-TO [--steps N] [--jobs N] [--flaw NAME] [--trace]\n"
    "\n"
    "Plays a world of each seed and compares the figures with a recount of the log.\n"
    "  --steps N      rounds of faults in each world (60)\n"
    "  --jobs N       processes (1)\n"
    "  --failures N   stop after so many seeds that fail (10)\n"
    "  --flaw NAME    plants a bug in the database's part of the protocol; \"list\" lists them\n"
    "  --trace        one line per step, in this process\n"
    "Last line: seeds played, seeds failed. Exit code 1 if any failed.\n";

/* What the processes share. */
struct shared {
    atomic_long next;
    atomic_long played;
    atomic_long at[JOBS_MAX]; /* seed that the process plays, -1: none */
    atomic_long events[SIM_EVENT_COUNT];
};

static struct shared *shared;
static struct scratch scratch;
static struct catalog catalog;
static long last_seed;
static int rounds = 60;
static int failures_max = 10;
static const char *flaw_name;

static const char *const event_names[] = {
#define X(name) #name,
    SIM_EVENTS
#undef X
};

static const char *const flaw_names[] = {
#define X(name) #name,
    SIM_FLAWS
#undef X
};

/* Of processor time: a busy machine does not make a seed fail. */
static void limit_cpu_s(time_t seconds)
{
    struct itimerval limit = {.it_value = {.tv_sec = seconds}};
    assert_int_equal(setitimer(ITIMER_PROF, &limit, NULL), 0);
}

static void play_one(long seed)
{
    memset(sim.events, 0, sizeof sim.events);
    limit_cpu_s(SEED_LIMIT_S);
    sim_play(&catalog, (uint64_t)seed, rounds);
    limit_cpu_s(0);
    for (int i = 0; i < SIM_EVENT_COUNT; i++)
        atomic_fetch_add(&shared->events[i], sim.events[i]);
    atomic_fetch_add(&shared->played, 1);
}

static void work(int job)
{
    for (int played = 0; played < SEEDS_EACH; played += CHUNK) {
        long first = atomic_fetch_add(&shared->next, CHUNK);
        for (long seed = first; seed < first + CHUNK && seed <= last_seed; seed++) {
            atomic_store(&shared->at[job], seed);
            play_one(seed);
        }
        atomic_store(&shared->at[job], -1);
        if (first > last_seed)
            break;
    }
    _exit(0);
}

static pid_t launch(int job, long first)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        for (long seed = first; first >= 0 && seed % CHUNK != 0 && seed <= last_seed; seed++) {
            atomic_store(&shared->at[job], seed); /* the rest of a chunk that failed */
            play_one(seed);
        }
        atomic_store(&shared->at[job], -1);
        work(job);
    }
    return pid;
}

/* Runs jobs until no seed is left; the number of seeds that failed. */
static int supervise(int jobs)
{
    pid_t pids[JOBS_MAX];
    int failed = 0;
    int running = jobs;
    for (int job = 0; job < jobs; job++)
        pids[job] = launch(job, -1);
    while (running > 0) {
        int status;
        int job = 0;
        pid_t pid = wait(&status);
        while (job < jobs && pids[job] != pid)
            job++;
        if (job == jobs)
            continue;
        long seed = atomic_load(&shared->at[job]);
        bool is_good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        failed += !is_good;
        if (!is_good)
            printf("FAILED seed %ld; replay: fangxian-sim --seeds %ld-%ld --steps %d%s%s --trace\n",
                   seed, seed, seed, rounds, flaw_name ? " --flaw " : "",
                   flaw_name ? flaw_name : "");
        bool is_left = atomic_load(&shared->next) <= last_seed || !is_good;
        if (is_left && failed < failures_max) {
            pids[job] = launch(job, is_good ? -1 : seed + 1);
            continue;
        }
        if (failed >= failures_max)
            atomic_store(&shared->next, last_seed + 1);
        running--;
    }
    return failed;
}

static void set_flaw(const char *name)
{
    flaw_name = name;
    for (int i = 0; i < SIM_FLAW_COUNT; i++) {
        if (strcmp(name, "list") == 0 && i > 0)
            printf("%s\n", flaw_names[i]);
        if (strcmp(name, flaw_names[i]) == 0)
            sim.flaw = (enum sim_flaw)i;
    }
    if (strcmp(name, "list") == 0)
        exit(0);
    if (sim.flaw == FLAW_OF_none) {
        fputs(usage, stderr);
        exit(2);
    }
}

static void read_options(int argc, char **argv, long *first, int *jobs)
{
    static const struct option options[] = {{"seeds", 1, NULL, 's'}, {"steps", 1, NULL, 'n'},
                                            {"jobs", 1, NULL, 'j'},  {"failures", 1, NULL, 'x'},
                                            {"flaw", 1, NULL, 'f'},  {"trace", 0, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    bool is_asked = false;
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (letter == 's')
            is_asked = sscanf(optarg, "%ld-%ld", first, &last_seed) == 2;
        else if (letter == 'n')
            rounds = (int)strtol(optarg, NULL, 10);
        else if (letter == 'j')
            *jobs = (int)strtol(optarg, NULL, 10);
        else if (letter == 'x')
            failures_max = (int)strtol(optarg, NULL, 10);
        else if (letter == 'f')
            set_flaw(optarg);
        else if (letter == 't')
            sim.is_tracing = true;
        else
            is_asked = false;
    }
    if (!is_asked || *jobs < 1 || *jobs > JOBS_MAX || *first < 0 || rounds < 1) {
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    long first = 0;
    int jobs = 1;
    int failed = 0;
    read_options(argc, argv, &first, &jobs);
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failure outside of cmocka's runner ends the process */
    fx_log_open("fangxian-sim", FX_LOG_ERROR);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    sim.running = -1;
    kinds_open(&scratch, &catalog);
    sim.folder = scratch.root;
    disk_register();
    atomic_store(&shared->next, first);
    if (sim.is_tracing)
        setvbuf(stdout, NULL, _IOLBF, 0);
    if (sim.is_tracing)
        for (long seed = first; seed <= last_seed; seed++)
            play_one(seed);
    else
        failed = supervise(jobs);
    for (int i = 0; i < SIM_EVENT_COUNT && !sim.is_tracing; i++)
        printf("%s %ld\n", event_names[i], atomic_load(&shared->events[i]));
    printf("seeds %ld failed %d\n", atomic_load(&shared->played), failed);
    kinds_close(&scratch, &catalog);
    return failed > 0;
}
