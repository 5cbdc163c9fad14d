#include "dns/answer/cookie.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"
#include "base/text.h"
#include "base/writer.h"

/* RFC 9018 section 4: version, three bytes reserved, time, hash. */
enum {
    VERSION = 1,
    HEAD_SIZE = 8, /* of the server's part, before the hash */
    INPUT_MAX = DNS_COOKIE_CLIENT_SIZE + HEAD_SIZE + 16,
    SECRET_DIGITS = 2 * RC_SIPHASH_KEY_SIZE
};

static int parse_secret(const char *text, size_t size, uint8_t out[RC_SIPHASH_KEY_SIZE])
{
    char digits[SECRET_DIGITS + 1];

    if (size != SECRET_DIGITS) {
        return RC_EMALFORMED;
    }
    memcpy(digits, text, SECRET_DIGITS);
    digits[SECRET_DIGITS] = '\0';
    return rc_text_from_hex(digits, RC_SIPHASH_KEY_SIZE, out);
}

int dns_cookie_secrets_parse(const char *text, struct dns_cookie_secrets *out)
{
    struct dns_cookie_secrets secrets = {.kind = DNS_COOKIES_GIVEN};
    size_t first = strcspn(text, ",");
    const char *before = text[first] == ',' ? text + first + 1 : text;

    if (parse_secret(text, first, secrets.secrets[0]) != RC_OK ||
        parse_secret(before, strlen(before), secrets.secrets[1]) != RC_OK) {
        return RC_EMALFORMED;
    }
    *out = secrets;
    return RC_OK;
}

void dns_cookie_secrets_own(const uint8_t seed[RC_SIPHASH_KEY_SIZE],
                            struct dns_cookie_secrets *out)
{
    memset(out, 0, sizeof *out);
    out->kind = DNS_COOKIES_OWN;
    memcpy(out->secrets[0], seed, RC_SIPHASH_KEY_SIZE);
}

/* The secret in use at `now_s`, or the one `back` before it. */
static void secret_of(const struct dns_cookie_secrets *secrets, size_t back,
                      uint64_t now_s, uint8_t out[RC_SIPHASH_KEY_SIZE])
{
    uint64_t period = now_s / DNS_COOKIE_PERIOD_S - back;

    if (secrets->kind == DNS_COOKIES_GIVEN) {
        memcpy(out, secrets->secrets[back], RC_SIPHASH_KEY_SIZE);
        return;
    }
    for (size_t half = 0; half < RC_SIPHASH_KEY_SIZE / RC_SIPHASH_SIZE; half++) {
        uint8_t input[sizeof period + 1];
        struct rc_writer writer = rc_writer_over(input, sizeof input);
        rc_writer_u64(&writer, period);
        rc_writer_u8(&writer, (uint8_t)half);
        rc_siphash(secrets->secrets[0], input, sizeof input,
                   out + half * RC_SIPHASH_SIZE);
    }
}

/* The hash over the client's cookie, the head of ours, and the client's address. */
static void hash(const uint8_t secret[RC_SIPHASH_KEY_SIZE],
                 const uint8_t cookie[DNS_COOKIE_CLIENT_SIZE + HEAD_SIZE],
                 const struct rc_address *peer, uint8_t out[RC_SIPHASH_SIZE])
{
    uint8_t input[INPUT_MAX];
    struct rc_writer writer = rc_writer_over(input, sizeof input);

    rc_writer_bytes(&writer, cookie, DNS_COOKIE_CLIENT_SIZE + HEAD_SIZE);
    rc_writer_bytes(&writer, peer->ip, rc_address_ip_size(peer));
    assert(writer.err == RC_OK);
    rc_siphash(secret, input, rc_writer_size(&writer), out);
}

/* Without telling by its time how many bytes were right. */
static int differ(const uint8_t *a, const uint8_t *b)
{
    unsigned bits = 0;

    for (size_t i = 0; i < RC_SIPHASH_SIZE; i++) {
        bits |= (unsigned)(a[i] ^ b[i]);
    }
    return bits != 0;
}

/* Age in seconds, by serial number arithmetic (RFC 1982): negative is ahead. */
static int32_t age_of(const uint8_t *cookie, uint64_t now_s)
{
    struct rc_cursor cursor =
        rc_cursor_over(cookie + DNS_COOKIE_CLIENT_SIZE + HEAD_SIZE / 2, HEAD_SIZE / 2);

    return (int32_t)((uint32_t)now_s - rc_cursor_u32(&cursor));
}

/* With which of our secrets the cookie was made, or DNS_COOKIE_SECRETS: with none, or it
 * is too old. */
static size_t maker_of(const struct dns_cookie_secrets *secrets,
                       const struct rc_address *peer, uint64_t now_s,
                       const struct dns_asked *asked)
{
    uint8_t secret[RC_SIPHASH_KEY_SIZE];
    uint8_t right[RC_SIPHASH_SIZE];
    size_t back = DNS_COOKIE_SECRETS;

    if (asked->cookie_size != DNS_COOKIE_SIZE ||
        asked->cookie[DNS_COOKIE_CLIENT_SIZE] != VERSION ||
        age_of(asked->cookie, now_s) > DNS_COOKIE_OLD_S ||
        age_of(asked->cookie, now_s) < -DNS_COOKIE_AHEAD_S) {
        return DNS_COOKIE_SECRETS;
    }
    for (size_t i = 0; i < DNS_COOKIE_SECRETS && back == DNS_COOKIE_SECRETS; i++) {
        secret_of(secrets, i, now_s, secret);
        hash(secret, asked->cookie, peer, right);
        if (!differ(right, asked->cookie + DNS_COOKIE_SIZE - RC_SIPHASH_SIZE)) {
            back = i;
        }
    }
    return back;
}

static void make(const struct dns_cookie_secrets *secrets, const struct rc_address *peer,
                 uint64_t now_s, const uint8_t *client, uint8_t out[DNS_COOKIE_SIZE])
{
    struct rc_writer writer = rc_writer_over(out, DNS_COOKIE_SIZE);
    uint8_t secret[RC_SIPHASH_KEY_SIZE];

    rc_writer_bytes(&writer, client, DNS_COOKIE_CLIENT_SIZE);
    rc_writer_u32(&writer, (uint32_t)VERSION << 24);
    rc_writer_u32(&writer, (uint32_t)now_s);
    secret_of(secrets, 0, now_s, secret);
    hash(secret, out, peer, writer.at);
}

enum dns_cookie_standing dns_cookie_judge(const struct dns_cookie_secrets *secrets,
                                          const struct rc_address *peer, uint64_t now_s,
                                          const struct dns_asked *asked,
                                          struct dns_extras *extras)
{
    if (asked->cookie_size == 0 || secrets->kind == DNS_COOKIES_OFF) {
        return DNS_COOKIE_NONE;
    }
    size_t back = maker_of(secrets, peer, now_s, asked);
    extras->cookie_size = DNS_COOKIE_SIZE;
    if (back == 0 && age_of(asked->cookie, now_s) <= DNS_COOKIE_RENEW_S) {
        memcpy(extras->cookie, asked->cookie, DNS_COOKIE_SIZE);
    } else {
        make(secrets, peer, now_s, asked->cookie, extras->cookie);
    }
    if (back < DNS_COOKIE_SECRETS) {
        return DNS_COOKIE_VALID;
    }
    return asked->cookie_size == DNS_COOKIE_CLIENT_SIZE ? DNS_COOKIE_CLIENT
                                                        : DNS_COOKIE_INVALID;
}
