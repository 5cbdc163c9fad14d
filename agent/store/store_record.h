/* store_record.h - the rules' values in the engine, and back.
 *
 * Under kv/: the key's flags, lock index and value. Under held/: who holds the key, or how long
 * it must not be taken after an expiry. Under session/: the session. Under req/: what became of
 * a request (store_outcome_record.c). All MessagePack arrays; what is longer is of a later
 * version, what makes no sense is not ours.
 *
 * A key is held as long as held/ names a session whose record still has the revision it had
 * then; held's own mod revision is the lock's term. */
#ifndef AGENT_STORE_STORE_RECORD_H
#define AGENT_STORE_STORE_RECORD_H

#include "agent/store/store.h"
#include "base/buffer.h"

struct kv_record {
    uint64_t flags;
    uint64_t lock_index;
    struct rc_pack_bytes value; /* a slice */
};

struct held_record {
    const char
        *session; /* a slice, NUL-terminated; NULL: nobody, it must not be taken yet */
    uint64_t session_revision; /* that created it */
    uint64_t lock_delay_ms;
    enum store_behavior behavior;
};

void kv_record_write(struct rc_buffer *out, const struct kv_record *record);
void held_record_write(struct rc_buffer *out, const struct held_record *record);
void session_record_write(struct rc_buffer *out, const struct store_session *session);

/* RC_OK, RC_ETRUNCATED or RC_EMALFORMED. */
int kv_record_read(struct rc_pack_bytes bytes, struct kv_record *out);
int held_record_read(struct rc_pack_bytes bytes, struct held_record *out);

/* Pointers to the checks' ids, as many as both lists may have. */
struct session_slots {
    const char *ids[2 * STORE_SESSION_CHECKS_MAX];
};

/* Without id and indexes; the lists lie in `slots`, their texts in `bytes`. */
int session_record_read(struct rc_pack_bytes bytes, struct session_slots *slots,
                        struct store_session *out);

#endif
