#include "agent/engine/engine_request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct engine_request *request_create(enum engine_request_kind kind, engine_done *done,
                                      void *context)
{
    struct engine_request *request = calloc(1, sizeof *request);

    if (request != NULL) {
        request->kind = kind;
        request->done = done;
        request->context = context;
        request->size_bytes = sizeof *request;
        request->answer.text = "";
    }
    return request;
}

/* Nothing, of what only names a key. */
static struct rc_pack_bytes value_of(const struct engine_op *op)
{
    return op->verb == ENGINE_PUT ? op->value : (struct rc_pack_bytes){0};
}

static size_t bytes_of(const struct engine_op *ops, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        size += ops[i].key.size + value_of(&ops[i]).size;
    }
    return size;
}

/* Moves the bytes that `slice` borrows to `*at`. */
static void adopt(struct rc_pack_bytes *slice, uint8_t **at)
{
    if (slice->size > 0) {
        memcpy(*at, slice->at, slice->size);
    }
    slice->at = *at;
    *at += slice->size;
}

static void copy_ops(struct engine_op *to, const struct engine_op *from, size_t count,
                     uint8_t **at)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i];
        to[i].value = value_of(&from[i]);
        adopt(&to[i].key, at);
        adopt(&to[i].value, at);
    }
}

struct engine_request *request_create_txn(const struct engine_txn *txn, engine_done *done,
                                          void *context)
{
    size_t ops = txn->then_count + txn->otherwise_count;
    size_t size = sizeof(struct engine_request) +
                  txn->compare_count * sizeof(struct engine_compare) +
                  ops * sizeof(struct engine_op) + bytes_of(txn->then, txn->then_count) +
                  bytes_of(txn->otherwise, txn->otherwise_count);
    for (size_t i = 0; i < txn->compare_count; i++) {
        size += txn->compares[i].key.size;
    }
    struct engine_request *request = malloc(size);
    if (request == NULL) {
        return NULL;
    }
    struct engine_compare *compares = (struct engine_compare *)(request + 1);
    struct engine_op *then = (struct engine_op *)(compares + txn->compare_count);
    struct engine_op *otherwise = then + txn->then_count;
    uint8_t *at = (uint8_t *)(then + ops);

    *request = (struct engine_request){.kind = REQUEST_TXN,
                                       .done = done,
                                       .context = context,
                                       .size_bytes = size,
                                       .answer = {.text = ""}};
    request->txn =
        (struct engine_txn){compares,        txn->compare_count, then,
                            txn->then_count, otherwise,          txn->otherwise_count};
    for (size_t i = 0; i < txn->compare_count; i++) {
        compares[i] = txn->compares[i];
        adopt(&compares[i].key, &at);
    }
    copy_ops(then, txn->then, txn->then_count, &at);
    copy_ops(otherwise, txn->otherwise, txn->otherwise_count, &at);
    assert(at == (uint8_t *)request + size);
    return request;
}

void request_push(struct request_list *list, struct engine_request *request)
{
    request->next = NULL;
    if (list->last == NULL) {
        list->first = request;
    } else {
        list->last->next = request;
    }
    list->last = request;
    list->size_bytes += request->size_bytes;
}

struct engine_request *request_pop(struct request_list *list)
{
    struct engine_request *request = list->first;

    if (request != NULL) {
        list->first = request->next;
        list->last = list->first == NULL ? NULL : list->last;
        list->size_bytes -= request->size_bytes;
        request->next = NULL;
    }
    return request;
}

void request_append(struct request_list *to, struct request_list *from)
{
    if (from->first == NULL) {
        return;
    }
    if (to->last == NULL) {
        to->first = from->first;
    } else {
        to->last->next = from->first;
    }
    to->last = from->last;
    to->size_bytes += from->size_bytes;
    *from = (struct request_list){0};
}

void request_refuse(struct engine_request *request, int err, const char *text)
{
    assert(err != RC_OK && text != NULL);
    request->answer = (struct engine_answer){.err = err, .text = text};
    request->wrote = false;
}
