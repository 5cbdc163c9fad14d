#include "dns/answer/answerer.h"
#include "dns/answer/stale.h"

static bool is_above_nodes(const struct dns_reply *reply, struct rc_span name)
{
    const struct dns_view *view = reply->ground->view;

    return view->node_below != NULL && view->node_below(view->context, name) &&
           !dns_reply_is_consuls(reply);
}

void dns_answer_node(struct dns_answerer *answerer, const struct dns_question *question,
                     struct dns_reply *reply)
{
    const struct dns_options *options = reply->ground->options;
    const struct dns_view *view = reply->ground->view;
    struct dns_chase chase =
        dns_answerer_chase(answerer, reply, dns_answerer_wanted(reply));
    uint16_t type = reply->query->type;

    const struct dns_node *node = view->node(view->context, question->subject);
    if (node == NULL) {
        reply->rcode = is_above_nodes(reply, question->subject) ? DNS_RCODE_NOERROR
                                                                : DNS_RCODE_NXDOMAIN;
        return;
    }
    dns_stale_warn_of_node(reply, node);
    if (node->place.host != NULL && (chase.wanted != 0 || type == DNS_TYPE_CNAME)) {
        dns_chase_alias(&chase, node->place.host, options->node_ttl_s);
    }
    (void)dns_chase_ip(&chase, DNS_QUESTION_AT, &node->place.ip, options->node_ttl_s);
    if (type == DNS_TYPE_TXT ||
        (type == DNS_TYPE_ANY && node->place.host == NULL &&
         (dns_answerer_wants_one_set(reply) == DNS_NO || chase.count == 0))) {
        dns_reply_meta(reply, DNS_SECTION_ANSWER, DNS_OWNER_QUESTION, node,
                       options->node_ttl_s);
    } else if (chase.wanted != 0 && options->node_meta_txt == DNS_YES) {
        dns_reply_meta(reply, DNS_SECTION_ADDITIONAL, DNS_OWNER_QUESTION, node,
                       options->node_ttl_s);
    }
}

void dns_answer_address(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply)
{
    struct dns_chase chase =
        dns_answerer_chase(answerer, reply, dns_answerer_wanted(reply));

    (void)dns_chase_ip(&chase, DNS_QUESTION_AT, &question->ip,
                       reply->ground->options->node_ttl_s);
}

void dns_answer_digits(struct dns_answerer *answerer, const struct dns_question *question,
                       struct dns_reply *reply)
{
    (void)answerer;
    (void)question;
    (void)reply;
}

/* We speak for the reverse names of what we know, and for no other. */
void dns_answer_reverse(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply)
{
    const struct dns_view *view = reply->ground->view;
    const char *service = NULL;

    const struct dns_node *node = view->node_at(view->context, &question->ip);
    if (node == NULL) {
        service = view->service_at(view->context, &question->ip);
    }
    if (node == NULL && service == NULL) {
        dns_answer_refused(answerer, question, reply);
    } else if (reply->query->type != DNS_TYPE_PTR && reply->query->type != DNS_TYPE_ANY) {
        return;
    } else if (node != NULL) {
        dns_reply_ptr_node(reply, node);
    } else {
        dns_reply_ptr_service(reply, service);
    }
}
