/* etcd_scan.h - reading the JSON that etcd's gateway answers, value by value, in place.
 *
 * A pull reader over a buffer that it may change: escapes and base64 are decoded where they
 * stand, so a large value is never copied. Written for etcd's answers: 64-bit numbers come as
 * strings, what is missing or null is zero, unknown members are skipped. The first failure
 * sticks as RC_EMALFORMED; what is read after it is zero.
 *
 * Sources: RFC 8259; proto3 JSON mapping. */
#ifndef AGENT_ENGINE_ETCD_SCAN_H
#define AGENT_ENGINE_ETCD_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pack.h"
#include "base/text.h"

struct etcd_scan {
    uint8_t *at;  /* borrowed, changed */
    uint8_t *end; /* one past the last byte */
    int err;
};

struct etcd_scan etcd_scan_over(void *bytes, size_t size);

/* Enters an object or array: true if there is one, false (and nothing to leave) for null. */
bool etcd_scan_object(struct etcd_scan *scan);
bool etcd_scan_array(struct etcd_scan *scan);

/* The next member's name, its value comes next; false when the object has ended. */
bool etcd_scan_key(struct etcd_scan *scan, struct rc_span *key);
/* Whether a value of the array comes next; false when it has ended. */
bool etcd_scan_item(struct etcd_scan *scan);

/* One value. Negative numbers count as their two's complement. */
uint64_t etcd_scan_number(struct etcd_scan *scan); /* 5 or "5" */
bool etcd_scan_bool(struct etcd_scan *scan);
struct rc_span etcd_scan_text(struct etcd_scan *scan);        /* in the buffer */
struct rc_pack_bytes etcd_scan_bytes(struct etcd_scan *scan); /* base64, decoded */

/* Skips one value with all that is inside it. */
void etcd_scan_skip(struct etcd_scan *scan);

#endif
