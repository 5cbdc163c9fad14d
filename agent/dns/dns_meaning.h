/* dns_meaning.h - what a name asks for, in words: form, TTL, order, and what is odd about it.
 *
 * Part of dns_explain.h. */
#ifndef AGENT_DNS_DNS_MEANING_H
#define AGENT_DNS_DNS_MEANING_H

#include <stdbool.h>

#include <jansson.h>

#include "agent/dns/dns_explain.h"
#include "base/json.h"
#include "dns/answer/question.h"
#include "dns/answer/reply.h"

struct dns_told;

struct dns_meaning {
    const struct dns_explain_ground *ground; /* borrowed, as are the next three */
    const struct dns_explain_question *asked;
    const struct dns_ground *terms;
    const struct dns_name *name;
    struct dns_question question;
    const char *tag; /* of the name; "" */
    const struct catalog_name
        *service;     /* whose instances are considered; NULL: no service's */
    json_t *query;    /* owned: the prepared query, rendered; NULL: none */
    bool is_visible;  /* whoever asks may see what the name is about, if it is there */
    bool is_withheld; /* set by the caller before writing: he may not see the answer */
};

/* In place, because it points into itself; ended by dns_meaning_fini(). */
void dns_meaning_init(struct dns_meaning *meaning,
                      const struct dns_explain_ground *ground,
                      const struct dns_explain_question *asked,
                      const struct dns_ground *terms, const struct dns_name *name);
void dns_meaning_fini(struct dns_meaning *meaning);

/* Writes Form, Meaning, TTL, Order, Query, Notes and Suggestions into the open object. `told` is
 * an answer, if possible one with records. */
void dns_meaning_write(const struct dns_meaning *meaning, const struct dns_told *told,
                       struct rc_json *json);

#endif
