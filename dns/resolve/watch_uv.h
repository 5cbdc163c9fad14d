/* watch_uv.h - sockets that a library owns, and its timer, watched on our loop.
 *
 * c-ares says which of its sockets it wants to read or write; here they are handed to
 * libuv, so that neither library needs to know the other. */
#ifndef DNS_RESOLVE_WATCH_UV_H
#define DNS_RESOLVE_WATCH_UV_H

#include <stdint.h>

struct uv_loop_s;
struct dns_watch;

enum { DNS_WATCH_READ = 1, DNS_WATCH_WRITE = 2 };

struct dns_watch_owner {
    /* `socket` is ready for `events`, DNS_WATCH_... or'ed. */
    void (*on_ready)(void *context, int socket, unsigned events);
    void (*on_time)(void *context); /* the timer */
    void (*on_closed)(void *context);
    void *context;
};

/* Watches nothing yet. RC_OK, or RC_ENOMEM. */
int dns_watch_start(struct uv_loop_s *loop, const struct dns_watch_owner *owner,
                    struct dns_watch **out);

/* Watches `socket` for `events` from now on; 0: no longer, and it may be closed at once.
 * RC_OK, or RC_ENOMEM or RC_EIO with the socket not watched. */
int dns_watch_socket(struct dns_watch *watch, int socket, unsigned events);

/* on_time is called once, after `ms`; replaces an earlier wish. */
void dns_watch_timer(struct dns_watch *watch, uint64_t ms);

/* Ends all, frees `watch`, then calls on_closed from the loop. */
void dns_watch_close(struct dns_watch *watch);

#endif
