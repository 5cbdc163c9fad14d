/* answerer.h - how a question is answered, by the form of its name (question.h).
 *
 * Between answer.c, which reads packets, and the answer_*.c files, one for what names may
 * stand for. dns_answerer_create() and the like are told of in answer.h. */
#ifndef DNS_ANSWER_ANSWERER_H
#define DNS_ANSWER_ANSWERER_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "dns/answer/answer.h"
#include "dns/answer/chase.h"
#include "dns/answer/lane.h"
#include "dns/answer/pick.h"
#include "dns/answer/question.h"
#include "dns/answer/reply.h"
#include "dns/wire/message.h"

struct dns_answerer {
    struct dns_ground ground;
    struct dns_query query; /* the last one */
    struct dns_extras extras;
    const struct dns_foreign *foreign; /* or NULL */
    struct dns_name foreign_name;      /* to be asked for */
    struct rc_random random;
    struct dns_pick pick;       /* of the question itself */
    struct dns_pick chase_pick; /* of names met on the way */
    struct dns_lane lane;
    uint16_t target_at[DNS_PICK_MAX]; /* of the SRV records written: dns_reply_srv() */
};

/* The families of address that the question's type asks for; 0: none. */
unsigned dns_answerer_wanted(const struct dns_reply *reply);

enum dns_choice dns_answerer_over_udp(const struct dns_reply *reply);

/* ANY over UDP is answered with one set of records (RFC 8482 section 4.1). */
enum dns_choice dns_answerer_wants_one_set(const struct dns_reply *reply);

/* How many records the answer may have: addresses, or with `wanted` 0 others. */
size_t dns_answerer_limit(const struct dns_reply *reply, unsigned wanted);

/* For addresses of the question's name; `answerer` and `reply` are borrowed. */
struct dns_chase dns_answerer_chase(struct dns_answerer *answerer,
                                    struct dns_reply *reply, unsigned wanted);

/* SERVFAIL: what we know does not suffice for an answer yet. */
void dns_answer_not_ready(struct dns_reply *reply);

/* One for each form of name. They write records, and set code, flags and verdict; answer.c
 * adds the SOA to an answer without records.
 *
 * answer_service.c: services, and prepared queries. */
void dns_answer_service(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply);
void dns_answer_query(struct dns_answerer *answerer, const struct dns_question *question,
                      struct dns_reply *reply);

/* answer_node.c: nodes, addresses that names spell (DIGITS: fail to), and reverse names. */
void dns_answer_node(struct dns_answerer *answerer, const struct dns_question *question,
                     struct dns_reply *reply);
void dns_answer_address(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply);
void dns_answer_digits(struct dns_answerer *answerer, const struct dns_question *question,
                       struct dns_reply *reply);
void dns_answer_reverse(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply);

/* answer_zone.c: the zone, names in it that stand for nothing (or only for what is below),
 * and names of other zones (REFUSED, or FORWARD for who may). */
void dns_answer_apex(struct dns_answerer *answerer, const struct dns_question *question,
                     struct dns_reply *reply);
void dns_answer_name_server(struct dns_answerer *answerer,
                            const struct dns_question *question, struct dns_reply *reply);
void dns_answer_empty(struct dns_answerer *answerer, const struct dns_question *question,
                      struct dns_reply *reply);
void dns_answer_unknown(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply);
void dns_answer_refused(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply);

#endif
