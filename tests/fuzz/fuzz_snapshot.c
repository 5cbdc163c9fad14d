/* Any bytes as gossip.snapshot: they are read, added to, written and read again; what the
 * first reading knew the second knows too. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/snapshot.h"
#include "base/err.h"
#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct snapshot *reopen(const char *folder)
{
    struct snapshot *s = NULL;

    int err = snapshot_open(folder, SNAPSHOT_FORGET_AFTER_LEAVE, 1, &s);
    assert(err == RC_OK);
    (void)err;
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct rc_address address = {RC_ADDRESS_IPV4, {10, 0, 0, 1}, 7946};
    char folder[] = "/tmp/rollcall-fuzz-snapshot-XXXXXX";
    char path[sizeof folder + 32];
    uint64_t clocks[GOSSIP_CLOCK_COUNT];

    if (mkdtemp(folder) == NULL) {
        return 0;
    }
    (void)snprintf(path, sizeof path, "%s/gossip.snapshot", folder);
    if (rc_file_append(path, bytes, size) == RC_OK) {
        struct snapshot *s = reopen(folder);
        snapshot_last_clocks(s, clocks);
        for (size_t i = 0; i < GOSSIP_CLOCK_COUNT; i++) {
            clocks[i]++;
        }
        snapshot_clocks(s, clocks);
        snapshot_member(s, "one more", &address);
        size_t count = snapshot_count(s);
        int err = snapshot_write(s);
        assert(err == RC_OK);
        (void)err;
        snapshot_close(s);
        s = reopen(folder);
        assert(snapshot_count(s) == count && count > 0);
        snapshot_close(s);
    }
    (void)unlink(path);
    (void)rmdir(folder);
    return 0;
}
