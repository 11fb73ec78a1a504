/* SPDX-License-Identifier: Apache-2.0 */
#include "report_output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 4096

static enum fx_code write_all(FILE *file, const char *path, const struct buf *text,
                              struct fx_err *err)
{
    if (fwrite(text->data, 1, text->size, file) != text->size || fflush(file) != 0)
        return fx_err_set(err, FX_EDISK, "%s: %s", path, strerror(errno));
    return FX_OK;
}

static enum fx_code write_file(const char *path, const struct buf *text, struct fx_err *err)
{
    char beside[PATH_SIZE + 8];
    snprintf(beside, sizeof beside, "%s.part", path);
    FILE *file = fopen(beside, "wb");
    if (file == NULL)
        return fx_err_set(err, FX_EDISK, "%s: %s", beside, strerror(errno));
    enum fx_code code = write_all(file, beside, text, err);
    if (fclose(file) != 0 && code == FX_OK)
        code = fx_err_set(err, FX_EDISK, "%s: %s", beside, strerror(errno));
    if (code == FX_OK && rename(beside, path) != 0)
        code = fx_err_set(err, FX_EDISK, "%s: %s", path, strerror(errno));
    if (code != FX_OK)
        unlink(beside);
    return code;
}

enum fx_code report_output(const struct report_name *name, const struct buf *text,
                           struct fx_err *err)
{
    char path[PATH_SIZE];
    char version[16] = "draft";
    if (name->folder == NULL)
        return write_all(stdout, "standard output", text, err);
    if (name->version > 0)
        snprintf(version, sizeof version, "v%d", name->version);
    int size = snprintf(path, sizeof path, "%s/report-%s-%.4s%.2s%.5s-%s.%s.%s", name->folder,
                        name->region, name->as_of, name->as_of + 5, name->as_of + 8, version,
                        name->lang, name->format);
    if (size < 0 || size >= (int)sizeof path)
        return fx_err_set(err, FX_ECONFIG, "--output: the name is too long");
    if (write_file(path, text, err) != FX_OK)
        return err->code;
    if (printf("%s\n", path) < 0 || fflush(stdout) != 0)
        return fx_err_set(err, FX_EDISK, "standard output: %s", strerror(errno));
    return FX_OK;
}
