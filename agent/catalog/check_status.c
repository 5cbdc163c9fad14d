#include "agent/catalog/check_status.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

static const char *const status_names[CHECK_STATUS_COUNT] = {
    [CHECK_PASSING] = "passing",
    [CHECK_WARNING] = "warning",
    [CHECK_CRITICAL] = "critical",
};

const char *check_status_name(enum check_status status)
{
    assert(status < CHECK_STATUS_COUNT);
    return status_names[status];
}

int check_status_parse(const char *text, enum check_status *out)
{
    for (int i = 0; i < CHECK_STATUS_COUNT; i++) {
        if (strcmp(text, status_names[i]) == 0) {
            *out = (enum check_status)i;
            return RC_OK;
        }
    }
    return RC_EINVAL;
}
