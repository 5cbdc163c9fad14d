/* libpq_pq.c - the table of its functions. */
#include "agent/checks/libpq_pq.h"

#include "base/library.h"

int libpq_load(struct libpq *out, char error[LIBPQ_ERROR_MAX])
{
    const struct rc_symbol symbols[] = {
        {"PQconninfoParse", (void **)&out->parse},
        {"PQconninfoFree", (void **)&out->free_options},
        {"PQfreemem", (void **)&out->free_text},
        {"PQconnectStart", (void **)&out->start},
        {"PQconnectStartParams", (void **)&out->start_params},
        {"PQconnectPoll", (void **)&out->poll},
        {"PQstatus", (void **)&out->status},
        {"PQsocket", (void **)&out->file},
        {"PQerrorMessage", (void **)&out->error},
        {"PQsetnonblocking", (void **)&out->nonblocking},
        {"PQsetNoticeProcessor", (void **)&out->on_notice},
        {"PQsendQuery", (void **)&out->send},
        {"PQflush", (void **)&out->flush},
        {"PQconsumeInput", (void **)&out->consume},
        {"PQisBusy", (void **)&out->is_busy},
        {"PQgetResult", (void **)&out->result},
        {"PQresultStatus", (void **)&out->result_status},
        {"PQresultErrorMessage", (void **)&out->result_error},
        {"PQresultErrorField", (void **)&out->result_field},
        {"PQsetErrorVerbosity", (void **)&out->verbosity},
        {"PQgetisnull", (void **)&out->is_null},
        {"PQntuples", (void **)&out->rows},
        {"PQnfields", (void **)&out->columns},
        {"PQgetvalue", (void **)&out->value},
        {"PQclear", (void **)&out->clear},
        {"PQfinish", (void **)&out->finish},
    };

    return rc_library_load("libpq.so.5", "libpq5", symbols,
                           sizeof symbols / sizeof symbols[0], error, LIBPQ_ERROR_MAX);
}
