/* Any bytes as what a Redis server answers; whole and byte by byte, with one outcome, and the
 * password in no text. The first byte chooses what is wanted. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/checks/redis_talk.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char password[] = "\x01p@ss\x02";
    struct redis_talk whole;
    struct redis_talk pieces;

    if (size == 0) {
        return 0;
    }
    enum redis_role wanted = (enum redis_role)(data[0] % 3);
    const char *secret = (data[0] & 4) != 0 ? password : NULL;
    redis_talk_begin(&whole, wanted, NULL, secret);
    redis_talk_begin(&pieces, wanted, NULL, secret);
    int want = redis_talk_feed(&whole, data + 1, size - 1);
    int got = RC_EAGAIN;
    for (size_t i = 1; i < size && got == RC_EAGAIN; i++) {
        got = redis_talk_feed(&pieces, data + i, 1);
    }
    if (size - 1 <= REDIS_REPLY_MAX) { /* more is refused whole, maybe not in pieces */
        assert(got == want);
        assert(whole.step == pieces.step);
        assert(strcmp(rc_buffer_string(&whole.text), rc_buffer_string(&pieces.text)) ==
               0);
    }
    assert(want != RC_OK || whole.step == REDIS_DONE);
    assert(whole.text.size < 2048);
    redis_talk_fini(&whole);
    redis_talk_fini(&pieces);
    return 0;
}
