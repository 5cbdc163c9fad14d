/* etcd_message.h - what is asked of etcd: its methods, and their requests in Protocol Buffers.
 *
 * Each appends one message to `out`. Keys get `prefix` before them. Failures stick in the buffer.
 *
 * Source: etcd API reference v3 (rpc.proto); the numbers of fields are etcd 3.4's, and stay. */
#ifndef AGENT_ENGINE_ETCD_MESSAGE_H
#define AGENT_ENGINE_ETCD_MESSAGE_H

#include <stdint.h>

#include "agent/store/engine.h"
#include "base/buffer.h"

#define ETCD_RANGE        "/etcdserverpb.KV/Range"
#define ETCD_PUT          "/etcdserverpb.KV/Put"
#define ETCD_TXN          "/etcdserverpb.KV/Txn"
#define ETCD_COMPACT      "/etcdserverpb.KV/Compact"
#define ETCD_WATCH        "/etcdserverpb.Watch/Watch"
#define ETCD_GRANT        "/etcdserverpb.Lease/LeaseGrant"
#define ETCD_REVOKE       "/etcdserverpb.Lease/LeaseRevoke"
#define ETCD_KEEPALIVE    "/etcdserverpb.Lease/LeaseKeepAlive"
#define ETCD_TIME_LEFT    "/etcdserverpb.Lease/LeaseTimeToLive"
#define ETCD_MEMBERS      "/etcdserverpb.Cluster/MemberList"
#define ETCD_ALARM        "/etcdserverpb.Maintenance/Alarm"
#define ETCD_STATUS       "/etcdserverpb.Maintenance/Status"
#define ETCD_AUTHENTICATE "/etcdserverpb.Auth/Authenticate"

/* TxnRequest. */
void etcd_message_txn(struct rc_buffer *out, struct rc_pack_bytes prefix,
                      const struct engine_txn *txn);

/* Adds one finished TxnRequest to the TxnRequest around several. */
void etcd_message_nest(struct rc_buffer *out, struct rc_pack_bytes txn);

/* Adds an empty put of `key` to it. */
void etcd_message_mark(struct rc_buffer *out, struct rc_pack_bytes prefix,
                       const char *key);

/* RangeRequest from the whole key `from` to the end of what begins with `prefix`. `revision` 0:
 * now. */
void etcd_message_page(struct rc_buffer *out, struct rc_pack_bytes prefix,
                       struct rc_pack_bytes from, uint64_t revision, uint64_t limit);

/* RangeRequest that only asks how far the store is, linearizably. */
void etcd_message_barrier(struct rc_buffer *out, struct rc_pack_bytes prefix);

/* WatchRequest for all that begins with `prefix`. */
void etcd_message_watch(struct rc_buffer *out, struct rc_pack_bytes prefix,
                        uint64_t from_revision);

/* PutRequest of an empty value. */
void etcd_message_put(struct rc_buffer *out, struct rc_pack_bytes prefix,
                      const char *key);

/* A request of one number, which is field 1: leases (grants: the TTL in seconds) and
 * compactions. */
void etcd_message_number(struct rc_buffer *out, uint64_t value);

/* AuthenticateRequest. */
void etcd_message_login(struct rc_buffer *out, const char *user, const char *password);

#endif
