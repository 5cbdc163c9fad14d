#include "base/buffer.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/logger.h"
#include "dns/forward/forward_state_ares.h"

enum { SYSTEM_FILE_MAX = 64 * 1024, LOOK_EVERY_MS = 5000 };

size_t dns_system_read(struct dns_forwarder *f,
                       struct rc_address out[DNS_FORWARD_SERVERS_MAX])
{
    struct rc_buffer text = {.bytes = NULL};
    size_t count = 0;

    if (f->options->system_file == NULL) {
        return 0;
    }
    if (stat(f->options->system_file, &f->system_stat) != 0) {
        f->system_stat = (struct stat){.st_size = 0};
    }
    if (rc_file_read(f->options->system_file, SYSTEM_FILE_MAX, &text) == RC_OK) {
        count = dns_system_servers(rc_buffer_string(&text), text.size, out);
    }
    if (count == 0) {
        rc_log(RC_LOG_WARN, "dns", "%s names no server that could be asked",
               f->options->system_file);
    }
    rc_buffer_fini(&text);
    return count;
}

int dns_system_route(struct dns_forwarder *f)
{
    struct rc_address servers[DNS_FORWARD_SERVERS_MAX];
    struct rc_address self;
    struct dns_routes *routes;
    char text[RC_ADDRESS_TEXT_MAX];

    size_t count = dns_system_read(f, servers);
    int err = dns_routes_create(f->options, servers, count, &self, &routes);
    if (err != RC_OK) {
        return err;
    }
    if (self.family != RC_ADDRESS_NONE) {
        rc_address_format(&self, text);
        rc_log(RC_LOG_WARN, "dns", "recursor %s is this agent itself: it is left out",
               text);
    }
    dns_tries_close(f);
    dns_routes_destroy(f->routes);
    f->routes = routes;
    return dns_tries_open(f);
}

/* Questions under way begin anew, with the servers that there are now. */
static void ask_again(struct dns_forwarder *f)
{
    struct dns_forward_question question;
    struct dns_name name;
    struct dns_flight *flight = dns_flights_oldest(f->flights);

    while (flight != NULL) {
        struct dns_flight *newer = flight->newer;
        dns_forward_key_read(&flight->key, &name, &question);
        flight->count =
            (uint8_t)dns_routes_order(f->routes, &name, &f->random, flight->order);
        flight->position = 0;
        flight->asked = NULL;
        dns_tries_next(f, flight);
        flight = newer;
    }
}

static bool has_changed(const struct dns_forwarder *f)
{
    struct stat now = {.st_size = 0};
    const struct stat *then = &f->system_stat;

    if (stat(f->options->system_file, &now) != 0) {
        return false; /* being replaced, perhaps: the old servers serve on */
    }
    return now.st_ino != then->st_ino || now.st_size != then->st_size ||
           now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != then->st_mtim.tv_nsec;
}

void dns_system_tick(struct dns_forwarder *f, uint64_t now_ms)
{
    if (f->options->system_file == NULL || now_ms < f->system_at_ms) {
        return;
    }
    f->system_at_ms = now_ms + LOOK_EVERY_MS;
    if (!has_changed(f)) {
        return;
    }
    int err = dns_system_route(f);
    if (err != RC_OK) {
        rc_log(RC_LOG_ERROR, "dns", "the servers of %s cannot be used: %s",
               f->options->system_file, rc_strerror(err));
        return;
    }
    rc_log(RC_LOG_INFO, "dns", "the servers of %s are asked from now on",
           f->options->system_file);
    f->probe_at_ms = now_ms;
    ask_again(f);
}
