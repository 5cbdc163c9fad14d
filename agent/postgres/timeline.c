#include "agent/postgres/timeline.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { FIELD_MAX = 32 };

/* The next word of a line; false: there is none, or it is too long. */
static bool take_word(const char **at, char out[FIELD_MAX])
{
    const char *from = *at + strspn(*at, " \t");
    size_t size = strcspn(from, " \t\r\n");

    if (size == 0 || size >= FIELD_MAX) {
        return false;
    }
    memcpy(out, from, size);
    out[size] = '\0';
    *at = from + size;
    return true;
}

static int take_fork(const char *line, struct keeper_fork *out)
{
    char tli[FIELD_MAX];
    char lsn[FIELD_MAX];
    uint64_t number = 0;

    if (!take_word(&line, tli) || !take_word(&line, lsn) ||
        rc_text_to_u64(tli, UINT32_MAX, &number) != RC_OK) {
        return RC_EMALFORMED;
    }
    out->tli = (uint32_t)number;
    return keeper_lsn_read(lsn, &out->end_lsn);
}

int timeline_read(const char *text, struct keeper_fork *out, size_t *count)
{
    int err = RC_OK;

    *count = 0;
    for (const char *line = text; line != NULL && err == RC_OK;) {
        const char *at = line + strspn(line, " \t\r");
        if (isdigit((unsigned char)*at)) {
            err = *count < KEEPER_FORKS_MAX ? take_fork(at, &out[*count]) : RC_ETOOBIG;
            *count += err == RC_OK;
        } else if (*at != '\0' && *at != '\n' && *at != '#') {
            err = RC_EMALFORMED;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return err;
}

void timeline_file_name(uint32_t tli, uint64_t lsn, uint64_t segment_size, char out[25])
{
    uint64_t number = lsn / segment_size;
    uint64_t per_id = (UINT64_C(1) << 32) / segment_size;

    (void)snprintf(out, 25, "%08X%08X%08X", tli, (unsigned)(number / per_id),
                   (unsigned)(number % per_id));
}
