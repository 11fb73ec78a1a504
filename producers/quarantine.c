/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fx-quarantine - who comes to and leaves places of quarantine 隔离点.
 *
 * Each person has exactly one closing step, so nobody can leave who is not there: a closing step
 * of more persons than the place's own census of that tier is refused. The census is kept in the
 * outbox per (source, place, tier) and changes in the transaction that stores the event; a
 * reversal changes it back, and is refused if it would leave fewer than nobody.
 */
#include "station.h"

#include "outbox_rules.h"

#include <stdio.h>
#include <string.h>

#define CELL_MAX (2 * SCHEMA_NAME_MAX + 2)

static const struct event_value *find_value(const struct event *event, const char *field)
{
    int index = schema_field(event->schema, field);
    fx_assert(index >= 0);
    return &event->values[index];
}

static const char *symbol_of(const struct event *event, const char *field)
{
    const struct field *definition = &event->schema->fields[schema_field(event->schema, field)];
    return definition->symbols[find_value(event, field)->number];
}

/* 1: persons come, -1: persons leave, 0: a headcount. */
static int direction_of(const char *step)
{
    if (strcmp(step, "STATUS") == 0)
        return 0;
    return strcmp(step, "ADMITTED") == 0 || strcmp(step, "TRANSFERRED_IN") == 0 ? 1 : -1;
}

static enum fx_code admit(struct record_line *line, struct outbox *outbox, struct fx_err *err)
{
    const struct event *event = &line->event;
    const struct event_value *source = event_envelope(event, ENVELOPE_SOURCE);
    const char *step = symbol_of(event, "step");
    int64_t sign = event_envelope(event, ENVELOPE_SIGN)->number;
    int64_t change = direction_of(step) * sign * find_value(event, "persons")->number;
    char source_text[SCHEMA_SOURCE_MAX + 1];
    char cell[CELL_MAX];
    int64_t census = 0;
    if (change == 0)
        return FX_OK;
    snprintf(source_text, sizeof source_text, "%.*s", source->size, source->text);
    snprintf(cell, sizeof cell, "%s/%s", symbol_of(event, "place"), symbol_of(event, "tier"));
    if (outbox_census(outbox, source_text, cell, &census, err) != FX_OK)
        return err->code;
    if (census + change < 0)
        return record_refuse(line, "persons", err, "'%s of %lld' is more than the census, '%lld'",
                             sign < 0 ? "a reversal" : step, (long long)-change, (long long)census);
    return outbox_census_add(outbox, source_text, cell, change, err);
}

int main(int argc, char **argv)
{
    static const struct dialect dialect = {
        .program = "fx-quarantine",
        .kind = "quarantine",
        .summary = "Takes the lines of places of quarantine, stores each durably, and sends it to\n"
                   "Kafka until it is acknowledged. Refuses that more persons leave than are\n"
                   "there.",
        .admit = admit};
    return station_main(&dialect, argc, argv);
}
