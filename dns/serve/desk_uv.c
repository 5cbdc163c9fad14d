#include "dns/serve/desk_uv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"

enum { PER_TURN = 16 /* questions of one desk, before the loop does something else */ };

struct dns_office {
    uv_async_t bell;
    struct dns_office_options options;
    struct dns_desk **desks;
    struct dns_answerer *answerer;
    uint8_t space[DNS_MESSAGE_MAX];
    void (*on_closed)(void *context);
    void *context;
};

static void answer(struct dns_office *office, struct dns_desk_slip *slip)
{
    size_t max =
        slip->client.channel == DNS_CHANNEL_TCP ? DNS_MESSAGE_MAX : DNS_UDP_LOCAL_MAX;

    slip->client.is_counted = DNS_YES;
    slip->outcome = dns_answer(office->answerer, &slip->client, slip->query,
                               slip->query_size, office->space, max);
    slip->outcome.query = NULL; /* it does not outlive the next question */
    slip->answer = slip->outcome.size > 0 ? malloc(slip->outcome.size) : NULL;
    if (slip->answer == NULL) {
        slip->outcome.size = 0;
        return;
    }
    memcpy(slip->answer, office->space, slip->outcome.size);
}

static void on_bell(uv_async_t *bell)
{
    struct dns_office *office = bell->data;
    size_t busy = 0;

    for (size_t i = 0; i < office->options.desk_count; i++) {
        struct dns_desk_slip *slip = NULL;
        size_t count = 0;
        while (count < PER_TURN && (slip = dns_desk_next(office->desks[i])) != NULL) {
            answer(office, slip);
            dns_desk_return(office->desks[i], slip);
            count++;
        }
        busy += count == PER_TURN ? 1 : 0;
        if (count > 0) {
            office->options.returned(office->options.context, i);
        }
    }
    if (busy > 0) {
        (void)uv_async_send(bell); /* fails only when closing */
    }
}

static void destroy(struct dns_office *office)
{
    dns_answerer_destroy(office->answerer);
    free((void *)office->desks);
    free(office);
}

int dns_office_open(uv_loop_t *loop, const struct dns_office_options *options,
                    struct dns_office **out)
{
    struct dns_office *office = calloc(1, sizeof *office);

    if (office == NULL) {
        return RC_ENOMEM;
    }
    office->options = *options;
    office->desks = calloc(options->desk_count + 1, sizeof(struct dns_desk *));
    int err = office->desks == NULL ? RC_ENOMEM : RC_OK;
    if (err == RC_OK) {
        err = dns_answerer_create(options->answers, options->view, options->random_seed,
                                  &office->answerer);
    }
    if (err == RC_OK && uv_async_init(loop, &office->bell, on_bell) != 0) {
        err = RC_EIO;
    }
    if (err != RC_OK) {
        destroy(office);
        return err;
    }
    for (size_t i = 0; i < options->desk_count; i++) {
        office->desks[i] = options->desks[i];
    }
    office->options.desks = NULL;
    office->bell.data = office;
    *out = office;
    return RC_OK;
}

void dns_office_ring(struct dns_office *office)
{
    (void)uv_async_send(&office->bell);
}

static void on_bell_closed(uv_handle_t *handle)
{
    struct dns_office *office = handle->data;
    void (*on_closed)(void *) = office->on_closed;
    void *context = office->context;

    destroy(office);
    on_closed(context);
}

void dns_office_close(struct dns_office *office, void (*on_closed)(void *context),
                      void *context)
{
    assert(on_closed != NULL);
    office->on_closed = on_closed;
    office->context = context;
    uv_close((uv_handle_t *)&office->bell, on_bell_closed);
}
