#include "agent/cli/client.h"

#include <stdio.h>
#include <string.h>

#include "agent/cli/say.h"
#include "base/err.h"

static int ask_json(const struct cli_client_flags *flags,
                    const struct cli_request *request, const char *what, json_t **out)
{
    struct cli_answer answer;
    json_error_t error;

    int err = cli_ask(flags, request, &answer);
    if (err == RC_OK) {
        *out = json_loadb((const char *)answer.body.bytes, answer.body.size,
                          JSON_DECODE_ANY, &error);
        if (*out == NULL) {
            (void)snprintf(answer.error, sizeof answer.error,
                           "the answer is not JSON: %.200s", error.text);
            err = RC_EMALFORMED;
        }
    }
    if (err != RC_OK) {
        cli_error("%s: %s", what, answer.error);
    }
    rc_buffer_fini(&answer.body);
    return err;
}

int cli_get_json(const struct cli_client_flags *flags, const char *path, const char *what,
                 json_t **out)
{
    const struct cli_request request = {.method = "GET", .path = path};
    return ask_json(flags, &request, what, out);
}

int cli_put_json(const struct cli_client_flags *flags, const char *path, const char *body,
                 const char *what, json_t **out)
{
    const struct cli_request request = {.method = "PUT", .path = path, .body = body};
    return ask_json(flags, &request, what, out);
}

int cli_put(const struct cli_client_flags *flags, const char *path, const char *body,
            const char *what)
{
    const struct cli_request request = {.method = "PUT", .path = path, .body = body};
    struct cli_answer answer;

    int err = cli_ask(flags, &request, &answer);
    if (err != RC_OK) {
        cli_error("%s: %s", what, answer.error);
    }
    rc_buffer_fini(&answer.body);
    return err;
}

void cli_escape(struct rc_buffer *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL) {
            rc_buffer_byte(out, (uint8_t)*text);
        } else {
            rc_buffer_format(out, "%%%02X", (unsigned char)*text);
        }
    }
}
