/* dns_form.h - nodes and services of the catalog in the form that DNS needs.
 *
 * Nothing is copied: what is filled in borrows the catalog's texts until it changes, and the
 * arrays of the form until it is used again. The board copies what it is given. */
#ifndef AGENT_DNS_DNS_FORM_H
#define AGENT_DNS_DNS_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/answer/view.h"
#include "dns/board/board.h"

struct catalog_node;
struct catalog_service;

/* What whoever asks by DNS may see. All zero: everything. */
enum dns_gate_kind { DNS_GATE_SERVICE, DNS_GATE_NODE };
struct dns_gate {
    void *context;
    uint64_t (*serial)(void *context); /* changes with what is shown; 0: everything is */
    bool (*shows)(void *context, enum dns_gate_kind kind, const char *name);
};

uint64_t dns_gate_serial(const struct dns_gate *gate);
bool dns_gate_shows(const struct dns_gate *gate, enum dns_gate_kind kind,
                    const char *name);

/* Room that is used again and again. All zero is empty. */
struct dns_form {
    struct dns_instance *instances;
    size_t instances_max;
    struct dns_meta *metas;
    size_t metas_max;
};
void dns_form_fini(struct dns_form *form);

/* RC_OK or RC_ENOMEM. */
int dns_form_node(struct dns_form *form, const struct catalog_node *from,
                  struct dns_node *out);

/* These instances, in this order, under a name; their nodes are those on the board. Instances
 * on a hidden node are unusable. RC_OK, RC_ENOMEM, or RC_ENOTFOUND: a node is not on the
 * board. */
int dns_form_service(struct dns_form *form, const struct dns_board *board,
                     const char *name, const struct catalog_service *const *from,
                     size_t count, struct dns_service *out);

/* How an instance stands, its node taken in. */
enum dns_health dns_form_health(const struct catalog_service *service);

#endif
