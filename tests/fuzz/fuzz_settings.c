/* fuzz_settings.c - any configuration text: read or refused with a place, never worse. Trees that
 * are read are also asked for places, printed, and read again as JSON. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void ask_for_places(const struct rc_settings *settings)
{
    json_t *root = rc_settings_root(settings);
    const char *key = NULL;
    json_t *value = NULL;
    char place[64];

    json_object_foreach(root, key, value)
    {
        rc_settings_where(settings, root, key, place, sizeof place);
        assert(strncmp(place, "f:", 2) == 0);
    }
}

/* What jansson prints of our tree is JSON, so we read it too, and to the same tree. */
static void read_again(const struct rc_settings *settings)
{
    struct rc_settings *again = NULL;
    char error[RC_SETTINGS_ERROR_MAX];
    char *dump = json_dumps(rc_settings_root(settings), JSON_REAL_PRECISION(17));

    if (dump == NULL) {
        return;
    }
    int err = rc_settings_parse("f", dump, strlen(dump), &again, error);
    assert(err == RC_OK);
    assert(json_equal(rc_settings_root(settings), rc_settings_root(again)));
    rc_settings_destroy(again);
    free(dump);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct rc_settings *settings = NULL;
    char error[RC_SETTINGS_ERROR_MAX];

    if (rc_settings_parse("f", (const char *)bytes, size, &settings, error) != RC_OK) {
        assert(strncmp(error, "f:", 2) == 0);
        return 0;
    }
    ask_for_places(settings);
    read_again(settings);
    rc_settings_destroy(settings);
    return 0;
}
