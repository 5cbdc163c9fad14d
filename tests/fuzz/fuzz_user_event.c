/* Any bytes as the payload of a user event that has come: filters are taken off and asked, and
 * what is left is the same again when it is sent on. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/event/user_event.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool one_service(void *context, size_t *position, struct user_event_service *out)
{
    static const char *const tags[] = {"v1"};

    (void)context;
    *out = (struct user_event_service){"web", tags, 1};
    return (*position)++ == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct user_event_node node = {"node1", one_service, NULL};
    struct user_event_space space;
    struct user_event event;
    struct rc_buffer packed = {0};
    char fault[USER_EVENT_FAULT_MAX];

    user_event_read("e", 1, bytes, size, &space, &event);
    assert(event.size <= size);
    (void)user_event_is_for(&event, &node);
    (void)user_event_check(&event, fault);
    if (user_event_pack(&event, &packed) == RC_OK) {
        assert(packed.size == size);
        assert(size == 0 || memcmp(packed.bytes, bytes, size) == 0);
    }
    rc_buffer_fini(&packed);
    return 0;
}
