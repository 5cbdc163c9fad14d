/* client_side_uv.c - what an exchange asks of its client, whatever protocol that speaks.
 *
 * HTTP/1.1 is what heads are written in, so there is nothing to be done but to send. A stream of
 * HTTP/2 makes frames of it: h2_link_uv.c. */
#include "base/err.h"
#include "proxy/http/http_state_uv.h"

int client_take_head(struct client *client, size_t size)
{
    return client->stream == NULL ? RC_OK : h2_stream_client_head(client, size);
}

bool client_frames_bodies(const struct client *client)
{
    return client->stream != NULL;
}

struct framing client_framing(const struct client *client, const struct framing *said)
{
    struct framing until_end = {.kind = FRAMING_CLOSE};
    bool framed = client->stream != NULL && said->kind == FRAMING_CHUNKED;
    return framed ? until_end : *said;
}

enum http_io client_send(struct client *client, const uint8_t *extra, size_t size,
                         size_t *extra_sent)
{
    if (client->stream != NULL) {
        return h2_stream_client_send(client, extra, size, extra_sent);
    }
    return http_socket_write(&client->socket, client->out, extra, size, extra_sent);
}

enum http_io client_finish(struct client *client)
{
    size_t none = 0;

    if (client->stream != NULL) {
        return h2_stream_client_finish(client);
    }
    return client_send(client, NULL, 0, &none);
}

int client_fd(const struct client *client)
{
    return client->stream == NULL ? client->socket.fd : h2_stream_client_fd(client);
}
