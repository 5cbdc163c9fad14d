/* question.h - what does a name ask for?
 *
 * Names are read from the right, label by label, as Consul's DNS interface defines them:
 *
 *     [tag.]NAME.service[.DC].DOMAIN      _NAME._TAG[.service][.DC].DOMAIN (RFC 2782)
 *     NODE.node[.DC].DOMAIN               HEX.addr[.DC].DOMAIN        (or [.DC.dc])
 *     NAME-or-ID.query[.DC].DOMAIN        (a prepared query)
 *     d.c.b.a.in-addr.arpa                DOMAIN, ns.DOMAIN
 *
 * Whether such a thing exists is not known here. */
#ifndef DNS_ANSWER_QUESTION_H
#define DNS_ANSWER_QUESTION_H

#include <stdbool.h>

#include "base/address.h"
#include "base/text.h"
#include "dns/wire/name.h"

enum dns_form {
    DNS_FORM_FOREIGN,     /* not under our domains */
    DNS_FORM_APEX,        /* the domain itself */
    DNS_FORM_NAME_SERVER, /* ns.DOMAIN, the primary of the SOA */
    DNS_FORM_SERVICE,
    DNS_FORM_QUERY,
    DNS_FORM_NODE,
    DNS_FORM_ADDRESS, /* the name spells the address */
    DNS_FORM_DIGITS,  /* it spells something, but no address */
    DNS_FORM_REVERSE, /* the address of a reverse name */
    DNS_FORM_EMPTY,   /* a name that only has others below it, such as service.DOMAIN */
    DNS_FORM_UNKNOWN, /* under our domains, but no name of ours */
    DNS_FORM_COUNT
};

/* The zones that are ours. */
struct dns_zones {
    struct dns_name domain;
    struct dns_name alt_domain; /* no labels: there is none */
    const char *datacenter;     /* borrowed */
};

struct dns_question {
    enum dns_form form;
    size_t zone_label;      /* index of the first label of the zone the name is in */
    struct rc_span subject; /* service, query or node, lower case, in `texts` */
    struct rc_span tag;     /* lower case, in `texts`; size 0: any */
    struct rc_address ip;   /* ADDRESS and REVERSE */
    char texts[2][DNS_NAME_TEXT_MAX];
};

/* Never fails: every name has a form. */
void dns_question_read(const struct dns_zones *zones, const struct dns_name *name,
                       struct dns_question *out);

/* Who may be written now is a thing of the moment: a name that is kept would name another
 * one. */
bool dns_question_is_of_the_moment(const struct dns_question *question);

#endif
