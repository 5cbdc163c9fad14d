/* pgprobe.c - see pgprobe.h. */
#include "proxy/discover/pgprobe.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/wire/pgwire.h"

enum {
    AUTH_OK = 0,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12,
    IN_MAX = 2 * PGWIRE_MESSAGE_MAX,
};

/* The name of the current WAL file begins with the timeline; only a primary answers. */
static const char timeline_query[] =
    "SELECT pg_catalog.substr("
    "pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)";

static void fail(struct pgprobe *probe, const char *problem)
{
    probe->state = PGPROBE_FAILED;
    probe->role = UPSTREAM_ROLE_UNKNOWN;
    probe->problem = problem;
}

void pgprobe_init(struct pgprobe *probe, const char *user, const char *database,
                  const char *password, const char *nonce)
{
    *probe = (struct pgprobe){.role = UPSTREAM_ROLE_UNKNOWN, .password = password};
    probe->in.max = IN_MAX;
    (void)rc_text_put(probe->scram.nonce, sizeof probe->scram.nonce, nonce);
    pgwire_write_startup(&probe->out, user, database);
}

void pgprobe_fini(struct pgprobe *probe)
{
    rc_buffer_fini(&probe->in);
    rc_buffer_fini(&probe->out);
}

/* SASLInitialResponse: mechanism, length, the client's first message. */
static void begin_scram(struct pgprobe *probe)
{
    static const char mechanism[] = "SCRAM-SHA-256";
    struct rc_buffer first = {0};
    struct rc_buffer body = {0};
    char nonce[SCRAM_NONCE_MAX];

    (void)rc_text_put(nonce, sizeof nonce, probe->scram.nonce);
    if (scram_begin(&probe->scram, "", nonce, &first) == RC_OK) {
        uint8_t size[4] = {0, 0, (uint8_t)(first.size >> 8), (uint8_t)first.size};
        rc_buffer_append(&body, mechanism, sizeof mechanism);
        rc_buffer_append(&body, size, sizeof size);
        rc_buffer_append(&body, first.bytes, first.size);
        pgwire_write_password(&probe->out, body.bytes, body.size);
    }
    rc_buffer_fini(&first);
    rc_buffer_fini(&body);
}

static void continue_scram(struct pgprobe *probe, const struct pgwire_message *message)
{
    struct rc_buffer last = {0};
    if (scram_continue(&probe->scram, probe->password, message->body + 4,
                       message->body_size - 4, &last) == RC_OK) {
        pgwire_write_password(&probe->out, last.bytes, last.size);
    } else {
        fail(probe, "the server's password exchange makes no sense");
    }
    rc_buffer_fini(&last);
}

static void on_auth(struct pgprobe *probe, const struct pgwire_message *message)
{
    uint32_t code = pgwire_auth_code(message);
    if (code == AUTH_OK) {
        return;
    }
    if (probe->password[0] == '\0') {
        fail(probe, "the server wants a password for probe_user");
    } else if (code == AUTH_SASL) {
        begin_scram(probe);
    } else if (code == AUTH_SASL_CONTINUE) {
        continue_scram(probe, message);
    } else if (code != AUTH_SASL_FINAL || scram_finish(&probe->scram, message->body + 4,
                                                       message->body_size - 4) != RC_OK) {
        fail(probe, "the server wants a kind of password the probe does not give: "
                    "SCRAM-SHA-256 is needed");
    }
}

static void on_parameter(struct pgprobe *probe, const struct pgwire_message *message)
{
    const char *value = NULL;
    if (pgwire_parameter(message, "in_hot_standby", &value)) {
        probe->server_spoke = true;
        probe->server_says_standby = rc_text_equals(value, "on");
    }
}

static void on_row(struct pgprobe *probe, const struct pgwire_message *message)
{
    char text[16];
    uint8_t bytes[4];
    if (probe->state == PGPROBE_TIMELINE &&
        pgwire_first_column(message, text, sizeof text) == RC_OK && strlen(text) == 8 &&
        rc_text_from_hex(text, 4, bytes) == RC_OK) {
        probe->timeline = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
                          (uint32_t)bytes[2] << 8 | bytes[3];
    }
}

/* The server has said all about the last question: the role is what it said. */
static void on_ready(struct pgprobe *probe)
{
    if (!probe->server_spoke) {
        fail(probe, "the server does not tell in_hot_standby: PostgreSQL 14 or later is "
                    "needed");
        return;
    }
    if (probe->server_says_standby) {
        probe->role = UPSTREAM_ROLE_STANDBY;
        probe->timeline = 0;
        probe->state = PGPROBE_IDLE;
        return;
    }
    probe->role = UPSTREAM_ROLE_PRIMARY;
    if (probe->timeline == 0 && probe->state != PGPROBE_TIMELINE) {
        pgwire_write_query(&probe->out, timeline_query);
        probe->state = PGPROBE_TIMELINE;
        return;
    }
    probe->state = PGPROBE_IDLE;
}

static void on_error(struct pgprobe *probe, const struct pgwire_message *message)
{
    char sqlstate[6];
    if (probe->state == PGPROBE_TIMELINE) {
        return; /* without a timeline it still is what it said */
    }
    pgwire_sqlstate(message, sqlstate);
    fail(probe, rc_text_equals(sqlstate, "57P03")      ? "the server is starting"
                : rc_text_starts_with(sqlstate, "28")  ? "the server refuses probe_user"
                : rc_text_equals(sqlstate, "53300")    ? "the server has no free session"
                : rc_text_starts_with(sqlstate, "57P") ? "the server is stopping"
                                                       : "the server answered an error");
}

static void on_message(struct pgprobe *probe, const struct pgwire_message *message)
{
    switch (message->type) {
    case 'R':
        on_auth(probe, message);
        break;
    case 'S':
        on_parameter(probe, message);
        break;
    case 'D':
        on_row(probe, message);
        break;
    case 'E':
        on_error(probe, message);
        break;
    case 'Z':
        on_ready(probe);
        break;
    default: /* notices, keys, row descriptions: nothing for us */
        break;
    }
}

void pgprobe_receive(struct pgprobe *probe, const void *bytes, size_t size)
{
    struct pgwire_message message;
    rc_buffer_append(&probe->in, bytes, size);
    if (probe->in.err != RC_OK) {
        fail(probe, "the server says too much");
        return;
    }
    while (probe->state != PGPROBE_FAILED) {
        int err = pgwire_read_message(probe->in.bytes, probe->in.size, &message);
        if (err == RC_EAGAIN) {
            return;
        }
        if (err != RC_OK) {
            fail(probe, "this is not PostgreSQL's protocol");
            return;
        }
        on_message(probe, &message);
        rc_buffer_consume(&probe->in, message.size);
    }
}

bool pgprobe_ask(struct pgprobe *probe)
{
    if (probe->state != PGPROBE_IDLE) {
        return false;
    }
    probe->state = PGPROBE_ASKING;
    pgwire_write_query(&probe->out, "");
    return true;
}
