#include "agent/http/errand.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"

struct errand {
    struct http_api *api;
    struct http_exchange *x; /* NULL: it has gone */
    errand_told *told;
};

struct errand *errand_begin(struct http_api *api, struct http_exchange *x,
                            errand_told *told)
{
    assert(x->errand == NULL);

    struct errand *errand = malloc(sizeof *errand);
    if (errand == NULL) {
        exchange_error(x, 500, "%s", rc_strerror(RC_ENOMEM));
        return NULL;
    }
    *errand = (struct errand){api, x, told};
    x->errand = errand;
    x->outcome = EXCHANGE_PENDING;
    return errand;
}

void errand_failed(struct http_exchange *x, const struct store_outcome *outcome)
{
    const char *text = outcome->text != NULL ? outcome->text : "";

    switch (outcome->err) {
    case RC_EAGAIN:
    case RC_ETIMEOUT:
        exchange_error(x, 500, "No cluster leader%s%s", text[0] != '\0' ? ": " : "",
                       text);
        break;
    case RC_EUNKNOWN:
        exchange_error(x, 500,
                       "Outcome unknown: the request may have been carried out, or may "
                       "still be%s%s. Read before you repeat it; a request with the "
                       "header X-Rollcall-Request (32 hex digits of your choice) can be "
                       "repeated safely",
                       text[0] != '\0' ? ": " : "", text);
        break;
    case RC_ECONFLICT:
        exchange_error(x, 409, "%s", text);
        break;
    case RC_ETOOBIG:
        exchange_error(x, 413, "%s", text[0] != '\0' ? text : rc_strerror(outcome->err));
        break;
    default:
        exchange_error(x, 500, "%s", text[0] != '\0' ? text : rc_strerror(outcome->err));
        break;
    }
}

void errand_revision(struct http_exchange *x, const struct store_outcome *outcome)
{
    if (outcome->succeeded && outcome->revision != 0) {
        exchange_header_u64(x, "X-Rollcall-Index", outcome->revision);
    }
}

void errand_refused(struct errand *errand, int err)
{
    struct http_exchange *x = errand->x;
    const struct store_outcome outcome = {.err = err, .text = ""};

    x->errand = NULL;
    free(errand);
    errand_failed(x, &outcome);
}

void errand_done(void *context, const struct store_outcome *outcome)
{
    struct errand *errand = context;
    struct http_api *api = errand->api;
    struct http_exchange *x = errand->x;
    errand_told *told = errand->told;

    free(errand);
    if (x == NULL) {
        return;
    }
    x->errand = NULL;
    x->outcome = EXCHANGE_ANSWERED;
    told(api, x, outcome);
    if (x->outcome != EXCHANGE_PENDING) {
        api->resume(api->resume_context, x);
    }
}

void errand_forget(struct http_exchange *x)
{
    if (x->errand != NULL) {
        x->errand->x = NULL;
        x->errand = NULL;
    }
}

bool errand_request(struct http_exchange *x, uint8_t space[STORE_REQUEST_SIZE],
                    const uint8_t **out)
{
    const char *text = x->request.request_id;

    *out = x->request_id;
    if (*out != NULL || text == NULL) {
        return true;
    }
    if (rc_text_from_hex(text, STORE_REQUEST_SIZE, space) != RC_OK) {
        exchange_error(x, 400, "Invalid X-Rollcall-Request: 32 hex digits are wanted");
        return false;
    }
    *out = space;
    return true;
}

void errand_submit(struct http_api *api, struct http_exchange *x,
                   const struct store_op *ops, size_t count, errand_told *told)
{
    uint8_t space[STORE_REQUEST_SIZE];
    const uint8_t *request = NULL;

    if (!errand_request(x, space, &request)) {
        return;
    }
    struct errand *errand = errand_begin(api, x, told);
    if (errand == NULL) {
        return;
    }
    int err =
        store_submit(api->store, api->now_ms, ops, count, request, errand_done, errand);
    if (err != RC_OK) {
        errand_refused(errand, err);
    }
}
