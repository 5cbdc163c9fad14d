/* wire.h - the messages of memberlist and Serf as plain structs.
 *
 * Every message is a map from field names to values. One table per message says which
 * field goes where; reading and writing are the same few lines for all. Byte strings
 * are slices of what was read: borrowed. Field order, types and "left out when zero" are
 * those of memberlist 0.2-0.6 and Serf 0.9-0.10, checked by captures (tests/fixtures/gossip). */
#ifndef AGENT_GOSSIP_WIRE_H
#define AGENT_GOSSIP_WIRE_H

#include "base/pack.h"

enum wire_type { /* the first byte of a memberlist message */
                 WIRE_PING = 0,
                 WIRE_INDIRECT_PING = 1,
                 WIRE_ACK = 2,
                 WIRE_SUSPECT = 3,
                 WIRE_ALIVE = 4,
                 WIRE_DEAD = 5,
                 WIRE_PUSH_PULL = 6,
                 WIRE_COMPOUND = 7,
                 WIRE_USER = 8,
                 WIRE_COMPRESS = 9,
                 WIRE_ENCRYPT = 10,
                 WIRE_NACK = 11,
                 WIRE_CRC = 12,
                 WIRE_ERR = 13,
                 WIRE_LABEL = 244
};

enum wire_serf_type { /* the first byte of a Serf message, after WIRE_USER */
                      WIRE_SERF_LEAVE = 0,
                      WIRE_SERF_JOIN = 1,
                      WIRE_SERF_STATE = 2,
                      WIRE_SERF_EVENT = 3,
                      WIRE_SERF_QUERY = 4,
                      WIRE_SERF_RESPONSE = 5,
                      WIRE_SERF_CONFLICT = 6,
                      WIRE_SERF_KEY_REQUEST = 7,
                      WIRE_SERF_KEY_RESPONSE = 8,
                      WIRE_SERF_RELAY = 9,
                      WIRE_LANE = 0xc8 /* ours; Serf has no such type */
};

enum { WIRE_NODE_ALIVE, WIRE_NODE_SUSPECT, WIRE_NODE_DEAD, WIRE_NODE_LEFT };

enum { WIRE_VERSIONS_SIZE = 6 };

/* Protocol min, max, current; delegate min, max, current. */
struct wire_versions {
    uint8_t bytes[WIRE_VERSIONS_SIZE];
    uint8_t size; /* as announced; anything but 6 is odd */
};

struct wire_ping {
    uint32_t seq;
    struct rc_pack_bytes node;
    struct rc_pack_bytes source_address;
    uint16_t source_port;
    struct rc_pack_bytes source_node;
};

struct wire_indirect_ping {
    uint32_t seq;
    struct rc_pack_bytes target;
    uint16_t port;
    struct rc_pack_bytes node;
    bool nack;
    struct rc_pack_bytes source_address;
    uint16_t source_port;
    struct rc_pack_bytes source_node;
};

struct wire_ack { /* a nack has no payload field */
    uint32_t seq;
    struct rc_pack_bytes payload;
};

struct wire_accusation { /* suspect and dead */
    uint32_t incarnation;
    struct rc_pack_bytes node;
    struct rc_pack_bytes from;
};

struct wire_alive {
    uint32_t incarnation;
    struct rc_pack_bytes node;
    struct rc_pack_bytes address;
    uint16_t port;
    struct rc_pack_bytes meta;
    struct wire_versions versions;
};

struct wire_err {
    struct rc_pack_bytes error;
};

struct wire_compress {
    uint8_t algorithm;
    struct rc_pack_bytes bytes;
};

struct wire_push_pull {
    uint32_t nodes;
    uint32_t user_state_size;
    bool join;
};

struct wire_node {
    struct rc_pack_bytes name;
    struct rc_pack_bytes address;
    struct rc_pack_bytes meta;
    uint32_t incarnation;
    uint16_t port;
    uint8_t state;
    struct wire_versions versions;
};

struct wire_user_head {
    uint32_t size;
};

struct wire_intent { /* prune only in a leave intent */
    uint64_t ltime;
    struct rc_pack_bytes node;
    bool prune;
};

/* `raw` fields are encoded values, to be walked with base/pack.h. */
struct wire_serf_state {
    uint64_t ltime;
    struct rc_pack_bytes raw_status_ltimes;
    struct rc_pack_bytes raw_left_members;
    uint64_t event_ltime;
    struct rc_pack_bytes raw_events;
    uint64_t query_ltime;
    struct rc_pack_bytes summary;      /* ours; left out when nil */
    struct rc_pack_bytes summary_name; /* ours: whose summary and state this is */
};

struct wire_event {
    uint64_t ltime;
    struct rc_pack_bytes name;
    struct rc_pack_bytes payload;
    bool coalesce;
};

struct wire_query {
    uint64_t ltime;
    uint32_t id;
    struct rc_pack_bytes address;
    uint16_t port;
    struct rc_pack_bytes source_node;
    struct rc_pack_bytes raw_filters;
    uint32_t flags;
    uint8_t relay_factor;
    uint64_t timeout_ns;
    struct rc_pack_bytes name;
    struct rc_pack_bytes payload;
};

enum { WIRE_QUERY_ACK = 1, WIRE_QUERY_NO_BROADCAST = 2, WIRE_RESPONSE_ACK = 1 };

struct wire_response {
    uint64_t ltime;
    uint32_t id;
    struct rc_pack_bytes from;
    uint32_t flags;
    struct rc_pack_bytes payload;
};

struct wire_conflict {
    struct rc_pack_bytes name;
    struct rc_pack_bytes address;
    uint16_t port;
    struct rc_pack_bytes raw_tags;
    uint8_t status;
    uint8_t versions[WIRE_VERSIONS_SIZE];
};

struct wire_key_request {
    struct rc_pack_bytes key;
};

struct wire_key_response {
    bool result;
    struct rc_pack_bytes message;
    struct rc_pack_bytes raw_keys;
    struct rc_pack_bytes primary_key;
};

struct wire_relay {
    struct rc_pack_bytes raw_address; /* a wire_udp_address */
    struct rc_pack_bytes name;
};

struct wire_udp_address {
    struct rc_pack_bytes ip;
    uint16_t port;
    struct rc_pack_bytes zone;
};

struct wire_filter_tag {
    struct rc_pack_bytes tag;
    struct rc_pack_bytes expression;
};

struct wire_event_slot { /* in a Serf state: the events of one Lamport time */
    struct rc_pack_bytes raw_events;
    uint64_t ltime;
};

struct wire_event_item {
    struct rc_pack_bytes name;
    struct rc_pack_bytes payload;
};

struct wire_coordinate {
    double adjustment;
    double error;
    double height;
    struct rc_pack_bytes raw_vec;
    struct rc_pack_bytes summary; /* ours; left out when nil */
};

/* Which struct a format belongs to stands in its name: wire_format_ping <-> wire_ping. The
 * functions below take any of the structs above and so a void pointer. */
struct wire_format;
extern const struct wire_format wire_format_ping;
extern const struct wire_format wire_format_indirect_ping;
extern const struct wire_format wire_format_ack;
extern const struct wire_format wire_format_nack; /* wire_ack */
extern const struct wire_format wire_format_accusation;
extern const struct wire_format wire_format_alive;
extern const struct wire_format wire_format_err;
extern const struct wire_format wire_format_compress;
extern const struct wire_format wire_format_push_pull;
extern const struct wire_format wire_format_node;
extern const struct wire_format wire_format_user_head;
extern const struct wire_format wire_format_join;  /* wire_intent */
extern const struct wire_format wire_format_leave; /* wire_intent */
extern const struct wire_format wire_format_serf_state;
extern const struct wire_format wire_format_event;
extern const struct wire_format wire_format_query;
extern const struct wire_format wire_format_response;
extern const struct wire_format wire_format_conflict;
extern const struct wire_format wire_format_key_request;
extern const struct wire_format wire_format_key_response;
extern const struct wire_format wire_format_relay;
extern const struct wire_format wire_format_udp_address;
extern const struct wire_format wire_format_filter_tag;
extern const struct wire_format wire_format_event_slot;
extern const struct wire_format wire_format_event_item;
extern const struct wire_format wire_format_coordinate;

/* Reads one map into the struct of `format` (zeroed first). Unknown fields are skipped,
 * missing ones stay zero. Returns the cursor's error: RC_OK, RC_ETRUNCATED, RC_EMALFORMED. */
int wire_read(const struct wire_format *format, struct rc_cursor *in, void *out);

/* Appends the struct of `format` as a map, names in ASCII order. */
void wire_write(const struct wire_format *format, const void *message,
                struct rc_buffer *out);

/* The same with the type byte of the message before it. */
void wire_write_typed(enum wire_type type, const struct wire_format *format,
                      const void *message, struct rc_buffer *out);
/* And as a Serf message: WIRE_USER, `type`, map. */
void wire_write_serf(enum wire_serf_type type, const struct wire_format *format,
                     const void *message, struct rc_buffer *out);

#endif
