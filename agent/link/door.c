#include "agent/link/door.h"

#include <assert.h>

bool door_enter(struct door *door, const struct rc_address *address)
{
    size_t same = 0;

    for (size_t i = 0; i < door->count; i++) {
        same += rc_address_ip_equals(&door->waiting[i], address) ? 1 : 0;
    }
    if (door->count == DOOR_WAITING_MAX || same == DOOR_PER_ADDRESS_MAX) {
        return false;
    }
    door->waiting[door->count++] = *address;
    return true;
}

void door_leave(struct door *door, const struct rc_address *address)
{
    size_t i = 0;

    while (i < door->count && !rc_address_ip_equals(&door->waiting[i], address)) {
        i++;
    }
    assert(i < door->count); /* who leaves has entered */
    door->waiting[i] = door->waiting[--door->count];
}
