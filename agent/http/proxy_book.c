#include "agent/http/proxy_book.h"

#include <stdlib.h>
#include <string.h>

#include "agent/gossip/gossip.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"

static void forget(struct proxy_entry *entry)
{
    free(entry->figures);
    entry->figures = NULL;
}

void proxy_book_fini(struct proxy_book *book)
{
    for (size_t i = 0; i < book->count; i++) {
        forget(&book->entries[i]);
    }
    free(book->entries);
    *book = (struct proxy_book){0};
}

/* ---- Whom to ask. */

/* Link-local addresses are where clouds keep their secrets. */
static bool is_link_local(const struct rc_address *address)
{
    return rc_address_is_link_local(address) ||
           (address->family == RC_ADDRESS_IPV4 && address->ip[0] == 169 &&
            address->ip[1] == 254);
}

static bool is_tagged(const struct catalog_node *node, const struct rc_address *address)
{
    struct rc_address other;

    for (size_t i = 0; i < node->tagged_address_count; i++) {
        if (rc_address_parse_ip(node->tagged_addresses[i].address, 0, &other) == RC_OK &&
            rc_address_ip_equals(&other, address)) {
            return true;
        }
    }
    return false;
}

/* Gossip talks with the node at its address; what else the node says of itself is believed but
 * for loopback, which is ours. */
static bool is_of_node(const struct catalog_node *node, const struct gossip *gossip,
                       const struct rc_address *address)
{
    const struct gossip_member *member = gossip_find(gossip, node->name);

    if (member == NULL) {
        return false;
    }
    return rc_address_ip_equals(&member->said->address, address) ||
           (rc_address_is_loopback(address) ? member == gossip_self(gossip)
                                            : is_tagged(node, address));
}

int proxy_book_address(const struct catalog_service *service, const struct gossip *gossip,
                       struct rc_address *out, const char **why)
{
    const char *text =
        service->address[0] != '\0' ? service->address : service->node->address;

    if (service->port == 0) {
        *why = "it is registered without a port";
    } else if (rc_address_parse_ip(text, service->port, out) != RC_OK) {
        *why = "not asked: its address is no IP address";
    } else if (is_link_local(out) || rc_address_is_any(out)) {
        *why = "not asked: its address is no usable one";
    } else if (!is_of_node(service->node, gossip, out)) {
        *why = "not asked: its address is not its node's";
    } else if (service->node->liveness >= CATALOG_FAILED) {
        *why = "not asked: its node does not answer";
    } else {
        return RC_OK;
    }
    return RC_EDENIED;
}

static bool list_one(struct proxy_entry *entry, const struct catalog_service *service,
                     const struct gossip *gossip, bool has_room)
{
    const char *why = "not asked: too many proxies";
    const char *address =
        service->address[0] != '\0' ? service->address : service->node->address;

    *entry = (struct proxy_entry){.port = service->port};
    (void)rc_text_put(entry->node, sizeof entry->node, service->node->name);
    (void)rc_text_put(entry->id, sizeof entry->id, service->id);
    (void)rc_text_put(entry->address_text, sizeof entry->address_text, address);
    entry->is_asked = proxy_book_address(service, gossip, &entry->address, &why) == RC_OK;
    if (entry->is_asked && !has_room) {
        entry->is_asked = false;
        why = "not asked: too many proxies";
    }
    if (!entry->is_asked) {
        proxy_book_fail(entry, why);
    }
    return entry->is_asked;
}

int proxy_book_list(struct proxy_book *book, const struct catalog *catalog,
                    const struct gossip *gossip)
{
    const struct catalog_name *name = catalog_name_find(catalog, PROXY_BOOK_SERVICE);
    size_t count = name != NULL ? name->instance_count : 0;
    size_t asked = 0;

    proxy_book_fini(book);
    count = count < PROXY_BOOK_LISTED_MAX ? count : PROXY_BOOK_LISTED_MAX;
    book->entries = calloc(count + 1, sizeof *book->entries);
    if (book->entries == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        asked += list_one(&book->entries[i], name->instances[i], gossip,
                          asked < PROXY_BOOK_MAX);
    }
    book->count = count;
    return RC_OK;
}

/* ---- The exchange. */

void proxy_book_ask(const struct proxy_entry *entry, struct rc_buffer *out)
{
    char host[RC_ADDRESS_TEXT_MAX];

    rc_address_format(&entry->address, host);
    rc_buffer_format(out,
                     "GET /figures HTTP/1.0\r\nHost: %s\r\nUser-Agent: rollcall\r\n"
                     "Accept: application/json\r\n\r\n",
                     host);
}

void proxy_book_fail(struct proxy_entry *entry, const char *why)
{
    forget(entry);
    (void)rc_text_put(entry->error, sizeof entry->error, why);
}

/* NULL: this is no answer of HTTP with 200; else where the body begins. */
static const char *body_of(const char *bytes, size_t size)
{
    static const char ok[] = " 200";
    static const char end[] = "\r\n\r\n";

    if (size < 12 || memcmp(bytes, "HTTP/1.", 7) != 0 || memcmp(bytes + 8, ok, 4) != 0) {
        return NULL;
    }
    const char *body = memmem(bytes, size, end, sizeof end - 1);
    return body != NULL ? body + sizeof end - 1 : NULL;
}

void proxy_book_take(struct proxy_book *book, struct proxy_entry *entry,
                     const void *bytes, size_t size)
{
    struct rc_buffer clean = {.max = PROXY_BOOK_REPLY_MAX};
    const char *body = body_of(bytes, size);

    if (body == NULL) {
        proxy_book_fail(entry, "its answer is not 200");
        return;
    }
    size_t left = size - (size_t)(body - (const char *)bytes);
    if (proxy_book_clean(body, left, &clean) != RC_OK || clean.err != RC_OK) {
        proxy_book_fail(entry, "its answer is no proxy's");
    } else if (book->figures_bytes + clean.size > PROXY_BOOK_FIGURES_MAX) {
        proxy_book_fail(entry, "the answers of all are too long together");
    } else {
        forget(entry);
        book->figures_bytes += clean.size;
        entry->error[0] = '\0';
        entry->figures = rc_buffer_steal(&clean);
    }
    rc_buffer_fini(&clean);
}

void proxy_book_render(struct rc_json *json, const struct proxy_entry *entry)
{
    rc_json_object(json);
    rc_json_put_string(json, "Node", entry->node);
    rc_json_put_string(json, "ServiceID", entry->id);
    rc_json_put_string(json, "Address", entry->address_text);
    rc_json_put_u64(json, "Port", entry->port);
    rc_json_put_string(json, "Error", entry->error);
    rc_json_key(json, "Figures");
    if (entry->figures != NULL) {
        rc_json_raw(json, entry->figures);
    } else {
        rc_json_null(json);
    }
    rc_json_object_end(json);
}
