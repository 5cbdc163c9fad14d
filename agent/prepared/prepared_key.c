#include "agent/prepared/prepared_key.h"

#include <stdio.h>

void prepared_name_key(const json_t *query, char out[PREPARED_KEY_MAX])
{
    const char *name = prepared_name(query);
    bool is_template = prepared_is_template(query);

    out[0] = '\0';
    if (name[0] != '\0' || is_template) {
        (void)snprintf(out, PREPARED_KEY_MAX, "%s:%s", is_template ? "template" : "name",
                       name);
    }
}
