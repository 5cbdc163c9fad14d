/* forward_key.h - a question as bytes, equal for equal questions: what answers are kept
 * under, and what questions in flight are joined by. */
#ifndef DNS_FORWARD_FORWARD_KEY_H
#define DNS_FORWARD_FORWARD_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/forward/forward_message.h"

enum { DNS_FORWARD_KEY_MAX = DNS_NAME_MAX + 3 };

struct dns_forward_key {
    uint64_t hash;
    size_t size;
    uint8_t bytes[DNS_FORWARD_KEY_MAX]; /* name in lower case, type, DO and CD */
};

/* `seed` keeps others from choosing names that collide. */
void dns_forward_key_make(const struct dns_forward_question *question, uint64_t seed,
                          struct dns_forward_key *out);

/* The question again, in lower case: `name` is filled in and borrowed by `out`. */
void dns_forward_key_read(const struct dns_forward_key *key, struct dns_name *name,
                          struct dns_forward_question *out);

bool dns_forward_key_equals(const struct dns_forward_key *a,
                            const struct dns_forward_key *b);

#endif
