/* etcd_answer.h - what etcd's JSON gateway answers.
 *
 * Each reads one whole body (or one line of a watch) in place: the bytes are changed, and what
 * is handed out points into them. RC_OK or RC_EMALFORMED.
 *
 * Source: etcd API reference v3 (rpc.proto, kv.proto, rpctypes errors). */
#ifndef AGENT_ENGINE_ETCD_ANSWER_H
#define AGENT_ENGINE_ETCD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/store/engine.h"

enum { ETCD_NESTED_MAX = 64 };

/* TxnResponse; of a nested one also what became of each inside. */
struct etcd_txn_answer {
    uint64_t revision;
    bool succeeded;
    size_t nested_count; /* responses that are transactions themselves */
    bool nested[ETCD_NESTED_MAX];
};
int etcd_answer_txn(void *bytes, size_t size, struct etcd_txn_answer *out);

/* RangeResponse: `each` is called for every key, under its whole name. */
struct etcd_page_answer {
    uint64_t revision;
    bool has_more;
    size_t count; /* in this page */
};
typedef void etcd_each(void *context, const struct engine_item *item);
int etcd_answer_page(void *bytes, size_t size, etcd_each *each, void *context,
                     struct etcd_page_answer *out);

/* PutResponse, CompactionResponse, LeaseRevokeResponse and others: only how far the store is. */
int etcd_answer_revision(void *bytes, size_t size, uint64_t *out);

/* LeaseGrantResponse, and one LeaseKeepAliveResponse of the stream. */
struct etcd_lease_answer {
    uint64_t revision;
    uint64_t lease;
    uint64_t ttl_s; /* 0: there is no such lease */
};
int etcd_answer_lease(void *bytes, size_t size, struct etcd_lease_answer *out);

/* WatchResponse, one line of the stream. */
struct etcd_watch_answer {
    bool is_canceled;
    uint64_t compact_revision;   /* not 0: what was asked for is no longer there */
    bool is_fragment;            /* the rest of its last revision comes with the next */
    size_t count;                /* events in it */
    char text[ENGINE_ERROR_MAX]; /* why it was canceled, or could not begin; "" */
};
struct etcd_watcher {
    void *context;
    etcd_each *put;
    void (*removed)(void *context, struct rc_pack_bytes key, uint64_t revision);
};
int etcd_answer_watch(void *bytes, size_t size, const struct etcd_watcher *watcher,
                      struct etcd_watch_answer *out);

/* StatusResponse of one member. */
struct etcd_status_answer {
    uint64_t member;
    uint64_t leader; /* 0: it knows none */
    uint64_t size_bytes;
    uint64_t revision;
};
int etcd_answer_status(void *bytes, size_t size, struct etcd_status_answer *out);

/* MemberListResponse; id as etcdctl writes it, in hexadecimal. */
struct etcd_member_answer {
    uint64_t ids[ENGINE_MEMBERS_MAX];
    struct engine_member members[ENGINE_MEMBERS_MAX];
    size_t count;
};
int etcd_answer_members(void *bytes, size_t size, struct etcd_member_answer *out);

/* AlarmResponse as a line for people; "" when there is none. */
int etcd_answer_alarms(void *bytes, size_t size, char text[ENGINE_ERROR_MAX]);

/* AuthenticateResponse. RC_ETOOBIG: a token longer than any we know. */
enum { ETCD_TOKEN_MAX = 1024 };
int etcd_answer_token(void *bytes, size_t size, char out[ETCD_TOKEN_MAX]);

/* ---- refusals ---------------------------------------------------------------------- */

/* What an error answer means. */
struct etcd_refusal {
    int err;                     /* as in engine_answer; RC_ECONFLICT: compacted */
    bool is_of_member;           /* another member may do better */
    bool needs_login;            /* a new token may help; nothing was done */
    bool is_without_auth;        /* the cluster has no users: no token is needed */
    char text[ENGINE_ERROR_MAX]; /* one line */
};
void etcd_answer_refusal(void *bytes, size_t size, long http_status,
                         struct etcd_refusal *out);

#endif
