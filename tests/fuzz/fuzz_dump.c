/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_dump.h"

#include "../../consumers/levels.h"

static void put_hex(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        printf("%02x", at[i]);
}

static void put_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == '"' || c == '\\')
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void put_value(const struct field *field, const struct decoded *fields, int index)
{
    const struct decoded_text *text = &fields->texts[index];
    int64_t number = fields->numbers[index];
    if (fields->is_null[index]) {
        printf("null");
        return;
    }
    switch (field->type) {
    case FIELD_INT:
    case FIELD_LONG:
        printf("%" PRId64, number);
        break;
    case FIELD_ENUM:
        put_string(field->symbols[number]);
        break;
    case FIELD_BOOLEAN:
        printf("%s", number ? "true" : "false");
        break;
    case FIELD_STRING:
        printf("{\"hex\": \"");
        put_hex(text->bytes, text->size);
        printf("\"}");
        break;
    }
}

static void put_values(const struct fuzz_reading *reading)
{
    const struct schema *schema = reading->schema;
    printf(", \"envelope\": %s, \"values\": ", reading->event.is_envelope_valid ? "true" : "false");
    for (int i = 0; i < schema->field_count; i++) {
        printf("%s\"%s\": ", i == 0 ? "{" : ", ", schema->fields[i].name);
        put_value(&schema->fields[i], &reading->event.fields, i);
    }
    putchar('}');
}

static void put_number(int64_t value)
{
    if (value == TABLE_NONE)
        printf("null");
    else
        printf("%" PRId64, value);
}

static void put_row(const struct row *row, bool is_by_source)
{
    bool is_first = true;
    put_string(row->key);
    printf(": {");
    for (int i = 0, at = 0; i < row->rollup->column_count; i++) {
        const struct rollup_column *column = &row->rollup->columns[i];
        const int64_t *value = &row->values[at];
        bool is_last = column->aggregate == AGGREGATE_LAST;
        at += is_last ? 4 : 1;
        if (is_last && !is_by_source)
            continue;
        printf("%s\"%s\": ", is_first ? "" : ", ", column->name);
        is_first = false;
        put_number(value[0]);
        if (is_last && value[0] == TABLE_NONE)
            printf(", \"%s_last\": null", column->name);
        else if (is_last)
            printf(", \"%s_last\": [%" PRId64 ", %" PRId64 ", %" PRId64 "]", column->name, value[1],
                   value[2], value[3]);
    }
    putchar('}');
}

static void put_rows(const struct table *table)
{
    printf(", \"rows\": {");
    for (int i = 0; table != NULL && i < table->count; i++) {
        const struct row *row = &table->rows[i];
        char name[ROLLUP_NAME_MAX + 16];
        snprintf(name, sizeof name, "%s_%s|", row->rollup->name, levels_suffix(LEVEL_SOURCE));
        if (i > 0)
            printf(", ");
        put_row(row, strncmp(row->key, name, strlen(name)) == 0);
    }
    printf("}}\n");
}

void fuzz_dump(const struct fuzz_input *input, const struct fuzz_reading *reading)
{
    printf("{\"name\": ");
    put_string(input->name);
    printf(", \"bytes\": \"");
    put_hex(input->bytes, input->size);
    for (int i = 0; i < fuzz_kind_count(); i++) {
        enum reason reason = reading->reasons[i];
        printf("%s\"%s\": \"%s\"", i == 0 ? "\", \"reasons\": {" : ", ", fuzz_kind_name(i),
               reason == REASON_COUNT ? "ok" : reason_name(reason));
    }
    putchar('}');
    if (reading->reader >= 0)
        put_values(reading);
    else
        printf(", \"envelope\": false, \"values\": null");
    put_rows(reading->table);
}
