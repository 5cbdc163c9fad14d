/* config_proxy_protocol.c - `proxy_protocol accept NETWORK ...` of a listener and
 * `proxy_protocol send [v1]` of a pool. */
#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

enum { NETWORKS_MAX = 64 };

int config_read_network(struct config_reader *reader, const struct config_word *word,
                        struct rc_network *out)
{
    if (rc_network_parse(word->text, out) != RC_OK) {
        return config_fault(reader, word, "\"%.80s\" is no network, such as 10.0.0.0/8",
                            word->text);
    }
    return RC_OK;
}

int config_read_proxy_accept(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const verbs[] = {"accept", NULL};
    struct config_listener *listener = into;
    size_t count = reader->words.statements[statement].word_count - 1;
    size_t verb = 0;

    int err = config_expect_words(reader, statement, 2, 1 + NETWORKS_MAX);
    if (err == RC_OK) {
        err = config_read_choice(reader, config_word_at(reader, statement, 1), verbs,
                                 &verb);
    }
    if (err != RC_OK) {
        return err;
    }
    listener->proxied = calloc(count - 1, sizeof *listener->proxied);
    if (listener->proxied == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 1; err == RC_OK && i < count; i++) {
        err = config_read_network(reader, config_word_at(reader, statement, i + 1),
                                  &listener->proxied[listener->proxied_count++]);
    }
    return err;
}

int config_read_proxy_send(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const verbs[] = {"send", NULL};
    static const char *const versions[] = {"v1", "v2", NULL};
    struct config_pool *pool = into;
    size_t verb = 0;
    size_t version = 1;

    int err = config_expect_words(reader, statement, 1, 2);
    if (err == RC_OK) {
        err = config_read_choice(reader, config_word_at(reader, statement, 1), verbs,
                                 &verb);
    }
    const struct config_word *word = config_word_at(reader, statement, 2);
    if (err == RC_OK && word != NULL) {
        err = config_read_choice(reader, word, versions, &version);
    }
    pool->proxy_send = version == 0 ? CONFIG_PROXY_SEND_V1 : CONFIG_PROXY_SEND_V2;
    return err;
}

void config_print_networks(const char *before, const struct rc_network *networks,
                           size_t count, struct rc_buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        char text[RC_ADDRESS_TEXT_MAX];
        rc_address_format_ip(&networks[i].address, text);
        rc_buffer_format(out, "%s %s/%u", i == 0 ? before : "", text, networks[i].bits);
    }
    rc_buffer_text(out, count > 0 ? "\n" : "");
}
