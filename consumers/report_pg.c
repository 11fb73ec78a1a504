/* SPDX-License-Identifier: Apache-2.0 */
#include "report_pg.h"

void report_pg_element(struct buf *array, const char *text)
{
    buf_append_byte(array, array->size == 0 ? '{' : ',');
    if (text == NULL) {
        buf_append_text(array, "NULL");
        return;
    }
    buf_append_byte(array, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            buf_append_byte(array, '\\');
        buf_append_byte(array, (uint8_t)*text);
    }
    buf_append_byte(array, '"');
}

const char *report_pg_array(struct buf *array)
{
    buf_append_text(array, array->size == 0 ? "{}" : "}");
    return buf_text(array);
}
