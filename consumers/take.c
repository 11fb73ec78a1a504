/* SPDX-License-Identifier: Apache-2.0 */
/* take - what one event does to the worker's memory. See pipeline.h for the rules of time. */
#include "redrive.h"
#include "take_state.h"

#include "../common/day.h"
#include "../common/text.h"

#include <string.h>

#define APPEND_BACK_MAX_MS DAY_HOUR_MS
#define LATE_MS DAY_HOUR_MS
#define CLOCK_FAR_MS INT64_C(4000000000000000) /* beyond any date; differences do not overflow */

/* A rejected event taken again that stays rejected, for the reason it has or because of the state
 * its run is in, changes nothing: row, tally and gap stand since it was rejected. That its run
 * lives elsewhere is no state: it is its reason for ever, and the store notes where. */
static bool stays_rejected(const struct taking *taking, enum reason reason)
{
    struct redriven *redriven = taking->pipeline->redriven;
    if (redriven == NULL)
        return false;
    if (reason == redriven->reason || reason == REASON_SEQ_JUMP ||
        reason == REASON_SOURCE_QUARANTINED)
        redriven->verdict = reason;
    return redriven->verdict != REASON_COUNT;
}

static void add_rejected(struct taking *taking, enum reason reason, bool has_envelope)
{
    struct pipeline *pipeline = taking->pipeline;
    if (stays_rejected(taking, reason))
        return;
    const struct intake_message *message = taking->message;
    struct flush_rejected *row = &pipeline->rejected[pipeline->rejected_count++];
    row->topic = message->topic;
    row->partition = message->partition;
    row->offset = message->offset;
    row->append_ms = taking->append_ms;
    row->reason = reason;
    memcpy(row->detail, taking->detail, sizeof row->detail);
    row->has_envelope = has_envelope;
    if (has_envelope) {
        memcpy(row->source, taking->event.source.bytes, taking->event.source.size);
        row->source[taking->event.source.size] = '\0';
        row->run = taking->event.run;
        row->seq = taking->event.seq;
    }
    row->length = (uint32_t)message->value_size;
    digest_sha256(message->value, message->value_size, row->sha256);
    pipeline->stats.rejected++;
}

static struct gap gap_of(const struct taking *taking)
{
    struct gap gap = {.opened_ms = taking->append_ms, .cause = GAP_MISSING};
    const struct ledger_entry *entry = ledger_entry(taking->pipeline->ledger, taking->entry);
    bool is_first = !entry->is_known && entry->high == 0 && entry->heartbeat_n < 0;
    if (is_first && taking->part->base > 0)
        gap.cause = GAP_BEFORE_BASE; /* this schema never saw where the run began */
    return gap;
}

void take_tally(struct pipeline *pipeline, int index, int64_t append_ms, struct ledger_tally one)
{
    struct ledger_tally spilled;
    one.day_end_ms = day_local_start_ms(append_ms) + DAY_MS;
    if (!ledger_tally(pipeline->ledger, index, &one, &spilled))
        return;
    const struct ledger_entry *entry = ledger_entry(pipeline->ledger, index);
    pipeline->tallies[pipeline->tally_count++] =
        (struct flush_tally){entry->topic, entry->source, spilled};
}

/* Verdicts that leave the ledger alone. REASON_COUNT: none of these. */
static enum reason reason_of(struct taking *taking, enum ledger_verdict verdict)
{
    switch (verdict) {
    case LEDGER_MOVED:
        take_set_detail(taking, "the run lives in another partition");
        return REASON_MOVED_PARTITION;
    case LEDGER_JUMP:
        take_set_detail(taking, "too far above the run's highest number");
        return REASON_SEQ_JUMP;
    case LEDGER_QUARANTINED:
        take_set_detail(taking, "the run has too many gaps");
        return REASON_SOURCE_QUARANTINED;
    case LEDGER_NEW:
    case LEDGER_DUPLICATE:
        break;
    }
    return REASON_COUNT;
}

/* Rejects an event with a good envelope: its number stays uncounted, and is known to. */
static enum fx_code reject_numbered(struct taking *taking, enum reason reason, struct fx_err *err)
{
    struct ledger *ledger = taking->pipeline->ledger;
    const struct ledger_entry *entry = ledger_entry(ledger, taking->entry);
    enum ledger_verdict verdict =
        ledger_judge(entry, taking->message->partition, taking->event.seq, true);
    enum reason stronger = reason_of(taking, verdict);
    if (stays_rejected(taking, stronger == REASON_COUNT ? reason : stronger))
        return FX_OK;
    if (stronger == REASON_SOURCE_QUARANTINED && !entry->is_quarantined)
        ledger_quarantine(ledger, taking->entry);
    const struct redriven *redriven = taking->pipeline->redriven;
    bool is_noted = redriven != NULL && reason_is_trusted(redriven->reason);
    if (stronger == REASON_COUNT && !is_noted) {
        struct gap gap = gap_of(taking);
        take_date_number(taking);
        if (ledger_reject(ledger, taking->entry, taking->event.seq, &gap, err) != FX_OK)
            return err->code;
    }
    add_rejected(taking, stronger == REASON_COUNT ? reason : stronger, true);
    return FX_OK;
}

/* The region of the envelope; -1: unknown. fx-setup fences every worker when it changes the tree,
 * so a flush that commits knew all regions there were. */
static int find_region(const struct taking *taking)
{
    const struct region_tree *regions = &taking->pipeline->regions;
    const struct decoded_text *code = &taking->event.fields.texts[ENVELOPE_REGION];
    /* a post stands where it stood */
    int last = ledger_entry(taking->pipeline->ledger, taking->entry)->region;
    if (last > REGION_OUTSIDE && code->size < REGION_CODE_MAX) {
        const char *known = regions->nodes[last].code;
        if (memcmp(known, code->bytes, code->size) == 0 && known[code->size] == '\0')
            return last;
    }
    int region = region_tree_find(regions, code->bytes, code->size);
    return region == REGION_OUTSIDE ? -1 : region;
}

static bool was_refused(const struct taking *taking)
{
    const struct pipeline *pipeline = taking->pipeline;
    for (int i = 0; i < pipeline->refused_count; i++) {
        const struct refused *refused = &pipeline->refused[i];
        if (refused->offset == taking->message->offset &&
            refused->partition == taking->message->partition &&
            refused->topic == taking->message->topic)
            return true;
    }
    return false;
}

/* What only the state knows against an event that is new and well formed. */
static enum reason judge_state(struct taking *taking, bool *is_corrected)
{
    const struct decoded *fields = &taking->event.fields;
    taking->region = find_region(taking);
    if (taking->region < 0) {
        take_set_detail(taking, "the region is not in the tree");
        return REASON_UNKNOWN_REGION;
    }
    *is_corrected = false;
    if (fields->numbers[ENVELOPE_SIGN] > 0) {
        take_decide_time(taking, is_corrected);
        return REASON_COUNT;
    }
    struct mark undone = take_reversed(taking);
    if (!take_decide_reversal(taking, &undone))
        return REASON_INVALID_FIELD;
    take_set_detail(taking, "the event was reversed before");
    bool is_reversed = mark_set_find(&taking->pipeline->marks.reversed, &undone) != NULL;
    return is_reversed ? REASON_ALREADY_REVERSED : REASON_COUNT;
}

static void sign_of_life(struct taking *taking, int64_t instant_ms)
{
    struct pipeline *pipeline = taking->pipeline;
    int64_t hour_ms;
    uint32_t slots;
    if (ledger_sign_of_life(pipeline->ledger, taking->entry, instant_ms, &hour_ms, &slots))
        return;
    const struct ledger_entry *entry = ledger_entry(pipeline->ledger, taking->entry);
    pipeline->hours[pipeline->hour_count++] =
        (struct flush_hour){entry->topic, entry->source, hour_ms, slots};
}

/* What the run's row says of a new, good event. */
static void describe_event(struct taking *taking, bool is_corrected)
{
    struct pipeline *pipeline = taking->pipeline;
    struct ledger_entry *entry = ledger_entry(pipeline->ledger, taking->entry);
    bool is_late = taking->append_ms - taking->counted_ms > LATE_MS;
    if (is_late || is_corrected)
        take_tally(pipeline, taking->entry, taking->append_ms,
                   (struct ledger_tally){.late = is_late, .clock_corrected = is_corrected});
    if (taking->counted_ms > entry->last_occurred_ms)
        entry->last_occurred_ms = taking->counted_ms;
    entry->last_appended_ms = taking->append_ms;
    entry->region = taking->region;
    if (taking->event.fields.numbers[ENVELOPE_SIGN] > 0)
        sign_of_life(taking, taking->counted_ms);
    pipeline->stats.events++;
    pipeline->stats.late += is_late;
    pipeline->stats.clock_corrected += is_corrected;
}

/* Adds a new, good event to cells, ledger and tallies. */
static enum fx_code count_event(struct taking *taking, bool is_corrected, struct fx_err *err)
{
    struct pipeline *pipeline = taking->pipeline;
    struct plan_target target = {
        .event = &taking->event,
        .counted_ms = taking->counted_ms,
        .sign = (int)taking->event.fields.numbers[ENVELOPE_SIGN],
        .source = ledger_entry(pipeline->ledger, taking->entry)->source,
        .region = taking->region,
        .regions = &pipeline->regions,
        .cells = taking->kind->cells,
    };
    struct gap gap = gap_of(taking);
    if (take_mark(taking, is_corrected, err) != FX_OK ||
        plan_apply(taking->kind->plan, &target, err) != FX_OK)
        return err->code;
    take_date_number(taking);
    if (ledger_count(pipeline->ledger, taking->entry, taking->event.seq, &gap, err) != FX_OK)
        return err->code;
    describe_event(taking, is_corrected);
    return FX_OK;
}

static int64_t number_or(const struct decoded *fields, int field, int64_t otherwise)
{
    return fields->is_null[field] ? otherwise : fields->numbers[field];
}

/* A source's clock may say anything. */
static int64_t clamp_clock(int64_t instant_ms)
{
    if (instant_ms < -CLOCK_FAR_MS)
        return -CLOCK_FAR_MS;
    return instant_ms > CLOCK_FAR_MS ? CLOCK_FAR_MS : instant_ms;
}

static enum fx_code take_heartbeat(struct taking *taking, struct fx_err *err)
{
    struct pipeline *pipeline = taking->pipeline;
    const struct decoded *fields = &taking->event.fields;
    struct ledger_heartbeat beat = {
        .n = fields->numbers[HEARTBEAT_N],
        .state = (enum heartbeat_state)fields->numbers[HEARTBEAT_STATE],
        .input_state = (enum input_state)fields->numbers[HEARTBEAT_INPUT_STATE],
        .last_seq = fields->numbers[HEARTBEAT_LAST_SEQ],
        .acked_seq = fields->numbers[HEARTBEAT_ACKED_SEQ],
        .oldest_kept = fields->numbers[HEARTBEAT_OLDEST_KEPT],
        .refused = fields->numbers[HEARTBEAT_REFUSED],
        .last_line_ms = number_or(fields, HEARTBEAT_LAST_LINE_AT, -1),
        .previous_run = number_or(fields, HEARTBEAT_PREVIOUS_RUN, -1),
        .previous_last_seq = number_or(fields, HEARTBEAT_PREVIOUS_LAST_SEQ, -1),
        .at_ms = clamp_clock(fields->numbers[HEARTBEAT_AT]),
        .appended_ms = taking->append_ms,
    };
    const struct decoded_text *region = &fields->texts[HEARTBEAT_REGION];
    size_t size = region->size < sizeof beat.region ? region->size : sizeof beat.region - 1;
    memcpy(beat.region, region->bytes, size);
    int64_t instant_ms = take_has_wrong_clock(taking, beat.at_ms) ? taking->append_ms : beat.at_ms;
    struct gap gap = gap_of(taking);
    const struct ledger_entry *entry = ledger_entry(pipeline->ledger, taking->entry);
    if (ledger_heartbeat_raises(entry, &beat))
        take_day(taking, instant_ms);
    enum fx_code code = ledger_apply_heartbeat(pipeline->ledger, taking->entry, &beat, &gap, err);
    if (code == FX_EFULL) {
        take_set_detail(taking, err->text);
        fx_err_clear(err);
        add_rejected(taking, REASON_SEQ_JUMP, true);
        return FX_OK;
    }
    if (code != FX_OK)
        return code;
    if (beat.input_state == INPUT_OPEN) /* only an open input proves a zero */
        sign_of_life(taking, instant_ms);
    pipeline->stats.heartbeats++;
    return FX_OK;
}

static bool has_prefix(const struct decoded_text *text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text->size >= size && memcmp(text->bytes, prefix, size) == 0;
}

/* Reasons not to trust the envelope at all. */
static enum reason judge_envelope(struct taking *taking, enum reason reason)
{
    const struct event *event = &taking->event;
    const struct intake_message *message = taking->message;
    if (message->key_size != event->source.size ||
        memcmp(message->key, event->source.bytes, event->source.size) != 0) {
        take_set_detail(taking, "the key is not the source");
        return REASON_KEY_MISMATCH;
    }
    if (!taking->pipeline->accept_simulated && has_prefix(&event->source, "SIM-")) {
        take_set_detail(taking, "simulated sources do not count here");
        return REASON_SIMULATED;
    }
    return reason;
}

/* An event whose source, run and number may be believed, so far against it: reason. */
static enum fx_code take_numbered(struct taking *taking, enum reason reason, struct fx_err *err)
{
    struct pipeline *pipeline = taking->pipeline;
    const struct event *event = &taking->event;
    const struct intake_message *message = taking->message;
    struct ledger_key key = {(uint16_t)message->topic, event->run, event->source.bytes,
                             event->source.size};
    if (ledger_find(pipeline->ledger, &key, message->partition, &taking->entry, err) != FX_OK)
        return err->code;
    struct ledger_entry *entry = ledger_entry(pipeline->ledger, taking->entry);
    if (event->is_heartbeat && reason == REASON_COUNT && entry->partition == message->partition)
        return take_heartbeat(taking, err);
    if (event->is_heartbeat) {
        bool is_moved = entry->partition != message->partition;
        add_rejected(taking, is_moved ? REASON_MOVED_PARTITION : reason, true);
        return FX_OK;
    }
    if (reason != REASON_COUNT)
        return reject_numbered(taking, reason, err);
    enum ledger_verdict verdict = ledger_judge(entry, message->partition, event->seq, false);
    if (verdict == LEDGER_DUPLICATE) {
        take_tally(pipeline, taking->entry, taking->append_ms,
                   (struct ledger_tally){.duplicates = 1});
        pipeline->stats.duplicates++;
        return FX_OK;
    }
    bool is_corrected = false;
    if (verdict == LEDGER_NEW)
        reason = judge_state(taking, &is_corrected);
    if (verdict == LEDGER_QUARANTINED && stays_rejected(taking, REASON_SOURCE_QUARANTINED))
        return FX_OK;
    if (verdict != LEDGER_NEW || reason != REASON_COUNT) {
        if (verdict == LEDGER_QUARANTINED && !entry->is_quarantined)
            ledger_quarantine(pipeline->ledger, taking->entry);
        if (reason == REASON_INVALID_FIELD && take_mark_refused(taking, err) != FX_OK)
            return err->code;
        return reject_numbered(taking, reason, err);
    }
    return count_event(taking, is_corrected, err);
}

static enum fx_code take_value(struct taking *taking, struct fx_err *err)
{
    const struct intake_message *message = taking->message;
    struct event *event = &taking->event;
    enum reason reason =
        plan_read(taking->kind->plan, message->value, message->value_size, event, taking->detail);
    if (!event->is_envelope_valid) {
        add_rejected(taking, reason, false);
        return FX_OK;
    }
    enum reason envelope = judge_envelope(taking, REASON_COUNT);
    if (envelope != REASON_COUNT) {
        add_rejected(taking, envelope, envelope == REASON_SIMULATED);
        return FX_OK;
    }
    if (reason == REASON_COUNT && was_refused(taking)) {
        take_set_detail(taking, "the database refuses a value");
        reason = REASON_STORE_REFUSED;
    }
    if (take_numbered(taking, reason, err) != FX_OK)
        return err->code;
    struct ledger_entry *entry = ledger_entry(taking->pipeline->ledger, taking->entry);
    bool is_oldest = !entry->is_known || taking->pipeline->redriven != NULL; /* or may be */
    if (entry->is_dirty && entry->opened_ms == 0 && is_oldest)
        entry->opened_ms = taking->append_ms;
    return FX_OK;
}

enum fx_code take_event(struct pipeline *pipeline, struct part *part,
                        const struct intake_message *message, struct fx_err *err)
{
    struct taking taking;
    taking.pipeline = pipeline;
    taking.part = part;
    taking.message = message;
    taking.kind = &pipeline->kinds[message->topic];
    taking.detail[0] = '\0';
    int64_t floor_ms = part->append_high_ms - APPEND_BACK_MAX_MS;
    taking.append_ms = message->append_ms > floor_ms ? message->append_ms : floor_ms;
    return take_value(&taking, err);
}

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t take_room(const struct pipeline *pipeline)
{
    int64_t room = pipeline->taken_max - pipeline->pending;
    room = lesser(room, PIPELINE_REJECTED_MAX - pipeline->rejected_count);
    room = lesser(room, PIPELINE_HOURS_MAX - pipeline->hour_count);
    room = lesser(room, PIPELINE_HOLES_MAX - pipeline->hole_count);
    room = lesser(room, PIPELINE_DAYS_MAX - pipeline->day_count);
    room = lesser(room, PIPELINE_DAYS_MAX - pipeline->tally_count);
    room = lesser(room, PIPELINE_MARKS_MAX - marks_unsent(&pipeline->marks));
    room = lesser(room, ledger_room(pipeline->ledger));
    for (int k = 0; k < pipeline->options.catalog->kind_count; k++) {
        room = lesser(room, plan_room(pipeline->kinds[k].plan));
        for (int i = 0; i < plan_rollup_count(pipeline->kinds[k].plan); i++)
            room = lesser(room, cells_room(pipeline->kinds[k].cells[i]));
    }
    return room;
}
