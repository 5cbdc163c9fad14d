/* What peers say to each other on a stream until both know the same.
 *
 * Every message is [kind, ...]. BUCKETS [0, 256 hashes of 8 bytes] is answered by DIGESTS
 * [1, 256 bits: which buckets, or nil: all; digests], those by ANSWER [2, more, digests of
 * what is wanted: owner, epoch, since; records]; an ANSWER that wants something by another
 * ANSWER. Small pools begin with DIGESTS. Every question is answered, if with nothing; who
 * opened the stream closes it. `more` says that the byte cap left something for another
 * round; owners are taken from a random one on, the operations of each oldest first. */
#include <assert.h>
#include <string.h>

#include "agent/catalog/spread.h"
#include "base/err.h"

enum kind { BUCKETS, DIGESTS, ANSWER };

enum { BITMAP_SIZE = STATE_BUCKETS / 8 };

#define NOTHING_LACKS UINT64_MAX

struct bitmap {
    uint8_t bits[BITMAP_SIZE];
};

static bool has_bucket(const struct bitmap *map, const char *owner)
{
    unsigned bucket = record_bucket(owner);

    return (map->bits[bucket / 8] >> (bucket % 8) & 1) != 0;
}

static void start(struct catalog *c, size_t fields, enum kind kind)
{
    rc_buffer_clear(&c->out);
    rc_buffer_byte(&c->out, RECORD_FORMAT);
    rc_pack_write_array(&c->out, fields);
    rc_pack_write_number(&c->out, kind);
}

/* ---- writing */

static void hash_buckets(const struct catalog *c, uint64_t out[STATE_BUCKETS])
{
    size_t position = 0;
    const struct node_entry *entry = NULL;

    memset(out, 0, STATE_BUCKETS * sizeof *out);
    while ((entry = rc_table_next(c->by_name, &position, NULL)) != NULL) {
        if (entry->view.epoch != 0) {
            out[record_bucket(entry->name)] += entry->print;
        }
    }
}

static void write_buckets(struct catalog *c)
{
    uint64_t hashes[STATE_BUCKETS];
    uint8_t bytes[8 * STATE_BUCKETS];

    hash_buckets(c, hashes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(hashes[i / 8] >> (8 * (7 - i % 8)));
    }
    start(c, 2, BUCKETS);
    rc_pack_write_bytes(&c->out, (struct rc_pack_bytes){bytes, sizeof bytes});
}

static void note(struct catalog *c, const struct node_entry *entry, uint64_t version)
{
    const struct digest digest = {entry->key, entry->view.epoch, version};

    digest_write(&c->packed, &digest);
}

static void write_packed(struct catalog *c)
{
    rc_pack_write_bytes(&c->out, (struct rc_pack_bytes){c->packed.bytes, c->packed.size});
    if (c->packed.err != RC_OK) {
        c->out.err = c->packed.err;
    }
}

/* `map` NULL: all buckets. */
static void write_digests(struct catalog *c, const struct bitmap *map)
{
    size_t position = 0;
    const struct node_entry *entry = NULL;

    start(c, 3, DIGESTS);
    if (map == NULL) {
        rc_pack_write_nil(&c->out);
    } else {
        rc_pack_write_bytes(&c->out, (struct rc_pack_bytes){map->bits, sizeof map->bits});
    }
    rc_buffer_clear(&c->packed);
    while ((entry = rc_table_next(c->by_name, &position, NULL)) != NULL) {
        if (entry->view.epoch != 0 && (map == NULL || has_bucket(map, entry->name))) {
            note(c, entry, entry->view.version);
        }
    }
    write_packed(c);
}

void sync_write_first(struct catalog *c)
{
    if (c->sum_owners > SPREAD_DIGEST_OWNERS) {
        write_buckets(c);
    } else {
        write_digests(c, NULL);
    }
}

/* Asks for what c->packed names, and tells nothing. */
static void write_wish(struct catalog *c)
{
    start(c, 4, ANSWER);
    rc_pack_write_number(&c->out, 0);
    write_packed(c);
    rc_pack_write_array(&c->out, 0);
}

bool sync_write_outputs(struct catalog *c, const char *member)
{
    const struct node_entry *entry = listing_find(c, member);

    if (entry == NULL || entry->cut_below == 0) {
        return false;
    }
    rc_buffer_clear(&c->packed);
    note(c, entry, entry->cut_below - 1);
    write_wish(c);
    return true;
}

bool sync_write_gaps(struct catalog *c)
{
    size_t position = 0;
    const struct node_entry *entry = NULL;

    rc_buffer_clear(&c->packed);
    while ((entry = rc_table_next(c->by_name, &position, NULL)) != NULL) {
        if (sync_is_behind(entry)) {
            const struct digest wish = {
                entry->key, entry->want_epoch,
                entry->want_epoch == entry->view.epoch ? entry->view.version : 0};
            digest_write(&c->packed, &wish);
        }
    }
    if (c->packed.size == 0) {
        return false;
    }
    write_wish(c);
    return true;
}

/* An answer under way: what we want is in c->packed, then come records. */
struct reply {
    struct catalog *c;
    size_t records_place;
    size_t records;
    bool more;
};

static void want(struct reply *reply, const struct digest *theirs, uint64_t since)
{
    const struct digest wish = {theirs->key, theirs->epoch, since};

    digest_write(&reply->c->packed, &wish);
}

static void open_records(struct reply *reply)
{
    struct catalog *c = reply->c;

    start(c, 4, ANSWER);
    rc_pack_write_number(&c->out, 0); /* `more`, one byte: set when closing */
    write_packed(c);
    reply->records_place = rc_pack_write_open(&c->out);
}

/* What a peer lacks of a record, up to the byte cap: a prefix, or all of a whole record. */
static int put_record(struct reply *reply, struct node_entry *entry, uint64_t since)
{
    struct catalog *c = reply->c;
    size_t used = c->out.size - reply->records_place;
    uint64_t reached = 0;

    if (used + SPREAD_PACKET > SPREAD_SYNC_BYTES) {
        reply->more = true;
        return RC_OK;
    }
    if (!scrub_may_tell(c, entry)) {
        return RC_OK;
    }
    int err = record_write(c, entry, since, SPREAD_SYNC_BYTES - used, &reached);
    if (err == RC_ETOOBIG && reply->records == 0) {
        err = record_write(c, entry, since, 0, &reached); /* larger than the cap */
    }
    if (err == RC_ETOOBIG) {
        reply->more = true;
        return RC_OK;
    }
    if (err == RC_OK) {
        reply->records++;
        reply->more |= reached < entry->view.version;
    }
    return err;
}

static int close_reply(struct reply *reply)
{
    struct rc_buffer *out = &reply->c->out;

    rc_pack_write_close(out, reply->records_place, reply->records);
    if (reply->more && out->err == RC_OK) {
        assert(out->bytes[3] == 0); /* format, array, kind, more */
        out->bytes[3] = 1;
    }
    return out->err;
}

/* ---- reading */

static int read_buckets(struct catalog *c, struct rc_cursor *in,
                        struct rc_pack_items *fields, struct sync_next *next)
{
    uint64_t ours[STATE_BUCKETS];
    struct bitmap map = {{0}};
    struct rc_span theirs = rc_pack_next_text(in, fields);
    bool differ = false;

    if (in->err != RC_OK || theirs.size != sizeof ours) {
        return in->err != RC_OK ? in->err : RC_EMALFORMED;
    }
    hash_buckets(c, ours);
    struct rc_cursor hashes = rc_cursor_over(theirs.at, theirs.size);
    for (unsigned i = 0; i < STATE_BUCKETS; i++) {
        if (rc_cursor_u64(&hashes) != ours[i]) {
            map.bits[i / 8] |= (uint8_t)(1U << (i % 8));
            differ = true;
        }
    }
    next->asks = differ;
    if (differ) {
        write_digests(c, &map);
    } else {
        rc_buffer_clear(&c->packed);
        write_wish(c); /* for nothing: we know the same */
    }
    return c->out.err;
}

/* From where on a peer at that place in time lacks changes of the record. */
static uint64_t lacks_since(const struct node_entry *entry, uint64_t epoch,
                            uint64_t version)
{
    if (epoch != entry->view.epoch) {
        return epoch > entry->view.epoch ? NOTHING_LACKS : 0;
    }
    return version >= entry->view.version ? NOTHING_LACKS : version;
}

/* One digest of the peer: what it knows better is wanted, what we know better is marked
 * to be sent, what is equal is marked as done. */
static void compare(struct reply *reply, const struct digest *theirs)
{
    struct catalog *c = reply->c;
    struct node_entry *entry =
        rc_table_get_bytes(c->by_key, theirs->key.bytes, DIGEST_KEY_SIZE);
    const struct buried *buried =
        rc_table_get_bytes(c->buried, theirs->key.bytes, DIGEST_KEY_SIZE);

    if (buried != NULL && theirs->epoch <= buried->epoch) {
        return;
    }
    if (entry == NULL || theirs->epoch > entry->view.epoch) {
        want(reply, theirs, 0);
    } else if (theirs->epoch == entry->view.epoch &&
               theirs->version > entry->view.version) {
        want(reply, theirs, entry->view.version);
    }
    if (entry != NULL) {
        entry->mark = c->seen_mark;
        entry->sync_since = lacks_since(entry, theirs->epoch, theirs->version);
    }
}

static int send_newer(struct reply *reply, const struct bitmap *map)
{
    struct catalog *c = reply->c;
    size_t count = rc_table_count(c->by_name);
    uint64_t first = rc_random_below(&c->random, count); /* we are in it: count > 0 */

    for (unsigned half = 0; half < 2; half++) { /* from `first` on, then up to it */
        size_t position = 0;
        struct node_entry *entry = NULL;
        for (uint64_t i = 0; (entry = rc_table_next(c->by_name, &position, NULL)) != NULL;
             i++) {
            uint64_t since = entry->mark == c->seen_mark ? entry->sync_since : 0;
            bool asked = map == NULL || has_bucket(map, entry->name);
            if ((i < first) == (half == 0) || entry->view.epoch == 0 || !asked ||
                since == NOTHING_LACKS) {
                continue;
            }
            int err = put_record(reply, entry, since);
            if (err != RC_OK) {
                return err;
            }
        }
    }
    return RC_OK;
}

static int read_digests(struct catalog *c, struct rc_cursor *in,
                        struct rc_pack_items *fields, struct sync_next *next)
{
    struct reply reply = {.c = c};
    struct bitmap map = {{0}};
    struct digest theirs;
    struct rc_span bits = rc_pack_next_text(in, fields);
    struct rc_span list = rc_pack_next_text(in, fields);
    struct rc_cursor digests = rc_cursor_over(list.at, list.size);

    /* Before the cursor's error is looked at: a broken list does not make the bits fit. */
    if (bits.size != 0 && bits.size != sizeof map.bits) {
        return RC_EMALFORMED;
    }
    memcpy(map.bits, bits.at, bits.size);
    c->seen_mark++;
    rc_buffer_clear(&c->packed);
    while (digest_read(&digests, &theirs)) {
        compare(&reply, &theirs);
    }
    if (in->err != RC_OK || digests.err != RC_OK) {
        return in->err != RC_OK ? in->err : digests.err;
    }
    next->asks = c->packed.size > 0;
    open_records(&reply);
    int err = send_newer(&reply, bits.size == 0 ? NULL : &map);
    if (err == RC_OK) {
        err = close_reply(&reply);
    }
    next->more = reply.more;
    return err;
}

/* A record that came by sync is a rumour again only if a rumour had told of it. */
static void learn(struct catalog *c, uint64_t now_ms, const struct delta *delta,
                  const struct applied *applied)
{
    struct node_entry *entry = listing_find(c, delta->owner);

    if (entry == c->self) {
        rumour_announce(c, now_ms);
        return;
    }
    if (entry == NULL || entry->want_epoch == 0) {
        return;
    }
    if (delta->epoch > entry->want_epoch ||
        (delta->epoch == entry->want_epoch && delta->version >= entry->want_version)) {
        entry->want_epoch = 0;
        entry->want_version = 0;
        rumour_queue(c, now_ms, entry, applied->from, RUMOUR_URGENT);
    }
}

static int read_records(struct catalog *c, uint64_t now_ms, struct rc_cursor *in,
                        struct rc_pack_items *records)
{
    int err = RC_OK;

    step_begin(c);
    while (records->left > 0 && err == RC_OK) {
        struct delta delta;
        struct applied applied;
        err = record_read(in, records, &delta);
        if (err != RC_OK) {
            break;
        }
        err = record_apply(c, now_ms, &delta, &applied);
        if (applied.news) {
            learn(c, now_ms, &delta, &applied);
        }
        if (err == RC_EDENIED || err == RC_ETOOBIG) {
            err = RC_OK; /* the others may still be of use */
        }
    }
    step_end(c);
    sync_want_outputs(c, now_ms);
    return err;
}

static int read_wanted(struct catalog *c, struct reply *reply, struct rc_cursor *wanted)
{
    struct digest wish;
    int err = RC_OK;

    rc_buffer_clear(&c->packed);
    open_records(reply);
    while (err == RC_OK && digest_read(wanted, &wish)) {
        struct node_entry *entry =
            rc_table_get_bytes(c->by_key, wish.key.bytes, DIGEST_KEY_SIZE);
        if (entry == NULL || entry->view.epoch == 0) {
            continue;
        }
        uint64_t since = wish.epoch == entry->view.epoch ? wish.version : 0;
        if (since == 0 || since < entry->view.version) { /* else they know more than we */
            err = put_record(reply, entry, since);
        }
    }
    if (err == RC_OK) {
        err = wanted->err;
    }
    return err != RC_OK ? err : close_reply(reply);
}

static int read_answer(struct catalog *c, uint64_t now_ms, struct rc_cursor *in,
                       struct rc_pack_items *fields, struct sync_next *next)
{
    struct reply reply = {.c = c};
    bool more = rc_pack_next_number(in, fields) != 0;
    struct rc_span wishes = rc_pack_next_text(in, fields);
    struct rc_pack_items records = rc_pack_next_array(in, fields);
    struct rc_cursor wanted = rc_cursor_over(wishes.at, wishes.size);
    int err = in->err != RC_OK ? in->err : read_records(c, now_ms, in, &records);

    next->replies = wishes.size > 0;
    if (err == RC_OK && next->replies) {
        err = read_wanted(c, &reply, &wanted);
    }
    next->more = more || reply.more;
    return err;
}

int sync_read(struct catalog *c, uint64_t now_ms, const void *bytes, size_t size,
              struct sync_next *next)
{
    struct rc_cursor in = rc_cursor_over(bytes, size);
    uint8_t format = rc_cursor_u8(&in);

    if (in.err == RC_OK && format != RECORD_FORMAT) {
        return RC_EUNSUPPORTED;
    }
    struct rc_pack_items fields = rc_pack_open(&in);
    uint64_t kind = rc_pack_next_number(&in, &fields);
    if (in.err != RC_OK) {
        return in.err;
    }
    *next = (struct sync_next){.replies = true};
    switch (kind) {
    case BUCKETS:
        return read_buckets(c, &in, &fields, next);
    case DIGESTS:
        return read_digests(c, &in, &fields, next);
    case ANSWER:
        return read_answer(c, now_ms, &in, &fields, next);
    default:
        return RC_EUNSUPPORTED;
    }
}
