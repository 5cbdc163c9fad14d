/* expiry.c - see expiry.h. */
#include "proxy/tls/expiry.h"

#include "base/text.h"
#include "proxy/tls/tls_site_openssl.h"

enum { DAY_S = 24 * 3600 };

static const char family[] = "rollcall_proxy_certificate_expires_seconds";

/* The value of a label; what might end it is left out. */
static void put_value(struct rc_buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text != '"' && *text != '\\' && *text != '\n') {
            rc_buffer_byte(out, (uint8_t)*text);
        }
    }
}

static void take_fact(const struct certificates *certificates,
                      const struct config *config, size_t listener, size_t index,
                      struct tls_fact *fact)
{
    const struct config_listener *of = &config->listeners[listener];
    tls_site_fact(certificates->listeners[listener], index, fact);
    if (fact->file == NULL) {
        fact->file = of->certificate;
        fact->line = of->line;
    }
}

static void put_certificate(const struct config_listener *listener,
                            const struct tls_fact *fact, int64_t now_s,
                            struct rc_buffer *out)
{
    char address[RC_ADDRESS_TEXT_MAX];
    rc_address_format(&listener->address, address);
    rc_buffer_format(out, "%s{listener=\"%s\",name=\"", family, address);
    put_value(out, fact->name);
    rc_buffer_text(out, "\",file=\"");
    put_value(out, fact->file);
    rc_buffer_format(out, "\"} %lld\n", (long long)(fact->ends_s - now_s));
}

void expiry_metrics(const struct certificates *certificates, const struct config *config,
                    int64_t now_s, struct rc_buffer *out)
{
    rc_buffer_format(out,
                     "# HELP %s Until the certificate ends.\n"
                     "# TYPE %s gauge\n",
                     family, family);
    for (size_t i = 0; i < certificates->listener_count; i++) {
        size_t count = tls_site_count(certificates->listeners[i]);
        for (size_t k = 0; k < count; k++) {
            struct tls_fact fact;
            take_fact(certificates, config, i, k, &fact);
            put_certificate(&config->listeners[i], &fact, now_s, out);
        }
    }
}

static void put_warning(const struct tls_fact *fact, int64_t left_s,
                        struct rc_buffer *text)
{
    if (left_s <= 0) {
        rc_buffer_format(text, "the certificate of this listener has ended: %s (%s)",
                         fact->file, fact->name);
        return;
    }
    rc_buffer_format(text,
                     "the certificate %s (%s) ends in %lld days: put a new one there, "
                     "and reload",
                     fact->file, fact->name, (long long)(left_s / DAY_S));
}

bool expiry_next(struct expiry_walk *walk, const struct certificates *certificates,
                 const struct config *config, int64_t now_s, struct rc_buffer *text,
                 unsigned *line)
{
    while (walk->listener < certificates->listener_count) {
        if (walk->index >= tls_site_count(certificates->listeners[walk->listener])) {
            walk->listener++;
            walk->index = 0;
            continue;
        }
        struct tls_fact fact;
        take_fact(certificates, config, walk->listener, walk->index++, &fact);
        int64_t left_s = fact.ends_s - now_s;
        if (left_s < (int64_t)EXPIRY_WARN_DAYS * DAY_S) {
            *line = fact.line;
            put_warning(&fact, left_s, text);
            return true;
        }
    }
    return false;
}
