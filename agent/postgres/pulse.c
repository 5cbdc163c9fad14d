#include "agent/postgres/pulse.h"

#include <ctype.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

/* greatest(): the received position restarts at a segment's beginning when a receiver is
 * started anew, and is null before the first. The timeline of what was received is told by nobody
 * but the names of the files. */
const char pulse_status_query[] =
    "SELECT r AS in_recovery,"
    " CASE WHEN r THEN greatest((pg_control_recovery()).min_recovery_end_timeline,"
    "   w.received_tli, (SELECT max(('x'||substr(name,1,8))::bit(32)::int)"
    "   FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'))"
    " ELSE ('x'||substr(pg_walfile_name(pg_current_wal_insert_lsn()),1,8))"
    "::bit(32)::int END AS tli,"
    " CASE WHEN r THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
    " ELSE pg_current_wal_flush_lsn() END - '0/0' AS lsn,"
    " CASE WHEN r THEN pg_last_wal_replay_lsn() - '0/0' END AS replay,"
    " (pg_control_system()).system_identifier AS sysid,"
    " a.pid IS NOT NULL AS has_receiver, w.status,"
    " extract(epoch FROM clock_timestamp() - w.last_msg_receipt_time) * 1000,"
    " CASE WHEN r THEN pg_get_wal_replay_pause_state() END AS replay_pause,"
    " current_setting('synchronous_standby_names') AS ssn,"
    " pg_postmaster_start_time()::timestamp(0) AS started,"
    " current_setting('server_version')"
    " FROM (SELECT pg_is_in_recovery() AS r) x"
    " LEFT JOIN pg_stat_wal_receiver w ON true"
    " LEFT JOIN pg_stat_activity a ON a.backend_type = 'walreceiver'";

enum status_column {
    STATUS_IN_RECOVERY,
    STATUS_TLI,
    STATUS_LSN,
    STATUS_REPLAY,
    STATUS_SYSID,
    STATUS_HAS_RECEIVER,
    STATUS_RECEIVER,
    STATUS_SILENCE_MS,
    STATUS_PAUSE,
    STATUS_NAMES,
    STATUS_STARTED,
    STATUS_VERSION,
    STATUS_COLUMN_COUNT
};

const char pulse_senders_query[] =
    "SELECT application_name, state = 'streaming', sync_state IN ('sync', 'quorum'),"
    " sent_lsn - '0/0', flush_lsn - '0/0', replay_lsn - '0/0',"
    " extract(epoch FROM replay_lag) * 1000"
    " FROM pg_stat_replication"
    " ORDER BY application_name, state = 'streaming' DESC, pid";

enum sender_column {
    SENDER_NAME,
    SENDER_STREAMING,
    SENDER_COUNTED,
    SENDER_SENT,
    SENDER_FLUSH,
    SENDER_REPLAY,
    SENDER_LAG_MS,
    SENDER_COLUMN_COUNT
};

const char pulse_lint_query[] =
    "SELECT coalesce(r.rolname, '*'), coalesce(d.datname, '*')"
    " FROM pg_db_role_setting s"
    " LEFT JOIN pg_database d ON d.oid = s.setdatabase"
    " LEFT JOIN pg_roles r ON r.oid = s.setrole"
    " WHERE array_to_string(s.setconfig, ',') ~ 'synchronous_commit=(off|local)'";

/* 20000 rows in 64 kB of memory: a temporary file among the server's, which needs no right, no
 * table, and leaves nothing behind. WAL alone is not enough: its files are there before they are
 * needed, and go on when the tables cannot grow any more. */
#define SPILL "SELECT count(*) FROM generate_series(1, 20000)"
const char pulse_spill_query[] = "SET work_mem = '64kB'; " SPILL;
const char pulse_write_query[] =
    "BEGIN READ WRITE; SET LOCAL work_mem = '64kB'; " SPILL
    "; SELECT pg_logical_emit_message(true, 'rollcall', ''); COMMIT";

int pulse_read_status(const struct rows *rows, struct keeper_probe *out)
{
    if (rows->row_count < 1 || rows->column_count != STATUS_COLUMN_COUNT) {
        return RC_EMALFORMED;
    }
    out->reach = KEEPER_ANSWERED;
    out->in_recovery = rows_flag(rows, 0, STATUS_IN_RECOVERY);
    out->tli = (uint32_t)rows_number(rows, 0, STATUS_TLI);
    out->lsn = rows_number(rows, 0, STATUS_LSN);
    out->replay_lsn = rows_number(rows, 0, STATUS_REPLAY);
    (void)rc_text_put(out->sysid, sizeof out->sysid, rows_text(rows, 0, STATUS_SYSID));
    out->has_receiver = rows_flag(rows, 0, STATUS_HAS_RECEIVER) ||
                        !rows_is_null(rows, 0, STATUS_RECEIVER);
    out->is_streaming = rc_text_equals(rows_text(rows, 0, STATUS_RECEIVER), "streaming");
    out->receiver_silence_ms = rows_number(rows, 0, STATUS_SILENCE_MS);
    const char *pause = rows_text(rows, 0, STATUS_PAUSE);
    out->is_replay_paused = rc_text_starts_with(pause, "pause");
    (void)rc_text_put(out->started, sizeof out->started,
                      rows_text(rows, 0, STATUS_STARTED));
    (void)rc_text_put(out->version, sizeof out->version,
                      rows_text(rows, 0, STATUS_VERSION));
    return rc_text_put(out->names, sizeof out->names, rows_text(rows, 0, STATUS_NAMES)) ==
                   RC_OK
               ? RC_OK
               : RC_EMALFORMED;
}

int pulse_read_senders(const struct rows *rows, struct keeper_probe *out)
{
    out->sender_count = 0;
    if (rows->row_count > 0 && rows->column_count != SENDER_COLUMN_COUNT) {
        return RC_EMALFORMED;
    }
    for (size_t i = 0; i < rows->row_count && i < KEEPER_SENDERS_MAX; i++) {
        struct keeper_sender *sender = &out->senders[out->sender_count++];
        *sender = (struct keeper_sender){
            .is_streaming = rows_flag(rows, i, SENDER_STREAMING),
            .is_counted = rows_flag(rows, i, SENDER_COUNTED),
            .sent_lsn = rows_number(rows, i, SENDER_SENT),
            .flush_lsn = rows_number(rows, i, SENDER_FLUSH),
            .replay_lsn = rows_number(rows, i, SENDER_REPLAY),
            .lag_ms = rows_number(rows, i, SENDER_LAG_MS),
        };
        (void)rc_text_put(sender->name, sizeof sender->name,
                          rows_text(rows, i, SENDER_NAME));
    }
    return RC_OK;
}

/* ---- What a failure means: alive but refusing is alive. */

static const struct {
    const char *sqlstate; /* a class of two, or all five */
    enum keeper_reach reach;
} meanings[] = {
    {"57P03", KEEPER_REFUSING}, /* cannot connect now: starting, shutting down */
    {"53300", KEEPER_REFUSING}, /* too many connections */
    {"28", KEEPER_DENIED},      /* invalid authorization */
    {"42501", KEEPER_DENIED},   /* insufficient privilege */
    {"3D000", KEEPER_DENIED},   /* no such database */
};

enum keeper_writing pulse_writing(const char *sqlstate, const char *text)
{
    static const char *const failures[] = {
        "53100", /* disk full */
        "58030", /* I/O error */
    };

    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        if (rc_text_equals(sqlstate, failures[i])) {
            return KEEPER_CANNOT_WRITE;
        }
    }
    /* EROFS is told as a lack of rights. */
    return rc_text_equals(sqlstate, "42501") &&
                   strstr(text, "Read-only file system") != NULL
               ? KEEPER_CANNOT_WRITE
               : KEEPER_WRITING_UNKNOWN;
}

static const char *const nobody[] = {
    "Connection refused",
    "No such file or directory",
};

enum keeper_reach pulse_reach(const char *sqlstate, const char *text)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (rc_text_starts_with(sqlstate, meanings[i].sqlstate)) {
            return meanings[i].reach;
        }
    }
    for (size_t i = 0; i < sizeof nobody / sizeof nobody[0]; i++) {
        if (strstr(text, nobody[i]) != NULL) {
            return KEEPER_NO_SERVER;
        }
    }
    return KEEPER_SILENT;
}

static bool is_sqlstate(const char *at)
{
    for (size_t i = 0; i < 5; i++) {
        if (!isdigit((unsigned char)at[i]) && !isupper((unsigned char)at[i])) {
            return false;
        }
    }
    return at[5] == ':';
}

void pulse_find_sqlstate(const char *text, char out[6])
{
    out[0] = '\0';
    for (const char *at = strstr(text, ":  "); at != NULL; at = strstr(at + 1, ":  ")) {
        if (strlen(at) > 9 && is_sqlstate(at + 3)) {
            memcpy(out, at + 3, 5);
            out[5] = '\0';
            return;
        }
    }
}
