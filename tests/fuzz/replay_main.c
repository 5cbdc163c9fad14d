/* replay_main.c - runs a fuzz target over files, each in an allocation of its exact size, so
 * that a fixed finding stays fixed under every compiler. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    uint8_t *bytes = NULL;
    int failed = 1;
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (size >= 0 && fseek(file, 0, SEEK_SET) == 0) {
        bytes = malloc(size > 0 ? (size_t)size : 1);
        if (bytes != NULL && fread(bytes, 1, (size_t)size, file) == (size_t)size) {
            (void)LLVMFuzzerTestOneInput(bytes, (size_t)size);
            failed = 0;
        }
    }
    if (failed) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
    }
    free(bytes);
    (void)fclose(file);
    return failed;
}

int main(int argc, char **argv)
{
    int failures = 0;
    for (int i = 1; i < argc; i++) {
        failures += replay(argv[i]);
    }
    (void)printf("%s: %d inputs replayed\n", argv[0], argc - 1 - failures);
    return failures == 0 && argc > 1 ? 0 : 1;
}
