/* acl_tokens.c - /v1/acl/token(s): who has which policies. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/http/acl_object.h"
#include "agent/http/endpoints.h"
#include "agent/http/permits.h"
#include "agent/http/store_query.h"
#include "base/err.h"
#include "base/text.h"

enum { NS_PER_MS = 1000 * 1000, MS_PER_S = 1000 };
#define LIFE_MAX_MS (10ULL * 366 * 24 * 3600 * MS_PER_S)

static bool is_self(const struct http_exchange *x)
{
    return strcmp(x->argument, "self") == 0;
}

/* The secret that came with the request; its owner knows it. */
static const char *own_secret(const struct http_exchange *x)
{
    if (x->request.token != NULL && x->request.token[0] != '\0') {
        return x->request.token;
    }
    return strcmp(x->subject->accessor, DIRECTORY_ANONYMOUS) == 0 ? "anonymous"
                                                                  : ACL_OBJECT_HIDDEN;
}

static void answer_item(struct http_api *api, struct http_exchange *x, const char *id,
                        const char *secret)
{
    struct directory *directory = permits_directory(api);
    struct directory_item item;

    if (!directory_find(directory, DIRECTORY_TOKEN, id, &item)) {
        exchange_error(x, 404, "Requested token does not exist: ACL not found");
        return;
    }
    const struct store_view view = {STORE_TOKENS, STORE_ONE, rc_pack_text(id)};
    exchange_header_u64(x, "X-Consul-Index", store_query_index(api, &view));
    store_query_freshness(api, x);
    acl_object_answer(
        x, acl_object_show(directory, DIRECTORY_TOKEN, &item, secret, ACL_OBJECT_WHOLE));
}

void acl_token_read(struct http_api *api, struct http_exchange *x)
{
    if (!is_self(x) && !permit(api, x, PERMIT_ACL, "", PERMIT_READ)) {
        return;
    }
    if (!store_query_begin(api, x)) {
        return;
    }
    if (is_self(x)) {
        answer_item(api, x, x->subject->accessor, own_secret(x));
    } else {
        answer_item(api, x, x->argument, ACL_OBJECT_HIDDEN);
    }
}

static bool is_linked(const json_t *body, const char *key, const char *id)
{
    const json_t *ids = json_object_get(body, key);

    for (size_t i = 0; i < json_array_size(ids); i++) {
        if (rc_text_equals(json_string_value(json_array_get(ids, i)), id)) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct http_exchange *x, const json_t *body)
{
    const char *policy = target_parameter(&x->target, "policy");
    const char *role = target_parameter(&x->target, "role");

    return (policy == NULL || policy[0] == '\0' || is_linked(body, "Policies", policy)) &&
           (role == NULL || role[0] == '\0' || is_linked(body, "Roles", role));
}

void acl_token_list(struct http_api *api, struct http_exchange *x)
{
    const struct store_view view = {STORE_TOKENS, STORE_UNDER, rc_pack_text("")};
    struct directory_item item;
    size_t position = 0;

    if (!permit(api, x, PERMIT_ACL, "", PERMIT_READ) || !store_query_begin(api, x) ||
        store_query_must_wait(api, x, &view)) {
        return;
    }
    struct directory *directory = permits_directory(api);
    json_t *list = json_array();
    while (directory_next(directory, DIRECTORY_TOKEN, &position, &item)) {
        if (is_wanted(x, item.body)) {
            (void)json_array_append_new(list,
                                        acl_object_show(directory, DIRECTORY_TOKEN, &item,
                                                        NULL, ACL_OBJECT_BRIEF));
        }
    }
    acl_object_answer(x, list);
}

/* ---- Writing. */

/* So many digits, then that character ('\0': none is looked for). */
static bool take_digits(const char **at, size_t count, char behind, int *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9') {
            return false;
        }
        *out = *out * 10 + (**at - '0');
    }
    if (behind != '\0' && **at != behind) {
        return false;
    }
    *at += behind != '\0' ? 1 : 0;
    return true;
}

/* RFC 3339, in UTC or with an offset. 0: it is none. */
static uint64_t wall_ms_of(const char *text)
{
    struct tm tm = {0};
    int hours = 0;
    int minutes = 0;

    if (!take_digits(&text, 4, '-', &tm.tm_year) ||
        !take_digits(&text, 2, '-', &tm.tm_mon) ||
        !take_digits(&text, 2, 'T', &tm.tm_mday) ||
        !take_digits(&text, 2, ':', &tm.tm_hour) ||
        !take_digits(&text, 2, ':', &tm.tm_min) ||
        !take_digits(&text, 2, '\0', &tm.tm_sec)) {
        return 0;
    }
    text += *text == '.' ? 1 + strspn(text + 1, "0123456789") : 0;
    bool is_behind = *text == '-'; /* west of Greenwich it is later in UTC */
    if (*text == '+' || is_behind) {
        text++;
        if (!take_digits(&text, 2, ':', &hours) ||
            !take_digits(&text, 2, '\0', &minutes)) {
            return 0;
        }
    } else if (*text++ != 'Z') {
        return 0;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    time_t offset_s = ((time_t)hours * 60 + minutes) * 60;
    time_t at = timegm(&tm) + (is_behind ? offset_s : -offset_s);
    return *text == '\0' && at > 0 ? (uint64_t)at * MS_PER_S : 0;
}

/* When it ends, wall time; 0: never. False: answered. */
static bool read_end(const struct http_api *api, struct http_exchange *x,
                     const json_t *body, uint64_t *out)
{
    const char *life = acl_object_text(body, "ExpirationTTL");
    const char *end = acl_object_text(body, "ExpirationTime");
    uint64_t ns = 0;

    *out = 0;
    if (life[0] != '\0' && end[0] != '\0') {
        exchange_error(x, 400,
                       "Token Expiration TTL and Expiration Time cannot both be set");
        return false;
    }
    if (life[0] != '\0') {
        if (rc_text_to_duration_ns(life, &ns) != RC_OK || ns / NS_PER_MS < MS_PER_S ||
            ns / NS_PER_MS > LIFE_MAX_MS) {
            exchange_error(x, 400, "ExpirationTTL must be a duration of at least 1s");
            return false;
        }
        *out = api->wall_ms + ns / NS_PER_MS;
    } else if (end[0] != '\0') {
        *out = wall_ms_of(end);
        if (*out <= api->wall_ms || *out - api->wall_ms > LIFE_MAX_MS) {
            exchange_error(x, 400,
                           "ExpirationTime must be a time to come, such as "
                           "2030-01-31T12:00:00Z");
            return false;
        }
    }
    return true;
}

static bool is_uuid(const char *text)
{
    size_t size = strlen(text);

    for (size_t i = 0; i < size; i++) {
        bool is_hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_hyphen ? text[i] != '-'
                      : strchr("0123456789abcdefABCDEF", text[i]) == NULL) {
            return false;
        }
    }
    return size == SUBJECT_ID_SIZE - 1;
}

/* A token in the making. */
struct making {
    char accessor[SUBJECT_ID_SIZE];
    char secret[SUBJECT_ID_SIZE];
    uint64_t ends_ms;
};

/* The ids given, which must be free, or new ones. */
static bool choose_ids(struct http_api *api, struct http_exchange *x, const json_t *body,
                       struct making *making)
{
    const char *accessor = acl_object_text(body, "AccessorID");
    const char *secret = acl_object_text(body, "SecretID");
    struct directory_item item;
    uint8_t hash[SECRET_HASH_SIZE];

    acl_object_id(api, x, "accessor", making->accessor);
    acl_object_id(api, x, "secret", making->secret);
    if ((accessor[0] != '\0' && !is_uuid(accessor)) ||
        (secret[0] != '\0' && !is_uuid(secret))) {
        exchange_error(x, 400, "Invalid Token: AccessorID and SecretID are UUIDs");
        return false;
    }
    if (accessor[0] != '\0') {
        (void)rc_text_put(making->accessor, sizeof making->accessor, accessor);
    }
    if (secret[0] != '\0') {
        (void)rc_text_put(making->secret, sizeof making->secret, secret);
    }
    if (!permits_hash(api, making->secret, hash)) {
        exchange_error(x, 400,
                       "There are no tokens yet: rollcall acl bootstrap makes the "
                       "first one");
        return false;
    }
    struct directory *directory = permits_directory(api);
    bool has_secret = directory_find_hash(directory, hash, &item) &&
                      strcmp(item.id, making->accessor) == 0;
    bool is_used = directory_find(directory, DIRECTORY_TOKEN, making->accessor, &item) ||
                   directory_find_hash(directory, hash, &item);
    /* If it may be this very request that has made it, the store remembers. */
    if (is_used && !(has_secret && acl_object_may_repeat(x))) {
        exchange_error(x, 400, "Invalid Token: AccessorID or SecretID is already in use");
        return false;
    }
    return true;
}

static json_t *document_of(struct http_api *api, const struct making *making,
                           const char *description)
{
    uint8_t hash[SECRET_HASH_SIZE];
    char hex[2 * SECRET_HASH_SIZE + 1];

    (void)permits_hash(api, making->secret, hash); /* there was a key a moment ago */
    rc_text_to_hex(hash, sizeof hash, hex);
    return json_pack("{s:s,s:s,s:s,s:b,s:I,s:I}", "AccessorID", making->accessor,
                     "SecretHash", hex, "Description", description, "Local", 0,
                     "CreateTime", (json_int_t)api->wall_ms, "ExpirationTime",
                     (json_int_t)making->ends_ms);
}

/* Writes a new token and shows it, once, with its secret. */
static void create(struct http_api *api, struct http_exchange *x,
                   const struct making *making, json_t *document)
{
    const struct directory_item item = {.id = making->accessor, .body = document};
    const struct acl_object_write write = {
        .kind = DIRECTORY_TOKEN,
        .id = making->accessor,
        .ttl_ms = making->ends_ms != 0 ? making->ends_ms - api->wall_ms : 0,
    };

    x->draft = acl_object_show(permits_directory(api), DIRECTORY_TOKEN, &item,
                               making->secret, ACL_OBJECT_WHOLE);
    acl_object_put(api, x, &write, document);
}

void acl_token_create(struct http_api *api, struct http_exchange *x)
{
    struct making making = {.ends_ms = 0};

    if (!permit(api, x, PERMIT_ACL, "", PERMIT_WRITE)) {
        return;
    }
    json_t *body = request_body(x);
    if (body == NULL) {
        return;
    }
    if (read_end(api, x, body, &making.ends_ms) && choose_ids(api, x, body, &making)) {
        json_t *document =
            document_of(api, &making, acl_object_text(body, "Description"));
        (void)json_object_set_new(
            document, "Local",
            json_boolean(json_is_true(acl_object_field(body, "Local"))));
        if (acl_object_read_links(permits_directory(api), x, body, DIRECTORY_TOKEN,
                                  document)) {
            create(api, x, &making, document);
        } else {
            json_decref(document);
        }
    }
    explicit_bzero(&making, sizeof making);
    json_decref(body);
}

/* What is left of a token's life, for a document that is written again. */
static uint64_t life_left_ms(const struct http_api *api, const json_t *document)
{
    uint64_t ends_ms =
        (uint64_t)json_integer_value(json_object_get(document, "ExpirationTime"));

    return ends_ms > api->wall_ms ? ends_ms - api->wall_ms : ends_ms != 0;
}

/* The token whose id is `id`; false: 404 is answered. */
static bool find(struct http_api *api, struct http_exchange *x, const char *id,
                 struct directory_item *out)
{
    if (directory_find(permits_directory(api), DIRECTORY_TOKEN, id, out)) {
        return true;
    }
    exchange_error(x, 404, "Requested token does not exist: ACL not found");
    return false;
}

static void update(struct http_api *api, struct http_exchange *x,
                   const struct directory_item *item, const json_t *body)
{
    json_t *document = json_copy((json_t *)item->body);
    struct directory_item changed = *item;

    (void)json_object_set_new(document, "Description",
                              json_string(acl_object_text(body, "Description")));
    if (!acl_object_read_links(permits_directory(api), x, body, DIRECTORY_TOKEN,
                               document)) {
        json_decref(document);
        return;
    }
    const struct acl_object_write write = {
        .kind = DIRECTORY_TOKEN,
        .id = item->id,
        .index = item->is_built_in ? 0 : item->modify_index,
        .ttl_ms = life_left_ms(api, document),
    };
    changed.body = document;
    x->draft = acl_object_show(permits_directory(api), DIRECTORY_TOKEN, &changed,
                               ACL_OBJECT_HIDDEN, ACL_OBJECT_WHOLE);
    acl_object_put(api, x, &write, document);
}

/* PUT /v1/acl/token/:id, and /v1/acl/token/:id/clone. */
void acl_token_update(struct http_api *api, struct http_exchange *x)
{
    static const char clone[] = "/clone";
    struct directory_item item;

    if (!permit(api, x, PERMIT_ACL, "", PERMIT_WRITE)) {
        return;
    }
    json_t *body = request_body(x);
    if (body == NULL) {
        return;
    }
    if (rc_text_ends_with(x->argument, clone)) {
        char id[SUBJECT_ID_SIZE] = "";
        struct making making = {.ends_ms = 0};
        size_t size = strlen(x->argument) - strlen(clone);
        memcpy(id, x->argument, size < sizeof id ? size : 0);
        if (find(api, x, id, &item) && choose_ids(api, x, NULL, &making)) {
            const char *words = acl_object_text(body, "Description");
            making.ends_ms = (uint64_t)json_integer_value(
                json_object_get(item.body, "ExpirationTime"));
            json_t *document = json_copy((json_t *)item.body);
            json_t *own = document_of(
                api, &making,
                words[0] != '\0' ? words : acl_object_text(item.body, "Description"));
            (void)json_object_update(document, own);
            json_decref(own);
            create(api, x, &making, document);
        }
        explicit_bzero(&making, sizeof making);
    } else if (find(api, x, x->argument, &item)) {
        update(api, x, &item, body);
    }
    json_decref(body);
}

void acl_token_delete(struct http_api *api, struct http_exchange *x)
{
    if (!permit(api, x, PERMIT_ACL, "", PERMIT_WRITE)) {
        return;
    }
    if (strcmp(x->argument, DIRECTORY_ANONYMOUS) == 0) {
        exchange_error(x, 400, "Delete operation not permitted on the anonymous token");
    } else if (x->subject != NULL && strcmp(x->argument, x->subject->accessor) == 0) {
        exchange_error(x, 400,
                       "Deletion of the request's authorization token is not permitted");
    } else {
        acl_object_delete(api, x, DIRECTORY_TOKEN, x->argument);
    }
}
