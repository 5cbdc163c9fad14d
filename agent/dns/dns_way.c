#include "agent/dns/dns_way.h"

#include "base/err.h"

/* The longest suffix wins. */
static const struct dns_forward_route *find(const struct dns_forward_options *options,
                                            const struct dns_name *name)
{
    const struct dns_forward_route *found = NULL;
    struct dns_name suffix;
    size_t labels = 0;

    for (size_t i = 0; i < options->route_count; i++) {
        const struct dns_forward_route *route = &options->routes[i];
        if (dns_name_from_text(route->suffix, &suffix) == RC_OK &&
            dns_name_ends_with(name, &suffix) &&
            (found == NULL || suffix.label_count > labels)) {
            found = route;
            labels = suffix.label_count;
        }
    }
    return found;
}

void dns_way_write(const struct dns_forward_options *options, const struct dns_name *name,
                   struct rc_buffer *out)
{
    const struct dns_forward_route *route = find(options, name);
    char text[RC_ADDRESS_TEXT_MAX];

    if (route == NULL) {
        return;
    }
    for (size_t i = 0; i < route->server_count; i++) {
        rc_address_format(&route->servers[i], text);
        rc_buffer_format(out, "%s%s", i > 0 ? ", " : "", text);
    }
    if (route->of_system == DNS_YES) {
        rc_buffer_format(out, "%sthe servers of %s", route->server_count > 0 ? ", " : "",
                         options->system_file != NULL ? options->system_file
                                                      : "the system");
    }
    if (route->suffix[0] == '\0') {
        rc_buffer_text(out, " (recursors)");
    } else {
        rc_buffer_format(out, " (dns_config.forward \"%s\")", route->suffix);
    }
}
