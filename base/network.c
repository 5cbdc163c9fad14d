#include "base/network.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"

int rc_network_parse(const char *text, struct rc_network *out)
{
    char ip[RC_ADDRESS_TEXT_MAX];
    struct rc_network network;
    size_t size = strcspn(text, "/");
    uint64_t bits;

    if (size >= sizeof ip) {
        return RC_EMALFORMED;
    }
    memcpy(ip, text, size);
    ip[size] = '\0';
    int err = rc_address_parse_ip(ip, 0, &network.address);
    if (err != RC_OK) {
        return RC_EMALFORMED;
    }
    uint64_t all = 8 * rc_address_ip_size(&network.address);
    bits = all;
    if (text[size] == '/' && rc_text_to_u64(text + size + 1, all, &bits) != RC_OK) {
        return RC_EMALFORMED;
    }
    network.bits = (unsigned)bits;
    *out = network;
    return RC_OK;
}

static bool has(const struct rc_network *network, const struct rc_address *address)
{
    unsigned whole = network->bits / 8;
    unsigned rest = network->bits % 8;
    uint8_t mask = (uint8_t)(0xff00U >> rest);

    return network->address.family == address->family &&
           memcmp(network->address.ip, address->ip, whole) == 0 &&
           (rest == 0 || ((network->address.ip[whole] ^ address->ip[whole]) & mask) == 0);
}

bool rc_network_has(const struct rc_network *networks, size_t count,
                    const struct rc_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (has(&networks[i], address)) {
            return true;
        }
    }
    return false;
}
