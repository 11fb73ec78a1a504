/* SPDX-License-Identifier: Apache-2.0 */
/* sim_post_line - how a post takes lines and reversals, by the rules of station_line.c. */
#include "sim_post.h"

#define BATCH_MAX 8
#define INPUT "file"
#define FULL_MS 1000 /* as in station.c */

/* Lines of one transaction. */
struct batch {
    int first; /* entry */
    int count;
    int lines[BATCH_MAX];
    int answers[BATCH_MAX]; /* entries */
    int64_t position;       /* POST_FOLLOW */
};

static void line_id(const struct post *post, int line, char out[24])
{
    snprintf(out, 24, "%d-%d", (int)(post - posts.items), line);
}

void post_make_line(struct post *post)
{
    if (post->line_count == POST_LINES_MAX)
        return;
    post->lines[post->line_count++] =
        (struct post_line){-1, -1, dice_below(&posts.dice, POST_SOURCES), false};
}

bool post_has_lines(const struct post *post)
{
    if (post->mode == POST_FOLLOW)
        return post->position < post->line_count;
    for (int i = 0; i < post->line_count; i++)
        if (post->mode == POST_IDS && post->lines[i].answer < 0)
            return true;
    return false;
}

/* A line without an answer, whoever asks again; -1: none. */
static int find_unanswered(const struct post *post)
{
    int first = post->line_count == 0 ? 0 : dice_below(&posts.dice, post->line_count);
    for (int i = 0; i < post->line_count; i++) {
        int line = (first + i) % post->line_count;
        if (post->lines[line].answer < 0)
            return line;
    }
    return -1;
}

/* The line that comes next, -1: none. */
static int pick_line(struct post *post, const struct batch *batch)
{
    bool has_room = posts.entry_count < POST_ENTRIES_MAX - BATCH_MAX;
    if (!has_room)
        return -1;
    if (post->mode == POST_IDS && (posts.is_calm || dice_chance(&posts.dice, 30))) {
        int line = find_unanswered(post);
        if (line >= 0 || posts.is_calm)
            return line;
    }
    if (post->mode == POST_IDS && post->line_count > 0 && dice_chance(&posts.dice, 12))
        return dice_below(&posts.dice, post->line_count);
    bool is_at_end = post->mode != POST_FOLLOW || batch->position == post->line_count;
    if (is_at_end && (posts.is_calm || post->line_count == POST_LINES_MAX))
        return -1;
    if (is_at_end)
        post_make_line(post);
    return post->mode == POST_FOLLOW ? (int)batch->position : post->line_count - 1;
}

static struct saying draw_saying(const struct post *post, int source)
{
    struct dice *dice = &posts.dice;
    struct saying saying = saying_of(post->sources[source], 0, 0);
    saying.topic = post->topic;
    saying.region = kinds_regions[dice_below(dice, KINDS_REGIONS - 1)][0]; /* always known */
    saying_draw(&saying, dice);
    saying.occurred_ms = post_now_ms(post) - dice_below(dice, 4000000);
    return saying;
}

/* The event in saying gets the next number of its source. */
static enum fx_code store(struct post *post, struct saying *saying, int line,
                          struct outbox_run **run, struct fx_err *err)
{
    char id[24];
    if (outbox_take_run(post->outbox, saying->source, saying->region, run, err) != FX_OK)
        return err->code;
    saying->run = (*run)->run;
    saying->seq = (*run)->last_seq + 1;
    const struct entry *entry = &posts.entries[journal_add(post, saying, line)];
    struct outbox_event event = {entry->bytes.bytes, entry->bytes.size, saying->occurred_ms,
                                 post_now_ms(post), NULL};
    if (line >= 0 && post->mode == POST_IDS) {
        line_id(post, line, id);
        event.id = id;
    }
    (*run)->last_line_ms = event.stored_at_ms;
    return outbox_append(post->outbox, *run, &event, err);
}

/* The entry of line that the outbox still has, -1: none. */
static enum fx_code find_kept(struct post *post, int line, int *kept, struct fx_err *err)
{
    *kept = -1;
    for (int i = post->lines[line].entry; i >= 0; i = posts.entries[i].previous) {
        const struct entry *entry = &posts.entries[i];
        bool is_kept = entry->state == ENTRY_OPEN;
        if (!is_kept && post_keeps(post, i, &is_kept, err) != FX_OK)
            return err->code;
        if (is_kept && (*kept >= 0 || entry->state == ENTRY_GONE))
            fail_msg("post %d line %d is kept twice, or after a rollback",
                     (int)(post - posts.items), line);
        if (is_kept)
            *kept = i;
    }
    return FX_OK;
}

/* The last entry of line that was acknowledged and may be pruned by now, -1: none. */
static int find_acked(const struct post *post, int line)
{
    int i = post->lines[line].entry;
    while (i >= 0 && !posts.entries[i].is_acked)
        i = posts.entries[i].previous;
    return i;
}

/* What its clock stamped while it was ahead goes with what came next. */
static bool may_forget(const struct post *post, int entry)
{
    int64_t keep_ms = post->room_max > 0 ? OUTBOX_ID_KEEP_FULL_MS : OUTBOX_ID_KEEP_MS;
    for (int i = entry; i < posts.entry_count; i++)
        if (&posts.items[posts.entries[i].post] == post &&
            post->pruned_ms - posts.entries[i].stored_ms > keep_ms)
            return true;
    return false;
}

/* *known is the entry that the line's id stands for, -1: it is new to the outbox. */
static enum fx_code check_id(struct post *post, int line, int *known, struct fx_err *err)
{
    char id[24];
    struct outbox_number found = {0, 0};
    line_id(post, line, id);
    if (find_kept(post, line, known, err) != FX_OK ||
        outbox_find_line(post->outbox, post->sources[post->lines[line].source], id, &found, err) !=
            FX_OK)
        return err->code;
    int acked = *known < 0 ? find_acked(post, line) : -1;
    if (acked >= 0 && found.seq == 0 && may_forget(post, acked))
        post->lines[line].may_repeat = true;
    else if (acked >= 0)
        *known = acked;
    int64_t seq = *known < 0 ? 0 : posts.entries[*known].saying.seq;
    if (found.seq != seq || (seq != 0 && found.run != posts.entries[*known].saying.run))
        fail_msg("post %d line %d: its id is answered %" PRId64 ", its number is %" PRId64,
                 (int)(post - posts.items), line, found.seq, seq);
    sim.events[SIM_repeated_ids] += seq != 0;
    return FX_OK;
}

static enum fx_code take_line(struct post *post, struct batch *batch, struct fx_err *err)
{
    int line = pick_line(post, batch);
    int kept = -1;
    struct outbox_run *run = NULL;
    if (line < 0)
        return FX_OK;
    if (post->mode == POST_IDS && check_id(post, line, &kept, err) != FX_OK)
        return err->code;
    if (kept < 0) {
        struct saying saying = draw_saying(post, post->lines[line].source);
        if (store(post, &saying, line, &run, err) != FX_OK)
            return err->code;
        kept = post->lines[line].entry;
    }
    batch->lines[batch->count] = line;
    batch->answers[batch->count++] = kept;
    batch->position++;
    return FX_OK;
}

static void set_states(int first, enum entry_state state)
{
    for (int i = first; i < posts.entry_count; i++)
        posts.entries[i].state = state;
}

/* Nobody gets an answer. A commit that failed may yet be found on the disk; nothing else may. */
static void give_up(struct post *post, int first, bool is_unknown)
{
    outbox_rollback(post->outbox);
    set_states(first, is_unknown ? ENTRY_UNKNOWN : ENTRY_GONE);
    sim.events[SIM_rollbacks]++;
}

/* Commits the entries from first on; false: they were given up. */
static bool commit(struct post *post, int first, enum fx_code code, struct fx_err *err)
{
    post->disk->is_in_doubt = false;
    bool is_committing = code == FX_OK;
    if (is_committing)
        code = outbox_commit(post->outbox, err);
    if (code == FX_OK) {
        set_states(first, ENTRY_ANSWERED);
        sim.events[SIM_post_events] += posts.entry_count - first;
        return true;
    }
    give_up(post, first, is_committing && post->disk->is_in_doubt);
    post->has_failed = true;
    post->full_until_ms = sim.world.now_ms + FULL_MS;
    (void)post_goes_on(post, code, err);
    return false;
}

void post_take_lines(struct post *post)
{
    struct fx_err err = FX_ERR_INIT;
    struct batch batch = {.first = posts.entry_count, .position = post->position};
    enum fx_code code = outbox_begin(post->outbox, &err);
    if (code != FX_OK) {
        (void)post_goes_on(post, code, &err);
        return;
    }
    for (int i = dice_below(&posts.dice, BATCH_MAX - 1); i >= 0 && code == FX_OK; i--)
        code = take_line(post, &batch, &err);
    struct outbox_position position = {.offset = batch.position, .lines = batch.position};
    if (code == FX_OK && post->mode == POST_FOLLOW)
        code = outbox_set_position(post->outbox, INPUT, &position, &err);
    if (code == FX_OK && !posts.is_calm && dice_chance(&posts.dice, 5)) {
        give_up(post, batch.first, false);
        return;
    }
    if (!commit(post, batch.first, code, &err))
        return;
    post->position = batch.position;
    for (int i = 0; i < batch.count; i++) {
        post->lines[batch.lines[i]].answer = batch.answers[i];
        posts.entries[batch.answers[i]].state = ENTRY_ANSWERED; /* perhaps found again */
    }
}

/* Where a file was left: behind every line that was answered. */
enum fx_code post_read_position(struct post *post, struct fx_err *err)
{
    struct outbox_position position = {.offset = 0};
    if (post->mode != POST_FOLLOW)
        return FX_OK;
    if (outbox_position(post->outbox, INPUT, &position, err) != FX_OK)
        return err->code;
    if (position.offset < post->position || position.offset > post->line_count)
        fail_msg("post %d goes on at line %" PRId64 ", %" PRId64 " are answered",
                 (int)(post - posts.items), position.offset, post->position);
    post->position = position.offset;
    return FX_OK;
}

/* An event of this post's sources, -1: none is found. */
static int pick_event(const struct post *post)
{
    if (posts.entry_count == 0)
        return -1;
    int index = dice_below(&posts.dice, posts.entry_count);
    const struct entry *entry = &posts.entries[index];
    bool is_own = entry->saying.topic == post->topic &&
                  (strcmp(entry->saying.source, post->sources[0]) == 0 ||
                   strcmp(entry->saying.source, post->sources[1]) == 0);
    return is_own && entry->state == ENTRY_ANSWERED && entry->saying.sign > 0 ? index : -1;
}

/* The reversal of a kept event that was not reversed here; FX_EINPUT: it is not to be. */
static enum fx_code store_reversal(struct post *post, int undone, struct fx_err *err)
{
    static struct outbox_stored stored;
    struct saying saying = posts.entries[undone].saying;
    const struct outbox_number number = {saying.run, saying.seq};
    struct outbox_run *run = NULL;
    if (outbox_find_event(post->outbox, saying.source, &number, &stored, err) != FX_OK)
        return err->code;
    if (stored.size == 0 || stored.is_reversed)
        return fx_err_set(err, FX_EINPUT, "not kept, or reversed");
    assert_int_equal(stored.size, posts.entries[undone].bytes.size);
    assert_memory_equal(stored.bytes, posts.entries[undone].bytes.bytes, stored.size);
    saying.sign = -1;
    saying.reverses_run = number.run;
    saying.reverses_seq = number.seq;
    if (store(post, &saying, -1, &run, err) != FX_OK)
        return err->code;
    posts.entries[posts.entry_count - 1].undone = undone;
    return outbox_note_reversal(post->outbox, stored.id, run, "simulated", err);
}

void post_reverse(struct post *post)
{
    struct fx_err err = FX_ERR_INIT;
    int first = posts.entry_count;
    int undone = pick_event(post);
    if (undone < 0 || first >= POST_ENTRIES_MAX - BATCH_MAX)
        return;
    enum fx_code code = outbox_begin(post->outbox, &err);
    if (code != FX_OK) {
        (void)post_goes_on(post, code, &err);
        return;
    }
    code = store_reversal(post, undone, &err);
    if (code == FX_EINPUT)
        give_up(post, first, false);
    else
        sim.events[SIM_post_reversed] += commit(post, first, code, &err);
}
