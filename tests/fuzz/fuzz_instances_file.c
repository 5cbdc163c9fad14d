/* Any bytes as a file of instances. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/discover/instances_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[INSTANCES_FILE_ERROR_MAX];
    struct lineup_entry *entries = NULL;
    size_t count = 0;
    int err = instances_file_parse((const char *)data, size, &entries, &count, error);
    assert((err == RC_OK) == (error[0] == '\0'));
    if (err == RC_OK) {
        assert(count > 0 && count <= INSTANCES_FILE_ENTRIES_MAX);
        for (size_t i = 0; i < count; i++) {
            assert(entries[i].address.port != 0 && entries[i].weight <= UINT16_MAX);
            assert(memchr(entries[i].id, '\0', sizeof entries[i].id) != NULL);
        }
        free(entries);
    }
    return 0;
}
