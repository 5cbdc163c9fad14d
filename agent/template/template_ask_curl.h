/* template_ask_curl.h - the questions of templates as blocking queries to an agent, one each.
 *
 * Each request waits at the agent until there is news (X-Consul-Index), or for a minute. One that
 * fails is tried again after 0.25 s, 0.5 s, ... 30 s; what was known stays known. Trouble is
 * logged when it begins and when it has ended, not for every try. */
#ifndef AGENT_TEMPLATE_TEMPLATE_ASK_CURL_H
#define AGENT_TEMPLATE_TEMPLATE_ASK_CURL_H

#include <stddef.h>

#include "agent/template/template_config.h"
#include "agent/template/template_facts.h"

struct uv_loop_s;
struct template_asks;

enum { TEMPLATE_RETRY_FIRST_MS = 250, TEMPLATE_RETRY_LAST_MS = 30 * 1000 };

struct template_asks_options {
    struct uv_loop_s *loop;
    const struct template_agent *agent; /* borrowed until closed */
    /* `fact` has a new value. */
    void (*on_news)(void *context, struct template_fact *fact);
    /* An answer has come where the last tries had failed; before on_news(). */
    void (*on_back)(void *context);
    /* So many tries in a row have failed. */
    void (*on_failed)(void *context, unsigned failures);
    void *context;
};

/* RC_OK, or an error with words. */
int template_asks_open(const struct template_asks_options *options,
                       struct template_asks **out, char *why, size_t why_size);

/* All facts are without asker before. NULL is allowed. */
void template_asks_close(struct template_asks *asks);

/* From now on `fact` is asked for, and fact->ask set; until template_asks_stop(). RC_OK or RC_ENOMEM. */
int template_asks_start(struct template_asks *asks, struct template_fact *fact);
void template_asks_stop(struct template_asks *asks, struct template_fact *fact);

#endif
