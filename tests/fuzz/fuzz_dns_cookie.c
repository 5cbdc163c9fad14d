/* Any cookie from any client at any time, and any options around it. One byte says of which
 * family the client is, 16 are its address, 8 the time; the rest is an OPT's data. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"
#include "dns/answer/cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const uint8_t seed[RC_SIPHASH_KEY_SIZE] = "fifteen letters";

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

/* What we give is ours when it comes back, to this client alone, until it is old. */
static void check_given(const struct dns_cookie_secrets *secrets,
                        const struct rc_address *peer, uint64_t now_s,
                        const struct dns_extras *given)
{
    struct dns_asked again = {.cookie = given->cookie, .cookie_size = given->cookie_size};
    struct rc_address other = *peer;
    struct dns_extras extras;

    require(given->cookie_size == DNS_COOKIE_SIZE);
    dns_extras_init(&extras);
    require(dns_cookie_judge(secrets, peer, now_s, &again, &extras) == DNS_COOKIE_VALID);
    require(memcmp(extras.cookie, given->cookie, DNS_COOKIE_SIZE) == 0);
    other.ip[3] ^= 1;
    require(dns_cookie_judge(secrets, &other, now_s, &again, &extras) ==
            DNS_COOKIE_INVALID);
    require(dns_cookie_judge(secrets, peer,
                             now_s + DNS_COOKIE_OLD_S + DNS_COOKIE_AHEAD_S + 1, &again,
                             &extras) == DNS_COOKIE_INVALID);
}

/* What is written is read back as what it was. */
static void check_written(struct dns_extras *extras)
{
    uint8_t space[512];
    struct dns_asked read;
    struct rc_writer writer = rc_writer_over(space, 2 + dns_extras_size(extras));

    dns_extras_add_error(extras, DNS_EXTENDED_PROHIBITED, "a text for which is no room");
    dns_extras_write(extras, &writer);
    require(writer.err == RC_OK && rc_writer_left(&writer) == 0);
    require(dns_asked_read(space + 2, rc_writer_size(&writer) - 2, &read) == RC_OK);
    require(read.cookie_size == extras->cookie_size);
    require(read.cookie_size == 0 ||
            memcmp(read.cookie, extras->cookie, read.cookie_size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct rc_cursor cursor = rc_cursor_over(bytes, size);
    struct dns_cookie_secrets secrets;
    struct dns_extras extras;
    struct dns_asked asked;
    struct rc_address peer;

    size_t ip_size = (rc_cursor_u8(&cursor) & 1) != 0 ? 4 : 16;
    const uint8_t *ip = rc_cursor_take(&cursor, 16);
    uint64_t now_s = rc_cursor_u64(&cursor) >> 8;
    if (cursor.err != RC_OK || rc_address_from_bytes(ip, ip_size, 53, &peer) != RC_OK ||
        dns_asked_read(cursor.at, rc_cursor_left(&cursor), &asked) != RC_OK) {
        return 0;
    }
    require(asked.cookie_size == 0 || asked.cookie_size == 8 ||
            (asked.cookie_size >= 16 && asked.cookie_size <= 40));
    dns_cookie_secrets_own(seed, &secrets);
    dns_extras_init(&extras);
    enum dns_cookie_standing standing =
        dns_cookie_judge(&secrets, &peer, now_s, &asked, &extras);
    require((standing == DNS_COOKIE_NONE) == (asked.cookie_size == 0));
    require(standing != DNS_COOKIE_CLIENT || asked.cookie_size == 8);
    if (standing != DNS_COOKIE_NONE) {
        require(memcmp(extras.cookie, asked.cookie, DNS_COOKIE_CLIENT_SIZE) == 0);
        check_given(&secrets, &peer, now_s, &extras);
    }
    check_written(&extras);
    return 0;
}
