/* fuzz_etcd_answer.c - any message from etcd, and what gRPC puts around it: the first byte says
 * which is expected. Read or refused; what is handed out lies inside the bytes. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/engine/etcd_answer.h"
#include "agent/engine/grpc.h"
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

/* Frames, and values of trailers, which nothing ends. */
static void read_grpc(const struct body *body)
{
    struct rc_cursor in = rc_cursor_over(body->at, body->size);
    struct rc_pack_bytes message;
    struct grpc_end end;

    while (grpc_frame_next(&in, 1 << 20, &message) == RC_OK) {
        check_inside(body, message);
    }
    grpc_end_clear(&end);
    const struct rc_span value = {(const char *)body->at, body->size};
    grpc_end_read(&end, rc_span_of("grpc-status"), value);
    grpc_end_read(&end, rc_span_of("grpc-message"), value);
    assert(end.status >= -1 && strlen(end.text) < GRPC_TEXT_MAX);
    assert(etcd_answer_refusal(end.status, end.text).err != RC_OK);
}

static void read_body(uint8_t which, struct body *body)
{
    const struct etcd_watcher watcher = {body, on_put, on_removed};
    const struct rc_pack_bytes message = {body->at, body->size};
    struct etcd_txn_answer txn;
    struct etcd_page_answer page;
    struct etcd_lease_answer lease;
    struct etcd_watch_answer watch;
    struct etcd_status_answer status;
    struct etcd_member_answer members;
    char text[ETCD_TOKEN_MAX];
    struct etcd_time_left time;
    uint64_t revision = 0;

    switch (which % 9) {
    case 0:
        (void)etcd_answer_watch(message, &watcher, &watch);
        return;
    case 1:
        (void)etcd_answer_page(message, on_put, body, &page);
        return;
    case 2:
        (void)etcd_answer_txn(message, &txn);
        assert(txn.nested_count <= ETCD_NESTED_MAX);
        return;
    case 3:
        (void)etcd_answer_lease(message, &lease);
        (void)etcd_answer_time_left(message, &time);
        (void)etcd_answer_term(message, &revision);
        return;
    case 4:
        (void)etcd_answer_status(message, &status);
        return;
    case 5:
        (void)etcd_answer_members(message, &members);
        assert(members.count <= ENGINE_MEMBERS_MAX);
        return;
    case 6:
        (void)etcd_answer_alarms(message, text);
        return;
    case 7:
        (void)etcd_answer_token(message, text);
        (void)etcd_answer_revision(message, &revision);
        return;
    case 8:
        read_grpc(body);
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
