/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_files - files of inputs, and a folder for what is under test to read.
 *
 * Whatever cannot be read or written ends the process.
 */
#ifndef FX_FUZZ_FILES_H
#define FX_FUZZ_FILES_H

#include "../unit/fake_base.h"

#define FUZZ_FILE_MAX 131072 /* bytes of an input that are read */

typedef void (*fuzz_visit)(const char *name, const uint8_t *bytes, size_t size);

/* Calls visit with the file at path, or with each file of the folder at path by name; hidden ones
 * are left out. */
void fuzz_visit_files(const char *path, fuzz_visit visit);

/* A folder in memory where there is one, gone when the process exits. One per process. */
const char *fuzz_folder(void);

/* Writes root/folder/file (root/file if folder is NULL), where root is fuzz_folder; a folder of
 * that name is made if need be. Returns the path, good until the next call. */
const char *fuzz_write(const char *folder, const char *file, const void *bytes, size_t size);

/* Removes root/folder/file if it is there; file NULL: the folder, if it is empty. */
void fuzz_remove(const char *folder, const char *file);

#endif
