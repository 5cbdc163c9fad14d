/* etcd_state.c - answers about etcd itself: members, alarms, tokens, refusals. */
#include <stdio.h>
#include <string.h>

#include "agent/engine/etcd_answer.h"
#include "agent/engine/etcd_header.h"
#include "agent/engine/protobuf.h"
#include "base/err.h"
#include "base/text.h"

/* One line of what fits. */
static void put_line(char *space, size_t size, struct rc_pack_bytes text)
{
    size_t used = text.size < size ? text.size : size - 1;

    memcpy(space, text.at, used);
    space[used] = '\0';
    rc_text_to_line(space, size);
}

/* ---- members ---------------------------------------------------------------------- */

int etcd_answer_status(struct rc_pack_bytes message, struct etcd_status_answer *out)
{
    enum { HEADER = 1, DB_SIZE = 3, LEADER = 4 };
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    struct protobuf_field field;

    *out = (struct etcd_status_answer){0};
    while (protobuf_next(&in, &field)) {
        if (field.number == HEADER) {
            struct etcd_header header = etcd_header_read(&in, &field);
            out->member = header.member;
            out->revision = header.revision;
        } else if (field.number == DB_SIZE) {
            out->size_bytes = field.value;
        } else if (field.number == LEADER) {
            out->leader = field.value;
        }
    }
    return in.err;
}

static void read_member(struct rc_cursor *in, const struct protobuf_field *field,
                        struct etcd_member_answer *out)
{
    enum { ID = 1, NAME = 2, CLIENT_URLS = 4, IS_LEARNER = 5 };
    struct engine_member member = {.is_voter = true};
    struct rc_cursor inner = protobuf_enter(field);
    struct protobuf_field part;
    uint64_t id = 0;

    while (protobuf_next(&inner, &part)) {
        if (part.number == ID) {
            id = part.value;
        } else if (part.number == NAME) {
            put_line(member.name, sizeof member.name, part.bytes);
        } else if (part.number == CLIENT_URLS && member.address[0] == '\0') {
            put_line(member.address, sizeof member.address, part.bytes);
        } else if (part.number == IS_LEARNER) {
            member.is_voter = part.value == 0;
        }
    }
    protobuf_leave(in, &inner);
    if (in->err == RC_OK && out->count < ENGINE_MEMBERS_MAX) {
        (void)snprintf(member.id, sizeof member.id, "%llx", (unsigned long long)id);
        out->ids[out->count] = id;
        out->members[out->count++] = member;
    }
}

int etcd_answer_members(struct rc_pack_bytes message, struct etcd_member_answer *out)
{
    enum { MEMBERS = 2 };
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    struct protobuf_field field;

    out->count = 0;
    while (protobuf_next(&in, &field)) {
        if (field.number == MEMBERS) {
            read_member(&in, &field, out);
        }
    }
    return in.err;
}

/* ---- alarms ----------------------------------------------------------------------- */

/* What an operator is told to do about each alarm of etcd. */
static const struct {
    uint64_t type; /* AlarmType */
    const char *advice;
} alarms[] = {
    {1, "etcd has used up its quota and refuses writes: compact and defragment "
        "it, or raise --quota-backend-bytes, then `etcdctl alarm disarm`"},
    {2, "a member of etcd is corrupt and refuses requests: replace that member"},
};

/* AlarmMember. */
static void read_alarm(struct rc_cursor *in, const struct protobuf_field *field,
                       char text[ENGINE_ERROR_MAX])
{
    enum { ALARM = 2 };
    struct rc_cursor inner = protobuf_enter(field);
    struct protobuf_field part;

    while (protobuf_next(&inner, &part)) {
        for (size_t i = 0; i < sizeof alarms / sizeof alarms[0]; i++) {
            if (part.number == ALARM && part.value == alarms[i].type) {
                (void)rc_text_put(text, ENGINE_ERROR_MAX, alarms[i].advice);
            }
        }
    }
    protobuf_leave(in, &inner);
}

int etcd_answer_alarms(struct rc_pack_bytes message, char text[ENGINE_ERROR_MAX])
{
    enum { ALARMS = 2 };
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    struct protobuf_field field;

    text[0] = '\0';
    while (protobuf_next(&in, &field)) {
        if (field.number == ALARMS) {
            read_alarm(&in, &field, text);
        }
    }
    return in.err;
}

int etcd_answer_token(struct rc_pack_bytes message, char out[ETCD_TOKEN_MAX])
{
    enum { TOKEN = 2 };
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    struct rc_pack_bytes token = rc_pack_text("");
    struct protobuf_field field;

    while (protobuf_next(&in, &field)) {
        if (field.number == TOKEN) {
            token = field.bytes;
        }
    }
    if (in.err != RC_OK || token.size == 0) {
        return in.err != RC_OK ? in.err : RC_EMALFORMED;
    }
    if (token.size >= ETCD_TOKEN_MAX) {
        return RC_ETOOBIG;
    }
    put_line(out, ETCD_TOKEN_MAX, token);
    return RC_OK;
}

/* ---- refusals --------------------------------------------------------------------- */

enum blame { BLAME_NOBODY, BLAME_MEMBER, BLAME_TOKEN, BLAME_NO_AUTH };

/* etcd's rpctypes/error.go by their words, which are the same in 3.4 and 3.5. What is not
 * listed is judged by its gRPC code. */
static const struct {
    const char *words;
    int err;
    enum blame blame;
} refusals[] = {
    {"requested lease not found", RC_ENOTFOUND, BLAME_NOBODY},
    {"database space exceeded", RC_ENOSPC, BLAME_NOBODY},
    {"request is too large", RC_ETOOBIG, BLAME_NOBODY},
    {"too many operations in txn", RC_ETOOBIG, BLAME_NOBODY},
    {"too large lease TTL", RC_EINVAL, BLAME_NOBODY},
    {"has been compacted", RC_ECONFLICT, BLAME_NOBODY},
    {"no leader", RC_EAGAIN, BLAME_MEMBER},
    {"proposal dropped", RC_EAGAIN, BLAME_MEMBER},
    {"too many requests", RC_EAGAIN, BLAME_NOBODY},
    {"leader changed", RC_EUNKNOWN, BLAME_MEMBER},
    {"request timed out", RC_EUNKNOWN, BLAME_MEMBER},
    {"server stopped", RC_EUNKNOWN, BLAME_MEMBER},
    {"corrupt cluster", RC_EIO, BLAME_MEMBER},
    {"invalid auth token", RC_EAGAIN, BLAME_TOKEN},
    {"user name is empty", RC_EAGAIN, BLAME_TOKEN},
    {"revision in header is old", RC_EAGAIN, BLAME_TOKEN},
    {"revision of auth store is old", RC_EAGAIN, BLAME_TOKEN},
    {"authentication is not enabled", RC_EIO, BLAME_NO_AUTH},
};

/* By gRPC's status codes, 0 to 16. */
static const struct {
    int err;
    enum blame blame;
} codes[] = {
    {RC_EIO, BLAME_NOBODY},      /* OK, which is no error: not an answer of etcd */
    {RC_EUNKNOWN, BLAME_MEMBER}, /* CANCELLED */
    {RC_EUNKNOWN, BLAME_MEMBER}, /* UNKNOWN */
    {RC_EINVAL, BLAME_NOBODY},   /* INVALID_ARGUMENT */
    {RC_EUNKNOWN, BLAME_MEMBER}, /* DEADLINE_EXCEEDED */
    {RC_EIO, BLAME_NOBODY},      /* NOT_FOUND */
    {RC_EIO, BLAME_NOBODY},      /* ALREADY_EXISTS */
    {RC_EIO, BLAME_NOBODY},      /* PERMISSION_DENIED */
    {RC_EUNKNOWN, BLAME_MEMBER}, /* RESOURCE_EXHAUSTED */
    {RC_EIO, BLAME_NOBODY},      /* FAILED_PRECONDITION */
    {RC_EUNKNOWN, BLAME_MEMBER}, /* ABORTED */
    {RC_EIO, BLAME_NOBODY},      /* OUT_OF_RANGE */
    {RC_EIO, BLAME_MEMBER},      /* UNIMPLEMENTED: that is no etcd, or an old one */
    {RC_EUNKNOWN, BLAME_MEMBER}, /* INTERNAL */
    {RC_EUNKNOWN, BLAME_MEMBER}, /* UNAVAILABLE */
    {RC_EUNKNOWN, BLAME_MEMBER}, /* DATA_LOSS */
    {RC_EAGAIN, BLAME_TOKEN},    /* UNAUTHENTICATED */
};

static struct etcd_refusal blame(int err, enum blame whose)
{
    return (struct etcd_refusal){.err = err,
                                 .is_of_member = whose == BLAME_MEMBER,
                                 .needs_login = whose == BLAME_TOKEN,
                                 .is_without_auth = whose == BLAME_NO_AUTH};
}

struct etcd_refusal etcd_answer_refusal(int status, const char *text)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (strstr(text, refusals[i].words) != NULL) {
            return blame(refusals[i].err, refusals[i].blame);
        }
    }
    bool is_known = status >= 0 && (size_t)status < sizeof codes / sizeof codes[0];
    return is_known ? blame(codes[status].err, codes[status].blame)
                    : blame(RC_EUNKNOWN, BLAME_MEMBER);
}
