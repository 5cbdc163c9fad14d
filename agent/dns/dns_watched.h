/* dns_watched.h - a view that remembers whether it lent anything secret.
 *
 * Part of dns_explain.h: an answer is shown to whoever asks by HTTP only if nothing went into it
 * that his token may not see. */
#ifndef AGENT_DNS_DNS_WATCHED_H
#define AGENT_DNS_DNS_WATCHED_H

#include <stdbool.h>

#include "agent/dns/dns_reason.h"
#include "dns/answer/view.h"

struct dns_watched {
    struct dns_view view;
    const struct dns_view *real; /* borrowed, as is `asker` */
    const struct dns_sight *asker;
    bool saw_hidden;
};

/* `watched->view` answers as `real` does. */
void dns_watched_init(struct dns_watched *watched, const struct dns_view *real,
                      const struct dns_sight *asker);

#endif
