/* counters.h - what gossip did and what it refused, for metrics. */
#ifndef AGENT_GOSSIP_COUNTERS_H
#define AGENT_GOSSIP_COUNTERS_H

#include <stdint.h>

enum gossip_refusal {
    GOSSIP_REFUSED_MALFORMED, /* does not parse */
    GOSSIP_REFUSED_TYPE,      /* a message type nobody knows */
    GOSSIP_REFUSED_CRC,       /* checksum does not match */
    GOSSIP_REFUSED_KEY,       /* no key of ours opens it */
    GOSSIP_REFUSED_PLAIN,     /* plain, or of a cipher nobody knows, and we have keys */
    GOSSIP_REFUSED_LABEL,     /* of another pool */
    GOSSIP_REFUSED_VERSION,   /* protocol versions that do not fit */
    GOSSIP_REFUSED_NAME,      /* empty, too long, or with a NUL byte */
    GOSSIP_REFUSED_ADDRESS,   /* no usable address */
    GOSSIP_REFUSED_CONFLICT,  /* a name that lives at another address */
    GOSSIP_REFUSED_PING,      /* a ping for another name */
    GOSSIP_REFUSED_TOO_BIG,   /* larger than a maximum */
    GOSSIP_REFUSED_TOO_MANY,  /* a table or queue is full */
    GOSSIP_REFUSED_STALE,     /* an ack or answer nobody waits for */
    GOSSIP_REFUSED_NO_MEMORY,
    GOSSIP_REFUSAL_COUNT
};

struct gossip_counters {
    uint64_t packets_in;
    uint64_t packets_out;
    uint64_t packets_unsent; /* of those: the system did not take them */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t streams_in;
    uint64_t streams_out;
    uint64_t messages_in; /* parts of packets */
    uint64_t probes;
    uint64_t probes_failed;
    uint64_t probes_indirect; /* rounds that needed others */
    uint64_t probes_by_tcp;   /* saved by TCP alone */
    uint64_t suspicions;
    uint64_t refutations;      /* of accusations against us */
    uint64_t second_opinions;  /* probes of members that others suspect */
    uint64_t confirmations;    /* further accusers of those we suspect */
    uint64_t suspicions_fired; /* that ran out here: members we declared dead */
    uint64_t accusations_kept; /* not told to anybody, because nobody answered us */
    uint64_t nacks_in;
    uint64_t nacks_out;
    uint64_t doubts; /* times our health score rose */
    uint64_t push_pulls;
    uint64_t opened_first; /* packets and frames, with keys: by the first one */
    uint64_t opened_older; /* by another key of the ring */
    uint64_t opened_plain; /* plain, and taken: encryption is being switched */
    uint64_t keys_changed; /* times the keyring changed */
    uint64_t lane_in;
    uint64_t lane_out;
    uint64_t pauses; /* times we slept so long that we mistrust ourselves */
    uint64_t refused[GOSSIP_REFUSAL_COUNT];
    uint32_t queue_membership; /* messages waiting to be spread */
    uint32_t queue_intents;
    uint32_t queue_events;
    uint32_t queue_queries;
    uint64_t queue_dropped; /* from any of them, to make room */
    uint32_t streams_open;
};

/* "malformed", "crc", ...: for labels of metrics; static. */
const char *gossip_refusal_name(enum gossip_refusal refusal);

#endif
