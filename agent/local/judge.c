/* judge.c - which definitions are refused, and what the others mean for the schedule. */
#include <string.h>

#include "agent/local/registry.h"
#include "base/err.h"
#include "base/text.h"

enum {
    INTERVAL_MIN_MS = 50,
    ALIAS_EVERY_MS = 1000,
    DEREGISTER_MIN_MS = 60 * 1000, /* Consul's minimum */
    NAME_MAX_BYTES = CATALOG_NAME_MAX
};

/* What a kind of check is to us. Timeouts are Consul's, where it has them. */
static const struct {
    const char *refusal; /* NULL: we run it */
    uint64_t timeout_ms;
    enum check_keep keep;
} kinds[CHECK_KIND_COUNT] = {
    [CHECK_TTL] = {NULL, 0, CHECK_KEEP_FIRST_MARKED},
    [CHECK_HTTP] = {NULL, 10000, CHECK_KEEP_LAST},
    [CHECK_TCP] = {NULL, 10000, CHECK_KEEP_LAST},
    [CHECK_UDP] = {"a UDP service that is well and one that is gone look alike; "
                   "use a TCP, HTTP, script or TTL check",
                   0, CHECK_KEEP_LAST},
    [CHECK_SCRIPT] = {NULL, 30000, CHECK_KEEP_LAST_MARKED},
    [CHECK_GRPC] =
        {"this agent has no gRPC library; use a TCP, HTTP, script or TTL check", 0,
         CHECK_KEEP_LAST},
    [CHECK_DOCKER] = {"this agent does not talk to Docker; use an HTTP, TCP or TTL check",
                      0, CHECK_KEEP_LAST},
    [CHECK_ALIAS] = {NULL, 10000, CHECK_KEEP_LAST},
    [CHECK_H2PING] = {"this agent does not speak HTTP/2 pings; use an HTTP check", 0,
                      CHECK_KEEP_LAST},
    [CHECK_OS_SERVICE] = {"the service manager here is systemd; use a systemd check, "
                          "systemd = \"web.service\"",
                          0, CHECK_KEEP_LAST},
    [CHECK_POSTGRES] = {NULL, 5000, CHECK_KEEP_LAST},
    [CHECK_REDIS] = {NULL, 5000, CHECK_KEEP_LAST},
    [CHECK_SYSTEMD] = {NULL, 5000, CHECK_KEEP_LAST},
};

static bool has_line_end(const char *text)
{
    return text != NULL && strpbrk(text, "\r\n") != NULL;
}

static int judge_script(struct local *local, const struct check_definition *check,
                        enum local_origin origin)
{
    enum local_scripts allowed = local->options.scripts;

    if (check->kind != CHECK_SCRIPT || allowed == LOCAL_SCRIPTS_ALWAYS) {
        return RC_OK;
    }
    if (origin == LOCAL_FROM_API) {
        return registry_fail(local, RC_EDENIED,
                             "Scripts are disabled on this agent from remote calls; to "
                             "enable, configure 'enable_script_checks' to true");
    }
    if (allowed == LOCAL_SCRIPTS_NEVER) {
        return registry_fail(local, RC_EDENIED,
                             "Scripts are disabled on this agent; to enable, configure "
                             "'enable_script_checks' or 'enable_local_script_checks' to "
                             "true");
    }
    return RC_OK;
}

/* A line end in what becomes a request line or a header would smuggle in another one. */
static int judge_http(struct local *local, const struct check_definition *check)
{
    bool is_bad = has_line_end(check->http) || has_line_end(check->method);

    for (size_t i = 0; i < check->header.count; i++) {
        is_bad = is_bad || has_line_end(check->header.items[i].key) ||
                 has_line_end(check->header.items[i].value);
    }
    if (check->method != NULL && strpbrk(check->method, " \t") != NULL) {
        return registry_fail(local, RC_EINVAL, "Invalid check: \"%s\" is not a method",
                             check->method);
    }
    if (is_bad) {
        return registry_fail(local, RC_EINVAL,
                             "Invalid check: URL, method and headers must not hold line "
                             "ends");
    }
    return RC_OK;
}

static int judge_text(struct local *local, const char *what, const char *text, size_t max)
{
    if (text != NULL && strlen(text) > max) {
        return registry_fail(local, RC_EINVAL, "%s is longer than %zu bytes", what, max);
    }
    return RC_OK;
}

int judge_check(struct local *local, const struct check_definition *check,
                enum local_origin origin)
{
    const char *refusal = kinds[check->kind].refusal;

    if (refusal != NULL) {
        return registry_fail(local, RC_EUNSUPPORTED,
                             "Checks of type %s are not supported: %s",
                             check_kind_name(check->kind), refusal);
    }
    if (check->tcp_use_tls) {
        return registry_fail(local, RC_EUNSUPPORTED,
                             "TCP checks with TLS are not supported: use an HTTP check "
                             "with an https:// address");
    }
    int err = judge_text(local, "Check id", check->id, NAME_MAX_BYTES);
    if (err == RC_OK) {
        err = judge_text(local, "Check name", check->name, NAME_MAX_BYTES);
    }
    if (err == RC_OK) {
        err = judge_text(local, "Notes", check->notes, CATALOG_NOTES_MAX);
    }
    if (err == RC_OK) {
        err = judge_script(local, check, origin);
    }
    if (err == RC_OK) {
        err = judge_own(local, check, origin);
    }
    return err == RC_OK ? judge_http(local, check) : err;
}

static int judge_tags(struct local *local, const struct service_definition *service)
{
    /* One place is kept for the role that a check may add. */
    if (service->tags.count >= CATALOG_TAGS_MAX) {
        return registry_fail(local, RC_EINVAL, "A service may have %d tags at most",
                             CATALOG_TAGS_MAX - 1);
    }
    for (size_t i = 0; i < service->tags.count; i++) {
        int err = judge_text(local, "Tag", service->tags.items[i], NAME_MAX_BYTES);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

int judge_service(struct local *local, const struct service_definition *service,
                  enum local_origin origin)
{
    int err = judge_text(local, "Service id", service->id, NAME_MAX_BYTES);

    if (err == RC_OK) {
        err = judge_text(local, "Service name", service->name, NAME_MAX_BYTES);
    }
    if (err == RC_OK) {
        err = judge_text(local, "Service address", service->address, NAME_MAX_BYTES);
    }
    if (err == RC_OK) {
        err = judge_tags(local, service);
    }
    for (size_t i = 0; i < service->check_count && err == RC_OK; i++) {
        err = judge_check(local, &service->checks[i], origin);
    }
    return err;
}

static uint32_t count_of(int64_t value)
{
    return value <= 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static uint32_t output_max(const struct local *local, int64_t wanted)
{
    uint32_t max =
        local->options.output_max == 0 ? CHECK_OUTPUT_MAX : local->options.output_max;

    /* A check may only lower what the agent allows. */
    return wanted > 0 && wanted < max ? (uint32_t)wanted : max;
}

static uint64_t interval_ms(const struct check_definition *check)
{
    if (check->kind == CHECK_TTL) {
        return 0;
    }
    if (check->kind == CHECK_ALIAS) {
        return ALIAS_EVERY_MS;
    }
    return check->interval_ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : check->interval_ms;
}

void judge_entry(const struct local *local, struct registry_check *check,
                 struct schedule_entry *out)
{
    const struct check_definition *from = &check->definition;
    uint64_t give_up_ms = from->deregister_critical_service_after_ms;

    *out = (struct schedule_entry){.owner = check};
    if (check->form == REGISTRY_MAINTENANCE) {
        out->check.initial = CHECK_CRITICAL;
        return;
    }
    out->check = (struct check_options){
        .success_before_passing = count_of(from->success_before_passing),
        .failures_before_critical = count_of(from->failures_before_critical),
        .output_max = output_max(local, from->output_max_size),
        .ttl_ms = from->kind == CHECK_TTL ? from->ttl_ms : 0,
        .initial = from->status,
        .keep = kinds[from->kind].keep,
        .undamped = from->kind == CHECK_ALIAS, /* what it repeats was damped already */
    };
    if (give_up_ms > 0) {
        out->check.deregister_after_ms =
            give_up_ms < DEREGISTER_MIN_MS ? DEREGISTER_MIN_MS : give_up_ms;
    }
    out->definition = from->kind == CHECK_TTL ? NULL : from;
    out->tells_results = from->restart.unit != NULL;
    out->interval_ms = interval_ms(from);
    out->timeout_ms =
        from->timeout_ms > 0 ? from->timeout_ms : kinds[from->kind].timeout_ms;
}
