/* key_query.c - the pool's questions about keys, answered inside the core. */
#include "agent/gossip/key_query.h"

#include "base/err.h"

int key_query_answer(struct gossip *g, struct rc_pack_bytes name,
                     struct rc_pack_bytes payload, size_t max, struct rc_buffer *out)
{
    const struct wire_key_response response = {
        .message = rc_pack_text("keys cannot be changed here"),
    };

    (void)g;
    (void)name;
    (void)payload;
    rc_buffer_byte(out, WIRE_SERF_KEY_RESPONSE);
    wire_write(&wire_format_key_response, &response, out);
    if (out->err == RC_OK && out->size > max) {
        return RC_ETOOBIG;
    }
    return out->err;
}
