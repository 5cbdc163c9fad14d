/* Any bytes as what stands in the engine: keys and values, each led by its length. Whatever it
 * is, a store follows it, reads all of it, settles what it can and lives. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/store/engine_memory.h"
#include "agent/store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TURNS = 40, KEYS_MAX = 32 };

static void on_written(void *context, const struct engine_answer *answer)
{
    (void)context;
    (void)answer;
}

static void on_done(void *context, const struct store_outcome *outcome)
{
    size_t *sum = context;

    *sum += outcome->result_count + outcome->failure_count + strlen(outcome->text);
}

/* A table's prefix by the first byte, so that half of the inputs are about something. */
static struct rc_pack_bytes key_of(const uint8_t *bytes, size_t size, uint8_t space[300])
{
    static const char *const prefixes[] = {"kv/k",   "held/k",     "session/", "req/",
                                           "query/", "acl/token/", ""};
    const char *prefix = prefixes[size == 0 ? 0 : bytes[0] % 7];
    size_t used = strlen(prefix);

    memcpy(space, prefix, used); // NOLINT(bugprone-not-null-terminated-result): bytes
    if (size > 1) {
        memcpy(space + used, bytes + 1, size - 1);
    }
    return (struct rc_pack_bytes){.at = space, .size = used + (size > 1 ? size - 1 : 0)};
}

static void fill(struct engine *engine, const uint8_t *data, size_t size)
{
    uint8_t space[300];

    for (size_t keys = 0; size >= 2 && keys < KEYS_MAX; keys++) {
        size_t key_size = data[0] % 64;
        size_t value_size = data[1];
        data += 2;
        size -= 2;
        key_size = key_size < size ? key_size : size;
        value_size = value_size < size - key_size ? value_size : size - key_size;
        const struct engine_op op = {
            .verb = ENGINE_PUT,
            .key = key_of(data, key_size, space),
            .value = {.at = data + key_size, .size = value_size}};
        const struct engine_txn txn = {.then = &op, .then_count = 1};
        engine_txn(engine, &txn, on_written, NULL);
        data += key_size + value_size;
        size -= key_size + value_size;
    }
}

static size_t read_all(const struct store *store)
{
    struct store_pair pair = {.key = {NULL, 0}};
    struct store_session session = {.id = ""};
    const struct rc_pack_bytes all = {.at = (const uint8_t *)"", .size = 0};
    size_t sum = 0;

    while (store_next(store, STORE_KV, all, pair.key, &pair)) {
        sum += pair.value.size + (pair.session != NULL ? strlen(pair.session) : 0);
        sum += store_key_index(store, STORE_KV, pair.key);
    }
    while (
        store_next_session(store, session.id[0] == '\0' ? NULL : session.id, &session)) {
        sum += strlen(session.name) + strlen(session.node) + strlen(session.ttl_text);
        for (size_t i = 0; i < session.node_check_count; i++) {
            sum += strlen(session.node_checks[i]);
        }
    }
    return sum;
}

static void run(struct engine_memory *memory, struct store *store, uint64_t *now_ms)
{
    for (int i = 0; i < TURNS; i++) {
        *now_ms += 50;
        engine_memory_tick(memory, *now_ms);
        store_tick(store, *now_ms);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t now_ms = 1;
    size_t sum = 0;
    struct engine_memory *memory = engine_memory_create(NULL);
    struct engine *stranger = engine_memory_connect(memory);
    struct engine *engine = engine_memory_connect(memory);
    struct store *store =
        store_create(&(struct store_options){.engine = engine, .now_ms = now_ms});
    static const uint8_t request[STORE_REQUEST_SIZE] = "0123456789abcde";
    const struct store_op tree = {.verb = STORE_GET_TREE,
                                  .key = {(const uint8_t *)"", 0}};
    const struct store_op set = {.key = rc_pack_text("k"), .value = rc_pack_text("1")};

    fill(stranger, data, size);
    run(memory, store, &now_ms);
    (void)store_submit(store, now_ms, &tree, 1, NULL, on_done, &sum);
    (void)store_submit(store, now_ms, &set, 1, request, on_done, &sum);
    run(memory, store, &now_ms);
    sum += read_all(store);
    engine->class->close(engine, NULL, NULL);
    stranger->class->close(stranger, NULL, NULL);
    store_destroy(store);
    engine_memory_destroy(memory);
    return sum == SIZE_MAX ? 1 : 0;
}
