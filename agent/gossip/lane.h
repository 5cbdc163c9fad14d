/* lane.h - how something of rollcall's own (the catalog) rides on gossip.
 *
 * Three carriers: rumours in packets to members with the tag `rc` (memberlist user
 * messages whose first byte is c8), a summary of 24 bytes in every ack (beside the
 * coordinate, or alone behind a byte c8) and push/pull, and streams of length-prefixed
 * messages on the gossip port. Real Serf agents never get a rumour or a stream, and ignore
 * the summary. */
#ifndef AGENT_GOSSIP_LANE_H
#define AGENT_GOSSIP_LANE_H

#include <stddef.h>
#include <stdint.h>

enum {
    GOSSIP_SUMMARY_SIZE = 24,
    GOSSIP_LANE_STREAMS_MAX = 64,              /* open at once, both directions */
    GOSSIP_LANE_MESSAGE_MAX = 16 * 1024 * 1024 /* bytes of one message in a stream */
};

/* Called from inside gossip's inputs; every function may be NULL. They may call the
 * gossip_lane_ functions below, but no other function of gossip. Bytes and names are
 * borrowed during the call. `now_ms` is the caller's now_ns in milliseconds. */
struct gossip_lane {
    void *ctx;
    /* Writes the next rumour into `space` if it fits into `size` bytes, returns its length;
     * 0: nothing more for this packet. Each call that returns bytes is one transmission. Within
     * a packet `size` falls from call to call; after a 0, or at a larger `size`, another packet
     * begins. */
    size_t (*fill)(void *ctx, uint64_t now_ms, uint8_t *space, size_t size);
    /* A rumour arrived. `from` is the sender's name, NULL when its address is nobody's. */
    void (*receive)(void *ctx, uint64_t now_ms, const char *from, const uint8_t *bytes,
                    size_t size);
    void (*summary)(void *ctx, uint8_t out[GOSSIP_SUMMARY_SIZE]);
    void (*peer_summary)(void *ctx, uint64_t now_ms, const char *member,
                         const uint8_t in[GOSSIP_SUMMARY_SIZE]);
    /* A message of a stream; a stream id not seen before was opened by the other side. */
    void (*stream_message)(void *ctx, uint64_t now_ms, uint32_t stream,
                           const uint8_t *bytes, size_t size);
    /* The stream is gone, by the other side, an error or a bound; its id is dead. Not called
     * for gossip_lane_close(). */
    void (*stream_closed)(void *ctx, uint64_t now_ms, uint32_t stream);
};

struct gossip;

/* New rumours exist: fill packets to a few random members with tag `rc` at once instead of
 * at the next tick. Calls closer together than some milliseconds become one, and after a
 * few in a row they are paced: about 33 a second. */
void gossip_lane_kick(struct gossip *g, uint64_t now_ns);

/* Opens a stream to a member; messages may be sent at once. RC_OK with its id (never 0),
 * RC_ENOTFOUND (no such member, or without tag `rc`), RC_ETOOBIG (too many streams). */
int gossip_lane_open(struct gossip *g, uint64_t now_ns, const char *member,
                     uint32_t *out);

/* Sends one message (copied). RC_OK, RC_ENOTFOUND (the stream is gone), RC_ETOOBIG. */
int gossip_lane_send(struct gossip *g, uint64_t now_ns, uint32_t stream,
                     const uint8_t *bytes, size_t size);

/* Closes after what was sent has gone out; an unknown id is no error. */
void gossip_lane_close(struct gossip *g, uint64_t now_ns, uint32_t stream);

#endif
