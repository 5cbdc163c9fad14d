/* etcd_json.h - what is asked of etcd, as its JSON gateway wants it.
 *
 * Each appends one request body to `out`. Keys get `prefix` before them and, like values, are
 * in base64. Failures stick in the buffer.
 *
 * Source: etcd API reference v3 (rpc.proto), gRPC gateway. */
#ifndef AGENT_ENGINE_ETCD_JSON_H
#define AGENT_ENGINE_ETCD_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/store/engine.h"
#include "base/buffer.h"

/* TxnRequest. */
void etcd_json_txn(struct rc_buffer *out, struct rc_pack_bytes prefix,
                   const struct engine_txn *txn);

/* A TxnRequest around others: the start, one finished TxnRequest after the other, the end. */
void etcd_json_nest_begin(struct rc_buffer *out);
void etcd_json_nest_add(struct rc_buffer *out, const struct rc_buffer *txn);
void etcd_json_nest_end(struct rc_buffer *out);

/* RangeRequest from the whole key `from` to the end of what begins with `prefix`. `revision` 0:
 * now. */
void etcd_json_page(struct rc_buffer *out, struct rc_pack_bytes prefix,
                    struct rc_pack_bytes from, uint64_t revision, uint64_t limit);

/* RangeRequest that only asks how far the store is, linearizably. */
void etcd_json_barrier(struct rc_buffer *out, struct rc_pack_bytes prefix);

/* WatchRequest for all that begins with `prefix`. */
void etcd_json_watch(struct rc_buffer *out, struct rc_pack_bytes prefix,
                     uint64_t from_revision);

/* PutRequest of an empty value. */
void etcd_json_put(struct rc_buffer *out, struct rc_pack_bytes prefix, const char *key);

/* {"<name>": "<value>"}: lease and compaction requests. */
void etcd_json_number(struct rc_buffer *out, const char *name, uint64_t value);

/* AuthenticateRequest. */
void etcd_json_login(struct rc_buffer *out, const char *user, const char *password);

#endif
