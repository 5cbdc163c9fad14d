#include "dns/forward/forward_options.h"

#include <string.h>

#include "base/err.h"

enum { LINE_MAX_SIZE = 256 };

enum dns_choice dns_forward_serves(const struct dns_forward_options *options,
                                   const struct rc_address *client)
{
    return rc_network_has(options->clients, options->client_count, client) ? DNS_YES
                                                                           : DNS_NO;
}

static bool is_local(const struct dns_forward_options *options,
                     const struct rc_address *ip)
{
    if (rc_address_is_loopback(ip) || rc_address_is_any(ip)) {
        return true;
    }
    for (size_t i = 0; i < options->local_count; i++) {
        if (rc_address_ip_equals(&options->local[i], ip)) {
            return true;
        }
    }
    return false;
}

bool dns_forward_is_self(const struct dns_forward_options *options,
                         const struct rc_address *server)
{
    for (size_t i = 0; i < options->listen_count; i++) {
        const struct rc_address *own = &options->listen[i];
        if (own->port != server->port) {
            continue;
        }
        /* 0.0.0.0 as a server means this machine, by its loopback address. */
        bool is_same = rc_address_ip_equals(own, server) ||
                       (rc_address_is_any(server) && rc_address_is_loopback(own));
        if (is_same || (rc_address_is_any(own) && is_local(options, server))) {
            return true;
        }
    }
    return false;
}

/* The address of a "nameserver ADDRESS" line. */
static int read_line(const char *line, size_t size, struct rc_address *out)
{
    static const char word[] = "nameserver";
    char text[LINE_MAX_SIZE + 1];

    if (size < sizeof word || size > LINE_MAX_SIZE ||
        memcmp(line, word, sizeof word - 1) != 0) {
        return RC_ENOTFOUND;
    }
    memcpy(text, line, size);
    text[size] = '\0';
    char *at = text + sizeof word - 1;
    size_t gap = strspn(at, " \t");
    if (gap == 0) {
        return RC_ENOTFOUND;
    }
    at += gap;
    at[strcspn(at, " \t\r#;")] = '\0';
    return rc_address_parse_ip(at, DNS_FORWARD_PORT, out);
}

size_t dns_system_servers(const char *text, size_t size,
                          struct rc_address out[DNS_FORWARD_SERVERS_MAX])
{
    size_t count = 0;
    const char *end = text + size;

    while (text < end && count < DNS_FORWARD_SERVERS_MAX) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t line = stop != NULL ? (size_t)(stop - text) : (size_t)(end - text);
        count += read_line(text, line, &out[count]) == RC_OK ? 1 : 0;
        text += line + (stop != NULL ? 1 : 0);
    }
    return count;
}
