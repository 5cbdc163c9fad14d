/* fuzz_etcd_answer.c - any body from etcd's gateway: the first byte says which is expected. Read
 * or refused; what is handed out lies inside the body. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/engine/etcd_answer.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct body {
    uint8_t *at;
    size_t size;
};

static void check_inside(const struct body *body, struct rc_pack_bytes part)
{
    bool is_inside = part.at >= body->at && part.at <= body->at + body->size;

    assert(part.size == 0 || (is_inside && part.size <= body->size));
}

static void on_put(void *context, const struct engine_item *item)
{
    check_inside(context, item->key);
    check_inside(context, item->value);
}

static void on_removed(void *context, struct rc_pack_bytes key, uint64_t revision)
{
    (void)revision;
    check_inside(context, key);
}

static void read_body(uint8_t which, struct body *body)
{
    const struct etcd_watcher watcher = {body, on_put, on_removed};
    struct etcd_txn_answer txn;
    struct etcd_page_answer page;
    struct etcd_lease_answer lease;
    struct etcd_watch_answer watch;
    struct etcd_status_answer status;
    struct etcd_member_answer members;
    struct etcd_refusal refusal;
    char text[ETCD_TOKEN_MAX];
    uint64_t revision = 0;

    switch (which % 9) {
    case 0:
        (void)etcd_answer_watch(body->at, body->size, &watcher, &watch);
        return;
    case 1:
        (void)etcd_answer_page(body->at, body->size, on_put, body, &page);
        return;
    case 2:
        (void)etcd_answer_txn(body->at, body->size, &txn);
        assert(txn.nested_count <= ETCD_NESTED_MAX);
        return;
    case 3:
        (void)etcd_answer_lease(body->at, body->size, &lease);
        return;
    case 4:
        (void)etcd_answer_status(body->at, body->size, &status);
        return;
    case 5:
        (void)etcd_answer_members(body->at, body->size, &members);
        assert(members.count <= ENGINE_MEMBERS_MAX);
        return;
    case 6:
        (void)etcd_answer_alarms(body->at, body->size, text);
        return;
    case 7:
        (void)etcd_answer_token(body->at, body->size, text);
        (void)etcd_answer_revision(body->at, body->size, &revision);
        return;
    case 8:
        etcd_answer_refusal(body->at, body->size, 500, &refusal);
        assert(refusal.err != RC_OK && strlen(refusal.text) > 0);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0) {
        return 0;
    }
    /* Exactly as large as the body, so that what is read beyond is seen. */
    struct body body = {malloc(size > 1 ? size - 1 : 1), size - 1};
    assert(body.at != NULL);
    memcpy(body.at, bytes + 1, size - 1);
    read_body(bytes[0], &body);
    free(body.at);
    return 0;
}
