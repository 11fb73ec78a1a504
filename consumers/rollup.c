/* SPDX-License-Identifier: Apache-2.0 */
/* fx-rollup - counts every kind of event it finds into PostgreSQL. */
#include "mender.h"
#include "rollup_redrive.h"

#include "../common/args.h"
#include "../common/day.h"
#include "../common/digest.h"
#include "../common/log.h"
#include "../common/metrics.h"
#include "../common/text.h"

#ifdef FX_MIMALLOC
#include <mimalloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_EVERY_MS 10000
#define STOP_MAX_S 25 /* longer than a drain and the end of a session take */
#define PROGRESS_AFTER_MS 2000

struct options {
    struct kafka_options kafka;
    const char *conninfo;
    const char *schemas;
    const char *schema_name;
    const char *topic_prefix;
    const char *group;
    const char *instance;
    const char *metrics;
    const char *log_level;
    int64_t workers;
    int64_t memory_mb;
    int64_t runs_max;
    int64_t flush_events;
    int64_t give_up_s;
    int64_t resend_after_s;
    bool no_resend;
    bool until_end;
    bool redrive;
    const char *redrive_reason; /* NULL: any */
};

#define AT(field) offsetof(struct options, field)
static const struct fx_opt opts[] = {
    KAFKA_OPTS(struct options, kafka),
    {"conninfo", 'd', FX_OPT_TEXT, AT(conninfo), "TEXT", "FX_CONNINFO", 0, 0,
     "PostgreSQL conninfo, over libpq's PG* variables"},
    {"schemas", 0, FX_OPT_TEXT, AT(schemas), "DIR", "FX_SCHEMAS", 0, 0, "kinds and rollups"},
    {"schema-name", 0, FX_OPT_TEXT, AT(schema_name), "NAME", "FX_SCHEMA_NAME", 0, 0,
     "PostgreSQL schema (fangxian)"},
    {"topic-prefix", 0, FX_OPT_TEXT, AT(topic_prefix), "NAME", "FX_TOPIC_PREFIX", 0, 0,
     "prefix of the topics (fangxian)"},
    {"group", 0, FX_OPT_TEXT, AT(group), "NAME", "FX_GROUP", 0, 0,
     "consumer group (fangxian-rollup.SCHEMA)"},
    {"instance", 0, FX_OPT_TEXT, AT(instance), "NAME", "FX_INSTANCE", 0, 0,
     "this process in the group, unique: a restart under the same name takes over\n"
     "its partitions at once, another member only when its session has ended"},
    {"workers", 'w', FX_OPT_NUMBER, AT(workers), "N", "FX_WORKERS", 1, WORKERS_MAX,
     "threads, each with a consumer and a connection of its own (1)"},
    {"until-end", 0, FX_OPT_FLAG, AT(until_end), NULL, NULL, 0, 0,
     "stop when all that lies in Kafka now is counted, by whichever process"},
    {"redrive", 0, FX_OPT_FLAG, AT(redrive), NULL, NULL, 0, 0,
     "take the rejected events of REASON (all) again, once their cause is mended,\n"
     "and exit; workers may run meanwhile"},
    {"memory-mb", 0, FX_OPT_NUMBER, AT(memory_mb), "N", "FX_MEMORY_MB", 1, 65536,
     "bound of a worker's uncommitted figures, per rollup (16)"},
    {"ledger-runs", 0, FX_OPT_NUMBER, AT(runs_max), "N", NULL, 64, 4000000,
     "runs of sources a worker keeps in memory (500000)"},
    {"flush-events", 0, FX_OPT_NUMBER, AT(flush_events), "N", NULL, 1, 100000000,
     "most events in one transaction (2000000)"},
    {"give-up", 0, FX_OPT_NUMBER, AT(give_up_s), "SECONDS", NULL, 0, 86400,
     "how long Kafka and PostgreSQL may be away at the start (30)"},
    {"resend-after", 0, FX_OPT_NUMBER, AT(resend_after_s), "SECONDS", "FX_RESEND_AFTER", 1, 864000,
     "ask sources for numbers that have been missing so long; also how long to\n"
     "wait before asking again, doubling up to 6 h (600)"},
    {"no-resend", 0, FX_OPT_FLAG, AT(no_resend), NULL, NULL, 0, 0,
     "never ask; nor is anybody asked with --until-end or by a rebuild"},
    {"metrics", 0, FX_OPT_TEXT, AT(metrics), "[ADDR:]PORT", "FX_METRICS", 0, 0,
     "serve Prometheus metrics at /metrics and /healthz"},
    {"log-level", 0, FX_OPT_TEXT, AT(log_level), "LEVEL", "FX_LOG_LEVEL", 0, 0,
     "error, warn, info or debug (info)"},
    {NULL, 0, FX_OPT_FLAG, 0, NULL, NULL, 0, 0, NULL},
};

static const struct fx_program program = {
    "fx-rollup", "[options] [--redrive [REASON]]",
    "Reads every kind of event from Kafka and counts it, exactly once, into the rollup tables of\n"
    "PostgreSQL for town, county and city. Runs until SIGTERM, then commits and stops.",
    opts,
    "exit status: 0 done, 1 --redrive: some stay rejected, 2 wrong options or definitions (run "
    "fx-setup), 3 a person must decide,\n"
    "4 Kafka or PostgreSQL unreachable at the start"};

static atomic_bool stop; /* lock-free: a signal may set it; workers read it */
static volatile sig_atomic_t wants_stats;
static atomic_bool has_failed;

/* A service that neither answers nor hangs up holds a thread for ever. What is not committed comes
 * again from Kafka, whenever the program ends. */
static void on_alarm(int number)
{
    static const char text[] = "lvl=error prog=fx-rollup ev=stuck msg=\"a service does not answer; "
                               "not all threads ended\"\n";
    (void)number;
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(fx_code_exit_status(FX_ERETRY));
}

static void on_signal(int number)
{
    if (number == SIGUSR1) {
        wants_stats = 1;
        return;
    }
    atomic_store(&stop, true);
    alarm(STOP_MAX_S);
}

struct crew {
    struct worker *workers;
    _Atomic int count;     /* the page of metrics is written while it grows */
    struct mender *mender; /* NULL: nobody is asked to send again */
};

static struct pipeline_stats sum_stats(const struct crew *crew)
{
    struct pipeline_stats sum = {.is_connected = true};
    for (int i = 0; i < crew->count; i++) {
        struct pipeline_stats one = worker_stats(&crew->workers[i]);
        sum.messages += one.messages;
        sum.committed += one.committed;
        sum.events += one.events;
        sum.duplicates += one.duplicates;
        sum.rejected += one.rejected;
        sum.heartbeats += one.heartbeats;
        sum.late += one.late;
        sum.clock_corrected += one.clock_corrected;
        sum.unread += one.unread;
        sum.flushes += one.flushes;
        sum.flush_rows += one.flush_rows;
        sum.claims += one.claims;
        sum.drops += one.drops;
        sum.partitions += one.partitions;
        sum.waiting += one.waiting;
        sum.lag += one.lag > 0 ? one.lag : 0;
        sum.is_connected = sum.is_connected && one.is_connected;
        if (one.began_ms > 0 && (sum.began_ms == 0 || one.began_ms < sum.began_ms))
            sum.began_ms = one.began_ms;
        if (one.ended_ms > sum.ended_ms)
            sum.ended_ms = one.ended_ms;
        if (one.flush_ms_last > sum.flush_ms_last)
            sum.flush_ms_last = one.flush_ms_last;
    }
    return sum;
}

static bool write_page(void *context, struct buf *out)
{
    const struct crew *crew = context;
    struct pipeline_stats s = sum_stats(crew);
    struct mender_stats asked = mender_stats(crew->mender);
    const struct {
        const char *name;
        const char *type;
        const char *help;
        int64_t value;
    } rows[] = {
        {"fx_rollup_messages_total", "counter", "Messages taken from Kafka.", s.messages},
        {"fx_rollup_committed_total", "counter", "Messages in committed flushes.", s.committed},
        {"fx_rollup_events_total", "counter", "Events counted, replays included.", s.events},
        {"fx_rollup_duplicates_total", "counter", "Copies dropped.", s.duplicates},
        {"fx_rollup_rejected_total", "counter", "Messages rejected.", s.rejected},
        {"fx_rollup_heartbeats_total", "counter", "Heartbeats taken.", s.heartbeats},
        {"fx_rollup_late_total", "counter", "Events over an hour late.", s.late},
        {"fx_rollup_clock_corrected_total", "counter", "Events with a wrong clock.",
         s.clock_corrected},
        {"fx_rollup_unread_offsets_total", "counter",
         "Offsets given up, in batches that cannot be unpacked.", s.unread},
        {"fx_rollup_flushes_total", "counter", "Committed transactions.", s.flushes},
        {"fx_rollup_flush_rows_total", "counter", "Rollup rows written.", s.flush_rows},
        {"fx_rollup_claims_total", "counter", "Claims of partitions.", s.claims},
        {"fx_rollup_drops_total", "counter", "Times uncommitted memory was dropped.", s.drops},
        {"fx_rollup_flush_last_ms", "gauge", "Duration of the last flush.", s.flush_ms_last},
        {"fx_rollup_partitions", "gauge", "Partitions assigned.", s.partitions},
        {"fx_rollup_partitions_waiting", "gauge", "Partitions without a leader.", s.waiting},
        {"fx_rollup_lag_messages", "gauge", "Messages behind the end.", s.lag},
        {"fx_rollup_connected", "gauge", "All workers are connected.", s.is_connected},
        {"fx_rollup_resend_requests_total", "counter", "Requests for a resend, acknowledged.",
         asked.requests},
        {"fx_rollup_resend_gaps", "gauge", "Open gaps that sources are asked for.", asked.gaps},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        metrics_write(out, rows[i].name, rows[i].type, rows[i].help, rows[i].value);
    return s.is_connected && !atomic_load(&has_failed);
}

static void log_stats(const struct crew *crew, const char *event)
{
    struct pipeline_stats s = sum_stats(crew);
    fx_log(FX_LOG_INFO, event,
           "messages=%lld committed=%lld events=%lld duplicates=%lld rejected=%lld "
           "heartbeats=%lld late=%lld clock_corrected=%lld flushes=%lld rows=%lld drops=%lld "
           "partitions=%d lag=%lld began_ms=%lld ended_ms=%lld",
           (long long)s.messages, (long long)s.committed, (long long)s.events,
           (long long)s.duplicates, (long long)s.rejected, (long long)s.heartbeats,
           (long long)s.late, (long long)s.clock_corrected, (long long)s.flushes,
           (long long)s.flush_rows, (long long)s.drops, s.partitions, (long long)s.lag,
           (long long)s.began_ms, (long long)s.ended_ms);
}

static void show_progress(const struct crew *crew, int64_t elapsed_ms)
{
    struct pipeline_stats s = sum_stats(crew);
    fprintf(stderr, "\r%lld messages counted, %lld/s   ", (long long)s.committed,
            (long long)(s.committed * 1000 / (elapsed_ms + 1)));
}

/* Joins the workers that ended; how many have not. */
static int join_ended(const struct crew *crew)
{
    int running = 0;
    for (int i = 0; i < crew->count; i++) {
        struct worker *worker = &crew->workers[i];
        if (!worker->is_joined)
            worker->is_joined = pthread_tryjoin_np(worker->thread, NULL) == 0;
        running += !worker->is_joined;
    }
    return running;
}

/* Watches the workers until the last one ended. */
static void watch(const struct crew *crew)
{
    int64_t began_ms = day_monotonic_ms();
    int64_t logged_ms = began_ms;
    bool has_terminal = isatty(STDERR_FILENO);
    bool has_progress = false;
    bool is_ending = false; /* by itself; a signal sets the alarm */
    while (join_ended(crew) > 0) {
        struct timespec pause = {0, 20000000};
        nanosleep(&pause, NULL);
        int64_t now_ms = day_monotonic_ms();
        if (atomic_load(&has_failed) && !is_ending) {
            is_ending = true;
            alarm(STOP_MAX_S);
        }
        if (wants_stats || now_ms - logged_ms >= LOG_EVERY_MS) {
            wants_stats = 0;
            logged_ms = now_ms;
            log_stats(crew, "stats");
        }
        if (has_terminal && now_ms - began_ms > PROGRESS_AFTER_MS) {
            has_progress = true;
            show_progress(crew, now_ms - began_ms);
        }
    }
    if (has_progress)
        fputc('\n', stderr);
}

/* An allocation of names: the topics by kind. */
static enum fx_code name_topics(const struct options *options, const struct catalog *catalog,
                                const char **topics, struct fx_err *err)
{
    for (int k = 0; k < catalog->kind_count; k++) {
        char name[KAFKA_TOPIC_MAX];
        topics[k] =
            strdup(kafka_topic_name(name, options->topic_prefix, catalog->kinds[k].kind.name));
        if (topics[k] == NULL)
            return fx_err_set(err, FX_EMEMORY, "no memory for topic names");
    }
    return FX_OK;
}

static void prepare_worker(struct worker *worker, const struct options *options, int index)
{
    char host[64] = "localhost";
    gethostname(host, sizeof host - 1);
    if (options->instance != NULL)
        snprintf(worker->instance, sizeof worker->instance, "%s-%d", options->instance, index);
    snprintf(worker->name, sizeof worker->name, "%s-%d-%d", host, (int)getpid(), index);
}

static enum fx_code run_redrive(const struct options *options, struct worker_options *shared,
                                struct fx_err *err)
{
    enum reason reason;
    bool is_clean = false;
    struct worker nobody; /* its name alone: no thread is started */
    prepare_worker(&nobody, options, 0);
    shared->store.worker = nobody.name;
    if (rollup_redrive_parse(options->redrive_reason, &reason, err) != FX_OK ||
        rollup_redrive(shared, reason, &is_clean, err) != FX_OK)
        return err->code;
    return is_clean ? FX_OK : fx_err_set(err, FX_EINPUT, "some events stay rejected");
}

/* A run to the end is over before a source could answer. */
static enum fx_code open_mender(const struct options *options, const struct worker_options *shared,
                                struct crew *crew, struct fx_err *err)
{
    const struct mender_options wanted = {.kafka = options->kafka,
                                          .conninfo = options->conninfo,
                                          .schema_name = options->schema_name,
                                          .topic_prefix = options->topic_prefix,
                                          .topics = shared->intake.topics,
                                          .topic_count = shared->intake.topic_count,
                                          .after_ms = options->resend_after_s * 1000};
    if (options->no_resend || options->until_end)
        return FX_OK;
    return mender_open(&wanted, &crew->mender, err);
}

/* Runs the workers to their end; the worst of their ends is the program's. */
static enum fx_code run_crew(const struct options *options, const struct worker_options *shared,
                             struct fx_err *err)
{
    struct metrics *metrics = NULL;
    struct crew crew = {calloc((size_t)options->workers, sizeof *crew.workers), 0, NULL};
    if (crew.workers == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for workers");
    if (open_mender(options, shared, &crew, err) != FX_OK ||
        (options->metrics != NULL &&
         metrics_open(options->metrics, write_page, &crew, &metrics, err) != FX_OK)) {
        mender_close(crew.mender);
        free(crew.workers);
        return err->code;
    }
    for (int i = 0; i < (int)options->workers && err->code == FX_OK; i++) {
        crew.workers[i].options = *shared;
        crew.workers[i].options.first = i == 0 ? NULL : &crew.workers[0];
        prepare_worker(&crew.workers[i], options, i);
        crew.count += worker_open(&crew.workers[i], err) == FX_OK;
    }
    if (err->code != FX_OK)
        atomic_store(&has_failed, true);
    watch(&crew);
    metrics_close(metrics);
    mender_close(crew.mender);
    log_stats(&crew, "done");
    for (int i = 0; i < crew.count; i++)
        if (crew.workers[i].err.code != FX_OK && err->code == FX_OK)
            *err = crew.workers[i].err;
    free(crew.workers);
    return err->code;
}

static enum fx_code run(const struct options *options, struct fx_err *err)
{
    struct catalog catalog;
    const char *topics[CATALOG_KINDS_MAX] = {NULL};
    char group[160];
    if (!text_is_identifier(options->schema_name))
        return fx_err_set(err, FX_ECONFIG, "--schema-name '%.63s' is no plain SQL identifier",
                          options->schema_name);
    if (catalog_load(options->schemas, &catalog, err) != FX_OK)
        return err->code;
    if (options->group == NULL)
        snprintf(group, sizeof group, "fangxian-rollup.%s", options->schema_name);
    else
        text_copy(group, sizeof group, options->group);
    if (name_topics(options, &catalog, topics, err) == FX_OK) {
        struct worker_options shared = {
            .catalog = &catalog,
            .intake = {options->kafka, group, NULL, topics, catalog.kind_count},
            .store = {options->conninfo, options->schema_name, NULL, &catalog, topics},
            .bytes_max = (size_t)options->memory_mb << 20,
            .runs_max = (int)options->runs_max,
            .events_max = (int)options->flush_events,
            .until_end = options->until_end,
            .give_up_ms = options->give_up_s * 1000,
            .stop = &stop,
            .has_failed = &has_failed,
        };
        enum fx_code code =
            options->redrive ? run_redrive(options, &shared, err) : run_crew(options, &shared, err);
        (void)code; /* err has it */
    }
    for (int k = 0; k < catalog.kind_count; k++)
        free((void *)(uintptr_t)topics[k]);
    catalog_release(&catalog);
    return err->code;
}

/* What threads of librdkafka that ended left is given back, which mimalloc would keep. Not what
 * idle ones hold: decommit_delay 0 would, for a third more CPU in bulk. MIMALLOC_... in the
 * environment goes before this. */
static void give_memory_back(void)
{
#if defined FX_MIMALLOC && MI_MALLOC_VERSION >= 200 && MI_MALLOC_VERSION < 210
    mi_option_set_default(mi_option_abandoned_page_decommit, 1);
#elif defined FX_MIMALLOC && MI_MALLOC_VERSION >= 210
    mi_option_set_default(mi_option_abandoned_page_purge, 1);
#endif
}

int main(int argc, char **argv)
{
    give_memory_back();
    struct options options = {
        .schemas = schema_default_directory(),
        .schema_name = "fangxian",
        .topic_prefix = "fangxian",
        .log_level = "info",
        .workers = 1,
        .memory_mb = 16,
        .runs_max = 500000,
        .flush_events = 2000000,
        .give_up_s = 30,
        .resend_after_s = 600,
    };
    struct fx_argv words = {argc, argv, 0, false};
    struct fx_err err = FX_ERR_INIT;
    enum fx_log_level level = FX_LOG_INFO;
    fx_log_open("fx-rollup", level);
    if (args_parse(&program, &words, &options, &err) == FX_OK && words.is_done)
        return 0;
    int operands = argc - words.operands;
    if (err.code == FX_OK && operands > (options.redrive ? 1 : 0))
        fx_err_set(&err, FX_ECONFIG, "fx-rollup takes no operand '%.60s'", argv[argc - 1]);
    else if (err.code == FX_OK && operands == 1)
        options.redrive_reason = argv[words.operands];
    if (err.code == FX_OK && fx_log_parse_level(options.log_level, &level, &err) == FX_OK)
        fx_log_open("fx-rollup", level);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    if (err.code == FX_OK && digest_open(&err) == FX_OK)
        (void)(run(&options, &err) == FX_OK);
    if (err.code != FX_OK)
        fx_log_err("stopped", &err);
    return fx_code_exit_status(err.code);
}
