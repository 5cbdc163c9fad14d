/* logger.h - one line an event, for people or (JSON) for machines.
 *
 * Process-wide on purpose: the one global of the house, written by main and the
 * edges only. Pure modules never log; they return codes and count. Lines go to
 * stderr, to syslog's place if systemd reads it, and to the listeners of
 * `rollcall monitor`. Safe to call from several threads. */
#ifndef BASE_LOGGER_H
#define BASE_LOGGER_H

#include <stdbool.h>

enum rc_log_level {
    RC_LOG_TRACE,
    RC_LOG_DEBUG,
    RC_LOG_INFO,
    RC_LOG_WARN,
    RC_LOG_ERROR,
    RC_LOG_LEVEL_COUNT
};

enum rc_log_style { RC_LOG_PLAIN, RC_LOG_JSON };

/* Level and style may be changed at any time. Default: info, plain. */
void rc_log_setup(enum rc_log_level level, enum rc_log_style style);
enum rc_log_level rc_log_level(void);

/* "trace" "debug" "info" "warn" "err"/"error", any case. RC_OK or RC_EINVAL. */
int rc_log_level_parse(const char *text, enum rc_log_level *out);
const char *rc_log_level_name(enum rc_log_level level);

/* Writes one line: time, level, `part` ("gossip", "dns", ...) and the text. Control characters
 * are escaped, lines over 4 KB cut. A full disk or closed stderr is ignored. */
void rc_log(enum rc_log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A reader of every line at `level` or above, whatever the level of the log itself: called with
 * the finished line without line end, from the thread that logs; it must not log itself. At most
 * 16. Returns an id, or -1 when there are too many. After rc_log_unlisten() it is not called. */
typedef void (*rc_log_listener)(void *context, const char *line);
int rc_log_listen(enum rc_log_level level, rc_log_listener listener, void *context);
void rc_log_unlisten(int id);

#endif
