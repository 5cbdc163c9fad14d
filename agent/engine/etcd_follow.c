/* etcd_follow.c - reading all, then watching. */
#include "agent/engine/etcd_follow.h"

#include <assert.h>
#include <string.h>

#include "agent/engine/etcd_hidden.h"
#include "agent/engine/etcd_message.h"
#include "agent/engine/grpc.h"
#include "base/err.h"
#include "base/text.h"

enum {
    PAGE_KEYS_FIRST = 200,
    PAGE_KEYS_MAX = 5000,
    PAGE_BYTES_AIM = 1 << 20,
    RETRY_FIRST_MS = 50,
    RETRY_MAX_MS = 1000,
    MARK_AFTER_MS = 20,      /* what is on its way needs no mark */
    MARK_AFTER_LEAST_MS = 2, /* when others write here all the time */
    MARK_AGAIN_MS = 200,
    SILENT_MS = 5000,
    DEAD_AFTER_MS = 1500, /* the event of a mark is late by so much: the watch is dead */
    LEFT_AFTER_MS = 250   /* the same, at a member that requests no longer go to */
};

static uint64_t now_of(const struct etcd_follow *follow)
{
    const struct etcd_edge *edge = follow->asker->edge;

    return edge->now_ms(edge->context);
}

static void wake_soon(const struct etcd_follow *follow, uint64_t after_ms)
{
    const struct etcd_edge *edge = follow->asker->edge;

    edge->wake(edge->context, after_ms);
}

void etcd_follow_init(struct etcd_follow *follow, struct etcd_asker *asker,
                      struct rc_pack_bytes prefix)
{
    memset(follow, 0, sizeof *follow);
    follow->asker = asker;
    follow->prefix = prefix;
    follow->page_keys = PAGE_KEYS_FIRST;
    follow->mark_after_ms = MARK_AFTER_MS;
}

static void end_watch(struct etcd_follow *follow)
{
    const struct etcd_edge *edge = follow->asker->edge;

    if (follow->call != NULL) {
        edge->cancel(edge->context, follow->call);
        follow->call = NULL;
    }
    follow->open = 0;
    etcd_events_clear(&follow->events);
    follow->has_broken = false;
}

void etcd_follow_fini(struct etcd_follow *follow)
{
    end_watch(follow);
    rc_buffer_fini(&follow->from);
    etcd_events_fini(&follow->events);
}

static void retry(struct etcd_follow *follow, enum etcd_follow_state what)
{
    uint64_t wait_ms = (uint64_t)RETRY_FIRST_MS
                       << (follow->failures < 5 ? follow->failures : 5);

    follow->failures++;
    follow->state = what;
    wait_ms = wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS;
    follow->due_ms = now_of(follow) + wait_ms;
    wake_soon(follow, wait_ms);
}

/* ---- what is told ----------------------------------------------------------------- */

/* What a key is called without the prefix; false when it is not to be shown. */
static bool is_shown(struct etcd_follow *follow, struct rc_pack_bytes *key,
                     enum etcd_hidden_change change)
{
    size_t size = follow->prefix.size;

    if (key->size <= size || memcmp(key->at, follow->prefix.at, size) != 0) {
        return false;
    }
    key->at += size;
    key->size -= size;
    if (!etcd_is_hidden(*key)) {
        return true;
    }
    if (rc_pack_equals(*key, rc_pack_text(ETCD_COMPACTOR))) {
        follow->has_compactor = change == ETCD_HIDDEN_PUT;
    }
    return false;
}

static void tell_end(struct etcd_follow *follow, uint64_t revision)
{
    follow->open = 0;
    follow->reached = revision;
    if (revision >= follow->owed && follow->owed_ms != 0) {
        bool was_marked = follow->marked >= follow->owed;
        uint64_t after_ms = was_marked ? MARK_AFTER_LEAST_MS : follow->mark_after_ms * 2;
        follow->mark_after_ms = after_ms < MARK_AFTER_MS ? after_ms : MARK_AFTER_MS;
        follow->owed_ms = 0;
    }
    follow->follower.end(follow->follower.context, revision);
}

/* ---- reading all ------------------------------------------------------------------ */

static void load_anew(struct etcd_follow *follow)
{
    end_watch(follow);
    follow->load_revision = 0;
    follow->has_compactor = false;
    rc_buffer_clear(&follow->from);
    rc_buffer_append(&follow->from, follow->prefix.at, follow->prefix.size);
    follow->state = ETCD_LOAD_DUE;
    follow->due_ms = 0;
    wake_soon(follow, 0);
}

static void on_page_key(void *context, const struct engine_item *whole)
{
    struct etcd_follow *follow = context;
    struct engine_item item = *whole;

    if (follow->load_revision == 0) {
        follow->load_revision = 1; /* its header may come after its keys */
        follow->follower.begin(follow->follower.context);
    }
    rc_buffer_clear(&follow->from);
    rc_buffer_append(&follow->from, whole->key.at, whole->key.size);
    rc_buffer_byte(&follow->from, 0); /* the next key there can be */
    follow->page_bytes += whole->key.size + whole->value.size;
    if (is_shown(follow, &item.key, ETCD_HIDDEN_PUT)) {
        follow->follower.put(follow->follower.context, &item);
    }
}

/* So many keys that the next page is of a good size, judged by this one. */
static void fit_page(struct etcd_follow *follow)
{
    if (follow->page_bytes > PAGE_BYTES_AIM) {
        follow->page_keys = follow->page_keys / 2 + 1;
    } else if (follow->page_bytes < PAGE_BYTES_AIM / 4) {
        follow->page_keys *= 2;
    }
    if (follow->page_keys > PAGE_KEYS_MAX) {
        follow->page_keys = PAGE_KEYS_MAX;
    }
}

static void on_page(void *context, const struct etcd_outcome *outcome)
{
    struct etcd_follow *follow = context;
    struct etcd_page_answer page;

    if (follow->state != ETCD_LOADING || outcome->err == RC_ECLOSED) {
        return;
    }
    if (outcome->err == RC_ECONFLICT) { /* compacted while it was read */
        load_anew(follow);
        return;
    }
    if (outcome->err != RC_OK) {
        retry(follow, ETCD_LOAD_DUE);
        return;
    }
    bool is_first = follow->load_revision == 0;
    follow->page_bytes = 0;
    int err = etcd_answer_page(outcome->message, on_page_key, follow, &page);
    if (err != RC_OK || follow->from.err != RC_OK || page.revision == 0) {
        load_anew(follow);
        retry(follow, ETCD_LOAD_DUE);
        return;
    }
    if (is_first) {
        if (page.count == 0) {
            follow->follower.begin(follow->follower.context);
        }
        follow->load_revision = page.revision;
    }
    follow->failures = 0;
    fit_page(follow);
    if (page.has_more && page.count > 0) {
        follow->state = ETCD_LOAD_DUE;
        follow->due_ms = 0;
    } else {
        follow->state = ETCD_WATCH_DUE;
        follow->due_ms = 0;
        follow->owed = 0; /* all that was owed is in it, or comes */
        follow->owed_ms = 0;
        tell_end(follow, follow->load_revision);
    }
    wake_soon(follow, 0);
}

static void load_page(struct etcd_follow *follow)
{
    struct rc_buffer body = {0};
    struct rc_pack_bytes from = {follow->from.bytes, follow->from.size};

    etcd_message_page(&body, follow->prefix, from, follow->load_revision,
                      follow->page_keys);
    follow->state = ETCD_LOADING;
    if (etcd_ask(follow->asker, ETCD_READS, ETCD_RANGE, &body, on_page, follow) !=
        RC_OK) {
        retry(follow, ETCD_LOAD_DUE);
    }
}

/* ---- watching --------------------------------------------------------------------- */

/* Says goodbye to a watch from inside its own call: the wake that follows does it. */
static void break_watch(struct etcd_follow *follow)
{
    follow->has_broken = true;
    wake_soon(follow, 0);
}

/* All events of the open revision are there. */
static void tell_open(struct etcd_follow *follow)
{
    if (follow->open != 0) {
        etcd_events_tell(&follow->events, &follow->follower);
        tell_end(follow, follow->open);
    }
}

static void on_event(struct etcd_follow *follow, enum etcd_event_kind kind,
                     const struct engine_item *whole)
{
    struct engine_item item = *whole;

    if (item.mod_revision <= follow->reached || follow->has_broken) {
        return;
    }
    if (item.mod_revision != follow->open) {
        tell_open(follow); /* the first of a later one says that it is complete */
        follow->open = item.mod_revision;
    }
    if (is_shown(follow, &item.key,
                 kind == ETCD_EVENT_PUT ? ETCD_HIDDEN_PUT : ETCD_HIDDEN_REMOVED) &&
        etcd_events_add(&follow->events, kind, &item) != RC_OK) {
        follow->open = 0; /* not told: it comes again with the next watch */
        break_watch(follow);
    }
}

static void on_event_put(void *context, const struct engine_item *whole)
{
    on_event(context, ETCD_EVENT_PUT, whole);
}

static void on_event_removed(void *context, struct rc_pack_bytes key, uint64_t revision)
{
    const struct engine_item item = {.key = key, .mod_revision = revision};

    on_event(context, ETCD_EVENT_REMOVED, &item);
}

/* A watch that is refused may lack a valid token: the next request brings a new one. */
static void log_in_again(const struct etcd_follow *follow)
{
    struct etcd_asker *asker = follow->asker;

    if (asker->login == ETCD_LOGIN_DONE && asker->user != NULL) {
        asker->login = ETCD_LOGIN_WANTED;
    }
}

static void on_message(void *context, struct rc_pack_bytes message)
{
    struct etcd_follow *follow = context;
    const struct etcd_watcher watcher = {follow, on_event_put, on_event_removed};
    struct etcd_watch_answer answer;

    follow->heard_ms = now_of(follow);
    if (follow->has_broken) {
        return;
    }
    int err = etcd_answer_watch(message, &watcher, &answer);
    if (err != RC_OK || (answer.is_canceled && answer.compact_revision == 0)) {
        follow->avoided = UINT32_C(1) << follow->endpoint;
        log_in_again(follow);
        break_watch(follow);
        return;
    }
    if (answer.compact_revision != 0) {
        follow->load_revision = 0;
        follow->reached = 0; /* so that the wake reads all anew */
        break_watch(follow);
        return;
    }
    follow->failures = 0;
    if (!answer.is_fragment) {
        tell_open(follow);
    }
}

static void on_watch_end(void *context, const struct etcd_reply *reply)
{
    struct etcd_follow *follow = context;
    struct etcd_asker *asker = follow->asker;

    follow->call = NULL;
    end_watch(follow);
    if (reply->end != ETCD_REPLIED) {
        etcd_endpoints_report(asker->endpoints, follow->endpoint, ETCD_FAILED,
                              now_of(follow));
    }
    if (reply->end == ETCD_REPLIED && reply->status != GRPC_OK) {
        log_in_again(follow);
    }
    follow->avoided = UINT32_C(1) << follow->endpoint;
    if (follow->reached == 0) {
        load_anew(follow);
    } else {
        retry(follow, ETCD_WATCH_DUE);
    }
}

static void start_watch(struct etcd_follow *follow, uint64_t now_ms)
{
    const struct etcd_asker *asker = follow->asker;
    const struct etcd_edge *edge = asker->edge;
    struct rc_buffer body = {0};
    uint32_t avoided = asker->endpoints->count > 1 ? follow->avoided : 0;

    end_watch(follow);
    follow->endpoint = etcd_endpoints_pick(asker->endpoints, avoided, now_ms);
    follow->avoided = 0;
    etcd_message_watch(&body, follow->prefix, follow->reached + 1);
    const struct etcd_request request = {
        .endpoint = asker->endpoints->items[follow->endpoint].url,
        .method = ETCD_WATCH,
        .body = body.bytes,
        .body_size = body.size,
        .token = asker->token,
        .on_message = on_message,
        .on_reply = on_watch_end,
        .context = follow,
    };
    follow->call = body.err == RC_OK ? edge->send(edge->context, &request) : NULL;
    rc_buffer_fini(&body);
    follow->state = ETCD_WATCHING;
    follow->heard_ms = now_ms;
    follow->marked = 0;
    if (follow->call == NULL) {
        retry(follow, ETCD_WATCH_DUE);
    }
}

/* ---- marks ------------------------------------------------------------------------ */

static uint64_t dead_after_ms(const struct etcd_follow *follow)
{
    return follow->endpoint == follow->asker->endpoints->current ? DEAD_AFTER_MS
                                                                 : LEFT_AFTER_MS;
}

static void on_marked(void *context, const struct etcd_outcome *outcome)
{
    struct etcd_follow *follow = context;
    uint64_t revision = 0;

    if (outcome->err == RC_ECLOSED || outcome->err == RC_EUNKNOWN) {
        follow->is_marking = false;
        return; /* closing, or the cluster is in trouble: tried again when it is due */
    }
    follow->is_marking = false;
    if (outcome->err != RC_OK ||
        etcd_answer_revision(outcome->message, &revision) != RC_OK) {
        return;
    }
    follow->marked = revision;
    follow->marked_ms = now_of(follow);
    if (revision > follow->reached) {
        follow->owed_ms = follow->owed_ms == 0 ? follow->marked_ms : follow->owed_ms;
        follow->owed = revision > follow->owed ? revision : follow->owed;
        wake_soon(follow, dead_after_ms(follow));
    }
}

static void mark(struct etcd_follow *follow, uint64_t now_ms)
{
    struct rc_buffer body = {0};

    etcd_message_put(&body, follow->prefix, ETCD_MARK);
    follow->mark_due_ms = now_ms + MARK_AGAIN_MS;
    follow->is_marking =
        etcd_ask(follow->asker, ETCD_WRITES, ETCD_PUT, &body, on_marked, follow) == RC_OK;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Looks after a watch that stands; returns when to look again. */
static uint64_t attend(struct etcd_follow *follow, uint64_t now_ms)
{
    bool is_marked = follow->marked > follow->reached;

    if (is_marked &&
        now_ms >= later(follow->marked_ms, follow->heard_ms) + dead_after_ms(follow)) {
        follow->avoided = UINT32_C(1) << follow->endpoint;
        start_watch(follow, now_ms);
        return now_ms + SILENT_MS;
    }
    bool is_owed = follow->owed_ms != 0 && follow->owed > follow->reached;
    uint64_t due_ms = follow->heard_ms + SILENT_MS;
    if (is_owed && follow->owed > follow->marked) {
        due_ms = later(follow->owed_ms, follow->heard_ms) + follow->mark_after_ms;
    }
    if (is_marked) {
        uint64_t dead_ms =
            later(follow->marked_ms, follow->heard_ms) + dead_after_ms(follow);
        if (follow->owed <= follow->marked) {
            return dead_ms;
        }
    }
    due_ms = later(due_ms, follow->mark_due_ms);
    if (follow->is_marking) {
        return later(due_ms, now_ms + MARK_AGAIN_MS);
    }
    if (due_ms <= now_ms) {
        mark(follow, now_ms);
        return now_ms + MARK_AGAIN_MS;
    }
    return due_ms;
}

/* ---- from outside ----------------------------------------------------------------- */

void etcd_follow_start(struct etcd_follow *follow, const struct engine_follower *follower)
{
    assert(follow->state == ETCD_IDLE);
    follow->follower = *follower;
    load_anew(follow);
}

void etcd_follow_owe(struct etcd_follow *follow, uint64_t revision)
{
    if (revision <= follow->reached || revision <= follow->owed) {
        return;
    }
    follow->owed = revision;
    if (follow->owed_ms == 0) {
        follow->owed_ms = now_of(follow);
        if (follow->state == ETCD_WATCHING) {
            wake_soon(follow, follow->mark_after_ms);
        }
    }
}

void etcd_follow_check(struct etcd_follow *follow, uint64_t reached, uint64_t revision)
{
    if (revision < reached && follow->state >= ETCD_WATCH_DUE) {
        load_anew(follow);
    }
}

uint64_t etcd_follow_wake(struct etcd_follow *follow, uint64_t now_ms)
{
    if (follow->has_broken) {
        end_watch(follow);
        if (follow->reached == 0) {
            load_anew(follow);
        } else {
            retry(follow, ETCD_WATCH_DUE);
        }
    }
    switch (follow->state) {
    case ETCD_IDLE:
    case ETCD_LOADING:
        return UINT64_MAX;
    case ETCD_LOAD_DUE:
        if (now_ms < follow->due_ms) {
            return follow->due_ms;
        }
        load_page(follow);
        return UINT64_MAX;
    case ETCD_WATCH_DUE:
        if (now_ms < follow->due_ms) {
            return follow->due_ms;
        }
        start_watch(follow, now_ms);
        return now_ms + SILENT_MS;
    case ETCD_WATCHING:
        return attend(follow, now_ms);
    }
    return UINT64_MAX;
}
