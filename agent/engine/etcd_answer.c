/* etcd_answer.c - answers to what was asked for: transactions, pages, leases, watches. */
#include "agent/engine/etcd_answer.h"

#include "agent/engine/etcd_scan.h"
#include "base/err.h"
#include "base/text.h"

/* ResponseHeader: only the revision matters. */
static uint64_t read_header(struct etcd_scan *scan)
{
    struct rc_span key;
    uint64_t revision = 0;

    if (!etcd_scan_object(scan)) {
        return 0;
    }
    while (etcd_scan_key(scan, &key)) {
        if (rc_span_equals(key, "revision")) {
            revision = etcd_scan_number(scan);
        } else {
            etcd_scan_skip(scan);
        }
    }
    return revision;
}

int etcd_answer_revision(void *bytes, size_t size, uint64_t *out)
{
    struct etcd_scan scan = etcd_scan_over(bytes, size);
    struct rc_span key;
    uint64_t revision = 0;

    if (etcd_scan_object(&scan)) {
        while (etcd_scan_key(&scan, &key)) {
            if (rc_span_equals(key, "header")) {
                revision = read_header(&scan);
            } else {
                etcd_scan_skip(&scan);
            }
        }
    }
    if (scan.err == RC_OK) {
        *out = revision;
    }
    return scan.err;
}

/* ---- transactions ----------------------------------------------------------------- */

/* {"response_txn": {"succeeded": true, ...}} and its like. */
static void read_response(struct etcd_scan *scan, struct etcd_txn_answer *out)
{
    struct rc_span key;
    struct rc_span inner;

    if (!etcd_scan_object(scan)) {
        return;
    }
    while (etcd_scan_key(scan, &key)) {
        if (!rc_span_equals(key, "response_txn") ||
            out->nested_count >= ETCD_NESTED_MAX) {
            etcd_scan_skip(scan);
            continue;
        }
        bool *succeeded = &out->nested[out->nested_count++];
        if (!etcd_scan_object(scan)) {
            continue;
        }
        while (etcd_scan_key(scan, &inner)) {
            if (rc_span_equals(inner, "succeeded")) {
                *succeeded = etcd_scan_bool(scan);
            } else {
                etcd_scan_skip(scan);
            }
        }
    }
}

int etcd_answer_txn(void *bytes, size_t size, struct etcd_txn_answer *out)
{
    struct etcd_scan scan = etcd_scan_over(bytes, size);
    struct rc_span key;

    *out = (struct etcd_txn_answer){0};
    if (!etcd_scan_object(&scan)) {
        return RC_EMALFORMED;
    }
    while (etcd_scan_key(&scan, &key)) {
        if (rc_span_equals(key, "header")) {
            out->revision = read_header(&scan);
        } else if (rc_span_equals(key, "succeeded")) {
            out->succeeded = etcd_scan_bool(&scan);
        } else if (rc_span_equals(key, "responses") && etcd_scan_array(&scan)) {
            while (etcd_scan_item(&scan)) {
                read_response(&scan, out);
            }
        } else if (!rc_span_equals(key, "responses")) {
            etcd_scan_skip(&scan);
        }
    }
    return scan.err;
}

/* ---- keys ------------------------------------------------------------------------- */

static void read_kv(struct etcd_scan *scan, struct engine_item *out)
{
    struct rc_span key;

    *out = (struct engine_item){.key = rc_pack_text(""), .value = rc_pack_text("")};
    if (!etcd_scan_object(scan)) {
        return;
    }
    while (etcd_scan_key(scan, &key)) {
        if (rc_span_equals(key, "key")) {
            out->key = etcd_scan_bytes(scan);
        } else if (rc_span_equals(key, "value")) {
            out->value = etcd_scan_bytes(scan);
        } else if (rc_span_equals(key, "create_revision")) {
            out->create_revision = etcd_scan_number(scan);
        } else if (rc_span_equals(key, "mod_revision")) {
            out->mod_revision = etcd_scan_number(scan);
        } else if (rc_span_equals(key, "lease")) {
            out->lease = etcd_scan_number(scan);
        } else {
            etcd_scan_skip(scan);
        }
    }
}

static void read_kvs(struct etcd_scan *scan, etcd_each *each, void *context,
                     struct etcd_page_answer *out)
{
    struct engine_item item;

    if (!etcd_scan_array(scan)) {
        return;
    }
    while (etcd_scan_item(scan)) {
        read_kv(scan, &item);
        if (scan->err == RC_OK) {
            out->count++;
            each(context, &item);
        }
    }
}

int etcd_answer_page(void *bytes, size_t size, etcd_each *each, void *context,
                     struct etcd_page_answer *out)
{
    struct etcd_scan scan = etcd_scan_over(bytes, size);
    struct rc_span key;

    *out = (struct etcd_page_answer){0};
    if (!etcd_scan_object(&scan)) {
        return RC_EMALFORMED;
    }
    while (etcd_scan_key(&scan, &key)) {
        if (rc_span_equals(key, "header")) {
            out->revision = read_header(&scan);
        } else if (rc_span_equals(key, "kvs")) {
            read_kvs(&scan, each, context, out);
        } else if (rc_span_equals(key, "more")) {
            out->has_more = etcd_scan_bool(&scan);
        } else {
            etcd_scan_skip(&scan);
        }
    }
    return scan.err;
}

/* ---- leases ----------------------------------------------------------------------- */

int etcd_answer_lease(void *bytes, size_t size, struct etcd_lease_answer *out)
{
    struct etcd_scan scan = etcd_scan_over(bytes, size);
    struct rc_span key;
    bool is_inside = false;

    *out = (struct etcd_lease_answer){0};
    if (!etcd_scan_object(&scan)) {
        return RC_EMALFORMED;
    }
    while (etcd_scan_key(&scan, &key)) {
        if (rc_span_equals(key, "header")) {
            out->revision = read_header(&scan);
        } else if (rc_span_equals(key, "ID")) {
            out->lease = etcd_scan_number(&scan);
        } else if (rc_span_equals(key, "TTL")) {
            uint64_t ttl_s = etcd_scan_number(&scan);
            out->ttl_s = ttl_s > INT64_MAX / 1000 ? 0 : ttl_s; /* negative: ended */
        } else if (rc_span_equals(key, "result") && !is_inside) {
            is_inside = etcd_scan_object(&scan); /* a stream's wrapping: go on inside */
        } else {
            etcd_scan_skip(&scan);
        }
    }
    return scan.err;
}

/* ---- watches ---------------------------------------------------------------------- */

static void read_event(struct etcd_scan *scan, const struct etcd_watcher *watcher)
{
    struct engine_item item = {.key = rc_pack_text(""), .value = rc_pack_text("")};
    bool is_delete = false;
    struct rc_span key;

    if (!etcd_scan_object(scan)) {
        return;
    }
    while (etcd_scan_key(scan, &key)) {
        if (rc_span_equals(key, "type")) {
            is_delete = rc_span_equals(etcd_scan_text(scan), "DELETE");
        } else if (rc_span_equals(key, "kv")) {
            read_kv(scan, &item);
        } else {
            etcd_scan_skip(scan);
        }
    }
    if (scan->err != RC_OK) {
        return;
    }
    if (is_delete) {
        watcher->removed(watcher->context, item.key, item.mod_revision);
    } else {
        watcher->put(watcher->context, &item);
    }
}

static void read_events(struct etcd_scan *scan, const struct etcd_watcher *watcher,
                        struct etcd_watch_answer *out)
{
    if (!etcd_scan_array(scan)) {
        return;
    }
    while (etcd_scan_item(scan)) {
        read_event(scan, watcher);
        out->count++;
    }
}

static void keep_text(struct rc_span from, char text[ENGINE_ERROR_MAX])
{
    size_t size = from.size < ENGINE_ERROR_MAX ? from.size : ENGINE_ERROR_MAX - 1;

    for (size_t i = 0; i < size; i++) {
        text[i] = from.at[i];
    }
    text[size] = '\0';
    rc_text_to_line(text, ENGINE_ERROR_MAX);
}

static void read_result(struct etcd_scan *scan, const struct etcd_watcher *watcher,
                        struct etcd_watch_answer *out)
{
    struct rc_span key;

    if (!etcd_scan_object(scan)) {
        return;
    }
    while (etcd_scan_key(scan, &key)) {
        if (rc_span_equals(key, "canceled")) {
            out->is_canceled = etcd_scan_bool(scan);
        } else if (rc_span_equals(key, "compact_revision")) {
            out->compact_revision = etcd_scan_number(scan);
        } else if (rc_span_equals(key, "cancel_reason")) {
            keep_text(etcd_scan_text(scan), out->text);
        } else if (rc_span_equals(key, "fragment")) {
            out->is_fragment = etcd_scan_bool(scan);
        } else if (rc_span_equals(key, "events")) {
            read_events(scan, watcher, out);
        } else {
            etcd_scan_skip(scan);
        }
    }
}

/* The stream's error is an object with a message, or a text. */
static void read_error(struct etcd_scan *scan, struct etcd_watch_answer *out)
{
    struct rc_span key;

    out->is_canceled = true;
    if (!etcd_scan_object(scan)) {
        return;
    }
    while (etcd_scan_key(scan, &key)) {
        if (rc_span_equals(key, "message")) {
            keep_text(etcd_scan_text(scan), out->text);
        } else {
            etcd_scan_skip(scan);
        }
    }
}

int etcd_answer_watch(void *bytes, size_t size, const struct etcd_watcher *watcher,
                      struct etcd_watch_answer *out)
{
    struct etcd_scan scan = etcd_scan_over(bytes, size);
    struct rc_span key;

    *out = (struct etcd_watch_answer){0};
    if (!etcd_scan_object(&scan)) {
        return RC_EMALFORMED;
    }
    while (etcd_scan_key(&scan, &key)) {
        if (rc_span_equals(key, "result")) {
            read_result(&scan, watcher, out);
        } else if (rc_span_equals(key, "error")) {
            read_error(&scan, out);
        } else {
            etcd_scan_skip(&scan);
        }
    }
    return scan.err;
}
