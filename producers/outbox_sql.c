/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox_sql.h"

#include "../common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FORMAT 4                  /* of the tables below, with all their changes */
#define APPLICATION_ID 0x46584f42 /* "FXOB" */
#define PAGE_SIZE 4096
#define CACHE_KIB 1024
#define CHECKPOINT_PAGES 2000

static const char *const texts[] = {
#define SQL_TEXT(name, text) text,
    SQL_STATEMENTS(SQL_TEXT)
#undef SQL_TEXT
};
_Static_assert(sizeof texts / sizeof texts[0] == SQL_COUNT, "a text for each statement");

/*
 * Format 1, less the index of (run, seq) that events had in formats 1 and 2: an outbox that has it
 * keeps it, which is right and slow. A new one takes the same road as an old one: these, then every
 * change.
 */
static const char tables[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE run (id INTEGER PRIMARY KEY, source TEXT NOT NULL, run INTEGER NOT NULL,"
    " region TEXT NOT NULL, previous_run INTEGER NOT NULL, previous_last_seq INTEGER NOT NULL,"
    " partition INTEGER NOT NULL, last_seq INTEGER NOT NULL, last_at INTEGER NOT NULL,"
    " last_line INTEGER NOT NULL, refused INTEGER NOT NULL, beats INTEGER NOT NULL,"
    " is_ended INTEGER NOT NULL, UNIQUE (source, run));"
    "CREATE INDEX run_open ON run (id) WHERE NOT is_ended;"
    "CREATE TABLE event (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " stored_at INTEGER NOT NULL, bytes BLOB NOT NULL);"
    "CREATE TABLE line (source TEXT NOT NULL, line TEXT NOT NULL, event INTEGER NOT NULL,"
    " PRIMARY KEY (source, line)) WITHOUT ROWID;"
    "CREATE INDEX line_event ON line (event);"
    "CREATE TABLE reversal (event INTEGER PRIMARY KEY, run INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, reason TEXT NOT NULL);"
    "CREATE TABLE census (source TEXT NOT NULL, cell TEXT NOT NULL, persons INTEGER NOT NULL,"
    " PRIMARY KEY (source, cell)) WITHOUT ROWID;"
    "CREATE TABLE position (input TEXT PRIMARY KEY, detail TEXT NOT NULL,"
    " device INTEGER NOT NULL, inode INTEGER NOT NULL, offset INTEGER NOT NULL,"
    " crc INTEGER NOT NULL, line_size INTEGER NOT NULL, lines INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE resend (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, first INTEGER NOT NULL,"
    " last INTEGER NOT NULL);";

/* changes[i] turns format i + 1 into format i + 2. */
static const char *const changes[] = {
    /* What the city asks for: until when a run may be asked for, what was obeyed already. */
    "ALTER TABLE run ADD COLUMN ended_at INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE run ADD COLUMN declares INTEGER NOT NULL DEFAULT 0;"
    "UPDATE run SET ended_at = strftime('%s', 'now') * 1000 WHERE is_ended;"
    "CREATE INDEX run_declares ON run (id) WHERE declares;"
    "CREATE TABLE asked (source TEXT PRIMARY KEY, asked_at INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL) WITHOUT ROWID;",
    /* Marks in place of an index, see outbox_sql.h. */
    "ALTER TABLE run ADD COLUMN last_id INTEGER NOT NULL DEFAULT 0;"
    "UPDATE run SET last_id = ifnull((SELECT id FROM event WHERE event.run = run.id"
    " ORDER BY seq DESC LIMIT 1), 0);"
    "CREATE TABLE mark (run INTEGER NOT NULL, seq INTEGER NOT NULL, id INTEGER NOT NULL,"
    " PRIMARY KEY (run, seq)) WITHOUT ROWID;"
    "INSERT INTO mark (run, seq, id) SELECT run, seq, id FROM event WHERE NOT EXISTS"
    " (SELECT 1 FROM event AS before WHERE before.run = event.run AND before.seq = event.seq - 1"
    " AND before.id / 8192 = event.id / 8192);",
    /* A line's id is known for longer than its event: it says itself what was answered. */
    "ALTER TABLE line ADD COLUMN run INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE line ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE line ADD COLUMN stored_at INTEGER NOT NULL DEFAULT 0;"
    "UPDATE line SET (run, seq, stored_at) = (SELECT run.run, event.seq, event.stored_at FROM event"
    " JOIN run ON run.id = event.run WHERE event.id = line.event)"
    " WHERE event IN (SELECT id FROM event);",
};
_Static_assert(sizeof changes / sizeof changes[0] == FORMAT - 1, "a change for each format");
_Static_assert(MARK_ROWS == 8192, "the change to format 3 sets marks as near as that");

/* What SQLite's code means to the caller. */
static enum fx_code set_error(struct outbox *outbox, int code, struct fx_err *err)
{
    const char *path = outbox->options.path;
    const char *text = outbox->db != NULL ? sqlite3_errmsg(outbox->db) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fx_err_set(err, FX_ECONFIG,
                          "outbox %s: another process has it open (one producer per outbox)", path);
    case SQLITE_NOTADB:
        return fx_err_set(err, FX_ECONFIG, "%s is no outbox", path);
    case SQLITE_NOMEM:
        return fx_err_set(err, FX_EMEMORY, "outbox %s: no memory", path);
    case SQLITE_CORRUPT:
    case SQLITE_CONSTRAINT:
        return fx_err_set(err, FX_ESTATE, "outbox %s: %s", path, text);
    default:
        return fx_err_set(err, FX_EDISK, "outbox %s: %s (%d)", path, text, code);
    }
}

sqlite3_stmt *sql_use(struct outbox *outbox, enum sql_statement which)
{
    sqlite3_stmt *statement = outbox->statements[which];
    sqlite3_reset(statement);
    return statement;
}

enum fx_code sql_step(struct outbox *outbox, sqlite3_stmt *statement, bool *has_row,
                      struct fx_err *err)
{
    int code = sqlite3_step(statement);
    *has_row = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        return FX_OK;
    if (code == SQLITE_DONE) {
        sqlite3_reset(statement);
        return FX_OK;
    }
    set_error(outbox, sqlite3_extended_errcode(outbox->db), err);
    sqlite3_reset(statement);
    return err->code;
}

enum fx_code sql_run(struct outbox *outbox, sqlite3_stmt *statement, struct fx_err *err)
{
    bool has_row;
    enum fx_code code = sql_step(outbox, statement, &has_row, err);
    fx_assert(code != FX_OK || !has_row);
    return code;
}

enum fx_code sql_number(struct outbox *outbox, sqlite3_stmt *statement, int64_t *number,
                        struct fx_err *err)
{
    bool has_row;
    if (sql_step(outbox, statement, &has_row, err) != FX_OK)
        return err->code;
    *number = has_row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return FX_OK;
}

void sql_bind_text(sqlite3_stmt *statement, int place, const char *text)
{
    sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC);
}

static enum fx_code execute(struct outbox *outbox, const char *text, struct fx_err *err)
{
    int code = sqlite3_exec(outbox->db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? FX_OK : set_error(outbox, sqlite3_extended_errcode(outbox->db), err);
}

/* Sets a pragma, reads it back (a build of SQLite or a file system may not do as told). */
static enum fx_code set_pragma(struct outbox *outbox, const char *name, const char *value,
                               const char *expected, struct fx_err *err)
{
    char text[80];
    sqlite3_stmt *statement = NULL;
    snprintf(text, sizeof text, "PRAGMA %s = %s", name, value);
    enum fx_code code = execute(outbox, text, err);
    if (code != FX_OK)
        return code;
    snprintf(text, sizeof text, "PRAGMA %s", name);
    if (sqlite3_prepare_v2(outbox->db, text, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        code = set_error(outbox, sqlite3_extended_errcode(outbox->db), err);
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), expected) != 0)
        code = fx_err_set(err, FX_EDISK, "outbox %s: %s is not %s but %s", outbox->options.path,
                          name, expected, (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return code;
}

/* Exclusive before WAL: then the index of the WAL lies in our memory, not in a shared file. */
static enum fx_code set_pragmas(struct outbox *outbox, struct fx_err *err)
{
    static const char *const pragmas[][3] = {
        {"locking_mode", "EXCLUSIVE", "exclusive"},
        {"journal_mode", "WAL", "wal"},
        {"synchronous", "FULL", "2"},
    };
    enum fx_code code = FX_OK;
    for (size_t i = 0; code == FX_OK && i < sizeof pragmas / sizeof pragmas[0]; i++)
        code = set_pragma(outbox, pragmas[i][0], pragmas[i][1], pragmas[i][2], err);
    char text[200];
    snprintf(text, sizeof text,
             "PRAGMA cache_size = -%d; PRAGMA wal_autocheckpoint = %d; PRAGMA temp_store = MEMORY;"
             " PRAGMA journal_size_limit = 16777216; PRAGMA max_page_count = %lld",
             CACHE_KIB, CHECKPOINT_PAGES, (long long)outbox->options.pages_max);
    if (code == FX_OK)
        code = execute(outbox, text, err);
    return code;
}

static enum fx_code read_pragma(struct outbox *outbox, const char *text, int64_t *number,
                                struct fx_err *err)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(outbox->db, text, -1, &statement, NULL) != SQLITE_OK)
        return set_error(outbox, sqlite3_extended_errcode(outbox->db), err);
    enum fx_code code = sql_number(outbox, statement, number, err);
    sqlite3_finalize(statement);
    return code;
}

/* In the caller's transaction, which a failure of the opening rolls back by closing. */
static enum fx_code change_format(struct outbox *outbox, int64_t from, struct fx_err *err)
{
    char ids[80];
    snprintf(ids, sizeof ids, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             APPLICATION_ID, FORMAT);
    enum fx_code code = FX_OK;
    for (int64_t format = from; code == FX_OK && format < FORMAT; format++)
        code = execute(outbox, changes[format - 1], err);
    return code == FX_OK ? execute(outbox, ids, err) : code;
}

static enum fx_code make_tables(struct outbox *outbox, struct fx_err *err)
{
    sqlite3_stmt *statement = NULL;
    enum fx_code code = execute(outbox, "BEGIN IMMEDIATE", err);
    if (code == FX_OK)
        code = execute(outbox, tables, err);
    if (code == FX_OK &&
        sqlite3_prepare_v2(outbox->db, "INSERT INTO meta (name, value) VALUES ('kind', ?1)", -1,
                           &statement, NULL) != SQLITE_OK)
        code = set_error(outbox, sqlite3_extended_errcode(outbox->db), err);
    if (code == FX_OK) {
        sql_bind_text(statement, 1, outbox->options.kind);
        code = sql_run(outbox, statement, err);
    }
    sqlite3_finalize(statement);
    if (code == FX_OK)
        code = change_format(outbox, 1, err);
    return code == FX_OK ? execute(outbox, "COMMIT", err) : code;
}

static enum fx_code upgrade(struct outbox *outbox, int64_t format, struct fx_err *err)
{
    enum fx_code code = execute(outbox, "BEGIN IMMEDIATE", err);
    if (code == FX_OK)
        code = change_format(outbox, format, err);
    if (code == FX_OK)
        code = execute(outbox, "COMMIT", err);
    if (code != FX_OK)
        return fx_err_wrap(err, "upgrade from format %lld to %d", (long long)format, FORMAT);
    fx_log(FX_LOG_INFO, "outbox_upgraded", "from=%lld to=%d", (long long)format, FORMAT);
    return FX_OK;
}

static enum fx_code check_identity(struct outbox *outbox, struct fx_err *err)
{
    int64_t id = 0;
    int64_t format = 0;
    int64_t schema = 0;
    if (read_pragma(outbox, "PRAGMA application_id", &id, err) != FX_OK ||
        read_pragma(outbox, "PRAGMA user_version", &format, err) != FX_OK ||
        read_pragma(outbox, "SELECT count(*) FROM sqlite_schema", &schema, err) != FX_OK)
        return err->code;
    if (schema == 0)
        return make_tables(outbox, err);
    if (id != APPLICATION_ID)
        return fx_err_set(err, FX_ECONFIG, "%s is no outbox", outbox->options.path);
    if (format < 1 || format > FORMAT)
        return fx_err_set(err, FX_ECONFIG, "outbox %s has format %lld, this program writes %d",
                          outbox->options.path, (long long)format, FORMAT);
    return FX_OK;
}

/* After check_kind: what is not ours to write is not changed either. */
static enum fx_code check_format(struct outbox *outbox, struct fx_err *err)
{
    int64_t format = 0;
    if (read_pragma(outbox, "PRAGMA user_version", &format, err) != FX_OK)
        return err->code;
    return format == FORMAT ? FX_OK : upgrade(outbox, format, err);
}

/*
 * What a process killed within a commit had written can be read, but perhaps no fsync ever reached
 * it; and a failed fsync leaves pages marked clean, which no later one will write. A power cut
 * would take them back, after their rows were sent or answered. So the log is written again as it
 * stands, and synced, before anything rests on it.
 *
 * weighed: a checkpoint / this: what is left of the old log after a power cut would be played back
 * over the newer pages of the database.
 */
static enum fx_code settle_log(struct outbox *outbox, struct fx_err *err)
{
    uint8_t bytes[PAGE_SIZE];
    sqlite3_file *log = NULL;
    sqlite3_int64 size = 0;
    int code = sqlite3_file_control(outbox->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (code == SQLITE_OK && (log == NULL || log->pMethods == NULL))
        return FX_OK;
    if (code == SQLITE_OK)
        code = log->pMethods->xFileSize(log, &size);
    for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += PAGE_SIZE) {
        int count = size - at < PAGE_SIZE ? (int)(size - at) : PAGE_SIZE;
        code = log->pMethods->xRead(log, bytes, count, at);
        if (code == SQLITE_OK)
            code = log->pMethods->xWrite(log, bytes, count, at);
    }
    if (code == SQLITE_OK && size > 0)
        code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
    if (code == SQLITE_OK)
        return FX_OK;
    return fx_err_set(err, FX_EDISK, "outbox %s: its log: %s (%d)", outbox->options.path,
                      sqlite3_errstr(code), code);
}

static enum fx_code check_kind(struct outbox *outbox, struct fx_err *err)
{
    bool has_row = false;
    sqlite3_stmt *statement = NULL;
    enum fx_code code = FX_OK;
    if (sqlite3_prepare_v2(outbox->db, "SELECT value FROM meta WHERE name = 'kind'", -1, &statement,
                           NULL) != SQLITE_OK)
        return set_error(outbox, sqlite3_extended_errcode(outbox->db), err);
    code = sql_step(outbox, statement, &has_row, err);
    if (code == FX_OK && !has_row)
        code = fx_err_set(err, FX_ESTATE, "outbox %s does not say its kind", outbox->options.path);
    else if (code == FX_OK &&
             strcmp((const char *)sqlite3_column_text(statement, 0), outbox->options.kind) != 0)
        code = fx_err_set(err, FX_ECONFIG, "outbox %s holds events of %s, not of %s",
                          outbox->options.path, (const char *)sqlite3_column_text(statement, 0),
                          outbox->options.kind);
    sqlite3_finalize(statement);
    return code;
}

/* Made by ourselves first, so that nobody else may read it; SQLite's -wal takes the same mode. */
static enum fx_code make_file(const char *path, struct fx_err *err)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return fx_err_set(err, FX_EDISK, "outbox %s: %s", path, strerror(errno));
    close(file);
    return FX_OK;
}

enum fx_code sql_open(struct outbox *outbox, struct fx_err *err)
{
    if (make_file(outbox->options.path, err) != FX_OK)
        return err->code;
    /* A process's outboxes belong to one thread. Refused, and needless, from the second on. */
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    int opened = sqlite3_open_v2(outbox->options.path, &outbox->db,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (opened != SQLITE_OK)
        return set_error(outbox, opened, err);
    /* Until settle_log is done no checkpoint is made, and a close would make one. */
    sqlite3_db_config(outbox->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    enum fx_code code = set_pragmas(outbox, err);
    if (code == FX_OK)
        code = check_identity(outbox, err);
    if (code == FX_OK)
        code = check_kind(outbox, err);
    if (code == FX_OK)
        code = check_format(outbox, err);
    if (code == FX_OK)
        code = settle_log(outbox, err);
    if (code == FX_OK)
        sqlite3_db_config(outbox->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    if (code == FX_OK)
        code = read_pragma(outbox, "PRAGMA page_size", &outbox->page_size, err);
    for (int i = 0; code == FX_OK && i < SQL_COUNT; i++)
        if (sqlite3_prepare_v3(outbox->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &outbox->statements[i], NULL) != SQLITE_OK)
            code = set_error(outbox, sqlite3_extended_errcode(outbox->db), err);
    if (code == FX_OK)
        code = read_pragma(outbox, "SELECT value FROM meta WHERE name = 'acked'", &outbox->acked_id,
                           err);
    if (code == FX_OK)
        code = read_pragma(outbox, "SELECT max(id) FROM event", &outbox->last_id, err);
    return code;
}

void sql_close(struct outbox *outbox)
{
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(outbox->statements[i]);
    sqlite3_close(outbox->db);
}
