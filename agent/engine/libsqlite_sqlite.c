/* libsqlite_sqlite.c - the table of its functions. */
#include "agent/engine/libsqlite_sqlite.h"

#include "base/library.h"

int libsqlite_load(struct libsqlite *out, char *error, size_t error_size)
{
    const struct rc_symbol symbols[] = {
        {"sqlite3_open_v2", (void **)&out->open},
        {"sqlite3_close", (void **)&out->close},
        {"sqlite3_db_config", (void **)&out->configure},
        {"sqlite3_exec", (void **)&out->run},
        {"sqlite3_prepare_v3", (void **)&out->prepare},
        {"sqlite3_finalize", (void **)&out->finalize},
        {"sqlite3_reset", (void **)&out->reset},
        {"sqlite3_step", (void **)&out->step},
        {"sqlite3_bind_int64", (void **)&out->bind_number},
        {"sqlite3_bind_blob64", (void **)&out->bind_bytes},
        {"sqlite3_column_int64", (void **)&out->number},
        {"sqlite3_column_blob", (void **)&out->bytes},
        {"sqlite3_column_bytes", (void **)&out->size},
        {"sqlite3_column_text", (void **)&out->text},
        {"sqlite3_errstr", (void **)&out->meaning},
        {"sqlite3_get_autocommit", (void **)&out->is_idle},
        {"sqlite3_wal_hook", (void **)&out->on_log},
        {"sqlite3_wal_checkpoint_v2", (void **)&out->checkpoint},
    };

    return rc_library_load("libsqlite3.so.0", "libsqlite3-0", symbols,
                           sizeof symbols / sizeof symbols[0], error, error_size);
}
