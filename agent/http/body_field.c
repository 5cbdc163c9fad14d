#include "agent/http/body_field.h"

#include "base/text.h"

json_t *body_field(json_t *object, const char *name)
{
    json_t *found = NULL;
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        if (rc_text_equals_nocase(key, name)) {
            found = value;
        }
    }
    return json_is_null(found) ? NULL : found;
}

bool body_field_text(json_t *object, const char *name, const char **out)
{
    const json_t *value = body_field(object, name);

    if (value == NULL) {
        return true;
    }
    if (!json_is_string(value)) {
        return false;
    }
    *out = json_string_value(value);
    return true;
}

bool body_field_u64(json_t *object, const char *name, uint64_t *out)
{
    const json_t *value = body_field(object, name);

    if (value == NULL) {
        return true;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *out = (uint64_t)json_integer_value(value);
    return true;
}
