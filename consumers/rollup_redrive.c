/* SPDX-License-Identifier: Apache-2.0 */
#include "rollup_redrive.h"

#include "../common/day.h"
#include "../common/digest.h"
#include "../common/log.h"
#include "redrive.h"
#include "store_rejected.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IDLE_WAIT_MS 50
#define PROGRESS_AFTER_MS 2000

/* One run of the program. */
struct redriving {
    const struct worker_options *options;
    struct redrive *redrive;
    int64_t total; /* rows there were at the start */
    int64_t began_ms;
    int64_t moved_ms; /* when a row was done with last */
    int64_t rows;     /* done with by then */
    bool has_progress;
};

enum fx_code rollup_redrive_parse(const char *name, enum reason *reason, struct fx_err *err)
{
    *reason = REASON_COUNT;
    if (name == NULL || strcmp(name, "all") == 0)
        return FX_OK;
    *reason = reason_parse(name);
    if (*reason != REASON_COUNT)
        return FX_OK;
    char names[300] = "all";
    for (int i = 0; i < REASON_COUNT; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, ", %s", reason_name((enum reason)i));
    }
    return fx_err_set(err, FX_ECONFIG, "--redrive: no reason is called '%.40s'; there are: %s",
                      name, names);
}

static int64_t sum_rejected(const struct redrive_stats *stats)
{
    int64_t sum = 0;
    for (int i = 0; i < REASON_COUNT; i++)
        sum += stats->rejected[i];
    return sum;
}

static void show_progress(struct redriving *run)
{
    const struct redrive_stats *stats = redrive_stats(run->redrive);
    if (!isatty(STDERR_FILENO) || day_monotonic_ms() - run->began_ms < PROGRESS_AFTER_MS)
        return;
    run->has_progress = true;
    fprintf(stderr, "\r%lld of %lld rejected events taken again, %lld counted   ",
            (long long)stats->rows, (long long)run->total, (long long)stats->counted);
}

/* The services may be away for a while; not for ever, somebody waits for the end. */
static enum fx_code check_patience(struct redriving *run, struct fx_err *err)
{
    int64_t now_ms = day_monotonic_ms();
    const struct redrive_stats *stats = redrive_stats(run->redrive);
    bool has_moved = stats->rows != run->rows || redrive_trouble(run->redrive)[0] == '\0';
    run->rows = stats->rows;
    if (has_moved)
        run->moved_ms = now_ms;
    if (now_ms - run->moved_ms <= run->options->give_up_ms)
        return FX_OK;
    return fx_err_set(err, FX_ERETRY, "no rejected event could be taken again in %lld s: %.400s",
                      (long long)run->options->give_up_ms / 1000, redrive_trouble(run->redrive));
}

static void report(const struct redriving *run)
{
    const struct redrive_stats *stats = redrive_stats(run->redrive);
    for (int i = 0; i < REASON_COUNT; i++)
        if (stats->rejected[i] > 0)
            fx_log(FX_LOG_WARN, "still_rejected", "reason=%s events=%lld",
                   reason_name((enum reason)i), (long long)stats->rejected[i]);
    if (stats->gone > 0)
        fx_log(FX_LOG_WARN, "still_rejected",
               "events=%lld msg=\"gone from Kafka: send them again from the device, --resend\"",
               (long long)stats->gone);
    fx_log(FX_LOG_INFO, "redriven",
           "events=%lld counted=%lld duplicates=%lld rejected=%lld gone=%lld claims=%lld "
           "drops=%lld",
           (long long)stats->rows, (long long)stats->counted, (long long)stats->duplicates,
           (long long)sum_rejected(stats), (long long)stats->gone, (long long)stats->claims,
           (long long)stats->drops);
}

static enum fx_code run_to_end(struct redriving *run, struct fx_err *err)
{
    run->began_ms = run->moved_ms = day_monotonic_ms();
    while (!redrive_is_done(run->redrive)) {
        if (atomic_load(run->options->stop))
            redrive_drain(run->redrive);
        if (redrive_step(run->redrive, day_now_ms(), IDLE_WAIT_MS, err) != FX_OK ||
            check_patience(run, err) != FX_OK)
            break;
        show_progress(run);
    }
    if (run->has_progress)
        fputc('\n', stderr);
    report(run);
    return err->code;
}

enum fx_code rollup_redrive(const struct worker_options *options, enum reason reason,
                            bool *is_clean, struct fx_err *err)
{
    struct redriving run = {.options = options};
    struct redrive_options own = {.catalog = options->catalog,
                                  .topics = options->intake.topics,
                                  .seed = digest_random(),
                                  .bytes_max = options->bytes_max,
                                  .reason = reason};
    if (store_open(&options->store, &own.store, err) == FX_OK &&
        intake_open(&options->intake, &own.intake, err) == FX_OK &&
        store_count_rejected(own.store, reason, &run.total, err) == FX_OK &&
        redrive_open(&own, &run.redrive, err) == FX_OK && run_to_end(&run, err) == FX_OK) {
        const struct redrive_stats *stats = redrive_stats(run.redrive);
        bool is_cut_short = atomic_load(options->stop) && stats->rows < run.total;
        *is_clean = sum_rejected(stats) == 0 && stats->gone == 0 && !is_cut_short;
    }
    redrive_close(run.redrive);
    store_close(own.store);
    intake_close(own.intake);
    return err->code;
}
