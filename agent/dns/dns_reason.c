#include "agent/dns/dns_reason.h"

#include <stdarg.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"

enum { CHECKS_MAX = 4 /* told of an instance; the rest is counted */ };

struct reasons {
    struct rc_json *json;
    size_t count;
};

bool dns_sight_shows(const struct dns_sight *sight, enum dns_sight_kind kind,
                     const char *name)
{
    return sight->shows == NULL || sight->shows(sight->context, kind, name);
}

bool dns_sight_shows_instance(const struct dns_sight *sight,
                              const struct catalog_service *instance)
{
    return dns_sight_shows(sight, DNS_SIGHT_SERVICE, instance->name) &&
           dns_sight_shows(sight, DNS_SIGHT_NODE, instance->node->name);
}

static void add(struct reasons *reasons, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(struct reasons *reasons, const char *kind, const char *format, ...)
{
    struct rc_buffer text = {0};
    va_list arguments;

    va_start(arguments, format);
    rc_buffer_vformat(&text, format, arguments);
    va_end(arguments);
    rc_json_object(reasons->json);
    rc_json_put_string(reasons->json, "Kind", kind);
    rc_json_put_string(reasons->json, "Text", rc_buffer_string(&text));
    rc_json_object_end(reasons->json);
    rc_buffer_fini(&text);
    reasons->count++;
}

static bool is_gone(const struct catalog_node *node)
{
    return node->liveness >= CATALOG_FAILED;
}

static void tell_sight(const struct dns_reason_ground *ground,
                       const struct catalog_service *instance, struct reasons *reasons)
{
    if (!dns_sight_shows(ground->dns, DNS_SIGHT_SERVICE, instance->name)) {
        add(reasons, "token", "the token that DNS asks with may not read service \"%s\"",
            instance->name);
    }
    if (!dns_sight_shows(ground->dns, DNS_SIGHT_NODE, instance->node->name)) {
        add(reasons, "token", "the token that DNS asks with may not read node \"%s\"",
            instance->node->name);
    }
}

/* The instance that shows the tag, or NULL. */
static const struct catalog_service *holder_of(const struct dns_reason_ground *ground,
                                               const struct catalog_service *instance,
                                               const char *tag)
{
    const struct catalog_name *name = catalog_name_find(ground->catalog, instance->name);

    for (size_t i = 0; name != NULL && i < name->instance_count; i++) {
        if (catalog_service_has_tag(ground->catalog, name->instances[i], tag)) {
            return name->instances[i];
        }
    }
    return NULL;
}

/* It says that it has a tag that only one may have, and that is not it. */
static void tell_unique(const struct dns_reason_ground *ground,
                        const struct catalog_service *instance, const char *tag,
                        struct reasons *reasons)
{
    const struct catalog_service *holder = holder_of(ground, instance, tag);
    uint64_t term = catalog_service_term(instance);

    if (holder != NULL) {
        add(reasons, "unique",
            "tag \"%s\" is held by \"%s\" on node \"%s\" with term %llu; this one "
            "claims it with term %llu",
            tag, holder->id, holder->node->name,
            (unsigned long long)catalog_service_term(holder), (unsigned long long)term);
        return;
    }
    const struct catalog_name *name = catalog_name_find(ground->catalog, instance->name);
    add(reasons, "unique",
        "tag \"%s\" is held by nobody: this one claims it with term %llu, the highest "
        "ever seen is %llu",
        tag, (unsigned long long)term,
        (unsigned long long)(name != NULL ? name->highest_term : 0));
}

static void tell_tag(const struct dns_reason_ground *ground,
                     const struct catalog_service *instance, const char *tag,
                     struct reasons *reasons)
{
    if (catalog_service_has_tag(ground->catalog, instance, tag)) {
        return;
    }
    if (catalog_service_says(instance, tag)) {
        tell_unique(ground, instance, tag, reasons);
    } else {
        add(reasons, "tag", "it has no tag \"%s\"", tag);
    }
}

static struct rc_span first_line(const char *text)
{
    return (struct rc_span){.at = text, .size = strcspn(text, "\r\n")};
}

static bool is_ignored(const struct dns_reason_ground *ground,
                       const struct catalog_check *check)
{
    const json_t *service = json_object_get(ground->query, "Service");
    size_t i;
    json_t *id;

    json_array_foreach(json_object_get(service, "IgnoreCheckIDs"), i, id)
    {
        if (rc_text_equals(json_string_value(id), check->id)) {
            return true;
        }
    }
    return false;
}

static void tell_check(const struct catalog_check *check, struct reasons *reasons)
{
    const char *whose = check->service_id[0] == '\0' ? "the node's check" : "check";

    if (strcmp(check->type, "maintenance") == 0) {
        struct rc_span notes = first_line(check->notes);
        add(reasons, "maintenance", "%s is in maintenance: %.*s",
            check->service_id[0] == '\0' ? "the node" : "the service", (int)notes.size,
            notes.at);
        return;
    }
    struct rc_span output = first_line(check->output);
    add(reasons, "check", "%s \"%s\" is %s%s%.*s", whose, check->id,
        check_status_name(check->status), output.size > 0 ? ": " : "", (int)output.size,
        output.at);
}

/* Tells of those checks of a list that stand as bad as `worst`, or worse. */
static void tell_checks(const struct dns_reason_ground *ground,
                        const struct catalog_check *const *checks, size_t count,
                        enum check_status worst, struct reasons *reasons)
{
    size_t told = 0;
    size_t silent = 0;

    for (size_t i = 0; i < count; i++) {
        const struct catalog_check *check = checks[i];
        bool is_bad = check->status == CHECK_CRITICAL ||
                      (worst == CHECK_WARNING && check->status == CHECK_WARNING);
        if (!is_bad || is_ignored(ground, check)) {
            continue;
        }
        if (told < CHECKS_MAX) {
            tell_check(check, reasons);
            told++;
        } else {
            silent++;
        }
    }
    if (silent > 0) {
        add(reasons, "check", "and %zu checks more", silent);
    }
}

static enum check_status worst_allowed(const struct dns_reason_ground *ground)
{
    const json_t *service = json_object_get(ground->query, "Service");
    bool only_passing = ground->query != NULL
                            ? json_is_true(json_object_get(service, "OnlyPassing"))
                            : ground->only_passing == DNS_YES;

    return only_passing ? CHECK_WARNING : CHECK_CRITICAL;
}

static void tell_health(const struct dns_reason_ground *ground,
                        const struct catalog_service *instance, struct reasons *reasons)
{
    const struct catalog_node *node = instance->node;
    enum check_status worst = worst_allowed(ground);
    size_t before = reasons->count;

    if (is_gone(node)) {
        add(reasons, "node", "node \"%s\" has %s", node->name,
            catalog_liveness_name(node->liveness));
        return;
    }
    tell_checks(ground, instance->checks, instance->check_count, worst, reasons);
    tell_checks(ground, node->checks, node->node_check_count, worst, reasons);
    if (reasons->count > before && worst == CHECK_WARNING &&
        catalog_service_health(instance) == CHECK_WARNING) {
        add(reasons, "only_passing", "%s leaves out warnings",
            ground->query != NULL ? "the query's OnlyPassing"
                                  : "dns_config.only_passing");
    }
}

static void tell_pairs(const json_t *wanted, const struct catalog_pair *pairs,
                       size_t count, const char *whose, struct reasons *reasons)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)wanted, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < count && !found; i++) {
            found = rc_text_equals(pairs[i].key, key) &&
                    rc_text_equals(pairs[i].value, json_string_value(value));
        }
        if (!found) {
            add(reasons, "meta", "the query wants %s with metadata %s=%s", whose, key,
                json_string_value(value));
        }
    }
}

static void tell_query(const struct dns_reason_ground *ground,
                       const struct catalog_service *instance, struct reasons *reasons)
{
    const json_t *service = json_object_get(ground->query, "Service");
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(service, "Tags"), i, item)
    {
        const char *tag = json_string_value(item);
        if (tag[0] != '!') {
            tell_tag(ground, instance, tag, reasons);
        } else if (catalog_service_has_tag(ground->catalog, instance, tag + 1)) {
            add(reasons, "tag", "it has tag \"%s\", which the query does not want",
                tag + 1);
        }
    }
    tell_pairs(json_object_get(service, "NodeMeta"), instance->node->meta,
               instance->node->meta_count, "a node", reasons);
    tell_pairs(json_object_get(service, "ServiceMeta"), instance->meta,
               instance->meta_count, "an instance", reasons);
}

size_t dns_reason_write(const struct dns_reason_ground *ground,
                        const struct catalog_service *instance, struct rc_json *json)
{
    struct reasons reasons = {.json = json};

    rc_json_array(json);
    tell_sight(ground, instance, &reasons);
    if (ground->query != NULL) {
        tell_query(ground, instance, &reasons);
    } else if (ground->tag[0] != '\0') {
        tell_tag(ground, instance, ground->tag, &reasons);
    }
    tell_health(ground, instance, &reasons);
    rc_json_array_end(json);
    return reasons.count;
}
