/* dns_manners.h - what the DNS server's manners rest on, for all its threads. */
#ifndef AGENT_DNS_MANNERS_H
#define AGENT_DNS_MANNERS_H

#include "dns/answer/answer.h"
#include "dns/answer/cookie.h"

struct agent_config;

struct agent_dns_manners {
    struct dns_cookie_secrets cookies;
    struct dns_rate *rate; /* owned; NULL: nobody is limited */
};

/* Fills `manners` and the fields of `options` that rest on it, which both must outlive. RC_OK,
 * RC_ENOMEM, or RC_EINVAL with one line in `error` (AGENT_CONFIG_ERROR_MAX). */
int agent_dns_manners_open(struct agent_dns_manners *manners,
                           const struct agent_config *config, struct dns_options *options,
                           char *error);

/* When no thread answers any more. */
void agent_dns_manners_close(struct agent_dns_manners *manners);

#endif
