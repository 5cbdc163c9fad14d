/* etcd_answer.h - what etcd answers.
 *
 * Each reads one whole message; what is handed out points into it. RC_OK, or what is wrong with
 * its bytes: RC_ETRUNCATED or RC_EMALFORMED.
 *
 * Source: etcd API reference v3 (rpc.proto, kv.proto, rpctypes errors); the numbers of fields
 * are etcd 3.4's, and stay. */
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
int etcd_answer_txn(struct rc_pack_bytes message, struct etcd_txn_answer *out);

/* RangeResponse: `each` is called for every key, under its whole name. */
struct etcd_page_answer {
    uint64_t revision;
    bool has_more;
    size_t count; /* in this page */
};
typedef void etcd_each(void *context, const struct engine_item *item);
int etcd_answer_page(struct rc_pack_bytes message, etcd_each *each, void *context,
                     struct etcd_page_answer *out);

/* PutResponse, CompactionResponse, LeaseRevokeResponse and others: only how far the store is. */
int etcd_answer_revision(struct rc_pack_bytes message, uint64_t *out);

/* Of any: Raft's term, as the member knew it that answered. */
int etcd_answer_term(struct rc_pack_bytes message, uint64_t *out);

/* LeaseGrantResponse, LeaseKeepAliveResponse. */
struct etcd_lease_answer {
    uint64_t revision;
    uint64_t lease;
    uint64_t ttl_s; /* 0: there is no such lease */
};
int etcd_answer_lease(struct rc_pack_bytes message, struct etcd_lease_answer *out);

/* LeaseTimeToLiveResponse. */
struct etcd_time_left {
    uint64_t term;
    uint64_t left_s; /* cut off: less than a second more is left */
    uint64_t granted_s;
    bool has_ended; /* there is no such lease, or it ended a second ago and more */
};
int etcd_answer_time_left(struct rc_pack_bytes message, struct etcd_time_left *out);

/* WatchResponse, one message of the stream. */
struct etcd_watch_answer {
    bool is_canceled;
    uint64_t compact_revision;   /* not 0: what was asked for is no longer there */
    bool is_fragment;            /* the rest of its last revision comes with the next */
    size_t count;                /* events in it */
    char text[ENGINE_ERROR_MAX]; /* why it was canceled; "" */
};
struct etcd_watcher {
    void *context;
    etcd_each *put;
    void (*removed)(void *context, struct rc_pack_bytes key, uint64_t revision);
};
int etcd_answer_watch(struct rc_pack_bytes message, const struct etcd_watcher *watcher,
                      struct etcd_watch_answer *out);

/* StatusResponse of one member. */
struct etcd_status_answer {
    uint64_t member;
    uint64_t leader; /* 0: it knows none */
    uint64_t size_bytes;
    uint64_t revision;
};
int etcd_answer_status(struct rc_pack_bytes message, struct etcd_status_answer *out);

/* MemberListResponse; id as etcdctl writes it, in hexadecimal. */
struct etcd_member_answer {
    uint64_t ids[ENGINE_MEMBERS_MAX];
    struct engine_member members[ENGINE_MEMBERS_MAX];
    size_t count;
};
int etcd_answer_members(struct rc_pack_bytes message, struct etcd_member_answer *out);

/* AlarmResponse as a line for people; "" when there is none. */
int etcd_answer_alarms(struct rc_pack_bytes message, char text[ENGINE_ERROR_MAX]);

/* AuthenticateResponse. Also RC_ETOOBIG: a token longer than any we know. */
enum { ETCD_TOKEN_MAX = 1024 };
int etcd_answer_token(struct rc_pack_bytes message, char out[ETCD_TOKEN_MAX]);

/* ---- refusals ---------------------------------------------------------------------- */

/* What an error answer means. */
struct etcd_refusal {
    int err;              /* as in engine_answer; RC_ECONFLICT: compacted */
    bool is_of_member;    /* another member may do better */
    bool needs_login;     /* a new token may help; nothing was done */
    bool is_without_auth; /* the cluster has no users: no token is needed */
};

/* By its words, then by its status (grpc.h), which is not GRPC_OK. */
struct etcd_refusal etcd_answer_refusal(int status, const char *text);

#endif
