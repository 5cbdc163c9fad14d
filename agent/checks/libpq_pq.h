/* libpq_pq.h - the part of libpq that checks use, loaded when it is first needed. */
#ifndef AGENT_CHECKS_LIBPQ_PQ_H
#define AGENT_CHECKS_LIBPQ_PQ_H

#include <libpq-fe.h>

enum { LIBPQ_ERROR_MAX = 256 };

/* Its functions, by what they do here. */
struct libpq {
    PQconninfoOption *(*parse)(const char *text, char **error);
    void (*free_options)(PQconninfoOption *options);
    void (*free_text)(void *text);
    PGconn *(*start)(const char *text);
    PGconn *(*start_params)(const char *const *names, const char *const *values,
                            int expands);
    PostgresPollingStatusType (*poll)(PGconn *connection);
    ConnStatusType (*status)(const PGconn *connection);
    int (*file)(const PGconn *connection);
    char *(*error)(const PGconn *connection);
    int (*nonblocking)(PGconn *connection, int wanted);
    PQnoticeProcessor (*on_notice)(PGconn *connection, PQnoticeProcessor processor,
                                   void *context);
    int (*send)(PGconn *connection, const char *query);
    int (*flush)(PGconn *connection);
    int (*consume)(PGconn *connection);
    int (*is_busy)(PGconn *connection);
    PGresult *(*result)(PGconn *connection);
    ExecStatusType (*result_status)(const PGresult *result);
    char *(*result_error)(const PGresult *result);
    char *(*result_field)(const PGresult *result, int field);
    PGVerbosity (*verbosity)(PGconn *connection, PGVerbosity wanted);
    int (*is_null)(const PGresult *result, int row, int column);
    int (*rows)(const PGresult *result);
    int (*columns)(const PGresult *result);
    char *(*value)(const PGresult *result, int row, int column);
    void (*clear)(PGresult *result);
    void (*finish)(PGconn *connection);
};

/* Fills `out`. RC_OK, or RC_ENOTFOUND with `error` naming the package to install. */
int libpq_load(struct libpq *out, char error[LIBPQ_ERROR_MAX]);

#endif
