/* chaos.h - which program is this, and which of several machines?
 *
 * The names of class CHAOS that grew around BIND: version.bind and version.server,
 * hostname.bind and id.server (RFC 4892). */
#ifndef DNS_ANSWER_CHAOS_H
#define DNS_ANSWER_CHAOS_H

#include "dns/answer/reply.h"

/* Answers a question of that class with what the options say; REFUSED for what they do not
 * say and for every other name. */
void dns_chaos_answer(struct dns_reply *reply);

#endif
