/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include "../common/day.h"
#include "../schemas/wire.h"
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITERS_MAX 64
#define TEXTS_MAX 65536 /* strings of dimensions kept from flush to flush */

/* A schema that may stand at the head of a message. */
struct writer {
    uint64_t fingerprint;
    struct decoder *decoder;      /* NULL: another kind's */
    const struct schema *current; /* what the decoder's result is indexed by */
    bool is_heartbeat;
};

struct plan {
    const struct catalog_kind *kind;
    const struct schema *current;
    struct writer writers[WRITERS_MAX];
    int writer_count;
    struct measure *measures[ROLLUP_PER_KIND_MAX]; /* one per rollup */
    struct names *texts;                           /* string dimensions */
    int64_t bucket_ms[ROLLUP_PER_KIND_MAX];        /* where the last event was counted */
};

static enum fx_code add_writer(struct plan *plan, const struct schema *writer,
                               const struct schema *current, struct fx_err *err)
{
    if (plan->writer_count == WRITERS_MAX)
        return fx_err_set(err, FX_ECONFIG, "more than %d schema versions", WRITERS_MAX);
    struct writer *fresh = &plan->writers[plan->writer_count];
    fresh->fingerprint = writer->fingerprint;
    fresh->current = current;
    if (current != NULL && decoder_open(writer, current, &fresh->decoder, err) != FX_OK)
        return err->code;
    plan->writer_count++;
    return FX_OK;
}

static enum fx_code add_heartbeat(struct plan *plan, const struct catalog *catalog,
                                  struct fx_err *err)
{
    const struct schema *schema = kind_current(&catalog->heartbeat);
    if (add_writer(plan, schema, schema, err) != FX_OK)
        return err->code;
    plan->writers[plan->writer_count - 1].is_heartbeat = true;
    return FX_OK;
}

static enum fx_code add_writers(struct plan *plan, const struct catalog *catalog, int kind,
                                struct fx_err *err)
{
    /* the newest version is met most often: it comes first */
    const struct kind *own = &catalog->kinds[kind].kind;
    for (int i = own->version_count - 1; i >= 0; i--)
        if (add_writer(plan, &own->versions[i], plan->current, err) != FX_OK)
            return err->code;
    if (add_heartbeat(plan, catalog, err) != FX_OK)
        return err->code;
    for (int k = 0; k < catalog->kind_count; k++) {
        const struct kind *other = &catalog->kinds[k].kind;
        for (int i = 0; k != kind && i < other->version_count; i++)
            if (add_writer(plan, &other->versions[i], NULL, err) != FX_OK)
                return err->code;
    }
    return FX_OK;
}

enum fx_code plan_open(const struct catalog *catalog, int kind, uint64_t seed, struct plan **plan,
                       struct fx_err *err)
{
    fx_assert(kind >= 0 && kind < catalog->kind_count);
    struct plan *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a plan");
    fresh->kind = &catalog->kinds[kind];
    fresh->current = kind_current(&fresh->kind->kind);
    enum fx_code code = names_open(seed, &fresh->texts, err);
    if (code == FX_OK)
        code = add_writers(fresh, catalog, kind, err);
    for (int i = 0; code == FX_OK && i < fresh->kind->rollups.count; i++)
        code = measure_open(fresh->current, &fresh->kind->rollups.rollups[i], &fresh->measures[i],
                            err);
    if (code != FX_OK) {
        plan_close(fresh);
        return fx_err_wrap(err, "kind %s", catalog->kinds[kind].kind.name);
    }
    *plan = fresh;
    return FX_OK;
}

void plan_close(struct plan *plan)
{
    if (plan == NULL)
        return;
    for (int i = 0; i < plan->writer_count; i++)
        decoder_close(plan->writers[i].decoder);
    for (int i = 0; i < ROLLUP_PER_KIND_MAX; i++)
        measure_close(plan->measures[i]);
    names_close(plan->texts);
    free(plan);
}

bool plan_is_straight(const struct plan *plan)
{
    bool is_straight = decoder_is_straight(plan->writers[0].decoder);
    for (int i = 0; i < plan->kind->rollups.count; i++)
        is_straight = is_straight && measure_is_straight(plan->measures[i]);
    return is_straight;
}

int plan_rollup_count(const struct plan *plan)
{
    return plan->kind->rollups.count;
}

const struct rollup *plan_rollup(const struct plan *plan, int rollup)
{
    return &plan->kind->rollups.rollups[rollup];
}

static const struct writer *find_writer(const struct plan *plan, uint64_t fingerprint)
{
    for (int i = 0; i < plan->writer_count; i++)
        if (plan->writers[i].fingerprint == fingerprint)
            return &plan->writers[i];
    return NULL;
}

/* A reversal says what it undoes; nothing else may. */
static const char *envelope_fault(const struct decoded *fields)
{
    bool has_run = !fields->is_null[ENVELOPE_REVERSES_RUN];
    bool has_seq = !fields->is_null[ENVELOPE_REVERSES_SEQ];
    bool has_counted_at = !fields->is_null[ENVELOPE_COUNTED_AT];
    int64_t sign = fields->numbers[ENVELOPE_SIGN];
    if (sign != 1 && sign != -1)
        return "sign is neither 1 nor -1";
    if (sign == -1 && !(has_run && has_seq))
        return "a reversal without reverses_run and reverses_seq";
    if (sign == 1 && (has_run || has_seq))
        return "reverses_run or reverses_seq on an event that is no reversal";
    if (sign == 1 && has_counted_at)
        return "counted_at on an event that is no reversal";
    return NULL;
}

static enum reason judge_fields(const struct schema *schema, const struct event *event,
                                char detail[static 96])
{
    const struct decoded *fields = &event->fields;
    const char *fault = NULL;
    if (fields->invalid_field >= 0) {
        snprintf(detail, 96, "%s is out of its bounds", schema->fields[fields->invalid_field].name);
        return REASON_INVALID_FIELD;
    }
    if (event->is_heartbeat)
        return REASON_COUNT;
    fault = envelope_fault(fields);
    if (fault != NULL) {
        snprintf(detail, 96, "%s", fault);
        return REASON_INVALID_FIELD;
    }
    if (fields->mismatched_sum >= 0) {
        const struct sum *sum = &schema->sums[fields->mismatched_sum];
        snprintf(detail, 96, "the parts of %s do not add up", schema->fields[sum->total].name);
        return REASON_SUMS_MISMATCH;
    }
    return REASON_COUNT;
}

enum reason plan_read(const struct plan *plan, const uint8_t *bytes, size_t size,
                      struct event *event, char detail[static 96])
{
    uint64_t fingerprint;
    event->is_envelope_valid = false;
    if (size > WIRE_EVENT_MAX) {
        snprintf(detail, 96, "%zu bytes, more than %d", size, WIRE_EVENT_MAX);
        return REASON_UNDECODABLE;
    }
    if (!wire_read_header(bytes, size, &fingerprint)) {
        snprintf(detail, 96, "no single-object encoding");
        return REASON_UNDECODABLE;
    }
    const struct writer *writer = find_writer(plan, fingerprint);
    if (writer == NULL || writer->decoder == NULL) {
        snprintf(detail, 96, "fingerprint %016llx", (unsigned long long)fingerprint);
        return writer == NULL ? REASON_UNKNOWN_SCHEMA : REASON_WRONG_KIND;
    }
    bool is_decoded = decoder_run(writer->decoder, bytes + WIRE_HEADER_SIZE,
                                  size - WIRE_HEADER_SIZE, &event->fields);
    if (!is_decoded) {
        snprintf(detail, 96, "the bytes are no value of schema %016llx",
                 (unsigned long long)fingerprint);
        return REASON_UNDECODABLE;
    }
    event->is_heartbeat = writer->is_heartbeat;
    event->source = event->fields.texts[ENVELOPE_SOURCE];
    event->run = event->fields.numbers[ENVELOPE_RUN];
    event->seq = event->is_heartbeat ? 0 : event->fields.numbers[ENVELOPE_SEQ];
    /* an invalid field is named in order, so a later one means that these three are good */
    event->is_envelope_valid =
        event->fields.invalid_field < 0 || event->fields.invalid_field > ENVELOPE_SEQ;
    return judge_fields(writer->current, event, detail);
}

/* Events come roughly in the order of their time: most fall into the bucket of the one before. */
static int64_t find_bucket(int64_t *last_ms, int64_t instant_ms, int64_t width_ms)
{
    if (instant_ms < *last_ms || instant_ms - *last_ms >= width_ms)
        *last_ms = day_bucket_ms(instant_ms, width_ms);
    return *last_ms;
}

static enum fx_code make_key(struct plan *plan, int index, const struct plan_target *target,
                             struct cell_key *key, struct fx_err *err)
{
    const struct event *event = target->event;
    const struct rollup *rollup = plan_rollup(plan, index);
    memset(key, 0, sizeof *key);
    key->bucket_ms = find_bucket(&plan->bucket_ms[index], target->counted_ms, rollup->bucket_ms);
    key->source = rollup->by_source ? target->source : 0;
    key->region = (uint32_t)target->region;
    if (rollup->region_field != ENVELOPE_REGION) {
        const struct decoded_text *code = &event->fields.texts[rollup->region_field];
        int region = region_tree_find(target->regions, code->bytes, code->size);
        key->region = region < 0 ? REGION_OUTSIDE : (uint32_t)region;
    }
    for (int i = 0; i < rollup->dimension_count; i++) {
        int field = rollup->dimensions[i];
        key->dimensions[i] = (uint32_t)event->fields.numbers[field];
        const struct decoded_text *text = &event->fields.texts[field];
        if (plan->current->fields[field].type == FIELD_STRING &&
            names_intern(plan->texts, text->bytes, text->size, &key->dimensions[i], err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

enum fx_code plan_apply(struct plan *plan, const struct plan_target *target, struct fx_err *err)
{
    const struct event *event = target->event;
    int count = plan->kind->rollups.count;
    struct cell *found[ROLLUP_PER_KIND_MAX];
    for (int i = 0; i < count; i++) {
        const struct rollup *rollup = plan_rollup(plan, i);
        struct cell_key key;
        found[i] = NULL;
        if (event->fields.is_null[rollup->region_field])
            continue; /* nobody's place: this rollup does not know the event */
        if (make_key(plan, i, target, &key, err) != FX_OK ||
            cells_find(target->cells[i], &key, &found[i], err) != FX_OK)
            return err->code;
    }
    for (int i = 0; i < count; i++)
        if (found[i] != NULL)
            measure_add(plan->measures[i], target, found[i]);
    return FX_OK;
}

int64_t plan_room(const struct plan *plan)
{
    int per_event = ROLLUP_PER_KIND_MAX * ROLLUP_DIMENSIONS_MAX;
    int64_t left = TEXTS_MAX - (int64_t)names_count(plan->texts);
    return left <= 0 ? 0 : left / per_event + 1;
}

void plan_forget(struct plan *plan)
{
    names_reset(plan->texts);
}

const char *plan_dimension_text(const struct plan *plan, const struct rollup *rollup, int dimension,
                                uint32_t id)
{
    const struct field *field = &plan->current->fields[rollup->dimensions[dimension]];
    return field->type == FIELD_STRING ? names_text(plan->texts, id) : field->symbols[id];
}
