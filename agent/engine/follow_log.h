/* follow_log.h - what a follower is to be told, kept as bytes until it is.
 *
 * One thread writes it, another tells it. Pure. Failures stick in the buffer (base/buffer.h). */
#ifndef AGENT_ENGINE_FOLLOW_LOG_H
#define AGENT_ENGINE_FOLLOW_LOG_H

#include "agent/store/engine.h"
#include "base/buffer.h"

void follow_log_begin(struct rc_buffer *log);
void follow_log_put(struct rc_buffer *log, const struct engine_item *item);
void follow_log_removed(struct rc_buffer *log, struct rc_pack_bytes key,
                        uint64_t revision);
void follow_log_end(struct rc_buffer *log, uint64_t revision);

/* Tells all of it, in order. */
void follow_log_tell(const struct rc_buffer *log, const struct engine_follower *follower);

#endif
