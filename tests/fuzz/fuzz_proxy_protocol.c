/* fuzz_proxy_protocol.c - any bytes as a PROXY protocol header: the verdict does not depend on how they are
 * cut, what is behind the header changes nothing, and what was understood can be said again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proxy/wire/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void say_again(const struct proxy_protocol *said)
{
    for (int version = PROXY_PROTOCOL_V1; version <= PROXY_PROTOCOL_V2; version++) {
        uint8_t space[PROXY_PROTOCOL_WRITTEN_MAX];
        struct proxy_protocol again;
        size_t written = proxy_protocol_write((enum proxy_protocol_version)version,
                                              &said->from, &said->to, space);
        assert(proxy_protocol_parse(space, written, &again) == RC_OK);
        assert(again.size == written);
        assert(rc_address_equals(&again.from, &said->from));
        assert(rc_address_equals(&again.to, &said->to));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct proxy_protocol said;
    struct proxy_protocol early;

    if (size > (size_t)PROXY_PROTOCOL_MAX + 4096) {
        return 0;
    }
    int whole = proxy_protocol_parse(bytes, size, &said);
    for (size_t part = 0; part < size; part++) {
        int err = proxy_protocol_parse(bytes, part, &early);
        if (err == RC_ETRUNCATED) {
            continue;
        }
        assert(err == whole);
        assert(err != RC_OK || early.size == said.size);
        assert(err != RC_OK || early.size == part); /* not a byte too late */
        break;
    }
    if (whole == RC_OK) {
        assert(said.size <= size && said.size <= PROXY_PROTOCOL_MAX);
        say_again(&said);
    }
    return 0;
}
