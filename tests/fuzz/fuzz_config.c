/* fuzz_config.c - any text as the settings of an agent: understood, or one line that says why not. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char dev[] = "-dev";
    char hcl[] = "-hcl";
    char *text = malloc(size + 1);
    struct agent_config config;
    char error[AGENT_CONFIG_ERROR_MAX];

    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, bytes, size);
    }
    text[size] = '\0'; /* a word of the command line ends at its first NUL */
    char *words[] = {dev, hcl, text};
    if (agent_config_load(3, words, &config, error) == RC_OK) {
        char *dump = agent_config_dump(&config);
        assert(dump != NULL && config.domain != NULL && config.ports.serf_lan > 0);
        free(dump);
        agent_config_fini(&config);
    } else {
        assert(error[0] != '\0' && strchr(error, '\n') == NULL);
    }
    free(text);
    return 0;
}
