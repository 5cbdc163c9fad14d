/* etcd_state.c - answers about etcd itself: members, alarms, tokens, refusals. */
#include <stdio.h>
#include <string.h>

#include "agent/engine/etcd_answer.h"
#include "agent/engine/etcd_scan.h"
#include "base/err.h"
#include "base/text.h"

static void put_span(char *space, size_t size, struct rc_span text)
{
    (void)snprintf(space, size, "%.*s", (int)(text.size < 1024 ? text.size : 1024),
                   text.at);
    rc_text_to_line(space, size);
}

/* ---- members ---------------------------------------------------------------------- */

static void read_status_header(struct etcd_scan *scan, struct etcd_status_answer *out)
{
    struct rc_span key;

    if (!etcd_scan_object(scan)) {
        return;
    }
    while (etcd_scan_key(scan, &key)) {
        if (rc_span_equals(key, "member_id")) {
            out->member = etcd_scan_number(scan);
        } else if (rc_span_equals(key, "revision")) {
            out->revision = etcd_scan_number(scan);
        } else {
            etcd_scan_skip(scan);
        }
    }
}

int etcd_answer_status(void *bytes, size_t size, struct etcd_status_answer *out)
{
    struct etcd_scan scan = etcd_scan_over(bytes, size);
    struct rc_span key;

    *out = (struct etcd_status_answer){0};
    if (!etcd_scan_object(&scan)) {
        return RC_EMALFORMED;
    }
    while (etcd_scan_key(&scan, &key)) {
        if (rc_span_equals(key, "header")) {
            read_status_header(&scan, out);
        } else if (rc_span_equals(key, "leader")) {
            out->leader = etcd_scan_number(&scan);
        } else if (rc_span_equals(key, "dbSize")) {
            out->size_bytes = etcd_scan_number(&scan);
        } else {
            etcd_scan_skip(&scan);
        }
    }
    return scan.err;
}

/* The first of the member's client URLs. */
static void read_address(struct etcd_scan *scan, struct engine_member *out)
{
    if (!etcd_scan_array(scan)) {
        return;
    }
    while (etcd_scan_item(scan)) {
        struct rc_span url = etcd_scan_text(scan);
        if (out->address[0] == '\0') {
            put_span(out->address, sizeof out->address, url);
        }
    }
}

static void read_member(struct etcd_scan *scan, struct etcd_member_answer *out)
{
    struct engine_member member = {.is_voter = true};
    struct rc_span key;
    uint64_t id = 0;

    if (!etcd_scan_object(scan)) {
        return;
    }
    while (etcd_scan_key(scan, &key)) {
        if (rc_span_equals(key, "ID")) {
            id = etcd_scan_number(scan);
        } else if (rc_span_equals(key, "name")) {
            put_span(member.name, sizeof member.name, etcd_scan_text(scan));
        } else if (rc_span_equals(key, "clientURLs")) {
            read_address(scan, &member);
        } else if (rc_span_equals(key, "isLearner")) {
            member.is_voter = !etcd_scan_bool(scan);
        } else {
            etcd_scan_skip(scan);
        }
    }
    if (scan->err == RC_OK && out->count < ENGINE_MEMBERS_MAX) {
        (void)snprintf(member.id, sizeof member.id, "%llx", (unsigned long long)id);
        out->ids[out->count] = id;
        out->members[out->count++] = member;
    }
}

int etcd_answer_members(void *bytes, size_t size, struct etcd_member_answer *out)
{
    struct etcd_scan scan = etcd_scan_over(bytes, size);
    struct rc_span key;

    out->count = 0;
    if (!etcd_scan_object(&scan)) {
        return RC_EMALFORMED;
    }
    while (etcd_scan_key(&scan, &key)) {
        if (!rc_span_equals(key, "members")) {
            etcd_scan_skip(&scan);
        } else if (etcd_scan_array(&scan)) {
            while (etcd_scan_item(&scan)) {
                read_member(&scan, out);
            }
        }
    }
    return scan.err;
}

/* ---- alarms ----------------------------------------------------------------------- */

/* What an operator is told to do about each alarm of etcd. */
static const struct {
    const char *name;
    const char *advice;
} alarms[] = {
    {"NOSPACE", "etcd has used up its quota and refuses writes: compact and defragment "
                "it, or raise --quota-backend-bytes, then `etcdctl alarm disarm`"},
    {"CORRUPT", "a member of etcd is corrupt and refuses requests: replace that member"},
};

static void read_alarm(struct etcd_scan *scan, char text[ENGINE_ERROR_MAX])
{
    struct rc_span key;

    if (!etcd_scan_object(scan)) {
        return;
    }
    while (etcd_scan_key(scan, &key)) {
        if (!rc_span_equals(key, "alarm")) {
            etcd_scan_skip(scan);
            continue;
        }
        struct rc_span name = etcd_scan_text(scan);
        for (size_t i = 0; i < sizeof alarms / sizeof alarms[0]; i++) {
            if (rc_span_equals(name, alarms[i].name)) {
                (void)rc_text_put(text, ENGINE_ERROR_MAX, alarms[i].advice);
            }
        }
    }
}

int etcd_answer_alarms(void *bytes, size_t size, char text[ENGINE_ERROR_MAX])
{
    struct etcd_scan scan = etcd_scan_over(bytes, size);
    struct rc_span key;

    text[0] = '\0';
    if (!etcd_scan_object(&scan)) {
        return RC_EMALFORMED;
    }
    while (etcd_scan_key(&scan, &key)) {
        if (!rc_span_equals(key, "alarms")) {
            etcd_scan_skip(&scan);
        } else if (etcd_scan_array(&scan)) {
            while (etcd_scan_item(&scan)) {
                read_alarm(&scan, text);
            }
        }
    }
    return scan.err;
}

int etcd_answer_token(void *bytes, size_t size, char out[ETCD_TOKEN_MAX])
{
    struct etcd_scan scan = etcd_scan_over(bytes, size);
    struct rc_span token = {"", 0};
    struct rc_span key;

    if (!etcd_scan_object(&scan)) {
        return RC_EMALFORMED;
    }
    while (etcd_scan_key(&scan, &key)) {
        if (rc_span_equals(key, "token")) {
            token = etcd_scan_text(&scan);
        } else {
            etcd_scan_skip(&scan);
        }
    }
    if (scan.err != RC_OK || token.size == 0) {
        return RC_EMALFORMED;
    }
    if (token.size >= ETCD_TOKEN_MAX) {
        return RC_ETOOBIG;
    }
    put_span(out, ETCD_TOKEN_MAX, token);
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
    {RC_EIO, BLAME_NOBODY},      /* UNIMPLEMENTED */
    {RC_EUNKNOWN, BLAME_MEMBER}, /* INTERNAL */
    {RC_EUNKNOWN, BLAME_MEMBER}, /* UNAVAILABLE */
    {RC_EUNKNOWN, BLAME_MEMBER}, /* DATA_LOSS */
    {RC_EAGAIN, BLAME_TOKEN},    /* UNAUTHENTICATED */
};

static void blame(struct etcd_refusal *out, int err, enum blame whose)
{
    out->err = err;
    out->is_of_member = whose == BLAME_MEMBER;
    out->needs_login = whose == BLAME_TOKEN;
    out->is_without_auth = whose == BLAME_NO_AUTH;
}

/* {"error": text, "message": text, "code": number}; false when it is not etcd's. */
static bool read_refusal(void *bytes, size_t size, struct etcd_refusal *out,
                         uint64_t *code)
{
    struct etcd_scan scan = etcd_scan_over(bytes, size);
    struct rc_span key;

    if (!etcd_scan_object(&scan)) {
        return false;
    }
    while (etcd_scan_key(&scan, &key)) {
        if (rc_span_equals(key, "error") || rc_span_equals(key, "message")) {
            put_span(out->text, sizeof out->text, etcd_scan_text(&scan));
        } else if (rc_span_equals(key, "code")) {
            *code = etcd_scan_number(&scan);
        } else {
            etcd_scan_skip(&scan);
        }
    }
    return scan.err == RC_OK && out->text[0] != '\0';
}

void etcd_answer_refusal(void *bytes, size_t size, long http_status,
                         struct etcd_refusal *out)
{
    uint64_t code = 0;

    *out = (struct etcd_refusal){0};
    if (!read_refusal(bytes, size, out, &code)) {
        (void)snprintf(out->text, sizeof out->text,
                       "HTTP status %ld, not an answer of etcd", http_status);
        bool is_known = http_status >= 400 && http_status < 500; /* not even looked at */
        blame(out, is_known ? RC_EIO : RC_EUNKNOWN, BLAME_MEMBER);
        return;
    }
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (strstr(out->text, refusals[i].words) != NULL) {
            blame(out, refusals[i].err, refusals[i].blame);
            return;
        }
    }
    size_t known = sizeof codes / sizeof codes[0];
    blame(out, code < known ? codes[code].err : RC_EUNKNOWN,
          code < known ? codes[code].blame : BLAME_MEMBER);
}
