/* config_manners.h - how DNS deals with strangers: cookies, limits, and what it says of itself. */
#ifndef AGENT_CONFIG_MANNERS_H
#define AGENT_CONFIG_MANNERS_H

#include "dns/answer/rate.h"

struct agent_config;

/* The block dns_config.rate_limit as options; without a list of networks those that are private
 * by RFC 1918, 3927, 4193, 4291 and 6598 are exempt. RC_OK, or RC_EINVAL with one line in
 * `error` (AGENT_CONFIG_ERROR_MAX). */
int config_manners_rate(const struct agent_config *config, struct dns_rate_options *out,
                        char *error);

/* Whether that and the settings beside it make sense. RC_OK, or RC_EINVAL with one line in
 * `error`. */
int config_manners_check(const struct agent_config *config, char *error);

#endif
