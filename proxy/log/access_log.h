/* access_log.h - one line about one request: as JSON, in the combined form, or by a template.
 *
 * Pure: formats; access_log_uv.h writes. What came from outside is escaped, so that a request
 * can never forge a line, nor a field of one. */
#ifndef PROXY_LOG_ACCESS_LOG_H
#define PROXY_LOG_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "base/writer.h"
#include "proxy/config/log_template.h"
#include "proxy/limit/refusal.h"

enum { ACCESS_LOG_LINE_MAX = 4096 };

/* Who ended it, and in which phase: printed as two letters, such as "--" (nobody: a complete
 * exchange), "CR" (client gone while waiting for the response), "SC" (could not connect). */
enum access_log_who {
    ACCESS_LOG_NOBODY,
    ACCESS_LOG_CLIENT,
    ACCESS_LOG_INSTANCE,
    ACCESS_LOG_PROXY,
    ACCESS_LOG_TIME,
    ACCESS_LOG_WHO_COUNT
};
enum access_log_phase {
    ACCESS_LOG_NO_PHASE,
    ACCESS_LOG_REQUEST, /* reading the request */
    ACCESS_LOG_QUEUE,   /* waiting for an instance */
    ACCESS_LOG_CONNECT,
    ACCESS_LOG_HEAD, /* waiting for the response head */
    ACCESS_LOG_DATA, /* passing the body */
    ACCESS_LOG_TUNNEL,
    ACCESS_LOG_PHASE_COUNT
};

struct access_log_entry {
    uint64_t wall_ms; /* when the request began */
    struct rc_span client;
    struct rc_span listener; /* its address */
    struct rc_span protocol; /* "HTTP/1.1", "HTTP/2" */
    struct rc_span scheme;
    struct rc_span tls; /* "TLSv1.3"; empty = plain */
    struct rc_span sni;
    struct rc_span method;
    struct rc_span host;
    struct rc_span path;  /* with query */
    struct rc_span route; /* its label; empty = none was found */
    struct rc_span pool;
    struct rc_span instance;
    struct rc_span request_id;
    struct rc_span trace_id;
    struct rc_span traceparent;
    struct rc_span referrer;
    struct rc_span agent;
    unsigned status; /* as sent; 499 = the client went first */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint32_t attempts;
    uint64_t total_us;
    uint64_t connect_us;    /* of the last attempt; 0 on a kept connection */
    uint64_t first_byte_us; /* from the start to the response head; 0 = none came */
    uint64_t upstream_us;   /* of it: what the last instance took */
    bool reused;
    enum access_log_who who;
    enum access_log_phase phase;
    enum refusal refusal;
};

/* Append one line with its line end to `out`. RC_OK or RC_ETOOBIG. */
int access_log_json(const struct access_log_entry *entry, struct rc_writer *out);
int access_log_combined(const struct access_log_entry *entry, struct rc_writer *out);
int access_log_template(const struct access_log_entry *entry,
                        const struct log_template *log_template, struct rc_writer *out);

#endif
