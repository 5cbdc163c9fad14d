/* logger.c - the one global of the house: where lines go. */
#include "base/logger.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"

enum { LINE_MAX_BYTES = 4096, LISTENERS_MAX = 16 };

struct listener {
    rc_log_listener call; /* NULL: free */
    void *context;
    enum rc_log_level level;
};

static struct {
    pthread_mutex_t lock; /* of the listeners, and of the order of lines */
    atomic_int level;
    atomic_int style;
    atomic_int lowest; /* the lowest level anybody wants */
    atomic_int to_journal;
    struct listener listeners[LISTENERS_MAX];
} logger = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .level = RC_LOG_INFO,
    .style = RC_LOG_PLAIN,
    .lowest = RC_LOG_INFO,
};

static const struct {
    const char *name;
    const char *label;    /* hclog's, which Consul's users know */
    const char *priority; /* sd-daemon(3): how journald learns the level of a line */
} levels[RC_LOG_LEVEL_COUNT] = {
    [RC_LOG_TRACE] = {"trace", "[TRACE]", "<7>"},
    [RC_LOG_DEBUG] = {"debug", "[DEBUG]", "<7>"},
    [RC_LOG_INFO] = {"info", "[INFO] ", "<6>"},
    [RC_LOG_WARN] = {"warn", "[WARN] ", "<4>"},
    [RC_LOG_ERROR] = {"error", "[ERROR]", "<3>"},
};

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the journal's end of stderr. */
static bool stderr_is_journal(void)
{
    const char *stream = secure_getenv("JOURNAL_STREAM");
    char ours[64];
    struct stat found;

    if (stream == NULL || fstat(STDERR_FILENO, &found) != 0) {
        return false;
    }
    (void)snprintf(ours, sizeof ours, "%ju:%ju", (uintmax_t)found.st_dev,
                   (uintmax_t)found.st_ino);
    return rc_text_equals(stream, ours);
}

static void update_lowest(void)
{
    int lowest = atomic_load(&logger.level);

    for (size_t i = 0; i < LISTENERS_MAX; i++) {
        if (logger.listeners[i].call != NULL && (int)logger.listeners[i].level < lowest) {
            lowest = (int)logger.listeners[i].level;
        }
    }
    atomic_store(&logger.lowest, lowest);
}

void rc_log_setup(enum rc_log_level level, enum rc_log_style style)
{
    assert(level < RC_LOG_LEVEL_COUNT);
    (void)pthread_mutex_lock(&logger.lock);
    atomic_store(&logger.level, (int)level);
    atomic_store(&logger.style, (int)style);
    atomic_store(&logger.to_journal, stderr_is_journal());
    update_lowest();
    (void)pthread_mutex_unlock(&logger.lock);
}

enum rc_log_level rc_log_level(void)
{
    return (enum rc_log_level)atomic_load(&logger.level);
}

int rc_log_level_parse(const char *text, enum rc_log_level *out)
{
    if (rc_text_equals_nocase(text, "err")) {
        text = "error";
    }
    for (int i = 0; i < RC_LOG_LEVEL_COUNT; i++) {
        if (rc_text_equals_nocase(text, levels[i].name)) {
            *out = (enum rc_log_level)i;
            return RC_OK;
        }
    }
    return RC_EINVAL;
}

const char *rc_log_level_name(enum rc_log_level level)
{
    assert(level < RC_LOG_LEVEL_COUNT);
    return levels[level].name;
}

/* The text with control characters made visible, so that one event stays one line. */
static void put_escaped(struct rc_buffer *out, const char *text)
{
    char shown[4];

    for (; *text != '\0'; text++) {
        rc_buffer_append(out, shown, rc_text_show_byte(*text, shown));
    }
}

static void put_plain(struct rc_buffer *out, enum rc_log_level level, const char *part,
                      const char *text)
{
    char now[25];

    rc_text_from_wall_ms(rc_clock_wall_ms(), now);
    rc_buffer_format(out, "%s %s %s: ", now, levels[level].label, part);
    put_escaped(out, text);
}

static void put_json(struct rc_buffer *out, enum rc_log_level level, const char *part,
                     const char *text)
{
    struct rc_json json = rc_json_over(out, 0);
    char now[25];

    rc_text_from_wall_ms(rc_clock_wall_ms(), now);
    rc_json_object(&json);
    rc_json_put_string(&json, "@level", levels[level].name);
    rc_json_put_string(&json, "@message", text);
    rc_json_put_string(&json, "@module", part);
    rc_json_put_string(&json, "@timestamp", now);
    rc_json_object_end(&json);
}

static void write_line(enum rc_log_level level, struct rc_buffer *line)
{
    struct rc_buffer out = {0};

    if (atomic_load(&logger.to_journal)) {
        rc_buffer_text(&out, levels[level].priority);
    }
    rc_buffer_append(&out, line->bytes, line->size);
    rc_buffer_byte(&out, '\n');
    if (out.err == RC_OK) {
        ssize_t ignored = write(STDERR_FILENO, out.bytes, out.size);
        (void)ignored; /* there is nobody left to tell */
    }
    rc_buffer_fini(&out);
}

static void deliver(enum rc_log_level level, struct rc_buffer *line)
{
    (void)pthread_mutex_lock(&logger.lock);
    if (level >= rc_log_level()) {
        write_line(level, line);
    }
    for (size_t i = 0; i < LISTENERS_MAX; i++) {
        const struct listener *listener = &logger.listeners[i];
        if (listener->call != NULL && level >= listener->level) {
            listener->call(listener->context, rc_buffer_string(line));
        }
    }
    (void)pthread_mutex_unlock(&logger.lock);
}

void rc_log(enum rc_log_level level, const char *part, const char *format, ...)
{
    char text[LINE_MAX_BYTES - 128];
    struct rc_buffer line = {0};
    int kept = errno;
    va_list arguments;

    assert(level < RC_LOG_LEVEL_COUNT);
    if ((int)level < atomic_load(&logger.lowest)) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (atomic_load(&logger.style) == RC_LOG_JSON) {
        put_json(&line, level, part, text);
    } else {
        put_plain(&line, level, part, text);
    }
    if (line.err == RC_OK) {
        deliver(level, &line);
    }
    rc_buffer_fini(&line);
    errno = kept;
}

int rc_log_listen(enum rc_log_level level, rc_log_listener listener, void *context)
{
    int id = -1;

    assert(listener != NULL);
    (void)pthread_mutex_lock(&logger.lock);
    for (int i = 0; i < LISTENERS_MAX && id < 0; i++) {
        if (logger.listeners[i].call == NULL) {
            logger.listeners[i] = (struct listener){listener, context, level};
            id = i;
        }
    }
    update_lowest();
    (void)pthread_mutex_unlock(&logger.lock);
    return id;
}

void rc_log_unlisten(int id)
{
    if (id < 0 || id >= LISTENERS_MAX) {
        return;
    }
    (void)pthread_mutex_lock(&logger.lock);
    logger.listeners[id] = (struct listener){0};
    update_lowest();
    (void)pthread_mutex_unlock(&logger.lock);
}
