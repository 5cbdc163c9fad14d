/* dns_explain.h - why does DNS answer a name as it does?
 *
 * For `rollcall dns` and GET /v1/agent/dns. The records come from dns_answer() over the view that
 * the DNS server has; around them stand the instances that were considered and, from
 * dns_reason.h, why some are left out. Who asks by HTTP is shown no more than his token may see.
 * Pure: what is there goes in, JSON comes out. */
#ifndef AGENT_DNS_DNS_EXPLAIN_H
#define AGENT_DNS_DNS_EXPLAIN_H

#include "agent/dns/dns_reason.h"
#include "base/buffer.h"
#include "dns/answer/answer.h"
#include "dns/answer/view.h"
#include "dns/wire/name.h"

struct prepared_book;

enum { DNS_EXPLAIN_ERROR_MAX = 256, DNS_EXPLAIN_INSTANCES_MAX = 1024 };

/* What is there. All borrowed. */
struct dns_explain_ground {
    const struct catalog *catalog;
    const struct dns_options *options;
    const struct dns_view *view;      /* that of the DNS server, or one just like it */
    const struct prepared_book *book; /* NULL: there are no prepared queries */
    struct dns_sight dns;             /* what the token that DNS asks with may see */

    /* Appends to `out` where a question about another zone goes (dns_way.h); nothing: nowhere.
     * NULL: nothing is forwarded. */
    void (*forwards)(void *context, const struct dns_name *name, struct rc_buffer *out);
    void *context;

    uint64_t seed; /* for the order of answers */
    uint64_t now_ms;
    uint64_t wall_ms;
};

/* What is asked, and by whom. All borrowed. */
struct dns_explain_question {
    const char *name; /* may be short: dns_complete.h */
    const char *type; /* "": those that fit the name */
    enum dns_channel channel;
    uint16_t edns_size; /* 0: without EDNS */
    struct dns_sight asker;
};

/* Writes an object (rollcall(1), HTTP API). RC_OK; RC_EINVAL with what is wrong with the question
 * in `error`; RC_ENOMEM. On error what was written is of no use. */
int dns_explain(const struct dns_explain_ground *ground,
                const struct dns_explain_question *question, struct rc_json *json,
                char error[DNS_EXPLAIN_ERROR_MAX]);

#endif
