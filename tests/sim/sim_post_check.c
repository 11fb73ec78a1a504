/* SPDX-License-Identifier: Apache-2.0 */
/* sim_post_check - the journal of the posts, and what must hold of logs, heartbeats and figures. */
#include "sim_post.h"

#include "../../schemas/heartbeat_schema.h"

int64_t post_now_ms(const struct post *post)
{
    return sim.world.now_ms + post->clock_ms;
}

void post_note_pruning(struct post *post)
{
    if (post->pruned_ms < post_now_ms(post))
        post->pruned_ms = post_now_ms(post);
}

/* ---- the journal ---- */

static int *slot_of(int64_t run, int64_t seq)
{
    return &posts.slots[hash_u64((uint64_t)run, (uint64_t)seq) % POST_SLOTS];
}

int journal_add(struct post *post, const struct saying *saying, int line)
{
    int index = posts.entry_count++;
    int *slot = slot_of(saying->run, saying->seq);
    assert_true(index < POST_ENTRIES_MAX);
    struct entry *entry = &posts.entries[index];
    *entry = (struct entry){.post = (int)(post - posts.items),
                            .line = line,
                            .previous = line < 0 ? -1 : post->lines[line].entry,
                            .next = *slot,
                            .saying = *saying,
                            .bytes = saying_encode(sim.world.catalog, saying),
                            .stored_ms = post_now_ms(post),
                            .undone = -1,
                            .wanted_of = -1};
    *slot = index;
    if (line >= 0)
        post->lines[line].entry = index;
    return index;
}

/* Reads source and the number behind it of an event or a heartbeat. */
static void read_head(const uint8_t **at, const uint8_t *end, struct saying *saying)
{
    int64_t size = 0;
    assert_true(wire_read_long(at, end, &size) && size <= end - *at);
    saying->source = NULL;
    for (int i = 0; i < posts.count * POST_SOURCES; i++) {
        const char *name = posts.items[i / POST_SOURCES].sources[i % POST_SOURCES];
        if (strlen(name) == (size_t)size && memcmp(name, *at, (size_t)size) == 0)
            saying->source = name;
    }
    assert_non_null(saying->source);
    *at += size;
    assert_true(wire_read_long(at, end, &saying->run) && wire_read_long(at, end, &saying->seq));
}

static bool is_heartbeat(const uint8_t *bytes, size_t size)
{
    uint64_t fingerprint = 0;
    assert_true(wire_read_header(bytes, size, &fingerprint));
    return fingerprint == kind_current(&sim.world.catalog->heartbeat)->fingerprint;
}

int journal_find(const uint8_t *bytes, size_t size)
{
    struct saying head;
    const uint8_t *at = bytes + WIRE_HEADER_SIZE;
    if (is_heartbeat(bytes, size))
        return -1;
    read_head(&at, bytes + size, &head);
    int index = *slot_of(head.run, head.seq);
    while (index >= 0 && (posts.entries[index].bytes.size != size ||
                          memcmp(posts.entries[index].bytes.bytes, bytes, size) != 0))
        index = posts.entries[index].next;
    if (index < 0)
        fail_msg("%s %012" PRIx64 ":%" PRId64 " was never given to the outbox", head.source,
                 head.run, head.seq);
    return index;
}

enum fx_code post_keeps(struct post *post, int entry, bool *is_kept, struct fx_err *err)
{
    static struct outbox_stored stored;
    const struct entry *one = &posts.entries[entry];
    const struct outbox_number number = {one->saying.run, one->saying.seq};
    if (outbox_find_event(post->outbox, one->saying.source, &number, &stored, err) != FX_OK)
        return err->code;
    *is_kept =
        stored.size == one->bytes.size && memcmp(stored.bytes, one->bytes.bytes, stored.size) == 0;
    return FX_OK;
}

static _Noreturn void complain(int index, const char *what)
{
    const struct entry *entry = &posts.entries[index];
    fail_msg("entry %d, post %d line %d, %s %012" PRIx64 ":%" PRId64 ": %s", index, entry->post,
             entry->line, entry->saying.source, entry->saying.run, entry->saying.seq, what);
    abort();
}

/* ---- messages ---- */

/* Its state. */
static enum heartbeat_state read_heartbeat(const uint8_t *bytes, size_t size, struct saying *beat)
{
    const uint8_t *at = bytes + WIRE_HEADER_SIZE;
    const uint8_t *end = bytes + size;
    int64_t values[6]; /* state, last_seq, acked_seq, oldest_kept, refused, input_state */
    int64_t branch = 0;
    int64_t number = 0;
    read_head(&at, end, beat);
    for (int i = 0; i < 6; i++)
        assert_true(wire_read_long(&at, end, &values[i]));
    for (int i = 0; i < 3; i++) { /* last_line_at, previous_run, previous_last_seq */
        assert_true(wire_read_long(&at, end, &branch));
        assert_true(branch == 0 || wire_read_long(&at, end, &number));
    }
    assert_true(wire_read_long(&at, end, &number) && number < end - at);
    for (int i = 0; i < KINDS_REGIONS; i++)
        if (strlen(kinds_regions[i][0]) == (size_t)number &&
            memcmp(kinds_regions[i][0], at, (size_t)number) == 0)
            beat->region = kinds_regions[i][0];
    at += number;
    assert_true(wire_read_long(&at, end, &beat->occurred_ms) && at == end);
    beat->is_heartbeat = true;
    beat->last_seq = values[1];
    beat->acked_seq = values[2];
    beat->is_closed = values[5] != INPUT_OPEN;
    return (enum heartbeat_state)values[0];
}

static const struct entry *entry_of(int64_t run, int64_t seq, enum entry_state state)
{
    int index = *slot_of(run, seq);
    while (index >= 0 &&
           (posts.entries[index].saying.run != run || posts.entries[index].saying.seq != seq ||
            posts.entries[index].state < state))
        index = posts.entries[index].next;
    return index < 0 ? NULL : &posts.entries[index];
}

static bool is_acked(int64_t run, int64_t seq)
{
    for (int index = *slot_of(run, seq); index >= 0; index = posts.entries[index].next)
        if (posts.entries[index].saying.run == run && posts.entries[index].saying.seq == seq &&
            posts.entries[index].is_acked)
            return true;
    return false;
}

/* A heartbeat promises nothing that was not acknowledged, and hides nothing that was answered. */
static void check_heartbeat(const struct post *post, const struct saying *beat)
{
    for (int64_t seq = 1; seq <= beat->acked_seq; seq++)
        if (!is_acked(beat->run, seq))
            fail_msg("a heartbeat of %012" PRIx64 " says %" PRId64 " acknowledged, %" PRId64
                     " is not",
                     beat->run, beat->acked_seq, seq);
    if (beat->last_seq > 0 && entry_of(beat->run, beat->last_seq, ENTRY_UNKNOWN) == NULL)
        fail_msg("a heartbeat of %012" PRIx64 " says %" PRId64 " stored, which is not", beat->run,
                 beat->last_seq);
    const struct entry *next = entry_of(beat->run, beat->last_seq + 1, ENTRY_ANSWERED);
    if (next != NULL && &posts.items[next->post] == post)
        fail_msg("a heartbeat of %012" PRIx64 " says %" PRId64 " stored, there is more", beat->run,
                 beat->last_seq);
}

/*
 * The numbers of a run's heartbeats ascend, so that no copy of an old one undoes a new one; only
 * ENDED may come again. Where an outbox was copied, both go on with the same numbers.
 */
static void check_beat_number(const struct saying *beat, enum heartbeat_state state)
{
    if (sim.events[SIM_cloned_posts] + sim.events[SIM_restored_images] > 0)
        return;
    struct last_beat *last = posts.beats;
    while (last < posts.beats + posts.beat_count && last->run != beat->run)
        last++;
    assert_true(last < posts.beats + POST_ENTRIES_MAX);
    if (last == posts.beats + posts.beat_count)
        posts.beats[posts.beat_count++] = (struct last_beat){beat->run, 0, HEARTBEAT_OPEN};
    else if (beat->seq <= last->n && (state != HEARTBEAT_ENDED || last->state != HEARTBEAT_ENDED))
        fail_msg("heartbeat %" PRId64 " of %012" PRIx64 " comes behind number %" PRId64, beat->seq,
                 beat->run, last->n);
    last->n = beat->seq;
    last->state = state;
}

void check_handed_over(const struct post *post, const uint8_t *bytes, size_t size)
{
    int index = journal_find(bytes, size);
    struct saying beat = saying_of("", 0, 0);
    if (index >= 0 && posts.entries[index].state < ENTRY_UNKNOWN)
        complain(index, "sent, but not committed");
    if (index >= 0)
        return;
    enum heartbeat_state state = read_heartbeat(bytes, size, &beat);
    check_heartbeat(post, &beat);
    check_beat_number(&beat, state);
    sim.events[SIM_beats]++;
}

void log_append(int topic, int32_t partition, const uint8_t *bytes, size_t size)
{
    struct saying saying = saying_of("", 0, 0);
    int index = journal_find(bytes, size);
    if (index >= 0)
        saying = posts.entries[index].saying;
    else
        read_heartbeat(bytes, size, &saying);
    saying.topic = topic;
    for (int i = index < 0 ? -1 : *slot_of(saying.run, saying.seq); i >= 0;
         i = posts.entries[i].next)
        if (i != index && posts.entries[i].records > 0 &&
            posts.entries[i].saying.run == saying.run && posts.entries[i].saying.seq == saying.seq)
            complain(index, "this number stands for another event too");
    sim.world.now_ms += sim.broker_shift_ms;
    struct record *record = world_append(&sim.world, partition, &saying, FLAW_NONE);
    sim.world.now_ms -= sim.broker_shift_ms;
    memcpy(record->value.bytes, bytes, size);
    record->value.size = size;
    sim.events[SIM_records]++;
    if (index >= 0)
        sim.events[SIM_resent] += posts.entries[index].records++ > 0;
    sim_trace("log topic=%d partition=%d run=%" PRIx64 " n=%" PRId64 " entry=%d", topic,
              (int)partition, saying.run, saying.seq, index);
}

/* The oldest event that is not acknowledged is still there. */
void check_kept(struct post *post)
{
    struct fx_err err = FX_ERR_INIT;
    bool is_kept = true;
    for (; post->unacked < posts.entry_count; post->unacked++) {
        const struct entry *entry = &posts.entries[post->unacked];
        if (&posts.items[entry->post] == post && entry->state == ENTRY_ANSWERED && !entry->is_acked)
            break;
    }
    if (post->unacked == posts.entry_count ||
        post_keeps(post, post->unacked, &is_kept, &err) != FX_OK)
        return;
    if (!is_kept)
        complain(post->unacked, "answered, not acknowledged, and not kept");
}

void check_resent(void)
{
    for (int i = 0; i < posts.entry_count; i++) {
        struct fx_err err = FX_ERR_INIT;
        bool is_kept = false;
        const struct entry *entry = &posts.entries[i];
        if (entry->wanted_of < 0 || entry->records > 0)
            continue;
        assert_int_equal(post_keeps(&posts.items[entry->wanted_of], i, &is_kept, &err), FX_OK);
        if (is_kept)
            complain(i, "was to be sent again, and was not");
    }
}

/* ---- the end ---- */

static bool is_in_gap(int run, int64_t seq, enum gap_cause cause)
{
    const struct database *db = &sim.world.db;
    for (int i = 0; i < db->gap_count; i++)
        if (db->gaps[i].run == run && db->gaps[i].cause == cause && seq >= db->gaps[i].first &&
            seq <= db->gaps[i].last)
            return true;
    return false;
}

/* An outbox copied before its run had a partition, and partitions added since: the copy and the
 * original chose two, and what came second is refused by name (the redrive cannot help it). */
static bool is_refused_elsewhere(const struct saying *saying)
{
    const struct database *db = &sim.world.db;
    if (sim.events[SIM_cloned_posts] + sim.events[SIM_restored_images] == 0)
        return false;
    for (int i = 0; i < db->rejected_count; i++)
        if (db->rejected[i].reason == REASON_MOVED_PARTITION &&
            db->rejected[i].run == saying->run && db->rejected[i].seq == saying->seq &&
            db->rejected[i].topic == saying->topic)
            return true;
    return false;
}

/* Answered: counted once, or named as missing where the broker lost what it had acknowledged. */
static void check_entry(int index)
{
    const struct entry *entry = &posts.entries[index];
    const struct saying *saying = &entry->saying;
    bool is_lost = entry->is_lost && entry->is_acked;
    if (entry->records == 0 && entry->state < ENTRY_ANSWERED)
        return;
    if (entry->records == 0 && !is_lost)
        complain(index, "answered, and in no log");
    int run = db_find_run(&sim.world.db, saying->topic, saying->source, saying->run);
    if (run >= 0 && sim.world.db.runs[run].high < saying->seq && is_refused_elsewhere(saying))
        return;
    if (run < 0 || sim.world.db.runs[run].high < saying->seq)
        complain(index, "the database does not know that there was this number");
    if (is_in_gap(run, saying->seq, GAP_WRITTEN_OFF))
        return; /* it was in a gap, and a person gave it up */
    bool is_missing = is_in_gap(run, saying->seq, GAP_MISSING);
    bool is_rejected = is_in_gap(run, saying->seq, GAP_REJECTED);
    if (is_missing != (entry->records == 0))
        complain(index, is_missing ? "in a log, and missing" : "in no log, and not missing");
    if (is_rejected && saying->sign > 0)
        complain(index, "rejected");
    sim.events[SIM_lost_named] += is_missing;
    sim.events[SIM_post_counted] += !is_missing && !is_rejected;
}

/* Every number that is missing is one that the broker lost. */
static void check_gap(const struct db_gap *gap)
{
    const struct db_run *run = &sim.world.db.runs[gap->run];
    bool is_ours = false;
    for (int i = 0; i < posts.count; i++)
        for (int s = 0; s < POST_SOURCES; s++)
            is_ours |= strcmp(run->source, posts.items[i].sources[s]) == 0;
    for (int64_t seq = gap->first; is_ours && seq <= gap->last; seq++)
        if (gap->cause == GAP_MISSING && !is_acked(run->run, seq))
            fail_msg("%s %012" PRIx64 ":%" PRId64 " is missing, but there never was such an event",
                     run->source, run->run, seq);
}

static int count_numbers(const struct post *post, int line)
{
    int count = 0;
    for (int i = post->lines[line].entry; i >= 0; i = posts.entries[i].previous)
        count += posts.entries[i].records > 0 || posts.entries[i].state == ENTRY_ANSWERED;
    return count;
}

/* A number of the line that the broker acknowledged and lost: the line was taken all the same. */
static bool was_lost(const struct post *post, int line)
{
    for (int i = post->lines[line].entry; i >= 0; i = posts.entries[i].previous)
        if (posts.entries[i].is_lost)
            return true;
    return false;
}

/* Each line has the one number that was answered, however often it was offered. */
static void check_lines(const struct post *post)
{
    for (int line = 0; line < post->line_count; line++) {
        const struct post_line *one = &post->lines[line];
        int count = count_numbers(post, line);
        if (count > 1 && !one->may_repeat)
            complain(one->entry, "its line has several numbers");
        if (post->mode == POST_IDS && one->answer < 0)
            fail_msg("post %d line %d was not answered", (int)(post - posts.items), line);
        if (post->mode == POST_FOLLOW && count == 0 && !was_lost(post, line))
            fail_msg("post %d line %d was passed over", (int)(post - posts.items), line);
    }
}

/* One outbox reverses an event once. */
static void check_reversal(int index)
{
    const struct entry *entry = &posts.entries[index];
    for (int i = 0; i < index; i++)
        if (posts.entries[i].undone == entry->undone && posts.entries[i].post == entry->post &&
            posts.entries[i].records > 0)
            complain(index, "reverses what was reversed before");
}

void posts_check(void)
{
    for (int i = 0; i < posts.entry_count; i++) {
        check_entry(i);
        if (posts.entries[i].undone >= 0 && posts.entries[i].records > 0)
            check_reversal(i);
    }
    for (int i = 0; i < sim.world.db.gap_count; i++)
        check_gap(&sim.world.db.gaps[i]);
    for (int i = 0; i < posts.count; i++)
        check_lines(&posts.items[i]);
}
