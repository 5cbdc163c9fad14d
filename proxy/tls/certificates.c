/* certificates.c - see certificates.h. */
#include "proxy/tls/certificates.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "proxy/tls/tls_site_openssl.h"

void certificates_destroy(struct certificates *certificates)
{
    if (certificates == NULL) {
        return;
    }
    for (size_t i = 0; i < certificates->listener_count; i++) {
        tls_context_release(certificates->listeners[i]);
    }
    for (size_t i = 0; i < certificates->pool_count; i++) {
        tls_context_release(certificates->pools[i]);
    }
    tls_tickets_release(certificates->tickets);
    free((void *)certificates->listeners);
    free((void *)certificates->pools);
    free(certificates);
}

static struct certificates *make(const struct config *config, struct tls_tickets *tickets)
{
    struct certificates *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->listeners = calloc(config->listener_count + 1, sizeof(struct tls_context *));
    made->pools = calloc(config->pool_count + 1, sizeof(struct tls_context *));
    made->tickets = tickets != NULL ? tls_tickets_retain(tickets) : tls_tickets_create();
    if (made->listeners == NULL || made->pools == NULL || made->tickets == NULL) {
        certificates_destroy(made);
        return NULL;
    }
    made->listener_count = config->listener_count;
    made->pool_count = config->pool_count;
    return made;
}

static int say(int err, const char *name, unsigned line, const char *problem,
               char error[CONFIG_ERROR_MAX])
{
    (void)snprintf(error, CONFIG_ERROR_MAX, "%s:%u: %s", name, line,
                   problem[0] != '\0' ? problem : rc_strerror(err));
    return err;
}

/* `*line` is where it stands in the file. */
static int load_listener(const struct config_listener *listener,
                         struct tls_tickets *tickets, struct tls_context **out,
                         char problem[TLS_PROBLEM_MAX], unsigned *line)
{
    *line = listener->line;
    if (listener->tls != CONFIG_TLS_END) {
        return RC_OK;
    }
    return listener->mode == CONFIG_POSTGRES
               ? tls_context_serve(listener->certificate, listener->key, out, problem)
               : tls_site_create(listener, tickets, out, problem, line);
}

int certificates_load(const struct config *config, const char *name,
                      struct tls_tickets *tickets, struct certificates **out,
                      char error[CONFIG_ERROR_MAX])
{
    char problem[TLS_PROBLEM_MAX] = "";
    struct certificates *made = make(config, tickets);
    int err = made != NULL ? RC_OK : say(RC_ENOMEM, name, 0, problem, error);

    for (size_t i = 0; err == RC_OK && i < config->listener_count; i++) {
        unsigned line = 0;
        err = load_listener(&config->listeners[i], made->tickets, &made->listeners[i],
                            problem, &line);
        err = err == RC_OK ? RC_OK : say(err, name, line, problem, error);
    }
    for (size_t i = 0; err == RC_OK && i < config->pool_count; i++) {
        const struct config_pool *pool = &config->pools[i];
        if (pool->server_ca[0] != '\0') {
            err = tls_context_trust(pool->server_ca, &made->pools[i], problem);
            err = err == RC_OK ? RC_OK : say(err, name, pool->line, problem, error);
        }
    }
    if (err != RC_OK) {
        certificates_destroy(made);
        return err;
    }
    *out = made;
    return RC_OK;
}
