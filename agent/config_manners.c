#include "agent/config_manners.h"

#include <stdio.h>
#include <string.h>

#include "agent/config.h"
#include "base/err.h"
#include "dns/answer/cookie.h"
#include "dns/answer/reply.h"

static const char *const private_networks[] = {
    "10.0.0.0/8",     "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
    "169.254.0.0/16", "fc00::/7",      "fe80::/10",
};

static int read_network(const char *text, struct dns_rate_options *out, char *error)
{
    if (out->exempt_count == DNS_RATE_EXEMPT_MAX) {
        (void)snprintf(error, AGENT_CONFIG_ERROR_MAX,
                       "dns_config.rate_limit.exempt: more than %d networks",
                       DNS_RATE_EXEMPT_MAX);
        return RC_EINVAL;
    }
    if (rc_network_parse(text, &out->exempt[out->exempt_count]) != RC_OK) {
        (void)snprintf(error, AGENT_CONFIG_ERROR_MAX,
                       "dns_config.rate_limit.exempt: \"%.100s\" is no network such as "
                       "10.0.0.0/8",
                       text);
        return RC_EINVAL;
    }
    out->exempt_count++;
    return RC_OK;
}

static int read_networks(const struct agent_rate_config *config,
                         struct dns_rate_options *out, char *error)
{
    int err = RC_OK;

    for (size_t i = 0; i < config->exempt.count && err == RC_OK; i++) {
        err = read_network(config->exempt.items[i], out, error);
    }
    if (config->exempt.count > 0) {
        return err;
    }
    for (size_t i = 0; i < sizeof private_networks / sizeof private_networks[0]; i++) {
        (void)read_network(private_networks[i], out, error);
    }
    return RC_OK;
}

static int read_number(const char *key, int64_t value, int64_t max, uint32_t *out,
                       char *error)
{
    if (value > max) {
        (void)snprintf(error, AGENT_CONFIG_ERROR_MAX,
                       "dns_config.rate_limit.%s must be 0 to %lld, not %lld", key,
                       (long long)max, (long long)value);
        return RC_EINVAL;
    }
    *out = (uint32_t)value;
    return RC_OK;
}

int config_manners_rate(const struct agent_config *config, struct dns_rate_options *out,
                        char *error)
{
    const struct agent_rate_config *rate = &config->dns.rate_limit;
    const struct {
        const char *key;
        int64_t value;
        int64_t max;
        uint32_t *out;
    } numbers[] = {
        {"responses_per_second", rate->responses, DNS_RATE_PER_SECOND_MAX,
         &out->per_second[DNS_RATE_ANSWERS]},
        {"nxdomains_per_second", rate->nxdomains, DNS_RATE_PER_SECOND_MAX,
         &out->per_second[DNS_RATE_NXDOMAIN]},
        {"errors_per_second", rate->errors, DNS_RATE_PER_SECOND_MAX,
         &out->per_second[DNS_RATE_ERRORS]},
        {"slip", rate->slip, DNS_RATE_SLIP_MAX, &out->slip},
    };

    dns_rate_options_init(out);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int err = read_number(numbers[i].key, numbers[i].value, numbers[i].max,
                              numbers[i].out, error);
        if (err != RC_OK) {
            return err;
        }
    }
    return read_networks(rate, out, error);
}

static int check_text(const char *key, const char *text, size_t max, char *error)
{
    size_t size = text == NULL ? 1 : strlen(text);

    if (size >= 1 && size <= max) {
        return RC_OK;
    }
    (void)snprintf(error, AGENT_CONFIG_ERROR_MAX,
                   "dns_config.%s must be 1 to %zu characters", key, max);
    return RC_EINVAL;
}

int config_manners_check(const struct agent_config *config, char *error)
{
    const struct agent_dns_config *dns = &config->dns;
    struct dns_cookie_secrets secrets;
    struct dns_rate_options rate;

    if (check_text("nsid", dns->nsid, DNS_NSID_MAX, error) != RC_OK ||
        check_text("version", dns->version, DNS_TEXT_MAX, error) != RC_OK ||
        check_text("identity", dns->identity, DNS_TEXT_MAX, error) != RC_OK) {
        return RC_EINVAL;
    }
    if (dns->cookie_secret != NULL &&
        dns_cookie_secrets_parse(dns->cookie_secret, &secrets) != RC_OK) {
        (void)snprintf(
            error, AGENT_CONFIG_ERROR_MAX,
            "dns_config.cookie_secret must be 32 hexadecimal digits, or two such "
            "secrets separated by a comma, the second being the one before");
        return RC_EINVAL;
    }
    return config_manners_rate(config, &rate, error);
}
