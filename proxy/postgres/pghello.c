/* pghello.c - see pghello.h. */
#include "proxy/postgres/pghello.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { HELD_MAX = 256 * 1024 };

void pghello_init(struct pghello *hello, enum pghello_want want)
{
    *hello = (struct pghello){.want = want};
    hello->held.max = HELD_MAX;
}

void pghello_fini(struct pghello *hello)
{
    rc_buffer_fini(&hello->held);
    rc_buffer_fini(&hello->pass);
}

/* What was held goes on: all of it, or what has been looked at. */
static void let_pass(struct pghello *hello, size_t size)
{
    rc_buffer_append(&hello->pass, hello->held.bytes, size);
    rc_buffer_consume(&hello->held, size);
    hello->seen = 0;
    hello->passed_anything = true;
}

static void note_key(struct pghello *hello, const struct pgwire_message *message)
{
    const uint8_t *key = NULL;
    uint32_t pid = 0;
    size_t size = 0;
    if (pgwire_backend_key(message, &pid, &key, &size) == RC_OK) {
        hello->has_key = true;
        hello->pid = pid;
        hello->key_size = size;
        memcpy(hello->key, key, size);
    }
}

/* 57P01..57P03: stopping or starting; another moment or another server will do. */
static bool is_passing_trouble(const struct pgwire_message *message)
{
    char sqlstate[6];
    pgwire_sqlstate(message, sqlstate);
    return rc_text_equals(sqlstate, "57P01") || rc_text_equals(sqlstate, "57P02") ||
           rc_text_equals(sqlstate, "57P03");
}

static void on_error(struct pghello *hello, const struct pgwire_message *message)
{
    if (!hello->passed_anything && is_passing_trouble(message)) {
        hello->state = PGHELLO_RETRY;
        return;
    }
    hello->state = PGHELLO_DONE; /* the server's last word: the client hears it */
}

static void on_ready(struct pghello *hello)
{
    bool refuse = hello->want == PGHELLO_WANTS_PRIMARY && hello->in_hot_standby;
    hello->state = refuse ? PGHELLO_STANDBY : PGHELLO_DONE;
}

static void on_message(struct pghello *hello, const struct pgwire_message *message)
{
    const char *value = NULL;
    switch (message->type) {
    case 'R':
        hello->granted = hello->granted || pgwire_auth_code(message) == 0;
        break;
    case 'S':
        if (pgwire_parameter(message, "in_hot_standby", &value)) {
            hello->in_hot_standby = rc_text_equals(value, "on");
        }
        break;
    case 'K':
        note_key(hello, message);
        break;
    case 'E':
        on_error(hello, message);
        break;
    case 'Z':
        on_ready(hello);
        break;
    default: /* notices and what later protocols add: held or passed like the rest */
        break;
    }
}

/* The next message in `held`, if it is whole. False: nothing more to do. */
static bool step(struct pghello *hello)
{
    struct pgwire_message message;
    const struct rc_buffer *held = &hello->held;
    int err = pgwire_read_message(held->bytes + hello->seen, held->size - hello->seen,
                                  &message);
    if (err == RC_EAGAIN) {
        return false;
    }
    if (err != RC_OK) {
        hello->state = PGHELLO_BROKEN;
        return false;
    }
    on_message(hello, &message);
    hello->seen += message.size;
    if (hello->state == PGHELLO_TALKING && !hello->granted) {
        let_pass(hello, hello->seen);
    }
    return hello->state == PGHELLO_TALKING;
}

void pghello_receive(struct pghello *hello, const void *bytes, size_t size)
{
    assert(hello->state == PGHELLO_TALKING);
    rc_buffer_append(&hello->held, bytes, size);
    if (hello->held.err != RC_OK) {
        hello->state = PGHELLO_BROKEN;
        return;
    }
    while (hello->held.size > hello->seen && step(hello)) {
    }
    if (hello->state == PGHELLO_DONE) {
        let_pass(hello, hello->held.size);
    }
    if (hello->pass.err != RC_OK) {
        hello->state = PGHELLO_BROKEN;
    }
}
