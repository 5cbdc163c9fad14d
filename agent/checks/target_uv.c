#include "agent/checks/target_uv.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/err.h"
#include "base/text.h"

static struct target *target_of(struct dial *dial)
{
    return (struct target *)((char *)dial - offsetof(struct target, dial));
}

static void on_free(struct dial *dial)
{
    struct target *target = target_of(dial);

    uv_freeaddrinfo(target->addresses);
    target->addresses = NULL;
    target->on_free(target);
}

static void connect_to(struct target *target, const struct sockaddr *address)
{
    int err = dial_to(&target->dial, address);

    if (err != 0) {
        target->on_failed(target, uv_strerror(err));
    }
}

static void try_next(struct target *target)
{
    const struct addrinfo *address = target->next;

    if (address == NULL) {
        target->on_failed(target, target->reason);
        return;
    }
    target->next = address->ai_next;
    connect_to(target, address->ai_addr);
}

static void on_connected(struct dial *dial, int status)
{
    struct target *target = target_of(dial);

    if (status != 0) {
        (void)snprintf(target->reason, sizeof target->reason, "connect: %s",
                       uv_strerror(status));
        try_next(target);
        return;
    }
    target->on_connected(target);
}

static void on_lookup(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addresses)
{
    struct target *target = lookup->data;

    target->addresses = addresses;
    target->next = addresses;
    if (!dial_continues(&target->dial)) {
        return;
    }
    if (status != 0) {
        (void)snprintf(target->reason, sizeof target->reason, "lookup: %s",
                       uv_strerror(status));
    }
    try_next(target);
}

/* "host:port" to its two halves; false when there is no port. */
static bool split(const char *name, char host[TARGET_NAME_MAX], const char **port)
{
    const char *colon = strrchr(name, ':');

    if (colon == NULL || colon == name || colon[1] == '\0') {
        return false;
    }
    size_t size = (size_t)(colon - name);
    memcpy(host, name, size);
    host[size] = '\0';
    *port = colon + 1;
    return true;
}

static void look_up(struct target *target)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char host[TARGET_NAME_MAX];
    const char *port;

    if (!split(target->name, host, &port)) {
        target->on_failed(target, "missing port in address");
        return;
    }
    target->lookup.data = target;
    int err =
        uv_getaddrinfo(target->dial.loop, &target->lookup, on_lookup, host, port, &hints);
    if (err != 0) {
        target->on_failed(target, uv_strerror(err));
        return;
    }
    dial_begin(&target->dial);
}

void target_connect(struct target *target, const char *name)
{
    struct sockaddr_storage address;
    struct rc_address parsed;

    target->dial.on_connected = on_connected;
    target->dial.on_free = on_free;
    if (rc_text_put(target->name, sizeof target->name, name) != RC_OK) {
        target->on_failed(target, "address too long");
    } else if (rc_address_parse(target->name, 0, &parsed) != RC_OK || parsed.port == 0) {
        look_up(target);
    } else {
        (void)rc_address_to_sockaddr(&parsed, &address);
        connect_to(target, (const struct sockaddr *)&address);
    }
}

void target_end(struct target *target)
{
    target->dial.on_free = on_free;               /* also when nothing was begun */
    (void)uv_cancel((uv_req_t *)&target->lookup); /* refused when it is not running */
    dial_end(&target->dial);
}
