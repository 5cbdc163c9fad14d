/* quota_uv.c - `limit rate` and `limit concurrent`: who asks, and whether he may. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "proxy/http/http_state_uv.h"

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static struct rc_span trim(struct rc_span text)
{
    while (text.size > 0 && is_blank(text.at[0])) {
        text.at++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.at[text.size - 1])) {
        text.size--;
    }
    return text;
}

/* Who stands at the end of a list of addresses, and is not one of those who are trusted to add
 * to it: the client, as far as anybody honest has seen. False: all of it is trusted. */
static bool last_stranger(const struct config_listener *listener, struct rc_span list,
                          struct rc_address *out)
{
    size_t end = list.size;

    while (end > 0) {
        size_t begin = end;
        char text[RC_ADDRESS_TEXT_MAX];
        while (begin > 0 && list.at[begin - 1] != ',') {
            begin--;
        }
        struct rc_span item = trim((struct rc_span){list.at + begin, end - begin});
        if (item.size == 0 || item.size >= sizeof text) {
            return true; /* no address: whoever added it is as far as we see */
        }
        memcpy(text, item.at, item.size);
        text[item.size] = '\0';
        if (rc_address_parse(text, 1, out) != RC_OK) {
            return true;
        }
        out->port = 0;
        if (!config_trusts(listener, out)) {
            return true;
        }
        end = begin > 0 ? begin - 1 : 0;
    }
    return false;
}

/* The client himself: behind proxies that are trusted, whom they name. */
static struct rc_address source_of(const struct exchange *x, const char *bytes,
                                   const struct http1_request *request)
{
    struct rc_address source = x->client->peer;

    if (x->listener->trusted_count == 0 || !config_trusts(x->listener, &source)) {
        return source;
    }
    for (size_t i = request->head.count; i > 0; i--) {
        const struct http1_field *field = &request->head.fields[i - 1];
        if (field->known == HTTP1_X_FORWARDED_FOR &&
            last_stranger(x->listener, http1_text(bytes, field->value), &source)) {
            break;
        }
    }
    return source;
}

static uint64_t key_of(const struct exchange *x, const struct config_limit *limit,
                       const struct limit *table, const char *bytes,
                       const struct http1_request *request)
{
    if (limit->header[0] == '\0') {
        struct rc_address source = source_of(x, bytes, request);
        return limit_key_of_source(table, &source);
    }
    for (size_t i = 0; i < request->head.count; i++) {
        const struct http1_field *field = &request->head.fields[i];
        if (rc_span_equals_nocase(http1_text(bytes, field->name), limit->header)) {
            struct rc_span value = http1_text(bytes, field->value);
            return limit_key_of_text(table, value.at, value.size);
        }
    }
    return limit_key_of_text(table, "", 0); /* who has none shares with those alike */
}

static unsigned refuse(struct exchange *x, enum refusal refusal, uint64_t wait_us,
                       const char **why)
{
    enum { SECOND_US = 1000000 };

    x->retry_after_s = (uint32_t)((wait_us + SECOND_US - 1) / SECOND_US);
    x->retry_after_s = x->retry_after_s > 0 ? x->retry_after_s : 1;
    answer_because(x, refusal);
    *why = refusal_text(refusal);
    return 429;
}

unsigned quota_take(struct exchange *x, const struct config_limits *limits,
                    const char *bytes, const struct http1_request *request,
                    const char **why)
{
    for (size_t i = 0; i < limits->count; i++) {
        const struct config_limit *limit = &limits->items[i];
        struct limit *table = worker_limit(x->client->listener, limit);
        uint64_t wait_us = 0;
        if (limit->kind == CONFIG_LIMIT_CONNECTIONS) {
            continue; /* asked when it came */
        }
        uint64_t key = key_of(x, limit, table, bytes, request);
        if (limit->kind == CONFIG_LIMIT_RATE) {
            const struct limit_rate rate = {config_limit_interval_us(limit),
                                            limit->burst};
            if (!limit_take(table, key, &rate, x->start_ns / 1000, &wait_us)) {
                return refuse(x, REFUSAL_RATE, wait_us, why);
            }
        } else {
            assert(x->grant_count < HTTP_GRANTS_MAX);
            if (!limit_enter(table, key, limit->count, &x->grants[x->grant_count])) {
                return refuse(x, REFUSAL_CONCURRENT, 0, why);
            }
            x->grant_count++;
        }
    }
    return 0;
}

void quota_return(struct exchange *x)
{
    while (x->grant_count > 0) {
        limit_leave(&x->grants[--x->grant_count]);
    }
}
