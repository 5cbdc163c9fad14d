#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/http/endpoints.h"
#include "agent/http/visible.h"
#include "base/metrics.h"
#include "base/text.h"

/* The registry tells itself in Prometheus' text format. Consul's JSON form is made from
 * that text, line by line: gauges and counters as they are, histograms as samples. */

enum family { FAMILY_GAUGE, FAMILY_COUNTER, FAMILY_HISTOGRAM, FAMILY_COUNT };

enum { NAME_MAX_SIZE = 128, VALUE_MAX_SIZE = 64 };

struct line {
    char name[NAME_MAX_SIZE];
    struct rc_span labels; /* inside the braces */
    char value[VALUE_MAX_SIZE];
};

/* "name{labels} value". False for anything else. */
static bool split(const char *text, size_t size, struct line *out)
{
    size_t name_size = 0;

    while (name_size < size && text[name_size] != '{' && text[name_size] != ' ') {
        name_size++;
    }
    if (name_size == 0 || name_size >= sizeof out->name || text[0] == '#') {
        return false;
    }
    memcpy(out->name, text, name_size);
    out->name[name_size] = '\0';
    size_t at = size;
    while (at > 0 && text[at - 1] != ' ') {
        at--;
    }
    if (at <= name_size || size - at >= sizeof out->value) {
        return false;
    }
    memcpy(out->value, text + at, size - at);
    out->value[size - at] = '\0';
    out->labels = (struct rc_span){"", 0};
    if (text[name_size] == '{' && at >= name_size + 3) {
        out->labels = (struct rc_span){text + name_size + 1, at - name_size - 3};
    }
    return true;
}

/* name="value",... as an object. Escapes stay as they are: our labels have none. */
static void put_labels(struct rc_json *json, struct rc_span labels)
{
    const char *at = labels.at;
    const char *end = labels.at + labels.size;
    char key[NAME_MAX_SIZE];

    rc_json_key(json, "Labels");
    rc_json_object(json);
    while (at < end) {
        const char *equals = memchr(at, '=', (size_t)(end - at));
        if (equals == NULL || (size_t)(equals - at) >= sizeof key || end - equals < 3) {
            break;
        }
        memcpy(key, at, (size_t)(equals - at));
        key[equals - at] = '\0';
        const char *value = equals + 2;
        const char *quote = memchr(value, '"', (size_t)(end - value));
        if (quote == NULL) {
            break;
        }
        rc_json_key(json, key);
        rc_json_string_bytes(json, value, (size_t)(quote - value));
        at = quote + 1 < end ? quote + 2 : end;
    }
    rc_json_object_end(json);
}

static void put_number(struct rc_json *json, const char *key, double value)
{
    rc_json_key(json, key);
    rc_json_double(json, value);
}

static void put_aggregate(struct rc_json *json, const struct line *line, double count,
                          double sum)
{
    double mean = count > 0 ? sum / count : 0;

    rc_json_object(json);
    rc_json_put_string(json, "Name", line->name);
    rc_json_put_u64(json, "Count", (uint64_t)count);
    put_number(json, "Rate", 0);
    put_number(json, "Sum", sum);
    put_number(json, "Min", 0);
    put_number(json, "Max", 0);
    put_number(json, "Mean", mean);
    put_number(json, "Stddev", 0);
    put_labels(json, line->labels);
    rc_json_object_end(json);
}

static void put_gauge(struct rc_json *json, const struct line *line, double value)
{
    rc_json_object(json);
    rc_json_put_string(json, "Name", line->name);
    put_number(json, "Value", value);
    put_labels(json, line->labels);
    rc_json_object_end(json);
}

/* The type a "# TYPE name type" line declares; `current` for any other line. */
static enum family family_of(const char *text, size_t size, enum family current)
{
    if (size < 7 || strncmp(text, "# TYPE ", 7) != 0) {
        return current;
    }
    switch (text[size - 1]) {
    case 'e':
        return FAMILY_GAUGE;
    case 'r':
        return FAMILY_COUNTER;
    default:
        return FAMILY_HISTOGRAM;
    }
}

struct sums {
    double sum; /* of the histogram series just read: its count follows */
};

static void put_line(struct rc_json *json, enum family family, struct line *line,
                     struct sums *sums)
{
    double value = strtod(line->value, NULL);

    if (family == FAMILY_GAUGE) {
        put_gauge(json, line, value);
    } else if (family == FAMILY_COUNTER) {
        put_aggregate(json, line, value, value);
    } else if (rc_text_ends_with(line->name, "_sum")) {
        sums->sum = value;
    } else if (rc_text_ends_with(line->name, "_count")) {
        line->name[strlen(line->name) - 6] = '\0';
        put_aggregate(json, line, value, sums->sum);
    }
}

static void put_family(struct rc_json *json, const char *key, const char *text,
                       enum family wanted)
{
    enum family family = FAMILY_GAUGE;
    struct sums sums = {0};
    struct line line;

    rc_json_key(json, key);
    rc_json_array(json);
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        family = family_of(text, size, family);
        if (family == wanted && split(text, size, &line)) {
            put_line(json, family, &line, &sums);
        }
        text += size + (text[size] == '\n' ? 1 : 0);
    }
    rc_json_array_end(json);
}

static void put_timestamp(struct rc_json *json, uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts = {0};
    char text[40] = "";

    if (gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S +0000 UTC", &parts);
    }
    rc_json_put_string(json, "Timestamp", text);
}

void agent_metrics(struct http_api *api, struct http_exchange *x)
{
    const char *format = target_parameter(&x->target, "format");
    struct rc_buffer text = {0};

    if (!visible_self(api, x, PERMIT_AGENT, PERMIT_READ)) {
        return;
    }
    if (api->metrics != NULL) {
        rc_metrics_render(api->metrics, &text);
    }
    if (format != NULL && strcmp(format, "prometheus") == 0) {
        rc_buffer_append(&x->out, text.bytes, text.size);
        x->status = 200;
        x->content_type = "text/plain; version=0.0.4; charset=utf-8";
    } else {
        struct rc_json json = exchange_json(x);
        rc_json_object(&json);
        put_timestamp(&json, api->wall_ms);
        put_family(&json, "Gauges", rc_buffer_string(&text), FAMILY_GAUGE);
        rc_json_key(&json, "Points");
        rc_json_raw(&json, "[]");
        put_family(&json, "Counters", rc_buffer_string(&text), FAMILY_COUNTER);
        put_family(&json, "Samples", rc_buffer_string(&text), FAMILY_HISTOGRAM);
        rc_json_object_end(&json);
        exchange_json_end(x);
    }
    rc_buffer_fini(&text);
}
