/* dns_way.h - where a question about another zone goes, in words.
 *
 * Part of dns_explain.h. The choice of the route is that of dns/forward/forward_routes.h. */
#ifndef AGENT_DNS_DNS_WAY_H
#define AGENT_DNS_DNS_WAY_H

#include "base/buffer.h"
#include "dns/forward/forward_options.h"
#include "dns/wire/name.h"

/* Appends the servers of the route for `name` and the setting that says so; nothing if there is
 * no route. */
void dns_way_write(const struct dns_forward_options *options, const struct dns_name *name,
                   struct rc_buffer *out);

#endif
