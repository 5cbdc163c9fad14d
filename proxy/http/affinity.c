/* affinity.c - see affinity.h. */
#include "proxy/http/affinity.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proxy/upstream/balance.h"

enum { DIGITS = 16 }; /* of a sticky value */

/* The part of `text` before the first `stop`; `text` becomes what follows it. */
static struct rc_span cut(struct rc_span *text, char stop)
{
    const char *at = text->size > 0 ? memchr(text->at, stop, text->size) : NULL;
    struct rc_span part = *text;
    if (at == NULL) {
        text->at += text->size;
        text->size = 0;
        return part;
    }
    part.size = (size_t)(at - text->at);
    text->at = at + 1;
    text->size -= part.size + 1;
    return part;
}

static struct rc_span trim(struct rc_span text)
{
    while (text.size > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
        text.at++;
        text.size--;
    }
    while (text.size > 0 &&
           (text.at[text.size - 1] == ' ' || text.at[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

static bool equals(struct rc_span text, const char *name)
{
    return text.size == strlen(name) && memcmp(text.at, name, text.size) == 0;
}

/* The value of the first "NAME=VALUE" among those that `stop` divides. */
static struct rc_span find_pair(struct rc_span text, char stop, const char *name)
{
    while (text.size > 0) {
        struct rc_span value = trim(cut(&text, stop));
        struct rc_span key = cut(&value, '=');
        if (equals(key, name)) {
            return value;
        }
    }
    return (struct rc_span){"", 0};
}

struct rc_span affinity_cookie(struct rc_span field, const char *name)
{
    struct rc_span value = find_pair(field, ';', name);
    if (value.size >= 2 && value.at[0] == '"' && value.at[value.size - 1] == '"') {
        value.at++;
        value.size -= 2;
    }
    return value;
}

struct rc_span affinity_argument(struct rc_span query, const char *name)
{
    return find_pair(query, '&', name);
}

uint64_t affinity_read(struct rc_span value)
{
    uint64_t number = 0;
    if (value.size != DIGITS) {
        return 0;
    }
    for (size_t i = 0; i < DIGITS; i++) {
        char c = value.at[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && (c < 'a' || c > 'f')) {
            return 0;
        }
        number = number << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    return number;
}

void affinity_write(const char *name, uint64_t sticky, enum affinity_channel channel,
                    char space[AFFINITY_COOKIE_MAX])
{
    int wrote = snprintf(
        space, AFFINITY_COOKIE_MAX, "%s=%016llx; Path=/; HttpOnly; SameSite=Lax%s", name,
        (unsigned long long)sticky, channel == AFFINITY_SECURE ? "; Secure" : "");
    assert(wrote > 0 && wrote < AFFINITY_COOKIE_MAX);
    (void)wrote;
}

/* The value of the first field of this name, in which a cookie may be looked for. */
static struct rc_span find_field(const char *bytes, const struct http1_request *request,
                                 const char *name)
{
    for (size_t i = 0; i < request->head.count; i++) {
        const struct http1_field *field = &request->head.fields[i];
        if (rc_span_equals_nocase(http1_text(bytes, field->name), name)) {
            return http1_text(bytes, field->value);
        }
    }
    return (struct rc_span){"", 0};
}

/* HTTP/2 clients may send several Cookie fields (RFC 9113 section 8.2.3). */
static struct rc_span find_cookie(const char *bytes, const struct http1_request *request,
                                  const char *name)
{
    struct rc_span found = {"", 0};
    for (size_t i = 0; i < request->head.count && found.size == 0; i++) {
        const struct http1_field *field = &request->head.fields[i];
        if (field->known == HTTP1_COOKIE) {
            found = affinity_cookie(http1_text(bytes, field->value), name);
        }
    }
    return found;
}

static uint64_t key_of(const struct config_pool *pool, const char *bytes,
                       const struct http1_request *request, const struct rc_address *peer)
{
    struct rc_span query = http1_text(bytes, request->path);
    struct rc_span path = cut(&query, '?');
    struct rc_span found = {"", 0};
    switch (pool->hash_by) {
    case CONFIG_KEY_URI:
        found = path.size > 0 ? path : (struct rc_span){"/", 1};
        break;
    case CONFIG_KEY_HEADER:
        found = find_field(bytes, request, pool->hash_name);
        break;
    case CONFIG_KEY_COOKIE:
        found = find_cookie(bytes, request, pool->hash_name);
        break;
    case CONFIG_KEY_QUERY:
        found = affinity_argument(query, pool->hash_name);
        break;
    case CONFIG_KEY_SOURCE:
    case CONFIG_KEY_COUNT:
        return balance_source(peer);
    }
    return balance_key(found.at, found.size);
}

void affinity_take(const struct config_pool *pool, const char *bytes,
                   const struct http1_request *request, const struct rc_address *peer,
                   struct affinity *out)
{
    *out = (struct affinity){0};
    if (pool->balance == CONFIG_HASH) {
        out->key = key_of(pool, bytes, request, peer);
    }
    if (pool->sticky[0] != '\0') {
        out->sticky = affinity_read(find_cookie(bytes, request, pool->sticky));
    }
}
