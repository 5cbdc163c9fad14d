/* Any bytes as a client's first packet, as a server's messages at the start of a session, and
 * as a probe's answers; whole and cut at a place that the first byte names. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/discover/pgprobe.h"
#include "proxy/postgres/pghello.h"
#include "proxy/wire/pgwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_first(const uint8_t *data, size_t size)
{
    struct pgwire_first first;
    pgwire_read_first(data, size, &first);
    assert(first.size <= size);
    if (first.kind == PGWIRE_STARTUP) {
        assert(memchr(data, '\0', size) != NULL && strlen(first.user) < size);
    }
    if (first.kind == PGWIRE_CANCEL) {
        assert(first.key_size <= PGWIRE_KEY_MAX &&
               first.key + first.key_size <= data + size);
    }
}

static void hear(struct pghello *hello, const uint8_t *data, size_t size)
{
    if (hello->state == PGHELLO_TALKING) {
        pghello_receive(hello, data, size);
    }
}

/* However the bytes are cut, the end is the same and nothing is lost or made up. */
static void as_hello(const uint8_t *data, size_t size, size_t cut, enum pghello_want want)
{
    struct pghello whole;
    struct pghello parts;
    pghello_init(&whole, want);
    pghello_init(&parts, want);
    hear(&whole, data, size);
    hear(&parts, data, cut);
    hear(&parts, data + cut, size - cut);
    assert(whole.state == parts.state);
    assert(whole.pass.size <= size);
    assert(whole.pass.size == 0 || memcmp(whole.pass.bytes, data, whole.pass.size) == 0);
    if (whole.state == PGHELLO_STANDBY) {
        assert(want == PGHELLO_WANTS_PRIMARY);
    }
    pghello_fini(&whole);
    pghello_fini(&parts);
}

static void as_probe(const uint8_t *data, size_t size)
{
    struct pgprobe probe;
    pgprobe_init(&probe, "u", "d", "p", "n");
    pgprobe_receive(&probe, data, size);
    assert(probe.state != PGPROBE_FAILED || probe.problem != NULL);
    pgprobe_fini(&probe);
}

static void as_stream(const uint8_t *data, size_t size, size_t cut)
{
    struct pgwire_hopper whole = {0};
    struct pgwire_hopper parts = {0};
    pgwire_hop(&whole, data, size);
    pgwire_hop(&parts, data, cut);
    pgwire_hop(&parts, data + cut, size - cut);
    assert(pgwire_at_boundary(&whole) == pgwire_at_boundary(&parts));
}

/* A hidden notice is found at the same place however the bytes are cut, and nothing passes twice. */
static void as_watched(const uint8_t *data, size_t size, size_t cut)
{
    struct pgwire_hopper whole = {0};
    struct pgwire_hopper parts = {0};
    size_t at = 0;
    size_t later = 0;
    enum pgwire_watch want = pgwire_hop_watching(&whole, data, size, &at);
    enum pgwire_watch got = pgwire_hop_watching(&parts, data, cut, &later);
    size_t from = got == PGWIRE_WATCH_PASS ? cut : later;
    assert(from <= cut);
    if (got != PGWIRE_WATCH_FOUND) {
        got = pgwire_hop_watching(&parts, data + from, size - from, &later);
        later += from;
    }
    assert(got == want);
    assert(want == PGWIRE_WATCH_PASS || later == at);
    assert(pgwire_at_boundary(&whole) == pgwire_at_boundary(&parts));
}

static void as_route(const uint8_t *data, size_t size)
{
    struct rc_buffer packet = {0};
    struct pgwire_first first;
    rc_buffer_append(&packet, data, size);
    pgwire_read_first(packet.bytes, packet.size, &first);
    if (first.kind == PGWIRE_STARTUP) {
        size_t before = packet.size;
        enum pgwire_route route = pgwire_route_of(&first);
        assert(pgwire_strip_route(&packet, &first) == RC_OK);
        assert(packet.size <= before);
        assert(packet.size == before || route == PGWIRE_ROUTE_READ);
        pgwire_read_first(packet.bytes, packet.size, &first);
        assert(first.kind == PGWIRE_STARTUP);
    }
    rc_buffer_fini(&packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t cut = size > 1 ? data[0] % (size - 1) : 0;
    data++;
    size--;
    as_first(data, size);
    as_hello(data, size, cut, PGHELLO_WANTS_PRIMARY);
    as_hello(data, size, cut, PGHELLO_WANTS_ANY);
    as_probe(data, size);
    as_stream(data, size, cut);
    as_watched(data, size, cut);
    as_route(data, size);
    return 0;
}
