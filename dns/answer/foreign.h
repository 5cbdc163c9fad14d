/* foreign.h - what is known of a host of another zone, to which one of our names leads.
 *
 * A service may be registered at a host name of another zone. Its addresses belong into the
 * answer, for clients that may ask about other zones: the forwarder has them. */
#ifndef DNS_ANSWER_FOREIGN_H
#define DNS_ANSWER_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

#include "dns/answer/answer.h"
#include "dns/wire/name.h"

enum dns_foreign_state {
    DNS_FOREIGN_KNOWN,   /* `answer` */
    DNS_FOREIGN_UNKNOWN, /* the others have to be asked */
    DNS_FOREIGN_FAILED   /* nobody could be asked */
};

struct dns_foreign_answer {
    const uint8_t
        *bytes; /* a message that answers the question; borrowed until next time */
    size_t size;
    uint16_t rcode;
};

struct dns_foreign {
    void *context;
    enum dns_foreign_state (*find)(void *context, const struct dns_client *client,
                                   const struct dns_name *name, uint16_t type,
                                   struct dns_foreign_answer *out);
};

#endif
