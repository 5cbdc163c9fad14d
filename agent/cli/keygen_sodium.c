#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/link/credential.h"
#include "base/err.h"
#include "base/text.h"

enum { KEY_SIZE = 32 };

static void print_key(void)
{
    uint8_t key[KEY_SIZE];
    char text[4 * ((KEY_SIZE + 2) / 3) + 1];

    randombytes_buf(key, sizeof key);
    rc_text_to_base64(key, sizeof key, text);
    (void)printf("%s\n", text);
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
}

/* A file that is there already may be what servers use: it is never overwritten. */
static int write_secret(const char *path, const char *text)
{
    size_t size = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0) {
        return RC_EIO;
    }
    bool written = write(fd, text, size) == (ssize_t)size && write(fd, "\n", 1) == 1 &&
                   fsync(fd) == 0;
    int why = errno;
    (void)close(fd);
    if (!written) {
        (void)unlink(path);
    }
    errno = why;
    return written ? RC_OK : RC_EIO;
}

static int make_server_key(const char *path)
{
    uint8_t seed[CREDENTIAL_SEED_SIZE];
    struct credential credential;
    char text[CREDENTIAL_TEXT_MAX];
    char public_text[CREDENTIAL_TEXT_MAX];

    randombytes_buf(seed, sizeof seed);
    credential_from_seed(seed, &credential);
    credential_show_secret(&credential, text);
    credential_show_public(credential.public_key, public_text);
    int err = write_secret(path, text);
    if (err == RC_OK) {
        (void)printf("%s\n", public_text);
    } else {
        (void)fprintf(stderr, "rollcall keygen: %s: %s\n", path, strerrordesc_np(errno));
    }
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(text, sizeof text);
    credential_fini(&credential);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

int keygen_run(const struct cli_command *self, int count, char **words)
{
    const char *server_file = NULL;
    const struct cli_flag flags[] = {
        {"server", CLI_TEXT, &server_file, "FILE",
         "make a server's key instead: the secret goes into FILE, the public key is "
         "printed"},
    };
    struct cli_parsed parsed;

    int err = cli_parse(self, flags, 1, count, words, &parsed);
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
    if (server_file != NULL) {
        return make_server_key(server_file);
    }
    print_key();
    return CLI_DONE;
}
