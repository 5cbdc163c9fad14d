/* fuzz_warden.c - any packet on the socket between keeper and warden. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/warden/warden_wire.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void expect(int holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct warden_order order;
    static struct warden_order again;
    struct warden_echo echo;
    struct rc_buffer out = {0};

    if (warden_order_parse(bytes, size, &order) == RC_OK) {
        warden_order_write(&order, &out);
        expect(warden_order_parse(out.bytes, out.size, &again) == RC_OK);
        expect(again.argument_count == order.argument_count);
        expect(memcmp(again.words, order.words, order.words_size) == 0);
    }
    rc_buffer_clear(&out);
    if (warden_echo_parse(bytes, size, &echo) == RC_OK) {
        warden_echo_write(&echo, &out);
        expect(warden_echo_parse(out.bytes, out.size, &echo) == RC_OK);
    }
    rc_buffer_fini(&out);
    return 0;
}
