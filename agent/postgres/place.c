#include "agent/postgres/place.h"

#include <ctype.h>
#include <stdbool.h>

void place_slot_name(const char *node, char out[PLACE_SLOT_MAX])
{
    static const char prefix[] = "rc_";
    size_t size = 0;

    for (; prefix[size] != '\0'; size++) {
        out[size] = prefix[size];
    }
    for (; *node != '\0' && size < PLACE_SLOT_MAX - 1; node++) {
        int c = tolower((unsigned char)*node);
        bool may_stand = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        out[size++] = (char)(may_stand ? c : '_');
    }
    out[size] = '\0';
}
