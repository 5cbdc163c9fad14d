/* link_state.h - a link from inside: for link.c and link_out.c. */
#ifndef AGENT_LINK_LINK_STATE_H
#define AGENT_LINK_LINK_STATE_H

#include "agent/link/cipher.h"
#include "agent/link/link.h"
#include "base/cursor.h"
#include "base/table.h"

/* A request of either side: what has come of the body it waits for. */
struct link_open {
    uint32_t number;
    char *block; /* of the head's strings; NULL: the head has not come */
    union {
        struct link_request request;
        struct link_reply reply;
    } head;
    struct rc_buffer body;
    size_t body_size;  /* that it will have */
    bool is_delivered; /* to be answered by us */
    bool is_too_long;  /* its body: not kept */
};

/* A body on its way out. */
struct link_body {
    struct link_body *next;
    enum link_message_kind kind;
    uint32_t number;
    size_t sent;
    size_t size;
    uint8_t bytes[];
};

struct link {
    size_t (*body_max)(void *context, const char *target);
    void *context;
    struct handshake handshake;
    struct cipher *cipher;
    bool has_header;   /* of the other's stream */
    bool is_over;      /* its last frame has come */
    bool is_up;        /* also its name has come */
    bool says_goodbye; /* ours is to go, or has gone */
    bool is_silent;    /* ours has gone: nothing is sent any more */
    char name[LINK_NAME_MAX + 1];
    char peer_name[LINK_NAME_MAX + 1];

    struct rc_buffer in;    /* as it came */
    size_t in_at;           /* what of it was taken */
    struct rc_buffer raw;   /* to be sent as it is: the handshake */
    struct rc_buffer frame; /* opened; its messages are being read */
    struct rc_cursor frame_at;
    struct link_open *told;      /* freed at the next call */
    struct link_open *delivered; /* its strings and body are, but it stays */

    uint32_t last_number;
    uint32_t last_asked;     /* by the other side */
    struct rc_table *asked;  /* number -> struct link_open: by us */
    struct rc_table *served; /* by the other side */
    size_t assembly_bytes;

    struct rc_buffer control; /* whole messages, ahead of all bodies */
    size_t control_at;
    struct link_body *first_body; /* whose turn it is */
    struct link_body *last_body;
    size_t body_bytes;      /* of all bodies on their way out */
    size_t large_bytes;     /* of the largest, if above LINK_LARGE_BYTES */
    struct rc_buffer plain; /* of a frame that is made */

    uint64_t made_ms;
    uint64_t silence_ms;
    uint64_t heard_ms;
    uint64_t expects_ms; /* since when something is expected, if anything is */
    bool has_pinged;
};

/* link_out.c: puts a message in front of all bodies. */
void link_out_say(struct link *link, enum link_message_kind kind, uint32_t number,
                  const void *payload, size_t size);
/* A head, and its body behind it. RC_OK or RC_ENOMEM. */
int link_out_send(struct link *link, const struct link_message *head,
                  enum link_message_kind body_kind, const void *body, size_t size);
/* Drops what is left of a body. */
void link_out_drop(struct link *link, enum link_message_kind kind, uint32_t number);
void link_out_fini(struct link *link);
/* Bytes that wait to be sent, without those of one large body. */
size_t link_out_backlog(const struct link *link);

#endif
