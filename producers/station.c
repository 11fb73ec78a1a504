/* SPDX-License-Identifier: Apache-2.0 */
#include "station.h"

#include "../common/day.h"
#include "../common/log.h"
#include "station_command.h"
#include "station_core.h"
#include "station_input.h"
#include "station_socket.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_MS 500        /* how often acknowledgements are written when no lines come */
#define FULL_RETRY_MS 1000  /* how often a full outbox is looked at again */
#define ASKED_RETRY_MS 1000 /* how often a request that could not be noted is taken again */
#define STOP_DRAIN_S 10     /* after a signal */
#define ASKED_LAST_MS 5000  /* at the end, for what the city asks for to be heard */
#define PROGRESS_AFTER_MS 2000
#define PROGRESS_MS 500
#define STATS_MS 60000

static volatile sig_atomic_t stop_signals;
static volatile sig_atomic_t stats_signals;

static void on_signal(int number)
{
    if (number == SIGUSR1)
        stats_signals = stats_signals + 1;
    else
        stop_signals = stop_signals + 1;
}

struct running {
    struct station *station;
    struct input *input;    /* NULL: the socket alone */
    struct server *server;  /* NULL: none */
    struct answers answers; /* stdout's */
    int64_t started_ms;     /* all below monotonic */
    int64_t flushed_ms;
    int64_t full_until_ms; /* the outbox is looked at again then */
    int64_t progress_ms;
    int64_t stats_ms;
    int64_t drain_until_ms; /* INT64_MAX: as long as it takes */
    int64_t asked_until_ms; /* then the end no longer waits for the city's requests */
    int64_t asked_retry_ms; /* requests are heard again then */
    bool is_deaf;           /* the last request could not be noted; told once */
    bool has_own_run;       /* the post's own is in the outbox */
};

static void set_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL); /* a limit of file size is a full disk */
}

static void log_stats(const struct running *running, enum fx_log_level level)
{
    const struct station_counts *counts = &running->station->counts;
    struct shipper_counts shipped = {0};
    if (running->station->shipper != NULL)
        shipper_count(running->station->shipper, &shipped);
    fx_log(level, "stats",
           "lines=%lld stored=%lld rejected=%lld repeated=%lld refused=%lld clock_back=%lld "
           "sent=%lld acked=%lld producers=%lld",
           (long long)counts->lines, (long long)counts->stored, (long long)counts->rejected,
           (long long)counts->repeated, (long long)counts->refused, (long long)counts->clock_back,
           (long long)shipped.sent, (long long)shipped.acked, (long long)shipped.opened);
}

/* One line on a terminal that overwrites itself. */
static void show_progress(struct running *running, int64_t now_ms)
{
    const struct station *station = running->station;
    if (now_ms - running->started_ms < PROGRESS_AFTER_MS ||
        now_ms - running->progress_ms < PROGRESS_MS || isatty(STDERR_FILENO) == 0)
        return;
    running->progress_ms = now_ms;
    int64_t waiting = outbox_last_id(station->outbox) - outbox_acked_id(station->outbox);
    fprintf(stderr, "\r%lld lines, %lld/s, %lld waiting for Kafka   ",
            (long long)station->counts.lines,
            (long long)(station->counts.lines * 1000 / (now_ms - running->started_ms)),
            (long long)waiting);
}

static void write_answers(struct answers *answers)
{
    if (answers->settled == 0)
        return;
    fwrite(answers->out.data, 1, answers->settled, stdout);
    fflush(stdout);
    memmove(answers->out.data, answers->out.data + answers->settled,
            answers->out.size - answers->settled);
    answers->out.size -= answers->settled;
    answers->settled = 0;
}

/* ---- one turn ---- */

/* A daemon outlives a full disk: no line is taken until there is room. */
static bool outlives(struct running *running, struct fx_err *err)
{
    if (err->code != FX_EDISK || !station_is_daemon(running->station->options))
        return false;
    if (!running->station->is_full)
        fx_log_err("outbox_refuses", err);
    running->station->is_full = true;
    running->full_until_ms = day_monotonic_ms() + FULL_RETRY_MS;
    fx_err_clear(err);
    return true;
}

/* The batch is lost: what can be asked again is, everything else is told and ends the program. */
static enum fx_code lose_batch(struct running *running, struct fx_err *err)
{
    station_rollback(running->station, err);
    if (!outlives(running, err))
        return err->code;
    return running->input != NULL && !input_is_ended(running->input)
               ? input_rewind(running->input, err)
               : FX_OK;
}

static void look_for_room(struct running *running, int64_t now_ms)
{
    struct station *station = running->station;
    if (station->batch_lines > 0 || now_ms < running->full_until_ms)
        return;
    bool was_full = station->is_full;
    /* a disk that took nothing is tried with little, not with a batch that would be lost again */
    station->is_full =
        !outbox_has_room(station->outbox) || (was_full && !outbox_can_write(station->outbox));
    if (station->is_full)
        running->full_until_ms = now_ms + FULL_RETRY_MS;
    if (station->is_full != was_full)
        fx_log(FX_LOG_WARN, station->is_full ? "outbox_full" : "outbox_has_room", "refused=%lld",
               (long long)station->counts.refused);
}

/* A post that says its name is heard of even before its first line; where the disk is full at the
 * start, once there is room. */
static enum fx_code open_own_run(struct running *running, struct fx_err *err)
{
    struct station *station = running->station;
    const struct station_options *options = station->options;
    struct outbox_run *run = NULL;
    if (running->has_own_run || station->is_full || station->is_ending || options->simulate ||
        options->source == NULL || options->region == NULL)
        return FX_OK;
    if (station_begin(station, err) != FX_OK ||
        outbox_take_run(station->outbox, options->source, options->region, &run, err) != FX_OK)
        return err->code;
    running->has_own_run = station_commit(station, err) == FX_OK;
    return err->code;
}

static enum fx_code take_lines(struct running *running, struct fx_err *err)
{
    struct station *station = running->station;
    int64_t limit = station->options->group_lines - station->batch_lines + 1;
    if (limit < 1)
        limit = 1;
    if (running->input != NULL && !station->is_full && !station->is_ending &&
        input_take(running->input, limit, err) != FX_OK)
        return err->code;
    if (running->server != NULL && server_serve(running->server, limit, err) != FX_OK)
        return err->code;
    return FX_OK;
}

static bool is_batch_due(const struct running *running)
{
    const struct station *station = running->station;
    if (station->batch_lines == 0)
        return false;
    if (station->batch_lines > station->options->group_lines || station->is_ending)
        return true;
    bool has_more = (running->input != NULL && input_has_more(running->input)) ||
                    (running->server != NULL && server_has_more(running->server));
    return !has_more && day_monotonic_ms() - station->batch_since_ms >= station->options->group_ms;
}

/* What the city asks for goes to the outbox, and from there to the shipper. A disk or memory
 * without room for a request is no reason to stop sending, which makes room, or taking lines. */
static enum fx_code hear_requests(struct running *running, int64_t now_ms, struct fx_err *err)
{
    struct station *station = running->station;
    bool is_noted = false;
    if (station->asked == NULL || now_ms < running->asked_retry_ms)
        return FX_OK;
    enum fx_code code = asked_poll(station->asked, &is_noted, err);
    if (is_noted)
        shipper_note_resend(station->shipper);
    bool has_no_room = code == FX_EDISK || code == FX_EMEMORY;
    if (has_no_room) {
        if (!running->is_deaf)
            fx_log_err("requests_wait", err);
        running->asked_retry_ms = now_ms + ASKED_RETRY_MS;
        fx_err_clear(err);
    }
    running->is_deaf = has_no_room;
    return err->code;
}

static enum fx_code send_and_flush(struct running *running, int64_t now_ms, struct fx_err *err)
{
    struct station *station = running->station;
    enum input_state state = station->is_ending       ? INPUT_CLOSED
                             : station->is_full       ? INPUT_STALE
                             : running->input != NULL ? input_state(running->input)
                                                      : INPUT_OPEN;
    if (station->batch_lines > 0)
        return FX_OK; /* never within a transaction */
    if (hear_requests(running, now_ms, err) != FX_OK)
        return err->code;
    if (station->shipper != NULL && shipper_pump(station->shipper, state, err) != FX_OK)
        return err->code;
    if (now_ms - running->flushed_ms < FLUSH_MS)
        return FX_OK;
    running->flushed_ms = now_ms;
    return outbox_flush(station->outbox, station->now_ms, err);
}

static enum fx_code turn(struct running *running, struct fx_err *err)
{
    struct station *station = running->station;
    int64_t now_ms = day_monotonic_ms();
    station->now_ms = day_now_ms();
    look_for_room(running, now_ms);
    enum fx_code code = open_own_run(running, err);
    if (code == FX_OK)
        code = take_lines(running, err);
    if (code == FX_OK && is_batch_due(running))
        code = station_commit(station, err);
    if (code == FX_OK)
        code = buf_check(&running->answers.out, err);
    if (code != FX_OK)
        code = lose_batch(running, err);
    write_answers(&running->answers);
    /* acknowledgements that could not be written down stay in memory; at worst they come again */
    if (code == FX_OK && send_and_flush(running, now_ms, err) != FX_OK && !outlives(running, err))
        code = err->code;
    show_progress(running, now_ms);
    if (stats_signals != 0 || now_ms - running->stats_ms >= STATS_MS) {
        stats_signals = 0;
        running->stats_ms = now_ms;
        log_stats(running, FX_LOG_INFO);
    }
    return code;
}

/* ---- waiting ---- */

static int wait_ms(const struct running *running)
{
    const struct station *station = running->station;
    if ((running->input != NULL && input_has_more(running->input) && !station->is_full &&
         !station->is_ending) ||
        (running->server != NULL && server_has_more(running->server)) ||
        (station->shipper != NULL && station->batch_lines == 0 &&
         shipper_is_hungry(station->shipper)))
        return 0;
    int wait = 200;
    if (station->batch_lines > 0 && station->options->group_ms < wait)
        wait = (int)station->options->group_ms;
    if (running->input != NULL && input_wait_ms(running->input) < wait)
        wait = input_wait_ms(running->input);
    return wait;
}

static void wait_for_work(const struct running *running)
{
    const struct station *station = running->station;
    struct pollfd fds[SOCKET_CLIENTS_MAX + 4];
    nfds_t count = 0;
    int milliseconds = wait_ms(running);
    if (milliseconds == 0 || (stop_signals > 0 && !station->is_ending))
        return;
    if (running->server != NULL)
        count = (nfds_t)server_poll_fds(running->server, fds);
    if (running->input != NULL && input_poll_fd(running->input) >= 0 && !station->is_full &&
        !station->is_ending)
        fds[count++] = (struct pollfd){.fd = input_poll_fd(running->input), .events = POLLIN};
    if (station->shipper != NULL)
        fds[count++] = (struct pollfd){.fd = shipper_wake_fd(station->shipper), .events = POLLIN};
    if (station->asked != NULL)
        fds[count++] = (struct pollfd){.fd = asked_wake_fd(station->asked), .events = POLLIN};
    (void)!poll(fds, count, milliseconds);
}

/* ---- the end ---- */

static void end_input(struct running *running)
{
    const struct station_options *options = running->station->options;
    int64_t seconds = options->drain_s;
    running->station->is_ending = true;
    if (seconds < 0)
        seconds = stop_signals > 0 ? STOP_DRAIN_S : INT64_MAX / 2000;
    running->drain_until_ms = day_monotonic_ms() + seconds * 1000;
    running->asked_until_ms = day_monotonic_ms() + ASKED_LAST_MS;
    if (running->asked_until_ms > running->drain_until_ms)
        running->asked_until_ms = running->drain_until_ms;
    if (running->station->shipper != NULL && !options->no_drain)
        shipper_end(running->station->shipper);
}

/* A post that runs for a moment only, hour by hour, hears what the city asks for too. */
static bool has_heard(const struct running *running)
{
    const struct asked *asked = running->station->asked;
    return asked == NULL || asked_is_settled(asked) || stop_signals > 1 ||
           day_monotonic_ms() >= running->asked_until_ms;
}

/* Is there nothing more to wait for? On error the outbox keeps what is not sent. */
static bool is_over(struct running *running, struct fx_err *err)
{
    struct station *station = running->station;
    if (!station->is_ending || station->batch_lines > 0)
        return false;
    if (station->shipper == NULL || station->options->no_drain ||
        (shipper_is_done(station->shipper) && has_heard(running)))
        return true;
    struct fx_err trouble = FX_ERR_INIT;
    enum fx_code code = shipper_trouble(station->shipper, &trouble);
    bool is_late = day_monotonic_ms() >= running->drain_until_ms || stop_signals > 1;
    if (code != FX_ECONFIG && !is_late)
        return false;
    fx_err_set(err, code == FX_ECONFIG ? FX_ECONFIG : FX_ERETRY,
               "%lld events are stored but not acknowledged by Kafka; they stay in the outbox%s%s",
               (long long)(outbox_last_id(station->outbox) - outbox_acked_id(station->outbox)),
               code == FX_OK ? "" : ": ", trouble.text);
    return true;
}

static enum fx_code run_loop(struct running *running, struct fx_err *err)
{
    enum fx_code code = FX_OK;
    while (code == FX_OK) {
        bool has_ended = running->input != NULL && input_is_ended(running->input) &&
                         !station_is_daemon(running->station->options);
        if (!running->station->is_ending && (stop_signals > 0 || has_ended))
            end_input(running);
        code = turn(running, err);
        if (code == FX_OK && is_over(running, err))
            break;
        if (code == FX_OK)
            wait_for_work(running);
    }
    if (code == FX_OK || code == FX_ERETRY) {
        struct fx_err unflushed = FX_ERR_INIT;
        if (running->station->batch_lines == 0 &&
            outbox_flush(running->station->outbox, day_now_ms(), &unflushed) != FX_OK)
            fx_log_err("flush", &unflushed); /* sent again next time: harmless */
    }
    return err->code;
}

/* The socket is a convenience unless lines come from it: without one commands wait for the end. */
static enum fx_code open_server(struct running *running, struct fx_err *err)
{
    struct station *station = running->station;
    struct fx_err failed = FX_ERR_INIT;
    char path[STATION_SOCKET_PATH_MAX];
    station_socket_path(station->options, path);
    if (server_open(station, path, &running->server, &failed) == FX_OK)
        return FX_OK;
    if (station->options->socket)
        return fx_err_set(err, failed.code, "%s", failed.text);
    fx_log(FX_LOG_DEBUG, "no_socket", "effect=commands_need_the_station_stopped");
    return FX_OK;
}

static void set_up(struct running *running, struct station *station)
{
    int64_t now_ms = day_monotonic_ms();
    *running = (struct running){.station = station,
                                .answers = {.out = BUF_INIT},
                                .started_ms = now_ms,
                                .flushed_ms = now_ms,
                                .stats_ms = now_ms};
    station->now_ms = day_now_ms();
    set_signals();
}

enum fx_code station_run(struct station *station, struct fx_err *err)
{
    struct running running;
    set_up(&running, station);
    struct answers *answers = station->options->answers ? &running.answers : NULL;
    enum fx_code code = input_open(station, answers, &running.input, err);
    station->input = running.input;
    if (code == FX_OK)
        code = open_server(&running, err);
    if (code == FX_OK)
        code = run_loop(&running, err);
    if (station->batch_lines > 0)
        station_rollback(station, err);
    if (isatty(STDERR_FILENO) != 0 && running.progress_ms != 0)
        fputc('\n', stderr);
    write_answers(&running.answers);
    log_stats(&running, FX_LOG_INFO);
    server_close(running.server);
    station->input = NULL;
    input_close(running.input);
    buf_release(&running.answers.out);
    return err->code;
}

enum fx_code station_drain(struct station *station, struct fx_err *err)
{
    struct running running;
    set_up(&running, station);
    end_input(&running);
    return run_loop(&running, err);
}
