/* Any bytes as the body of a transaction. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>

#include "agent/http/txn_request.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct txn_request request;
    json_t *body = json_loadb((const char *)data, size,
                              JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL);

    if (body == NULL) {
        return 0;
    }
    if (txn_request_read(body, &request) == RC_OK) {
        for (size_t i = 0; i < request.count; i++) {
            const struct store_op *op = &request.ops[i];
            if (op->key.size > STORE_KEY_MAX || op->value.size > size) {
                abort();
            }
        }
    }
    txn_request_fini(&request);
    json_decref(body);
    return 0;
}
