/* SPDX-License-Identifier: Apache-2.0 */
#include "station_input.h"

#include "../common/day.h"
#include "../common/log.h"
#include "../schemas/region.h"
#include "follow.h"
#include "simulate.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STDIN_CHUNK 131072
#define FOLLOW_WAIT_MS 100
#define AWAY_RETRY_MS 1000 /* how often a file that cannot be opened again is tried */
#define PACE_MS 20         /* a paced simulation gives its lines in steps of this */

enum input_kind { INPUT_STDIN, INPUT_FOLLOW, INPUT_SIMULATION };

struct input {
    enum input_kind kind;
    struct station *station;
    bool is_ended;
    bool has_more;
    bool is_away;                  /* INPUT_FOLLOW: not at the stored position, nor open */
    int64_t retry_ms;              /* it is tried again then, monotonic */
    struct lines lines;            /* INPUT_STDIN */
    struct answers *answers;       /* INPUT_STDIN: stdout's, NULL: none wanted */
    int64_t number;                /* INPUT_STDIN: lines so far */
    struct follow follow;          /* INPUT_FOLLOW */
    struct simulation *simulation; /* INPUT_SIMULATION */
    struct region_tree regions;
    struct buf line;
    struct outbox_position at; /* INPUT_SIMULATION: lines taken */
    int64_t paced_since_ms;
    int64_t paced_lines;
};

/* What a position belongs to, in the outbox. */
static const char *position_name(const struct input *input)
{
    return input->kind == INPUT_FOLLOW ? input->station->options->follow : "simulation";
}

/* ---- simulation ---- */

static enum fx_code load_regions(struct input *input, struct fx_err *err)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/regions.csv", input->station->options->schemas);
    if (region_tree_init(&input->regions, err) != FX_OK)
        return err->code;
    return region_tree_load(&input->regions, path, err);
}

static enum fx_code make_simulation(struct input *input, struct fx_err *err)
{
    const struct station_options *options = input->station->options;
    const struct simulation_options wanted = {.kind = options->kind,
                                              .events = options->events,
                                              .sources = options->sources,
                                              .from_ms = options->from_ms,
                                              .to_ms = options->to_ms,
                                              .seed = (uint64_t)options->seed,
                                              .regions = &input->regions};
    if (load_regions(input, err) != FX_OK)
        return err->code;
    return simulation_open(&wanted, &input->simulation, err);
}

/* The position's detail: with other options the lines already taken would be other lines. */
static void describe_simulation(const struct station_options *options, char *out, size_t size)
{
    snprintf(out, size, "events=%lld sources=%lld from=%lld to=%lld seed=%lld model=%d",
             (long long)options->events, (long long)options->sources, (long long)options->from_ms,
             (long long)options->to_ms, (long long)options->seed, SIMULATION_MODEL);
}

static enum fx_code open_simulation(struct input *input, struct fx_err *err)
{
    char detail[OUTBOX_INPUT_MAX];
    describe_simulation(input->station->options, detail, sizeof detail);
    if (outbox_position(input->station->outbox, "simulation", &input->at, err) != FX_OK)
        return err->code;
    if (input->at.detail[0] != '\0' && strcmp(input->at.detail, detail) != 0)
        return fx_err_set(err, FX_ECONFIG,
                          "this outbox holds a simulation with %s, not with %s; use another "
                          "--outbox",
                          input->at.detail, detail);
    memcpy(input->at.detail, detail, sizeof detail);
    if (make_simulation(input, err) != FX_OK)
        return err->code;
    if (input->at.lines > 0)
        fx_log(FX_LOG_INFO, "simulation_resumed", "lines=%lld", (long long)input->at.lines);
    input->has_more = true;
    input->paced_since_ms = day_monotonic_ms();
    return simulation_skip(input->simulation, input->at.lines, err);
}

/* How many lines the pace allows now. */
static int64_t paced(struct input *input, int64_t limit)
{
    int64_t rate = input->station->options->rate;
    if (rate == 0)
        return limit;
    int64_t passed_ms = day_monotonic_ms() - input->paced_since_ms;
    int64_t due = passed_ms * rate / 1000 - input->paced_lines;
    return due < 0 ? 0 : due < limit ? due : limit;
}

static enum fx_code take_simulation(struct input *input, int64_t limit, struct fx_err *err)
{
    int64_t allowed = paced(input, limit);
    for (int64_t i = 0; i < allowed; i++) {
        if (simulation_next(input->simulation, &input->line, &input->is_ended, err) != FX_OK)
            return err->code;
        if (input->is_ended)
            break;
        const struct origin origin = {input->at.lines + 1, NULL};
        if (station_take(input->station, &origin, (const char *)input->line.data, input->line.size,
                         err) != FX_OK)
            return err->code;
        input->at.lines++;
        input->paced_lines++;
    }
    input->has_more = !input->is_ended && allowed == limit;
    return FX_OK;
}

/* ---- stdin and files ---- */

struct found {
    enum lines_found what;
    const char *text;
    size_t size;
};

static enum fx_code take_found(struct input *input, const struct found *found,
                               const struct origin *origin, struct fx_err *err)
{
    if (found->what == LINES_LINE)
        return station_take(input->station, origin, found->text, found->size, err);
    return station_reject_long(input->station, origin, err);
}

/* stdin stays blocking (a terminal shares its flags with the shell), so it is asked first. */
static bool is_readable(int file)
{
    struct pollfd poller = {.fd = file, .events = POLLIN};
    return poll(&poller, 1, 0) > 0;
}

/* The next line of stdin that is there without waiting. */
static enum fx_code next_of_stdin(struct input *input, struct found *found, struct fx_err *err)
{
    long count = 0;
    found->what = lines_next(&input->lines, &found->text, &found->size);
    if (found->what != LINES_NONE || !is_readable(STDIN_FILENO))
        return FX_OK;
    if (lines_read(&input->lines, STDIN_FILENO, &count, err) != FX_OK)
        return err->code;
    input->is_ended = count == 0;
    found->what = input->is_ended ? lines_last(&input->lines, &found->text, &found->size)
                                  : lines_next(&input->lines, &found->text, &found->size);
    return FX_OK;
}

static enum fx_code take_stdin(struct input *input, int64_t limit, struct fx_err *err)
{
    for (int64_t i = 0; i < limit && !input->is_ended; i++) {
        struct found found;
        if (next_of_stdin(input, &found, err) != FX_OK)
            return err->code;
        input->has_more = found.what != LINES_NONE;
        if (!input->has_more)
            return FX_OK;
        const struct origin origin = {++input->number, input->answers};
        if (take_found(input, &found, &origin, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

static enum fx_code take_follow(struct input *input, int64_t limit, struct fx_err *err)
{
    for (int64_t i = 0; i < limit; i++) {
        struct found found;
        if (follow_next(&input->follow, &found.what, &found.text, &found.size, err) != FX_OK)
            return err->code;
        input->has_more = found.what != LINES_NONE;
        if (!input->has_more)
            return FX_OK;
        const struct origin origin = {input->follow.at.lines, NULL};
        if (take_found(input, &found, &origin, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

/* The file is followed from now on, whatever its name is when its first line is taken. Where the
 * disk is full, from that line's commit on. */
static enum fx_code note_file(struct input *input, struct fx_err *err)
{
    struct outbox *outbox = input->station->outbox;
    if (outbox_begin(outbox, err) != FX_OK)
        return err->code;
    enum fx_code code = input_note(input, err);
    if (code == FX_OK)
        code = outbox_commit(outbox, err);
    if (code != FX_OK)
        outbox_rollback(outbox);
    return code;
}

static enum fx_code open_follow(struct input *input, struct fx_err *err)
{
    const char *path = input->station->options->follow;
    struct outbox_position at;
    if (strlen(path) >= OUTBOX_INPUT_MAX)
        return fx_err_set(err, FX_ECONFIG, "--follow: the path is too long");
    if (outbox_position(input->station->outbox, path, &at, err) != FX_OK ||
        follow_open(&input->follow, path, &at, err) != FX_OK)
        return err->code;
    if (at.inode != 0 || input->follow.at.inode == 0 || note_file(input, err) == FX_OK)
        return FX_OK;
    if (err->code != FX_EDISK)
        return err->code;
    fx_log(FX_LOG_WARN, "position_not_noted", "effect=with_the_first_line");
    fx_err_clear(err);
    return FX_OK;
}

/* ---- all of them ---- */

static enum fx_code open_kind(struct input *input, struct fx_err *err)
{
    switch (input->kind) {
    case INPUT_STDIN:
        lines_init(&input->lines, STDIN_CHUNK);
        return FX_OK;
    case INPUT_FOLLOW:
        return open_follow(input, err);
    case INPUT_SIMULATION:
        return open_simulation(input, err);
    }
    return FX_OK;
}

enum fx_code input_open(struct station *station, struct answers *answers, struct input **input,
                        struct fx_err *err)
{
    const struct station_options *options = station->options;
    *input = NULL;
    if (options->socket && options->follow == NULL)
        return FX_OK;
    struct input *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for an input");
    fresh->station = station;
    fresh->answers = answers;
    fresh->follow.file = -1;
    fresh->kind = options->simulate         ? INPUT_SIMULATION
                  : options->follow != NULL ? INPUT_FOLLOW
                                            : INPUT_STDIN;
    enum fx_code code = open_kind(fresh, err);
    if (code != FX_OK) {
        input_close(fresh);
        return code;
    }
    *input = fresh;
    return FX_OK;
}

/* Opens the followed file at the position that is stored. Where the disk says no, it is tried again
 * later: logrotate may be about to set its owner. */
static enum fx_code come_back(struct input *input, struct fx_err *err)
{
    input->is_away = false;
    if (open_follow(input, err) != FX_EDISK)
        return err->code;
    input->is_away = true;
    if (input->retry_ms == 0)
        fx_log_err("input_away", err);
    fx_err_clear(err);
    input->retry_ms = day_monotonic_ms() + AWAY_RETRY_MS;
    return FX_OK;
}

static bool is_due(const struct input *input)
{
    return input->is_away && day_monotonic_ms() >= input->retry_ms &&
           input->station->batch_lines == 0; /* the position of a begun file is noted by itself */
}

enum fx_code input_take(struct input *input, int64_t limit, struct fx_err *err)
{
    if (is_due(input) && come_back(input, err) != FX_OK)
        return err->code;
    if (input->is_away)
        return FX_OK;
    switch (input->kind) {
    case INPUT_STDIN:
        return take_stdin(input, limit, err);
    case INPUT_FOLLOW:
        return take_follow(input, limit, err);
    case INPUT_SIMULATION:
        return take_simulation(input, limit, err);
    }
    return FX_OK;
}

enum fx_code input_note(struct input *input, struct fx_err *err)
{
    if (input->kind == INPUT_STDIN || input->is_away)
        return FX_OK;
    if (input->kind == INPUT_FOLLOW && follow_sync(&input->follow, err) != FX_OK)
        return err->code;
    const struct outbox_position *at = input->kind == INPUT_FOLLOW ? &input->follow.at : &input->at;
    return outbox_set_position(input->station->outbox, position_name(input), at, err);
}

enum fx_code input_rewind(struct input *input, struct fx_err *err)
{
    if (input->kind != INPUT_FOLLOW)
        return fx_err_set(err, FX_EDISK, "this input cannot go back to the lines that were lost");
    follow_close(&input->follow);
    input->follow.file = -1;
    input->retry_ms = 0;
    return come_back(input, err);
}

int input_poll_fd(const struct input *input)
{
    return input->kind == INPUT_STDIN && !input->is_ended ? STDIN_FILENO : -1;
}

bool input_is_ended(const struct input *input)
{
    return input->is_ended;
}

bool input_has_more(const struct input *input)
{
    return input->has_more && !input->is_ended && !input->is_away;
}

int input_wait_ms(const struct input *input)
{
    return input->kind == INPUT_FOLLOW       ? FOLLOW_WAIT_MS
           : input->kind == INPUT_SIMULATION ? PACE_MS
                                             : INT_MAX;
}

enum input_state input_state(const struct input *input)
{
    if (input->is_ended)
        return INPUT_CLOSED;
    return input->is_away || input->follow.is_stale ? INPUT_STALE : INPUT_OPEN;
}

void input_close(struct input *input)
{
    if (input == NULL)
        return;
    lines_release(&input->lines);
    follow_close(&input->follow);
    simulation_close(input->simulation);
    region_tree_release(&input->regions);
    buf_release(&input->line);
    free(input);
}

enum fx_code input_write_sources(const struct station_options *options, struct fx_err *err)
{
    struct station station = {.options = options};
    struct input input = {.station = &station, .follow = {.file = -1}};
    FILE *out = fopen(options->write_sources, "we");
    if (out == NULL)
        return fx_err_set(err, FX_EDISK, "%s: %s", options->write_sources, strerror(errno));
    enum fx_code code = make_simulation(&input, err);
    if (code == FX_OK) {
        fputs("source,kind,name,region,valid_from,valid_to\n", out);
        code = simulation_write_sources(input.simulation, out, err);
    }
    simulation_close(input.simulation);
    region_tree_release(&input.regions);
    if (fclose(out) != 0 && code == FX_OK)
        code = fx_err_set(err, FX_EDISK, "%s: %s", options->write_sources, strerror(errno));
    return code;
}

enum fx_code input_each_simulated(const struct station_options *options, input_line_cb *take,
                                  void *context, struct fx_err *err)
{
    struct station station = {.options = options};
    struct input input = {.station = &station, .follow = {.file = -1}, .line = BUF_INIT};
    bool is_done = false;
    enum fx_code code = make_simulation(&input, err);
    while (code == FX_OK) {
        code = simulation_next(input.simulation, &input.line, &is_done, err);
        if (code != FX_OK || is_done)
            break;
        code = take(context, buf_text(&input.line), input.line.size, err);
    }
    simulation_close(input.simulation);
    region_tree_release(&input.regions);
    buf_release(&input.line);
    return code;
}
