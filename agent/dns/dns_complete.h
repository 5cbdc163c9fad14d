/* dns_complete.h - which whole name is meant by a short or a misspelt one?
 *
 * People say `web`, `primary.postgres` or `10.0.0.1`; DNS knows whole names only. Pure. */
#ifndef AGENT_DNS_DNS_COMPLETE_H
#define AGENT_DNS_DNS_COMPLETE_H

#include "agent/catalog/catalog.h"
#include "agent/dns/dns_reason.h"
#include "dns/answer/question.h"
#include "dns/wire/name.h"

struct prepared_book;

enum { DNS_SUGGESTIONS_MAX = 3 };

/* What is known here. All borrowed. */
struct dns_complete_ground {
    const struct catalog *catalog;
    const struct prepared_book *book; /* NULL: there are no prepared queries */
    const struct dns_zones *zones;
    const struct dns_sight
        *asker; /* whose token it is: what he may not see is not there */
};

struct dns_completed {
    struct dns_name name;
    const char
        *how; /* what was made of what was said, in words; NULL: it was whole. Static */
};

/* RC_OK, or RC_EMALFORMED: whatever is meant, it is no domain name. */
int dns_complete(const struct dns_complete_ground *ground, const char *asked,
                 struct dns_completed *out);

/* Names near to one that has no answer, the likeliest first, as text with a final dot. Returns
 * how many. */
size_t dns_complete_suggest(const struct dns_complete_ground *ground,
                            const struct dns_name *name,
                            const struct dns_question *question,
                            char out[DNS_SUGGESTIONS_MAX][DNS_NAME_TEXT_MAX]);

#endif
