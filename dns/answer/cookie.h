/* cookie.h - does this client receive what is sent to its address?
 *
 * DNS cookies: RFC 7873, in the layout of RFC 9018, so that servers of several kinds can
 * stand behind one address. Nothing is kept of a client; time is passed in. */
#ifndef DNS_ANSWER_COOKIE_H
#define DNS_ANSWER_COOKIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/siphash.h"
#include "dns/wire/edns.h"

enum {
    DNS_COOKIE_OLD_S = 3600,         /* RFC 9018 section 4.3: no longer valid */
    DNS_COOKIE_RENEW_S = 1800,       /* valid, but a fresh one is given */
    DNS_COOKIE_AHEAD_S = 300,        /* clocks of servers behind one address differ */
    DNS_COOKIE_PERIOD_S = 24 * 3600, /* after that secrets of our own are changed */
    DNS_COOKIE_SECRETS = 2           /* the one in use, and the one before */
};

/* What cookies are made with; the same for all threads of a process. */
struct dns_cookie_secrets {
    enum { DNS_COOKIES_OFF, DNS_COOKIES_GIVEN, DNS_COOKIES_OWN } kind;
    /* GIVEN: in use and before. OWN: the first is what the secret of a period is made
     * of, so that it changes without anybody telling the threads. */
    uint8_t secrets[DNS_COOKIE_SECRETS][RC_SIPHASH_KEY_SIZE];
};

/* Reads the setting: one secret of 32 hexadecimal digits, or two separated by a comma,
 * the second being the one before, which is still accepted. RC_OK or RC_EMALFORMED. */
int dns_cookie_secrets_parse(const char *text, struct dns_cookie_secrets *out);

/* Secrets made of 16 bytes that nobody can guess. */
void dns_cookie_secrets_own(const uint8_t seed[RC_SIPHASH_KEY_SIZE],
                            struct dns_cookie_secrets *out);

enum dns_cookie_standing {
    DNS_COOKIE_NONE,    /* none was sent, or cookies are off */
    DNS_COOKIE_CLIENT,  /* the client's alone */
    DNS_COOKIE_INVALID, /* with one of a server, but not ours, or too old */
    DNS_COOKIE_VALID,
    DNS_COOKIE_STANDING_COUNT
};

/* Judges the cookie of a query from `peer` at `now_s` (since 1970), and writes the one
 * that the answer is to carry into `extras`. */
enum dns_cookie_standing dns_cookie_judge(const struct dns_cookie_secrets *secrets,
                                          const struct rc_address *peer, uint64_t now_s,
                                          const struct dns_asked *asked,
                                          struct dns_extras *extras);

#endif
