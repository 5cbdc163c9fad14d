#include "agent/dns_manners.h"

#include "agent/config.h"
#include "agent/config_manners.h"
#include "base/entropy.h"
#include "base/err.h"

static void open_cookies(struct agent_dns_manners *manners, const char *secret)
{
    uint8_t seed[RC_SIPHASH_KEY_SIZE];

    if (secret == NULL || dns_cookie_secrets_parse(secret, &manners->cookies) != RC_OK) {
        rc_entropy(seed, sizeof seed);
        dns_cookie_secrets_own(seed, &manners->cookies);
    }
}

int agent_dns_manners_open(struct agent_dns_manners *manners,
                           const struct agent_config *config, struct dns_options *options,
                           char *error)
{
    uint8_t key[RC_SIPHASH_KEY_SIZE];
    struct dns_rate_options rate;

    int err = config_manners_rate(config, &rate, error);
    if (err == RC_OK && config->dns.rate_limit.enabled) {
        rc_entropy(key, sizeof key);
        err = dns_rate_create(&rate, key, &manners->rate);
    }
    if (err != RC_OK) {
        return err;
    }
    open_cookies(manners, config->dns.cookie_secret);
    options->nsid = config->dns.nsid;
    options->version = config->dns.version;
    options->identity = config->dns.identity;
    options->cookies = &manners->cookies;
    options->rate = manners->rate;
    return RC_OK;
}

void agent_dns_manners_close(struct agent_dns_manners *manners)
{
    dns_rate_destroy(manners->rate);
    manners->rate = NULL;
}
