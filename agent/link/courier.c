#include "agent/link/courier.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"
#include "base/text.h"

static const char nobody[] = "No cluster leader"; /* Consul's words */
static const char lost[] =
    "The connection to the server broke before it answered, and no server could be asked "
    "for 5 s: the write may have been done, or not";

enum courier_state { COURIER_IS_DOWN, COURIER_IS_DIALING, COURIER_IS_UP };

struct place {
    struct courier_place place;
    uint64_t failed_ms; /* 0: not lately */
};

struct errand {
    struct errand *previous;
    struct errand *next;
    uint64_t ticket;
    uint32_t number;   /* under which it was sent; 0: it waits to be */
    uint64_t broke_ms; /* when it may have been done and no answer came; 0: never */
    unsigned tries;
    bool is_read;
    const char *doom; /* it failed, with these words, and somebody must be told */
    struct link_request request;
    char texts[]; /* and the body */
};

struct courier {
    struct place places[COURIER_PLACES_MAX];
    size_t place_count;
    struct place current;
    enum courier_state state;
    bool must_dial;
    bool must_close;
    uint64_t retry_at_ms;    /* 0: not set */
    uint64_t patience_at_ms; /* 0: nobody's answer was lost */
    uint64_t used_ms;
    uint64_t seed;
    struct errand *first;
    struct errand *last;
    struct errand *waiting; /* where to look for one that waits; NULL: none does */
    size_t doomed_count;
    struct rc_table *tickets;
    struct rc_table *numbers;
    uint32_t *taken_back; /* numbers to be cancelled */
    size_t taken_back_count;
    size_t taken_back_capacity;
    struct courier_counts counts;
};

struct courier *courier_create(uint64_t seed)
{
    struct courier *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    c->seed = seed;
    c->tickets = rc_table_create(seed);
    c->numbers = rc_table_create(seed);
    if (c->tickets == NULL || c->numbers == NULL) {
        courier_destroy(c);
        return NULL;
    }
    return c;
}

/* ---- Errands. */

static void remove_number(struct courier *c, struct errand *errand)
{
    if (errand->number != 0) {
        (void)rc_table_remove_bytes(c->numbers, &errand->number, sizeof errand->number);
        errand->number = 0;
    }
}

static void drop(struct courier *c, struct errand *errand)
{
    remove_number(c, errand);
    (void)rc_table_remove_bytes(c->tickets, &errand->ticket, sizeof errand->ticket);
    c->waiting = c->waiting == errand ? errand->next : c->waiting;
    c->doomed_count -= errand->doom != NULL ? 1 : 0;
    if (errand->previous != NULL) {
        errand->previous->next = errand->next;
    } else {
        c->first = errand->next;
    }
    if (errand->next != NULL) {
        errand->next->previous = errand->previous;
    } else {
        c->last = errand->previous;
    }
    explicit_bzero((char *)errand->request.token, strlen(errand->request.token));
    free(errand);
}

void courier_destroy(struct courier *c)
{
    if (c == NULL) {
        return;
    }
    while (c->first != NULL) {
        drop(c, c->first);
    }
    rc_table_destroy(c->tickets);
    rc_table_destroy(c->numbers);
    free(c->taken_back);
    free(c);
}

static const char *put(char **at, const void *bytes, size_t size)
{
    char *start = *at;

    if (size > 0) {
        memcpy(start, bytes, size);
    }
    *at += size;
    return start;
}

static struct errand *copy(const struct link_request *request)
{
    size_t method = strlen(request->method) + 1;
    size_t target = strlen(request->target) + 1;
    size_t token = strlen(request->token) + 1;
    struct errand *errand =
        calloc(1, sizeof *errand + method + target + token + request->body_size);

    if (errand == NULL) {
        return NULL;
    }
    char *at = errand->texts;
    errand->request = *request;
    errand->request.method = put(&at, request->method, method);
    errand->request.target = put(&at, request->target, target);
    errand->request.token = put(&at, request->token, token);
    errand->request.body = put(&at, request->body, request->body_size);
    errand->is_read = rc_text_equals(request->method, "GET");
    return errand;
}

static void doom(struct courier *c, struct errand *errand, const char *words)
{
    if (errand->doom == NULL) {
        remove_number(c, errand);
        errand->doom = words;
        c->doomed_count++;
        c->counts.failed++;
    }
}

static bool waits(const struct errand *errand)
{
    return errand->number == 0 && errand->doom == NULL;
}

static struct errand *next_waiting(struct courier *c)
{
    while (c->waiting != NULL && !waits(c->waiting)) {
        c->waiting = c->waiting->next;
    }
    return c->waiting;
}

/* ---- Places. */

/* When it last failed; 0: never, as far as is known. */
static uint64_t failed_ms(const struct courier *c, const struct courier_place *place)
{
    for (size_t i = 0; i < c->place_count; i++) {
        if (strcmp(c->places[i].place.name, place->name) == 0 &&
            rc_address_equals(&c->places[i].place.address, &place->address)) {
            return c->places[i].failed_ms;
        }
    }
    return 0;
}

void courier_set_places(struct courier *c, const struct courier_place *places,
                        size_t count)
{
    uint64_t failures[COURIER_PLACES_MAX];

    count = count < COURIER_PLACES_MAX ? count : COURIER_PLACES_MAX;
    for (size_t i = 0; i < count; i++) {
        failures[i] = failed_ms(c, &places[i]);
    }
    for (size_t i = 0; i < count; i++) {
        c->places[i] = (struct place){.place = places[i], .failed_ms = failures[i]};
    }
    c->place_count = count;
}

static bool is_shunned(const struct place *place, uint64_t now_ms)
{
    return place->failed_ms != 0 && now_ms - place->failed_ms < COURIER_SHUNNED_MS;
}

/* Whether `a` is to be tried before `b`: nearer, or, as near, by a draw of this agent. */
static bool is_better(const struct courier *c, const struct place *a,
                      const struct place *b)
{
    if (a->place.distance_s < b->place.distance_s) {
        return true;
    }
    if (a->place.distance_s > b->place.distance_s) {
        return false;
    }
    return rc_hash(a->place.name, strlen(a->place.name), c->seed) <
           rc_hash(b->place.name, strlen(b->place.name), c->seed);
}

static const struct place *best_place(const struct courier *c, uint64_t now_ms)
{
    const struct place *best = NULL;

    for (size_t i = 0; i < c->place_count; i++) {
        const struct place *place = &c->places[i];
        if (!is_shunned(place, now_ms) && (best == NULL || is_better(c, place, best))) {
            best = place;
        }
    }
    return best;
}

/* The one that failed first, when all have. */
static const struct place *oldest_failure(const struct courier *c)
{
    const struct place *oldest = NULL;

    for (size_t i = 0; i < c->place_count; i++) {
        if (oldest == NULL || c->places[i].failed_ms < oldest->failed_ms) {
            oldest = &c->places[i];
        }
    }
    return oldest;
}

static void mark_failed(struct courier *c, uint64_t now_ms)
{
    for (size_t i = 0; i < c->place_count; i++) {
        if (strcmp(c->places[i].place.name, c->current.place.name) == 0) {
            c->places[i].failed_ms = now_ms;
        }
    }
}

static void dial(struct courier *c, const struct place *place)
{
    if (place == NULL) {
        return; /* there is none */
    }
    c->current = *place;
    c->state = COURIER_IS_DIALING;
    c->must_dial = true;
    c->retry_at_ms = 0;
}

/* ---- What to do. */

/* Nobody is left to try: who was never heard is told so, who may have been is not given up. */
static void give_up(struct courier *c, uint64_t now_ms)
{
    bool some_wait = false;

    for (struct errand *e = c->first; e != NULL; e = e->next) {
        if (waits(e) && e->broke_ms == 0) {
            doom(c, e, nobody);
        }
        some_wait = some_wait || waits(e);
    }
    c->retry_at_ms = some_wait ? now_ms + COURIER_RETRY_MS : 0;
}

static void lose_patience(struct courier *c, uint64_t now_ms)
{
    uint64_t next_ms = 0;

    if (c->patience_at_ms == 0 || now_ms < c->patience_at_ms) {
        return;
    }
    for (struct errand *e = c->first; e != NULL; e = e->next) {
        uint64_t its_ms = e->broke_ms + COURIER_PATIENCE_MS;
        if (!waits(e) || e->broke_ms == 0) {
            continue;
        }
        if (now_ms >= its_ms) {
            doom(c, e, e->is_read ? nobody : lost);
        } else if (next_ms == 0 || its_ms < next_ms) {
            next_ms = its_ms;
        }
    }
    c->patience_at_ms = next_ms;
}

/* Whoever waits needs a server. */
static void find_server(struct courier *c, uint64_t now_ms)
{
    if (c->state != COURIER_IS_DOWN) {
        return;
    }
    if (next_waiting(c) == NULL) {
        c->retry_at_ms = 0;
        return;
    }
    const struct place *place = best_place(c, now_ms);
    if (place == NULL && c->retry_at_ms != 0 && now_ms >= c->retry_at_ms) {
        place = oldest_failure(c);
    }
    if (place != NULL) {
        dial(c, place);
        return;
    }
    if (c->retry_at_ms == 0 || now_ms >= c->retry_at_ms) {
        give_up(c, now_ms);
    }
}

int courier_ask(struct courier *c, uint64_t now_ms, const struct link_request *request,
                uint64_t ticket)
{
    struct errand *errand = copy(request);

    if (errand == NULL) {
        return RC_ENOMEM;
    }
    errand->ticket = ticket;
    if (rc_table_put_bytes(c->tickets, &ticket, sizeof ticket, errand, NULL) != RC_OK) {
        free(errand);
        return RC_ENOMEM;
    }
    errand->previous = c->last;
    if (c->last != NULL) {
        c->last->next = errand;
    } else {
        c->first = errand;
    }
    c->last = errand;
    c->waiting = c->waiting != NULL ? c->waiting : errand;
    c->counts.asked++;
    c->used_ms = now_ms;
    if (c->state == COURIER_IS_DOWN && best_place(c, now_ms) == NULL) {
        dial(c,
             oldest_failure(c)); /* all have just failed; one try is due to everybody */
    }
    return RC_OK;
}

static void take_back(struct courier *c, uint32_t number)
{
    if (c->taken_back_count == c->taken_back_capacity) {
        size_t capacity = c->taken_back_capacity == 0 ? 16 : 2 * c->taken_back_capacity;
        uint32_t *grown = realloc(c->taken_back, capacity * sizeof *grown);
        if (grown == NULL) {
            return; /* its answer will be nobody's */
        }
        c->taken_back = grown;
        c->taken_back_capacity = capacity;
    }
    c->taken_back[c->taken_back_count++] = number;
}

void courier_forget(struct courier *c, uint64_t ticket)
{
    struct errand *errand = rc_table_get_bytes(c->tickets, &ticket, sizeof ticket);

    if (errand == NULL) {
        return;
    }
    if (errand->number != 0 && c->state == COURIER_IS_UP) {
        take_back(c, errand->number);
    }
    drop(c, errand);
}

static bool next_doomed(struct courier *c, struct courier_action *out)
{
    struct errand *errand = c->doomed_count > 0 ? c->first : NULL;

    while (errand != NULL && errand->doom == NULL) {
        errand = errand->next;
    }
    if (errand == NULL) {
        return false;
    }
    *out = (struct courier_action){
        .type = COURIER_FAIL, .ticket = errand->ticket, .text = errand->doom};
    drop(c, errand);
    return true;
}

static void close_idle(struct courier *c, uint64_t now_ms)
{
    if (c->state == COURIER_IS_UP && c->first == NULL &&
        now_ms - c->used_ms >= COURIER_IDLE_MS) {
        c->state = COURIER_IS_DOWN;
        c->must_close = true;
    }
}

bool courier_next(struct courier *c, uint64_t now_ms, struct courier_action *out)
{
    struct errand *errand = NULL;

    lose_patience(c, now_ms);
    close_idle(c, now_ms);
    if (c->must_close) { /* before another is dialed */
        c->must_close = false;
        *out = (struct courier_action){.type = COURIER_CLOSE};
        return true;
    }
    find_server(c, now_ms);
    if (next_doomed(c, out)) {
        return true;
    }
    if (c->must_dial) {
        c->must_dial = false;
        *out = (struct courier_action){.type = COURIER_DIAL, .place = &c->current.place};
        return true;
    }
    if (c->taken_back_count > 0 && c->state == COURIER_IS_UP) {
        *out = (struct courier_action){.type = COURIER_TAKE_BACK,
                                       .number = c->taken_back[--c->taken_back_count]};
        return true;
    }
    errand = c->state == COURIER_IS_UP ? next_waiting(c) : NULL;
    if (errand == NULL) {
        return false;
    }
    *out = (struct courier_action){
        .type = COURIER_SEND, .ticket = errand->ticket, .request = &errand->request};
    return true;
}

void courier_sent(struct courier *c, uint64_t ticket, uint32_t number)
{
    struct errand *errand = rc_table_get_bytes(c->tickets, &ticket, sizeof ticket);

    if (errand == NULL) {
        return;
    }
    c->counts.moved += errand->tries > 0 ? 1 : 0;
    errand->tries++;
    errand->number = number;
    if (number == 0 ||
        rc_table_put_bytes(c->numbers, &number, sizeof number, errand, NULL) != RC_OK) {
        errand->number = 0;
        doom(c, errand, "This request cannot be relayed to a server: it is too long");
    }
}

void courier_up(struct courier *c, uint64_t now_ms)
{
    assert(c->state == COURIER_IS_DIALING);
    c->state = COURIER_IS_UP;
    c->used_ms = now_ms;
    c->retry_at_ms = 0;
}

static void wait_for(struct courier *c, uint64_t at_ms)
{
    if (c->patience_at_ms == 0 || at_ms < c->patience_at_ms) {
        c->patience_at_ms = at_ms;
    }
}

void courier_renew(struct courier *c, uint64_t now_ms)
{
    c->state = COURIER_IS_DOWN;
    c->must_dial = false;
    c->taken_back_count = 0;
    for (struct errand *e = c->first; e != NULL; e = e->next) {
        if (e->number != 0) {
            remove_number(c, e);
            e->broke_ms = e->broke_ms != 0 ? e->broke_ms : now_ms;
            wait_for(c, e->broke_ms + COURIER_PATIENCE_MS);
            if (e->tries >= COURIER_TRIES_MAX && !e->is_read) {
                doom(c, e, lost); /* it seems to be what breaks them */
            }
        }
    }
    c->waiting = c->first;
}

void courier_down(struct courier *c, uint64_t now_ms)
{
    mark_failed(c, now_ms);
    courier_renew(c, now_ms);
}

uint64_t courier_answered(struct courier *c, uint64_t now_ms, uint32_t number)
{
    struct errand *errand = rc_table_get_bytes(c->numbers, &number, sizeof number);

    if (errand == NULL) {
        return 0;
    }
    uint64_t ticket = errand->ticket;
    c->counts.answered++;
    c->used_ms = now_ms;
    drop(c, errand);
    return ticket;
}

void courier_refused(struct courier *c, uint64_t now_ms, uint32_t number)
{
    struct errand *errand = rc_table_get_bytes(c->numbers, &number, sizeof number);

    if (errand == NULL) {
        return;
    }
    remove_number(c, errand);
    mark_failed(c, now_ms);
    if (errand->tries > c->place_count || best_place(c, now_ms) == NULL) {
        doom(c, errand, errand->broke_ms == 0 || errand->is_read ? nobody : lost);
        return;
    }
    courier_down(c, now_ms); /* the others move with it */
    c->must_close = true;
}

uint64_t courier_deadline_ms(const struct courier *c)
{
    uint64_t due_ms = UINT64_MAX;

    if (c->state == COURIER_IS_UP) {
        return c->first == NULL ? c->used_ms + COURIER_IDLE_MS : UINT64_MAX;
    }
    if (c->retry_at_ms != 0 && c->state == COURIER_IS_DOWN) {
        due_ms = c->retry_at_ms;
    }
    if (c->patience_at_ms != 0 && c->patience_at_ms < due_ms) {
        due_ms = c->patience_at_ms;
    }
    return due_ms;
}

const struct courier_place *courier_current(const struct courier *c)
{
    return c->state == COURIER_IS_UP ? &c->current.place : NULL;
}

size_t courier_open_count(const struct courier *c)
{
    return rc_table_count(c->tickets);
}

struct courier_counts courier_counts(const struct courier *c)
{
    return c->counts;
}
