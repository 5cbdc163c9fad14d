/* Any text as a configuration: it is refused with a message, or what is printed of it reads
 * back to the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    char error[CONFIG_ERROR_MAX];
    struct rc_buffer first = {0};
    struct rc_buffer second = {0};

    int err = config_parse("fuzz", (const char *)data, size, &config, error);
    if (err != RC_OK) {
        assert(error[0] != '\0' && strlen(error) < CONFIG_ERROR_MAX);
        return 0;
    }
    config_print(config, &first);
    config_destroy(config);
    err = config_parse("printed", rc_buffer_string(&first), first.size, &config, error);
    if (err != RC_OK) {
        abort();
    }
    config_print(config, &second);
    assert(first.size == second.size &&
           memcmp(first.bytes, second.bytes, first.size) == 0);
    config_destroy(config);
    rc_buffer_fini(&first);
    rc_buffer_fini(&second);
    return 0;
}
