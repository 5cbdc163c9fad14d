/* definition_check.c - checks: their fields, and the rules that Consul has for them. */
#include <assert.h>
#include <string.h>

#include "agent/catalog/definition.h"
#include "agent/catalog/definition_field.h"
#include "base/err.h"
#include "base/text.h"

static const char *const kind_names[CHECK_KIND_COUNT] = {
    [CHECK_TTL] = "ttl",           [CHECK_HTTP] = "http",
    [CHECK_TCP] = "tcp",           [CHECK_UDP] = "udp",
    [CHECK_SCRIPT] = "script",     [CHECK_GRPC] = "grpc",
    [CHECK_DOCKER] = "docker",     [CHECK_ALIAS] = "alias",
    [CHECK_H2PING] = "h2ping",     [CHECK_OS_SERVICE] = "os_service",
    [CHECK_POSTGRES] = "postgres", [CHECK_REDIS] = "redis",
    [CHECK_SYSTEMD] = "systemd",
};

const char *check_kind_name(enum check_kind kind)
{
    assert(kind < CHECK_KIND_COUNT);
    return kind_names[kind];
}

/* --- the status of a check: one that is unknown is kept as CHECK_STATUS_COUNT until the
 * rules are applied, because Consul looks at it last */

static const struct definition_field_type status_type;

static int read_status(struct definition_reader *reader,
                       const struct definition_value *value, void *place)
{
    struct check_definition *check = place;

    if (!json_is_string(value->json)) {
        return definition_wrong_type(reader, value, &status_type);
    }
    const char *text = json_string_value(value->json);
    check->status_given = text[0] != '\0';
    check->status = CHECK_STATUS_COUNT;
    if (!check->status_given) {
        check->status = CHECK_CRITICAL;
    } else {
        (void)check_status_parse(text, &check->status);
    }
    return RC_OK;
}

static int copy_status(const void *from, void *place)
{
    const struct check_definition *source = from;
    struct check_definition *check = place;

    check->status = source->status;
    check->status_given = source->status_given;
    return RC_OK;
}

static int write_status(const void *place, json_t **out)
{
    const struct check_definition *check = place;

    if (!check->status_given || check->status >= CHECK_STATUS_COUNT) {
        return RC_OK;
    }
    *out = json_string(check_status_name(check->status));
    return *out != NULL ? RC_OK : RC_ENOMEM;
}

static const struct definition_field_type status_type = {
    .go_type = "string",
    .words = "a string",
    .read = read_status,
    .copy = copy_status,
    .write = write_status,
};

/* --- restart */

enum { RESTART_AFTER = 3, RESTARTS_PER_HOUR = 5 };

static const struct definition_field restart_fields[] = {
    {"Unit", "unit", NULL, &definition_text_type,
     offsetof(struct definition_restart, unit)},
    {"After", "after", NULL, &definition_int_type,
     offsetof(struct definition_restart, after)},
    {"MaxPerHour", "max_per_hour", NULL, &definition_int_type,
     offsetof(struct definition_restart, max_per_hour)},
};

static const struct definition_table restart_table = {
    "restart", restart_fields, sizeof restart_fields / sizeof restart_fields[0]};

static int read_restart(struct definition_reader *reader,
                        const struct definition_value *value, void *place)
{
    struct definition_restart *restart = place;

    if (!json_is_object(value->json)) {
        return definition_wrong_type(reader, value, &definition_pairs_type);
    }
    definition_table_release(&restart_table, restart);
    restart->after = RESTART_AFTER;
    restart->max_per_hour = RESTARTS_PER_HOUR;
    int err = definition_table_read(&restart_table, reader, value->json, restart);
    if (err == RC_OK && restart->unit == NULL) {
        return definition_invalid(reader, value->parent, value->key,
                                  "restart needs a unit of systemd: restart { unit = "
                                  "\"web.service\" }");
    }
    return err;
}

static void release_restart(void *place)
{
    definition_table_release(&restart_table, place);
}

static int copy_restart(const void *from, void *place)
{
    return definition_table_copy(&restart_table, from, place);
}

static int write_restart(const void *place, json_t **out)
{
    const struct definition_restart *restart = place;

    if (restart->unit == NULL) {
        return RC_OK;
    }
    *out = definition_table_write(&restart_table, place);
    return *out != NULL ? RC_OK : RC_ENOMEM;
}

static const struct definition_field_type definition_restart_type = {
    .go_type = "structs.Restart",
    .words = "a block",
    .read = read_restart,
    .release = release_restart,
    .copy = copy_restart,
    .write = write_restart,
};

/* --- checks */

#define CHECK_FIELD(name, snake, alias, type, member)  \
    {                                                  \
        name, snake, alias, &definition_##type##_type, \
            offsetof(struct check_definition, member)  \
    }
#define IGNORED_FIELD(name, snake) \
    {                              \
        name, snake, NULL, NULL, 0 \
    }

static const struct definition_field check_fields[] = {
    CHECK_FIELD("CheckID", "id", "ID", text, id),
    CHECK_FIELD("Name", "name", NULL, text, name),
    CHECK_FIELD("ServiceID", "service_id", NULL, text, service_id),
    CHECK_FIELD("Notes", "notes", NULL, text, notes),
    {"Status", "status", NULL, &status_type, 0},
    CHECK_FIELD("HTTP", "http", NULL, text, http),
    CHECK_FIELD("Method", "method", NULL, text, method),
    CHECK_FIELD("Header", "header", NULL, header, header),
    CHECK_FIELD("Body", "body", NULL, text, body),
    CHECK_FIELD("DisableRedirects", "disable_redirects", NULL, bool, disable_redirects),
    CHECK_FIELD("TCP", "tcp", NULL, text, tcp),
    CHECK_FIELD("TCPUseTLS", "tcp_use_tls", NULL, bool, tcp_use_tls),
    CHECK_FIELD("UDP", "udp", NULL, text, udp),
    CHECK_FIELD("H2PING", "h2ping", NULL, text, h2ping),
    CHECK_FIELD("H2PingUseTLS", "h2ping_use_tls", NULL, bool, h2ping_use_tls),
    CHECK_FIELD("GRPC", "grpc", NULL, text, grpc),
    CHECK_FIELD("GRPCUseTLS", "grpc_use_tls", NULL, bool, grpc_use_tls),
    CHECK_FIELD("TLSServerName", "tls_server_name", NULL, text, tls_server_name),
    CHECK_FIELD("TLSSkipVerify", "tls_skip_verify", NULL, bool, tls_skip_verify),
    CHECK_FIELD("ScriptArgs", "args", "Args", list, args),
    CHECK_FIELD("DockerContainerID", "docker_container_id", NULL, text,
                docker_container_id),
    CHECK_FIELD("Shell", "shell", NULL, text, shell),
    CHECK_FIELD("OSService", "os_service", NULL, text, os_service),
    CHECK_FIELD("AliasNode", "alias_node", NULL, text, alias_node),
    CHECK_FIELD("AliasService", "alias_service", NULL, text, alias_service),
    CHECK_FIELD("Postgres", "postgres", NULL, text, postgres),
    CHECK_FIELD("PostgresTags", "postgres_tags", NULL, bool, postgres_tags),
    CHECK_FIELD("MaxLag", "max_lag", NULL, duration, max_lag_ms),
    CHECK_FIELD("Redis", "redis", NULL, text, redis),
    CHECK_FIELD("RedisRole", "redis_role", NULL, text, redis_role),
    CHECK_FIELD("RedisUser", "redis_user", NULL, text, redis_user),
    CHECK_FIELD("RedisPasswordFile", "redis_password_file", NULL, text,
                redis_password_file),
    CHECK_FIELD("Systemd", "systemd", NULL, text, systemd),
    CHECK_FIELD("SystemdStarting", "systemd_starting", NULL, text, systemd_starting),
    CHECK_FIELD("MaxRestarts", "max_restarts", NULL, int, max_restarts),
    CHECK_FIELD("Restart", "restart", NULL, restart, restart),
    CHECK_FIELD("Interval", "interval", NULL, duration, interval_ms),
    CHECK_FIELD("Timeout", "timeout", NULL, duration, timeout_ms),
    CHECK_FIELD("TTL", "ttl", NULL, duration, ttl_ms),
    CHECK_FIELD("DeregisterCriticalServiceAfter", "deregister_critical_service_after",
                NULL, duration, deregister_critical_service_after_ms),
    CHECK_FIELD("SuccessBeforePassing", "success_before_passing", NULL, int,
                success_before_passing),
    CHECK_FIELD("FailuresBeforeWarning", "failures_before_warning", NULL, int,
                failures_before_warning),
    CHECK_FIELD("FailuresBeforeCritical", "failures_before_critical", NULL, int,
                failures_before_critical),
    CHECK_FIELD("OutputMaxSize", "output_max_size", NULL, int, output_max_size),
    IGNORED_FIELD("Token", "token"),
    IGNORED_FIELD("ProxyHTTP", "proxy_http"),
    IGNORED_FIELD("ProxyGRPC", "proxy_grpc"),
    IGNORED_FIELD("Namespace", "namespace"),
    IGNORED_FIELD("Partition", "partition"),
};

static const struct definition_table check_table = {
    "structs.CheckDefinition", check_fields,
    sizeof check_fields / sizeof check_fields[0]};

/* Which field makes a check which kind; the first that is given decides. */
static const struct {
    enum check_kind kind;
    size_t offset; /* of a char * */
} kind_fields[] = {
    {CHECK_POSTGRES, offsetof(struct check_definition, postgres)},
    {CHECK_REDIS, offsetof(struct check_definition, redis)},
    {CHECK_SYSTEMD, offsetof(struct check_definition, systemd)},
    {CHECK_GRPC, offsetof(struct check_definition, grpc)},
    {CHECK_HTTP, offsetof(struct check_definition, http)},
    {CHECK_TCP, offsetof(struct check_definition, tcp)},
    {CHECK_UDP, offsetof(struct check_definition, udp)},
    {CHECK_H2PING, offsetof(struct check_definition, h2ping)},
    {CHECK_OS_SERVICE, offsetof(struct check_definition, os_service)},
    {CHECK_ALIAS, offsetof(struct check_definition, alias_node)},
    {CHECK_ALIAS, offsetof(struct check_definition, alias_service)},
    {CHECK_DOCKER, offsetof(struct check_definition, docker_container_id)},
};

static enum check_kind kind_of(const struct check_definition *check)
{
    for (size_t i = 0; i < sizeof kind_fields / sizeof kind_fields[0]; i++) {
        char *text = NULL;
        memcpy(&text, (const char *)check + kind_fields[i].offset, sizeof text);
        if (text != NULL) {
            return kind_fields[i].kind;
        }
    }
    return check->args.count > 0 ? CHECK_SCRIPT : CHECK_TTL;
}

/* Consul's CheckType.Validate, in its order. */
const char *definition_check_fault(const struct check_definition *check)
{
    bool is_alias = check->kind == CHECK_ALIAS;
    bool runs = check->kind != CHECK_TTL && !is_alias;

    if (check->interval_ms > 0 && check->ttl_ms > 0) {
        return "Interval and TTL cannot both be specified";
    }
    if (runs && check->interval_ms == 0) {
        return "Interval must be > 0 for Script, HTTP, or TCP checks";
    }
    if (is_alias && check->interval_ms > 0) {
        return "Interval cannot be set for Alias checks";
    }
    if (is_alias && check->ttl_ms > 0) {
        return "TTL must be not be set for Alias checks";
    }
    if (check->kind == CHECK_TTL && check->ttl_ms == 0) {
        return "TTL must be > 0 for TTL checks";
    }
    if (check->output_max_size < 0) {
        return "MaxOutputMaxSize must be positive";
    }
    if (check->success_before_passing < 0 || check->failures_before_critical < 0 ||
        check->failures_before_warning < 0) {
        return "SuccessBeforePassing and FailuresBeforeCritical must be positive";
    }
    return NULL;
}

void check_definition_fini(struct check_definition *check)
{
    definition_table_release(&check_table, check);
    *check = (struct check_definition){0};
}

int check_definition_copy(const struct check_definition *from,
                          struct check_definition *out)
{
    *out = (struct check_definition){.kind = from->kind};
    int err = definition_table_copy(&check_table, from, out);
    if (err != RC_OK) {
        check_definition_fini(out);
    }
    return err;
}

json_t *check_definition_to_json(const struct check_definition *check)
{
    return definition_table_write(&check_table, check);
}

int definition_read_check(struct definition_reader *reader, const json_t *json,
                          struct check_definition *check)
{
    *check = (struct check_definition){.status = CHECK_CRITICAL};
    int err = definition_table_read(&check_table, reader, json, check);
    check->kind = kind_of(check);
    return err;
}

static int set_default(char **place, const char *text)
{
    if (*place == NULL) {
        *place = rc_text_copy(text);
    }
    return *place != NULL ? RC_OK : RC_ENOMEM;
}

/* The rules of a check that stands alone: agent/check/register. */
static int apply_check_rules(struct definition_reader *reader, const json_t *json,
                             struct check_definition *check)
{
    if (check->name == NULL && check->id != NULL && reader->style == DEFINITION_FILE &&
        set_default(&check->name, check->id) != RC_OK) {
        return RC_ENOMEM;
    }
    if (check->name == NULL) {
        return definition_invalid(reader, json, NULL, "Missing check name");
    }
    if (check->status >= CHECK_STATUS_COUNT) {
        return definition_invalid(reader, json, "status", "Bad check status");
    }
    const char *fault = definition_check_fault(check);
    if (fault != NULL) {
        return definition_invalid(reader, json, NULL, "Invalid check: %s", fault);
    }
    return set_default(&check->id, check->name);
}

int check_definition_parse(const json_t *json, enum definition_style style,
                           struct check_definition *out, struct definition_fault *fault)
{
    struct definition_reader reader = {style, fault};
    struct check_definition check;

    int err = definition_read_check(&reader, json, &check);
    if (err == RC_OK) {
        err = apply_check_rules(&reader, json, &check);
    }
    if (err != RC_OK) {
        check_definition_fini(&check);
        return err;
    }
    *out = check;
    return RC_OK;
}

bool check_definition_equals(const struct check_definition *a,
                             const struct check_definition *b)
{
    json_t *first = check_definition_to_json(a);
    json_t *second = check_definition_to_json(b);
    bool same = first != NULL && second != NULL && json_equal(first, second) != 0;

    json_decref(first);
    json_decref(second);
    return same;
}
