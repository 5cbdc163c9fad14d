/* etcd_header.h - the head of every answer of etcd, shared by etcd_answer.c and etcd_state.c. */
#ifndef AGENT_ENGINE_ETCD_HEADER_H
#define AGENT_ENGINE_ETCD_HEADER_H

#include <stdint.h>

#include "agent/engine/protobuf.h"

/* ResponseHeader: who answered, and how far the store was. */
struct etcd_header {
    uint64_t member;
    uint64_t revision;
    uint64_t term; /* of Raft, as it knew it */
};

/* Reads the header in `field`; what is wrong with it fails `in`. */
struct etcd_header etcd_header_read(struct rc_cursor *in,
                                    const struct protobuf_field *field);

#endif
