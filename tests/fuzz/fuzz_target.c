/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_target.h"

#include "../../common/text.h"

void fuzz_split(const uint8_t *bytes, size_t size, struct fuzz_text *text)
{
    const uint8_t *end = size == 0 ? NULL : memchr(bytes, '\n', size);
    size_t length = end == NULL ? size : (size_t)(end - bytes);
    size_t kept = length < sizeof text->head ? length : sizeof text->head - 1;
    if (kept > 0)
        memcpy(text->head, bytes, kept);
    text->head[kept] = '\0';
    text->size = end == NULL ? 0 : size - length - 1;
    text->body = (const char *)(end == NULL ? bytes + size : end + 1);
}

void fuzz_check_refusal(const struct fx_err *err, enum fx_code code, const char *const *names)
{
    if (err->code != code)
        fail_msg("%s for %s: %s", fx_code_name(err->code), fx_code_name(code), err->text);
    if (err->text[0] == '\0' || !text_is_utf8(err->text, strlen(err->text)))
        fail_msg("an error's text is %s: \"%s\"", err->text[0] == '\0' ? "empty" : "no UTF-8",
                 err->text);
    for (; *names != NULL; names++)
        if (strstr(err->text, *names) == NULL)
            fail_msg("an error does not name \"%s\": %s", *names, err->text);
}
