/* hands_repair.c - orders to files of a server that does not run. */
#include <stdio.h>
#include <string.h>

#include "agent/postgres/controldata.h"
#include "agent/postgres/hands_state.h"
#include "base/err.h"
#include "base/text.h"

static void run_controldata(struct hands *h, hands_step *then)
{
    char program[PLACE_PATH_MAX];
    const char *const arguments[] = {hands_program(h, "pg_controldata", program), "-D",
                                     h->place->data_dir, NULL};

    hands_run(h, arguments, NULL, then);
}

/* ---- Look. */

static void looked_inside(struct hands *h)
{
    struct controldata data;

    if (h->status != 0 ||
        controldata_read(rc_buffer_string(&h->output), h->output.size, &data) != RC_OK) {
        h->result.disk = KEEPER_DISK_BROKEN;
        hands_finish(h, KEEPER_DONE, "the control file cannot be read");
        return;
    }
    bool is_unready = h->job.disk == KEEPER_DISK_UNREADY || data.is_backup;
    h->result.disk = is_unready      ? KEEPER_DISK_UNREADY
                     : data.is_clean ? KEEPER_DISK_CLEAN
                                     : KEEPER_DISK_CRASHED;
    h->result.was_primary = data.was_primary;
    h->result.tli = data.tli;
    h->result.lsn = data.lsn;
    (void)rc_text_put(h->result.sysid, sizeof h->result.sysid, data.sysid);
    hands_finish(h, KEEPER_DONE, NULL);
}

static void looked(struct hands *h)
{
    if (!hands_work_is_good(h)) {
        return;
    }
    h->result.disk = h->job.disk;
    if (h->job.disk == KEEPER_DISK_CLEAN || h->job.disk == KEEPER_DISK_UNREADY) {
        run_controldata(h, looked_inside);
    } else {
        hands_finish(h, KEEPER_DONE, NULL);
    }
}

void hands_look(struct hands *h)
{
    hands_work(h, disk_look, looked);
}

/* ---- After a rewind or copy: the other's configuration came with it. */

static void finished(struct hands *h)
{
    if (hands_work_is_good(h)) {
        hands_finish(h, KEEPER_DONE, NULL);
    }
}

static void configured(struct hands *h)
{
    if (hands_work_is_good(h)) {
        hands_work(h, disk_unmark, finished);
    }
}

static bool set_fragment(struct hands *h)
{
    const struct hand_order *order = hands_order(h);

    memset(&h->job.fragment, 0, sizeof h->job.fragment);
    h->job.sets_names = true;
    h->job.sets_conninfo = true;
    place_slot_name(h->place->node, h->job.fragment.slot);
    if (fragment_conninfo(h->place, order->address, order->port,
                          h->job.fragment.conninfo) == RC_OK) {
        return true;
    }
    hands_finish(h, KEEPER_FAILED, "the connection string is too long");
    return false;
}

static void put_source(const struct hands *h, struct rc_buffer *out)
{
    const struct hand_order *order = hands_order((struct hands *)h);

    rc_buffer_format(out,
                     "host=%s port=%u user=%s dbname=%s connect_timeout=5"
                     " gssencmode=disable tcp_user_timeout=10000",
                     order->address, (unsigned)order->port, h->place->replication_user,
                     h->place->database);
}

/* ---- Rewind. */

/* Told before the first byte of the target is written. */
static const char rewind_begins[] = "need to copy";

static void rewind_failed_early(struct hands *h)
{
    char text[KEEPER_TEXT_MAX];
    size_t size = h->output.size < sizeof text - 1 ? h->output.size : sizeof text - 1;

    memcpy(text, rc_buffer_string(&h->output) + (h->output.size - size), size);
    text[size] = '\0';
    hands_finish(h, KEEPER_FAILED, text);
}

static void rewound(struct hands *h)
{
    if (h->status != 0 && strstr(rc_buffer_string(&h->output), rewind_begins) == NULL) {
        hands_work(h, disk_unmark, rewind_failed_early);
        return;
    }
    if (hands_run_is_good(h, "pg_rewind") && set_fragment(h)) {
        hands_work(h, disk_configure, configured);
    }
}

static void run_rewind(struct hands *h)
{
    char program[PLACE_PATH_MAX];
    char target[PLACE_PATH_MAX + 24];
    char config[PLACE_PATH_MAX + 24];
    struct rc_buffer source = {0};

    if (!hands_work_is_good(h)) {
        return;
    }
    rc_buffer_text(&source, "--source-server=");
    put_source(h, &source);
    (void)snprintf(target, sizeof target, "--target-pgdata=%s", h->place->data_dir);
    (void)snprintf(config, sizeof config, "--config-file=%s", h->place->config_file);
    const char *const arguments[] = {hands_program(h, "pg_rewind", program),
                                     target,
                                     rc_buffer_string(&source),
                                     "--progress",
                                     h->place->config_file[0] != '\0' ? config : NULL,
                                     NULL};
    hands_run(h, arguments, NULL, rewound);
    rc_buffer_fini(&source);
}

static void begin_rewind(struct hands *h)
{
    struct controldata data = {0};

    (void)controldata_read(rc_buffer_string(&h->output), h->output.size, &data);
    h->job.term = hands_order(h)->term;
    for (size_t i = 0; i < h->result.fork_count; i++) {
        if (h->result.forks[i].tli == data.tli) {
            h->job.tli = data.tli;
            h->job.fork_lsn = h->result.forks[i].end_lsn;
        }
    }
    hands_work(h, disk_begin_rewind, run_rewind);
}

static void source_known(struct hands *h)
{
    run_controldata(h, begin_rewind);
}

void hands_rewind(struct hands *h)
{
    hands_fetch_history(h, source_known);
}

/* ---- Copy. */

static void copied(struct hands *h)
{
    if (hands_run_is_good(h, "pg_basebackup") && set_fragment(h)) {
        hands_work(h, disk_end_copy, configured);
    }
}

static void run_copy(struct hands *h)
{
    char program[PLACE_PATH_MAX];
    char folder[PLACE_PATH_MAX + 16];
    char rate[48];
    struct rc_buffer source = {0};

    if (!hands_work_is_good(h)) {
        return;
    }
    put_source(h, &source);
    (void)snprintf(folder, sizeof folder, "%s%s", h->place->data_dir, disk_copy_suffix());
    (void)snprintf(rate, sizeof rate, "--max-rate=%lluk",
                   (unsigned long long)h->place->max_rate);
    const char *const arguments[] = {hands_program(h, "pg_basebackup", program),
                                     "-D",
                                     folder,
                                     "-d",
                                     rc_buffer_string(&source),
                                     "-X",
                                     "stream",
                                     "--checkpoint=fast",
                                     "--no-password",
                                     "--progress",
                                     h->place->max_rate != 0 ? rate : NULL,
                                     NULL};
    hands_run(h, arguments, NULL, copied);
    rc_buffer_fini(&source);
}

void hands_copy(struct hands *h)
{
    hands_work(h, disk_begin_copy, run_copy);
}

/* ---- A new cluster. */

static void new_cluster_known(struct hands *h)
{
    struct controldata data;

    if (!hands_run_is_good(h, "pg_controldata")) {
        return;
    }
    if (controldata_read(rc_buffer_string(&h->output), h->output.size, &data) != RC_OK) {
        hands_finish(h, KEEPER_FAILED, "the control file cannot be read");
        return;
    }
    (void)rc_text_put(h->result.sysid, sizeof h->result.sysid, data.sysid);
    h->result.tli = data.tli;
    h->result.lsn = data.lsn;
    hands_finish(h, KEEPER_DONE, NULL);
}

static void initdb_over(struct hands *h)
{
    if (hands_work_is_good(h)) {
        run_controldata(h, new_cluster_known);
    }
}

static void initdb_configured(struct hands *h)
{
    if (hands_work_is_good(h)) {
        hands_work(h, disk_end_initdb, initdb_over);
    }
}

/* A lone server's exit status says nothing of its statements. */
static void roles_made(struct hands *h)
{
    const char *error = strstr(rc_buffer_string(&h->output), "ERROR:");

    if (error != NULL) {
        char text[KEEPER_TEXT_MAX];
        (void)rc_text_put(text, sizeof text, error);
        hands_finish(h, KEEPER_FAILED, text);
        return;
    }
    if (hands_run_is_good(h, "postgres --single")) {
        h->job.sets_conninfo = true;
        h->job.sets_names = true;
        hands_work(h, disk_configure, initdb_configured);
    }
}

static void put_name(const char *name, struct rc_buffer *out)
{
    rc_buffer_byte(out, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"') {
            rc_buffer_byte(out, '"');
        }
        rc_buffer_byte(out, (uint8_t)*name);
    }
    rc_buffer_byte(out, '"');
}

static void put_statement(struct rc_buffer *out, const char *before, const char *name,
                          const char *password)
{
    rc_buffer_text(out, before);
    put_name(name, out);
    if (password != NULL) {
        rc_buffer_text(out, " LOGIN REPLICATION PASSWORD ");
        fragment_quote(password, out);
    }
    rc_buffer_byte(out, '\n');
}

/* A statement a line, as the lone server reads them. The manual tells operators of existing
 * clusters the same. */
static void put_roles(const struct postgres_place *place, struct rc_buffer *out)
{
    static const char *const for_keeper[] = {
        "GRANT pg_monitor, pg_checkpoint TO ",
        "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO ",
    };
    static const char *const for_rewind[] = {
        "GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean) TO ",
        "GRANT EXECUTE ON FUNCTION pg_stat_file(text, boolean) TO ",
        "GRANT EXECUTE ON FUNCTION pg_read_binary_file(text) TO ",
        "GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) TO ",
    };

    put_statement(out, "CREATE ROLE ", place->user, place->password);
    for (size_t i = 0; i < sizeof for_keeper / sizeof for_keeper[0]; i++) {
        put_statement(out, for_keeper[i], place->user, NULL);
    }
    put_statement(out, "CREATE ROLE ", place->replication_user,
                  place->replication_password);
    for (size_t i = 0; i < sizeof for_rewind / sizeof for_rewind[0]; i++) {
        put_statement(out, for_rewind[i], place->replication_user, NULL);
    }
}

static void initdb_ran(struct hands *h)
{
    char program[PLACE_PATH_MAX];
    struct rc_buffer sql = {0};

    if (!hands_run_is_good(h, "initdb")) {
        return;
    }
    put_roles(h->place, &sql);
    const char *const arguments[] = {hands_program(h, "postgres", program),
                                     "--single",
                                     "-D",
                                     h->place->data_dir,
                                     h->place->database,
                                     NULL};
    hands_run(h, arguments, rc_buffer_string(&sql), roles_made);
    if (sql.bytes != NULL) {
        explicit_bzero(sql.bytes, sql.size);
    }
    rc_buffer_fini(&sql);
}

static void run_initdb(struct hands *h)
{
    char program[PLACE_PATH_MAX];

    if (!hands_work_is_good(h)) {
        return;
    }
    const char *const arguments[] = {hands_program(h, "initdb", program),
                                     "-D",
                                     h->place->data_dir,
                                     "-U",
                                     "postgres",
                                     "--data-checksums",
                                     "--auth-local=peer",
                                     "--auth-host=scram-sha-256",
                                     "--encoding=UTF8",
                                     "--locale=C.UTF-8",
                                     "--no-instructions",
                                     NULL};
    hands_run(h, arguments, NULL, initdb_ran);
}

void hands_initdb(struct hands *h)
{
    hands_work(h, disk_begin_initdb, run_initdb);
}
