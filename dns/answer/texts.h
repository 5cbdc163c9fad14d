/* texts.h - what the instances of a service say of themselves, as TXT records.
 *
 * Their metadata in the form of RFC 1464, each string once: an answer is a set. */
#ifndef DNS_ANSWER_TEXTS_H
#define DNS_ANSWER_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "dns/answer/pick.h"
#include "dns/answer/reply.h"

/* Writes the records of the instances that `pick` chose, as far as they fit; else TC is
 * set. What `pick` had taken or seen is forgotten. */
void dns_texts_answer(struct dns_reply *reply, struct dns_pick *pick,
                      struct rc_random *random, uint32_t ttl_s);

#endif
