/* desk_uv.h - the agent's side of the desks: questions of the workers, answered on its loop.
 *
 * What a worker cannot know (prepared queries) is answered here, a few at a time, so that
 * the agent's other work gets its turn however many are asked. */
#ifndef DNS_SERVE_DESK_UV_H
#define DNS_SERVE_DESK_UV_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "dns/answer/answer.h"
#include "dns/serve/desk.h"

struct dns_office;

struct dns_office_options {
    const struct dns_options *answers; /* borrowed until closed, as is the view */
    const struct dns_view *view;       /* of the loop's own thread */
    uint64_t random_seed;
    struct dns_desk *const *desks; /* borrowed until closed; the list is copied */
    size_t desk_count;
    /* Called when answers have been put on desk `i`: to wake the worker. May be called for
     * nothing. */
    void (*returned)(void *context, size_t i);
    void *context;
};

/* RC_OK with `*out` owned by the caller until dns_office_close(); RC_EMALFORMED (a domain
 * is not a host name), RC_ENOMEM, RC_EIO. */
int dns_office_open(uv_loop_t *loop, const struct dns_office_options *options,
                    struct dns_office **out);

/* Something was put on a desk. From any thread, until the office is closed. */
void dns_office_ring(struct dns_office *office);

/* Answers nothing any more; frees `office` and calls `on_closed` from the loop. */
void dns_office_close(struct dns_office *office, void (*on_closed)(void *context),
                      void *context);

#endif
