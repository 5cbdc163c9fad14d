#include <stdio.h>

#include <sodium.h>

#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "base/err.h"
#include "base/text.h"

enum { KEY_SIZE = 32 };

int keygen_run(const struct cli_command *self, int count, char **words)
{
    struct cli_parsed parsed;
    uint8_t key[KEY_SIZE];
    char text[4 * ((KEY_SIZE + 2) / 3) + 1];

    int err = cli_parse(self, NULL, 0, count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count > 0) {
        return cli_misuse(self, "takes no words");
    }
    if (sodium_init() < 0) {
        (void)fprintf(stderr, "rollcall keygen: libsodium does not start\n");
        return CLI_FAILED;
    }
    randombytes_buf(key, sizeof key);
    rc_text_to_base64(key, sizeof key, text);
    (void)printf("%s\n", text);
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
    return CLI_DONE;
}
