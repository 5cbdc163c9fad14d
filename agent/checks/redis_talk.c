#include "agent/checks/redis_talk.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/checks/resp.h"
#include "base/err.h"
#include "base/text.h"

enum { HOST_MAX = 128, STATE_MAX = 32, SHOWN_MAX = 256 };

/* What a server has said about its place. */
struct place {
    enum redis_role role; /* ANY: neither (a sentinel) */
    char word[STATE_MAX]; /* its own */
    char host[HOST_MAX];  /* a replica's master */
    int64_t port;
    char link[STATE_MAX]; /* a replica's way to it: "connected" */
    int64_t replicas;     /* a master's */
};

int redis_role_parse(const char *word, enum redis_role *out)
{
    if (word == NULL) {
        *out = REDIS_ANY;
    } else if (rc_text_equals(word, "master")) {
        *out = REDIS_MASTER;
    } else if (rc_text_equals(word, "replica")) {
        *out = REDIS_REPLICA;
    } else {
        return RC_EINVAL;
    }
    return RC_OK;
}

static void ask(struct redis_talk *talk, enum redis_step step)
{
    static const char *const words[][2] = {
        [REDIS_PING] = {"PING", NULL},
        [REDIS_ROLE] = {"ROLE", NULL},
        [REDIS_INFO] = {"INFO", "replication"},
    };

    assert(step > REDIS_AUTH && step < REDIS_DONE);
    talk->step = step;
    resp_command(&talk->out, words[step], words[step][1] == NULL ? 1 : 2);
}

void redis_talk_begin(struct redis_talk *talk, enum redis_role wanted, const char *user,
                      const char *password)
{
    *talk = (struct redis_talk){.wanted = wanted};
    talk->in.max = REDIS_REPLY_MAX;
    if (password == NULL) {
        ask(talk, REDIS_PING);
        return;
    }
    const char *words[] = {"AUTH", user != NULL ? user : password, password};
    /* At once, so that growing leaves no second copy behind. */
    (void)rc_buffer_reserve(&talk->out, 2 * REDIS_PASSWORD_MAX + 64);
    talk->step = REDIS_AUTH;
    resp_command(&talk->out, words, user != NULL ? 3 : 2);
}

void redis_talk_fini(struct redis_talk *talk)
{
    if (talk->out.bytes != NULL) {
        explicit_bzero(talk->out.bytes, talk->out.capacity);
    }
    rc_buffer_fini(&talk->out);
    rc_buffer_fini(&talk->in);
    rc_buffer_fini(&talk->text);
}

static int finish(struct redis_talk *talk, enum check_status status)
{
    talk->step = REDIS_DONE;
    talk->status = status;
    return RC_OK;
}

static int fail(struct redis_talk *talk, const char *why)
{
    rc_buffer_format(&talk->text, "Redis: %s", why);
    return finish(talk, CHECK_CRITICAL);
}

static int shown(struct rc_span text)
{
    return (int)(text.size < SHOWN_MAX ? text.size : SHOWN_MAX);
}

static void put(char *space, size_t size, struct rc_span text)
{
    (void)snprintf(space, size, "%.*s", shown(text), text.at);
}

static bool begins(struct rc_span text, const char *with)
{
    size_t size = strlen(with);

    return text.size >= size && memcmp(text.at, with, size) == 0;
}

/* What a server refuses, with what can be done about it. */
static int refused(struct redis_talk *talk, struct rc_span text)
{
    const char *advice = begins(text, "NOAUTH") ? " Give redis_password_file."
                         : begins(text, "DENIED")
                             ? " It answers other machines only with "
                               "a password or protected-mode no."
                         : begins(text, "NOPERM") ? " Its user needs +ping, and +role or "
                                                    "+info for redis_role."
                                                  : "";

    rc_buffer_format(&talk->text, "Redis: %.*s%s", shown(text), text.at, advice);
    return finish(talk, CHECK_CRITICAL);
}

/* Some servers repeat what they do not understand, a password among it: only their code, the
 * first word, is shown. */
static int refused_password(struct redis_talk *talk, struct rc_span text)
{
    size_t size = 0;

    while (size < text.size && size < 16 && text.at[size] >= 'A' &&
           text.at[size] <= 'Z') {
        size++;
    }
    rc_buffer_format(
        &talk->text,
        "Redis: the password of redis_password_file is refused (%.*s): is it "
        "that server's, and does it want one?",
        (int)size, text.at);
    return finish(talk, CHECK_CRITICAL);
}

/* ---- where it stands ------------------------------------------------------------- */

static enum redis_role role_of(struct rc_span word)
{
    if (rc_span_equals(word, "slave") || rc_span_equals(word, "replica")) {
        return REDIS_REPLICA;
    }
    return rc_span_equals(word, "master") ? REDIS_MASTER : REDIS_ANY;
}

/* The answer to ROLE; false when it is none. */
static bool read_role(struct rc_cursor *cursor, struct place *out)
{
    struct resp_value list = resp_read(cursor);
    struct resp_value word = resp_read(cursor);

    if (list.type != RESP_LIST || list.number < 1 || word.type != RESP_BYTES) {
        return false;
    }
    out->role = role_of(word.text);
    put(out->word, sizeof out->word, word.text);
    if (out->role == REDIS_MASTER && list.number >= 3) {
        resp_skip(cursor); /* how far it has written */
        out->replicas = resp_read(cursor).number;
    } else if (out->role == REDIS_REPLICA && list.number >= 4) {
        put(out->host, sizeof out->host, resp_read(cursor).text);
        out->port = resp_read(cursor).number;
        put(out->link, sizeof out->link, resp_read(cursor).text);
    }
    return cursor->err == RC_OK;
}

/* The value of "key:value" if that is the line's key. */
static bool is_line(struct rc_span line, const char *key, struct rc_span *value)
{
    size_t size = strlen(key);

    if (line.size <= size || memcmp(line.at, key, size) != 0 || line.at[size] != ':') {
        return false;
    }
    *value = (struct rc_span){line.at + size + 1, line.size - size - 1};
    return true;
}

static int64_t number_of(struct rc_span text)
{
    char digits[20];
    uint64_t number = 0;

    put(digits, sizeof digits, text);
    (void)rc_text_to_u64(digits, UINT32_MAX, &number);
    return (int64_t)number;
}

static void read_info_line(struct rc_span line, struct place *out)
{
    struct rc_span value;

    if (is_line(line, "role", &value)) {
        out->role = role_of(value);
        put(out->word, sizeof out->word, value);
    } else if (is_line(line, "connected_slaves", &value)) {
        out->replicas = number_of(value);
    } else if (is_line(line, "master_host", &value)) {
        put(out->host, sizeof out->host, value);
    } else if (is_line(line, "master_port", &value)) {
        out->port = number_of(value);
    } else if (is_line(line, "master_link_status", &value)) {
        put(out->link, sizeof out->link,
            rc_span_equals(value, "up") ? rc_span_of("connected") : value);
    }
}

static bool read_info(struct rc_cursor *cursor, struct place *out)
{
    struct resp_value info = resp_read(cursor);

    if (info.type != RESP_BYTES) {
        return false;
    }
    for (size_t at = 0; at < info.text.size;) {
        const char *line = info.text.at + at;
        const char *end = memchr(line, '\n', info.text.size - at);
        size_t size = end != NULL ? (size_t)(end - line) : info.text.size - at;
        at += size + 1;
        if (size > 0 && line[size - 1] == '\r') {
            size--;
        }
        read_info_line((struct rc_span){line, size}, out);
    }
    return out->word[0] != '\0';
}

static int judge(struct redis_talk *talk, const struct place *place)
{
    static const char *const names[] = {
        [REDIS_MASTER] = "master", [REDIS_REPLICA] = "replica"};
    bool is_linked = rc_text_equals(place->link, "connected");

    if (place->role == REDIS_MASTER) {
        rc_buffer_format(&talk->text, "Redis master, %lld replicas",
                         (long long)place->replicas);
    } else if (place->role == REDIS_REPLICA) {
        rc_buffer_format(&talk->text, "Redis replica of %s:%lld, %s", place->host,
                         (long long)place->port, is_linked ? "connected" : "link ");
        if (!is_linked) {
            rc_buffer_text(&talk->text, place->link);
        }
    } else {
        rc_buffer_format(&talk->text, "Redis %s", place->word);
    }
    if (place->role != talk->wanted) {
        rc_buffer_format(&talk->text, "; wanted is a %s", names[talk->wanted]);
        return finish(talk, CHECK_CRITICAL);
    }
    /* It answers from what it had: others may be better to ask. */
    return finish(talk, place->role == REDIS_REPLICA && !is_linked ? CHECK_WARNING
                                                                   : CHECK_PASSING);
}

/* ---- the steps ------------------------------------------------------------------- */

static int on_pong(struct redis_talk *talk, struct rc_cursor *reply)
{
    struct resp_value value = resp_read(reply);

    if (value.type != RESP_TEXT || !rc_span_equals(value.text, "PONG")) {
        return fail(talk, "PING was not answered by PONG");
    }
    if (talk->wanted != REDIS_ANY) {
        ask(talk, REDIS_ROLE);
        return RC_EAGAIN;
    }
    rc_buffer_text(&talk->text, "Redis: PONG");
    return finish(talk, CHECK_PASSING);
}

static int on_error(struct redis_talk *talk, struct rc_span text)
{
    bool may_ask_else = begins(text, "NOPERM") || begins(text, "ERR unknown command");

    if (talk->step == REDIS_AUTH) {
        return refused_password(talk, text);
    }
    if (talk->step == REDIS_ROLE && may_ask_else) {
        ask(talk, REDIS_INFO);
        return RC_EAGAIN;
    }
    return refused(talk, text);
}

/* One complete answer. */
static int on_reply(struct redis_talk *talk, struct rc_cursor *reply)
{
    struct rc_cursor peek = *reply;
    struct resp_value value = resp_read(&peek);
    struct place place = {0};

    if (value.type == RESP_ERROR) {
        return on_error(talk, value.text);
    }
    if (talk->step == REDIS_AUTH) {
        ask(talk, REDIS_PING);
        return RC_EAGAIN;
    }
    if (talk->step == REDIS_PING) {
        return on_pong(talk, reply);
    }
    bool is_told =
        talk->step == REDIS_ROLE ? read_role(reply, &place) : read_info(reply, &place);
    return is_told ? judge(talk, &place) : fail(talk, "it does not tell its role");
}

int redis_talk_feed(struct redis_talk *talk, const void *bytes, size_t size)
{
    if (talk->step == REDIS_DONE) {
        return RC_OK;
    }
    rc_buffer_append(&talk->in, bytes, size);
    if (talk->in.err != RC_OK) {
        return fail(talk, "an answer of more than 16 KiB");
    }
    while (talk->in.size > 0) {
        struct rc_cursor cursor = rc_cursor_over(talk->in.bytes, talk->in.size);
        resp_skip(&cursor);
        if (cursor.err == RC_ETRUNCATED) {
            return RC_EAGAIN;
        }
        if (cursor.err != RC_OK) {
            return fail(talk, "what answers there does not speak Redis' protocol");
        }
        size_t taken = talk->in.size - rc_cursor_left(&cursor);
        struct rc_cursor reply = rc_cursor_over(talk->in.bytes, taken);
        int err = on_reply(talk, &reply);
        rc_buffer_consume(&talk->in, taken);
        if (err != RC_EAGAIN) {
            return err;
        }
    }
    return RC_EAGAIN;
}
