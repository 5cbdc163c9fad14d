#include "agent/key_orders.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"

struct order {
    struct order *next;
    struct key_order given;
    struct keyring_round *round; /* under way */
    bool is_looking; /* it is a list, to see whether the step would lose somebody */
};

struct key_orders {
    struct key_orders_options options;
    struct order *first;
    size_t count;
};

int key_orders_create(const struct key_orders_options *options, struct key_orders **out)
{
    struct key_orders *orders = calloc(1, sizeof *orders);

    if (orders == NULL) {
        return RC_ENOMEM;
    }
    orders->options = *options;
    *out = orders;
    return RC_OK;
}

static void free_order(struct order *order)
{
    keyring_round_destroy(order->round);
    explicit_bzero(order, sizeof *order);
    free(order);
}

void key_orders_destroy(struct key_orders *orders)
{
    if (orders == NULL) {
        return;
    }
    while (orders->first != NULL) {
        struct order *order = orders->first;
        orders->first = order->next;
        free_order(order);
    }
    free(orders);
}

/* ---- Answers. */

static void end(struct key_orders *orders, struct order *order, enum key_outcome outcome,
                const char *text)
{
    struct order **place = &orders->first;
    uint64_t ticket = order->given.ticket;

    while (*place != order) {
        assert(*place != NULL);
        place = &(*place)->next;
    }
    *place = order->next;
    orders->count--;
    free_order(order);
    orders->options.answer(orders->options.context, ticket, outcome, text);
}

/* What is to be told of a node; NULL: all is well. */
static const char *remark(const struct keyring_node *node, enum keyring_order order)
{
    if (node->has_answered) {
        return node->message[0] != '\0' ? node->message
               : node->is_done          ? NULL
                                        : "refused without a reason";
    }
    if (node->status != GOSSIP_FAILED) {
        return "no answer";
    }
    return order == KEYRING_LIST ? "has failed and was not asked"
                                 : "has failed and does not know of it: order it again "
                                   "when it is back";
}

static void put_messages(struct rc_json *json, const struct keyring_round *round)
{
    const struct keyring_node *node;
    const char *name;
    size_t position = 0;
    bool is_open = false;

    while ((node = rc_table_next(round->nodes, &position, &name)) != NULL) {
        const char *text = remark(node, KEYRING_LIST);
        if (text == NULL) {
            continue;
        }
        if (!is_open) {
            rc_json_key(json, "Messages");
            rc_json_object(json);
            is_open = true;
        }
        rc_json_put_string(json, name, text);
    }
    if (is_open) {
        rc_json_object_end(json);
    }
}

static void put_keys(struct rc_json *json, const struct keyring_round *round)
{
    rc_json_key(json, "Keys");
    rc_json_object(json);
    for (size_t i = 0; i < round->key_count; i++) {
        rc_json_put_u64(json, round->keys[i].text, round->keys[i].nodes);
    }
    rc_json_object_end(json);
    rc_json_key(json, "PrimaryKeys");
    rc_json_object(json);
    for (size_t i = 0; i < round->key_count; i++) {
        if (round->keys[i].primaries > 0) {
            rc_json_put_u64(json, round->keys[i].text, round->keys[i].primaries);
        }
    }
    rc_json_object_end(json);
}

static void write_list(const struct key_orders *orders, const struct keyring_round *round,
                       struct rc_buffer *out)
{
    struct rc_json json = rc_json_over(out, 0);

    rc_json_array(&json);
    rc_json_object(&json);
    rc_json_put_bool(&json, "WAN", false);
    rc_json_put_string(&json, "Datacenter", orders->options.datacenter);
    rc_json_put_string(&json, "Segment", "");
    put_messages(&json, round);
    put_keys(&json, round);
    rc_json_put_u64(&json, "NumNodes", round->expected);
    rc_json_object_end(&json);
    rc_json_array_end(&json);
}

/* One line for each node that has something to tell; returns how many. */
static size_t write_remarks(const struct keyring_round *round, const char *before,
                            struct rc_buffer *out)
{
    const struct keyring_node *node;
    const char *name;
    size_t position = 0;
    size_t count = 0;

    while ((node = rc_table_next(round->nodes, &position, &name)) != NULL) {
        const char *text = remark(node, round->order);
        if (text != NULL) {
            rc_buffer_format(out, "%s%s: %s\n", before, name, text);
            count++;
        }
    }
    return count;
}

/* Consul's form, which is Go's multi-error. */
static void write_failure(const struct key_orders *orders,
                          const struct keyring_round *round, struct rc_buffer *out)
{
    struct rc_buffer lines = {0};
    size_t count = write_remarks(round, "\t* ", &lines) + 1;

    rc_buffer_format(out, "%zu error%s occurred:\n\t* %s (LAN) error: %zu/%zu nodes %s\n",
                     count, count == 1 ? "" : "s", orders->options.datacenter,
                     round->refused > 0 ? round->refused : round->answered,
                     round->expected,
                     round->refused > 0 ? "reported failure" : "reported success");
    rc_buffer_text(out, rc_buffer_string(&lines));
    rc_buffer_byte(out, '\n');
    rc_buffer_fini(&lines);
}

/* A list is worth its answer even if somebody is silent; nobody's keys are not. */
static bool is_well(const struct keyring_round *round)
{
    return round->order == KEYRING_LIST
               ? round->answered > round->refused
               : round->refused == 0 && keyring_round_is_complete(round);
}

static void tell(struct key_orders *orders, struct order *order)
{
    const struct keyring_round *round = order->round;
    struct rc_buffer text = {0};
    enum key_outcome outcome = is_well(round) ? KEY_DONE : KEY_FAILED;

    if (outcome == KEY_FAILED) {
        write_failure(orders, round, &text);
    } else if (round->order == KEYRING_LIST) {
        write_list(orders, round, &text);
    } else {
        (void)write_remarks(round, "", &text);
    }
    if (text.err != RC_OK) {
        end(orders, order, KEY_BUSY, rc_strerror(text.err));
    } else {
        end(orders, order, outcome, rc_buffer_string(&text));
    }
    if (text.bytes != NULL) {
        explicit_bzero(text.bytes, text.size);
    }
    rc_buffer_fini(&text);
}

/* ---- Steps. */

static void start(struct key_orders *orders, struct order *order, uint64_t now_ns)
{
    struct keyring_request request = order->given.request;

    if (order->is_looking) {
        request.order = KEYRING_LIST;
        request.key.size = 0;
    }
    int err =
        keyring_round_start(orders->options.gossip, now_ns, &request, &order->round);
    explicit_bzero(&request, sizeof request);
    if (err != RC_OK) {
        end(orders, order, KEY_BUSY,
            err == RC_ETOOBIG   ? "too many queries are under way; try again"
            : err == RC_ECLOSED ? "the agent is leaving"
                                : rc_strerror(err));
    }
}

static void refuse(struct key_orders *orders, struct order *order, const char *why)
{
    struct rc_buffer text = {0};

    rc_buffer_format(
        &text,
        "Not done, or members would be lost: %s. Wait for them, bring them up "
        "to date (install and use the key again), let them go (force-leave), "
        "or force it: who is lost so must be given the new key by hand.",
        why);
    end(orders, order, KEY_REFUSED, rc_buffer_string(&text));
    rc_buffer_fini(&text);
}

/* The round of `order` is over. */
static void advance(struct key_orders *orders, struct order *order, uint64_t now_ns)
{
    struct rc_buffer why = {0};
    const char *self = gossip_self(orders->options.gossip)->said->name;

    if (!order->is_looking ||
        order->round->refused >= order->round->answered) { /* not encrypted: says so */
        tell(orders, order);
        return;
    }
    if (keyring_round_allows(order->round, self, &order->given.request, &why)) {
        keyring_round_destroy(order->round);
        order->round = NULL;
        order->is_looking = false;
        start(orders, order, now_ns);
    } else {
        refuse(orders, order, rc_buffer_string(&why));
    }
    rc_buffer_fini(&why);
}

void key_orders_give(struct key_orders *orders, uint64_t now_ns,
                     const struct key_order *order)
{
    bool is_risky =
        order->request.order == KEYRING_USE || order->request.order == KEYRING_REMOVE;
    struct order *taken =
        orders->count < KEY_ORDERS_MAX ? calloc(1, sizeof *taken) : NULL;

    if (taken == NULL) {
        orders->options.answer(orders->options.context, order->ticket, KEY_BUSY,
                               "too many orders about keys are under way; try again");
        return;
    }
    taken->given = *order;
    taken->is_looking = is_risky && order->care == KEY_CAREFUL;
    taken->next = orders->first;
    orders->first = taken;
    orders->count++;
    if (order->scope == KEY_POOL) {
        start(orders, taken, now_ns);
    } else if (keyring_round_local(orders->options.gossip, &taken->round) == RC_OK) {
        tell(orders, taken);
    } else {
        end(orders, taken, KEY_BUSY, rc_strerror(RC_ENOMEM));
    }
}

bool key_orders_on_action(struct key_orders *orders, uint64_t now_ns,
                          const struct gossip_action *action)
{
    struct order *order = orders->first;

    while (order != NULL && (order->round == NULL || order->round->id != action->id)) {
        order = order->next;
    }
    if (order == NULL) {
        return false;
    }
    if (action->type == GOSSIP_QUERY_RESPONSE) {
        keyring_round_answer(order->round, action->name, action->bytes, action->size);
    }
    if (action->type == GOSSIP_QUERY_DONE || keyring_round_is_complete(order->round)) {
        advance(orders, order, now_ns);
    }
    return true;
}
