#include "agent/unique_tag.h"

#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "base/text.h"

static int read_pair(const json_t *pair, char out[UNIQUE_HOLDER_MAX])
{
    const char *session = json_string_value(json_object_get(pair, "Session"));
    const char *value = json_string_value(json_object_get(pair, "Value"));
    size_t size = 0;

    if (json_is_null(pair) || session == NULL || session[0] == '\0' || value == NULL) {
        return json_is_null(pair) || json_is_object(pair) ? RC_OK : RC_EMALFORMED;
    }
    int err = rc_text_from_base64(value, (uint8_t *)out, UNIQUE_HOLDER_MAX - 1, &size);
    if (err != RC_OK || memchr(out, '\0', size) != NULL) {
        out[0] = '\0';
        return RC_EMALFORMED;
    }
    out[size] = '\0';
    return RC_OK;
}

int unique_tag_holder(const char *json, size_t size, char out[UNIQUE_HOLDER_MAX])
{
    json_error_t why;
    json_t *pair = json_loadb(json, size, JSON_DECODE_ANY, &why);

    out[0] = '\0';
    int err = pair != NULL ? read_pair(pair, out) : RC_EMALFORMED;
    json_decref(pair);
    return err;
}
