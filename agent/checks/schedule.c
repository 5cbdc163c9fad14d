/* schedule.c - a heap of due times, and a queue of what follows from them. */
#include "agent/checks/schedule.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/random.h"

enum {
    INDEX_BITS = 20, /* of an id: which slot; the rest counts up */
    OVERDUE_AGAIN_MS = 30000,
    FIRST_SLOTS = 16
};

static_assert(SCHEDULE_CHECKS_MAX <= 1 << INDEX_BITS,
              "an id holds the index of its slot");

struct slot {
    struct schedule_entry entry;
    struct check check;
    uint64_t id;          /* 0: the slot is free */
    uint64_t probe;       /* the run in flight; 0: none */
    uint64_t stale_probe; /* a run to be cancelled */
    uint64_t run_at_ms;   /* when the next run starts */
    uint64_t started_at_ms;
    uint64_t expire_at_ms;
    uint64_t ask_at_ms; /* not before: how often we ask for it to be deregistered */
    uint64_t due_ms;    /* its key in the heap */
    size_t heap_at;
    size_t index;
    unsigned todo; /* bits 1 << enum schedule_action_type */
    unsigned news;
    bool is_queued;  /* in the queue, perhaps with nothing left to do */
    bool is_removed; /* free once it has left the queue */
    struct slot *next_todo;
};

struct schedule {
    struct slot **slots; /* by index; NULL: never used */
    size_t slot_count;
    size_t slot_space;
    size_t *free_indexes;
    size_t free_count;
    struct slot **heap;
    size_t heap_count;
    struct slot *first_todo; /* queue in the order in which work came up */
    struct slot *last_todo;
    struct rc_random random;
    uint64_t last_number; /* of ids given out */
    size_t counts[CHECK_STATUS_COUNT];
};

int schedule_create(uint64_t random_seed, struct schedule **out)
{
    struct schedule *schedule = calloc(1, sizeof *schedule);

    if (schedule == NULL) {
        return RC_ENOMEM;
    }
    rc_random_init(&schedule->random, random_seed);
    *out = schedule;
    return RC_OK;
}

void schedule_destroy(struct schedule *schedule)
{
    if (schedule == NULL) {
        return;
    }
    for (size_t i = 0; i < schedule->slot_count; i++) {
        check_fini(&schedule->slots[i]->check);
        free(schedule->slots[i]);
    }
    free(schedule->slots);
    free(schedule->free_indexes);
    free(schedule->heap);
    free(schedule);
}

static uint64_t new_id(struct schedule *schedule, const struct slot *slot)
{
    return ++schedule->last_number << INDEX_BITS | slot->index;
}

static struct slot *slot_at(const struct schedule *schedule, uint64_t id)
{
    size_t index = id & ((1U << INDEX_BITS) - 1);

    return id != 0 && index < schedule->slot_count ? schedule->slots[index] : NULL;
}

static struct slot *find(const struct schedule *schedule, uint64_t check)
{
    struct slot *slot = slot_at(schedule, check);

    return slot != NULL && slot->id == check && !slot->is_removed ? slot : NULL;
}

const struct check *schedule_find(const struct schedule *schedule, uint64_t check)
{
    const struct slot *slot = find(schedule, check);

    return slot == NULL ? NULL : &slot->check;
}

static void heap_put(struct schedule *schedule, size_t at, struct slot *slot)
{
    schedule->heap[at] = slot;
    slot->heap_at = at;
}

static void sift_up(struct schedule *schedule, struct slot *slot)
{
    size_t at = slot->heap_at;

    while (at > 0 && schedule->heap[(at - 1) / 2]->due_ms > slot->due_ms) {
        heap_put(schedule, at, schedule->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(schedule, at, slot);
}

static void sift_down(struct schedule *schedule, struct slot *slot)
{
    size_t at = slot->heap_at;

    for (size_t child = 2 * at + 1; child < schedule->heap_count; child = 2 * at + 1) {
        if (child + 1 < schedule->heap_count &&
            schedule->heap[child + 1]->due_ms < schedule->heap[child]->due_ms) {
            child++;
        }
        if (schedule->heap[child]->due_ms >= slot->due_ms) {
            break;
        }
        heap_put(schedule, at, schedule->heap[child]);
        at = child;
    }
    heap_put(schedule, at, slot);
}

static void heap_remove(struct schedule *schedule, const struct slot *slot)
{
    struct slot *last = schedule->heap[--schedule->heap_count];

    if (last != slot) {
        heap_put(schedule, slot->heap_at, last);
        sift_up(schedule, last);
        sift_down(schedule, last);
    }
}

static bool has_todo(const struct slot *slot, enum schedule_action_type type)
{
    return (slot->todo & 1U << type) != 0;
}

static void add_todo(struct schedule *schedule, struct slot *slot,
                     enum schedule_action_type type)
{
    if (!slot->is_queued) {
        slot->is_queued = true;
        slot->next_todo = NULL;
        if (schedule->last_todo == NULL) {
            schedule->first_todo = slot;
        } else {
            schedule->last_todo->next_todo = slot;
        }
        schedule->last_todo = slot;
    }
    slot->todo |= 1U << type;
}

/* When its service should go; later again if that was said already. */
static uint64_t overdue_ms(const struct slot *slot)
{
    uint64_t at = check_overdue_ms(&slot->check);

    return at > slot->ask_at_ms ? at : slot->ask_at_ms;
}

/* When something about this check is to be done next. */
static uint64_t due_ms(const struct slot *slot)
{
    uint64_t at = slot->probe != 0 ? slot->expire_at_ms : slot->run_at_ms;
    uint64_t check_at = check_deadline_ms(&slot->check);
    uint64_t overdue_at = overdue_ms(slot);

    at = check_at < at ? check_at : at;
    return overdue_at < at ? overdue_at : at;
}

static void requeue(struct schedule *schedule, struct slot *slot)
{
    slot->due_ms = due_ms(slot);
    sift_up(schedule, slot);
    sift_down(schedule, slot);
}

/* Passes news on and keeps the counts true. `was` is the status before. */
static void note(struct schedule *schedule, struct slot *slot, enum check_status was,
                 unsigned news)
{
    if (news != CHECK_NEWS_NONE) {
        slot->news |= news;
        add_todo(schedule, slot, SCHEDULE_CHANGED);
    }
    schedule->counts[was]--;
    schedule->counts[slot->check.status]++;
    if (slot->check.status != was) {
        slot->ask_at_ms = 0;
    }
}

static bool grow(struct schedule *schedule)
{
    size_t space = schedule->slot_space == 0 ? FIRST_SLOTS : schedule->slot_space * 2;
    struct slot **slots = realloc(schedule->slots, space * sizeof(struct slot *));

    if (slots == NULL) {
        return false;
    }
    schedule->slots = slots;
    struct slot **heap = realloc(schedule->heap, space * sizeof(struct slot *));
    if (heap == NULL) {
        return false;
    }
    schedule->heap = heap;
    size_t *indexes = realloc(schedule->free_indexes, space * sizeof *indexes);
    if (indexes == NULL) {
        return false;
    }
    schedule->free_indexes = indexes;
    schedule->slot_space = space;
    return true;
}

static int take_slot(struct schedule *schedule, struct slot **out)
{
    if (schedule->free_count > 0) {
        *out = schedule->slots[schedule->free_indexes[--schedule->free_count]];
        return RC_OK;
    }
    if (schedule->slot_count >= SCHEDULE_CHECKS_MAX) {
        return RC_ETOOBIG;
    }
    if (schedule->slot_count == schedule->slot_space && !grow(schedule)) {
        return RC_ENOMEM;
    }
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) {
        return RC_ENOMEM;
    }
    slot->index = schedule->slot_count;
    schedule->slots[schedule->slot_count++] = slot;
    *out = slot;
    return RC_OK;
}

static void free_slot(struct schedule *schedule, struct slot *slot)
{
    size_t index = slot->index;

    assert(slot->is_removed && !slot->is_queued);
    check_fini(&slot->check);
    *slot = (struct slot){.index = index};
    schedule->free_indexes[schedule->free_count++] = index;
}

/* A moment within one interval from now: checks that were added together spread out. */
static uint64_t first_run_ms(struct schedule *schedule,
                             const struct schedule_entry *entry, uint64_t now_ms)
{
    if (entry->interval_ms == 0 || entry->definition == NULL) {
        return UINT64_MAX;
    }
    return now_ms + rc_random_below(&schedule->random, entry->interval_ms);
}

int schedule_add(struct schedule *schedule, const struct schedule_entry *entry,
                 uint64_t now_ms, uint64_t *out)
{
    struct slot *slot;

    int err = take_slot(schedule, &slot);
    if (err != RC_OK) {
        return err;
    }
    slot->entry = *entry;
    slot->id = new_id(schedule, slot);
    check_init(&slot->check, &entry->check, now_ms);
    slot->run_at_ms = first_run_ms(schedule, entry, now_ms);
    slot->due_ms = due_ms(slot);
    schedule->counts[slot->check.status]++;
    heap_put(schedule, schedule->heap_count++, slot);
    sift_up(schedule, slot);
    *out = slot->id;
    return RC_OK;
}

/* Ends the run in flight without a result. */
static void cancel_run(struct schedule *schedule, struct slot *slot)
{
    if (slot->probe != 0 && !has_todo(slot, SCHEDULE_START)) {
        if (slot->stale_probe == 0) {
            slot->stale_probe = slot->probe;
        }
        add_todo(schedule, slot, SCHEDULE_CANCEL);
    }
    slot->todo &= ~(1U << SCHEDULE_EXPIRE | 1U << SCHEDULE_START);
    slot->probe = 0;
}

static void end_run(struct schedule *schedule, struct slot *slot)
{
    cancel_run(schedule, slot);
    if (slot->entry.definition != NULL) {
        add_todo(schedule, slot, SCHEDULE_FORGET);
    }
}

void schedule_replace(struct schedule *schedule, uint64_t check,
                      const struct schedule_entry *entry, uint64_t now_ms)
{
    struct slot *slot = find(schedule, check);

    if (slot == NULL) {
        return;
    }
    end_run(schedule, slot);
    slot->entry = *entry;
    check_reconfigure(&slot->check, &entry->check, now_ms);
    slot->run_at_ms = first_run_ms(schedule, entry, now_ms);
    requeue(schedule, slot);
}

void schedule_remove(struct schedule *schedule, uint64_t check)
{
    struct slot *slot = find(schedule, check);

    if (slot == NULL) {
        return;
    }
    heap_remove(schedule, slot);
    schedule->counts[slot->check.status]--;
    end_run(schedule, slot);
    slot->is_removed = true;
    slot->todo &=
        ~(1U << SCHEDULE_CHANGED | 1U << SCHEDULE_RESULT | 1U << SCHEDULE_OVERDUE);
    if (!slot->is_queued) {
        free_slot(schedule, slot);
    }
}

void schedule_restore(struct schedule *schedule, uint64_t check,
                      const struct check_result *was, uint64_t since_ms,
                      uint64_t ttl_at_ms)
{
    struct slot *slot = find(schedule, check);

    if (slot == NULL) {
        return;
    }
    enum check_status before = slot->check.status;
    check_restore(&slot->check, was, since_ms, ttl_at_ms);
    note(schedule, slot, before, CHECK_NEWS_NONE);
    requeue(schedule, slot);
}

void schedule_hurry(struct schedule *schedule, uint64_t check, uint64_t now_ms)
{
    struct slot *slot = find(schedule, check);

    if (slot == NULL || slot->run_at_ms == UINT64_MAX) {
        return;
    }
    slot->run_at_ms = now_ms;
    requeue(schedule, slot);
}

void schedule_result(struct schedule *schedule, uint64_t probe,
                     const struct check_result *result, uint64_t now_ms)
{
    struct slot *slot = slot_at(schedule, probe);

    if (slot == NULL || slot->probe != probe || slot->is_removed) {
        return;
    }
    enum check_status before = slot->check.status;
    slot->probe = 0;
    slot->todo &= ~(1U << SCHEDULE_EXPIRE);
    note(schedule, slot, before, check_observe(&slot->check, result, now_ms));
    if (slot->entry.tells_results) {
        add_todo(schedule, slot, SCHEDULE_RESULT);
    }
    requeue(schedule, slot);
}

int schedule_tell(struct schedule *schedule, uint64_t check,
                  const struct check_result *result, uint64_t now_ms)
{
    struct slot *slot = find(schedule, check);

    if (slot == NULL) {
        return RC_ENOTFOUND;
    }
    enum check_status before = slot->check.status;
    note(schedule, slot, before, check_observe(&slot->check, result, now_ms));
    requeue(schedule, slot);
    return RC_OK;
}

static void start_run(struct schedule *schedule, struct slot *slot, uint64_t now_ms)
{
    slot->probe = new_id(schedule, slot);
    slot->started_at_ms = now_ms;
    slot->run_at_ms = now_ms + slot->entry.interval_ms;
    slot->expire_at_ms =
        slot->entry.timeout_ms > 0 ? now_ms + slot->entry.timeout_ms : UINT64_MAX;
    add_todo(schedule, slot, SCHEDULE_START);
}

static void do_due(struct schedule *schedule, struct slot *slot, uint64_t now_ms)
{
    enum check_status before = slot->check.status;

    note(schedule, slot, before, check_tick(&slot->check, now_ms));
    if (now_ms >= overdue_ms(slot)) {
        slot->ask_at_ms = now_ms + OVERDUE_AGAIN_MS;
        add_todo(schedule, slot, SCHEDULE_OVERDUE);
    }
    if (slot->probe != 0 && now_ms >= slot->expire_at_ms) {
        slot->expire_at_ms = UINT64_MAX;
        add_todo(schedule, slot, SCHEDULE_EXPIRE);
    } else if (slot->probe == 0 && now_ms >= slot->run_at_ms) {
        start_run(schedule, slot, now_ms);
    }
}

void schedule_tick(struct schedule *schedule, uint64_t now_ms)
{
    while (schedule->heap_count > 0 && schedule->heap[0]->due_ms <= now_ms) {
        struct slot *slot = schedule->heap[0];
        do_due(schedule, slot, now_ms);
        requeue(schedule, slot);
        assert(slot->due_ms > now_ms);
    }
}

uint64_t schedule_deadline_ms(const struct schedule *schedule)
{
    if (schedule->first_todo != NULL) {
        return 0;
    }
    return schedule->heap_count > 0 ? schedule->heap[0]->due_ms : UINT64_MAX;
}

/* What comes first when several things wait for one check: old runs end before new ones
 * begin, and others learn of a status before the service goes. */
static const enum schedule_action_type order[] = {
    SCHEDULE_CANCEL,  SCHEDULE_FORGET, SCHEDULE_START,   SCHEDULE_EXPIRE,
    SCHEDULE_CHANGED, SCHEDULE_RESULT, SCHEDULE_OVERDUE,
};

static_assert(sizeof order / sizeof order[0] == SCHEDULE_ACTION_COUNT,
              "every action has its turn");

static enum schedule_action_type first_of(const struct slot *slot)
{
    size_t i = 0;

    while (!has_todo(slot, order[i])) {
        i++;
        assert(i < SCHEDULE_ACTION_COUNT);
    }
    return order[i];
}

static void dequeue(struct schedule *schedule, struct slot *slot)
{
    assert(schedule->first_todo == slot);
    schedule->first_todo = slot->next_todo;
    if (schedule->first_todo == NULL) {
        schedule->last_todo = NULL;
    }
    slot->is_queued = false;
    if (slot->is_removed) {
        free_slot(schedule, slot);
    }
}

/* The first check in the queue that still has something to do; work may be withdrawn. */
static struct slot *first_busy(struct schedule *schedule)
{
    while (schedule->first_todo != NULL && schedule->first_todo->todo == 0) {
        dequeue(schedule, schedule->first_todo);
    }
    return schedule->first_todo;
}

bool schedule_next_action(struct schedule *schedule, struct schedule_action *out)
{
    struct slot *slot = first_busy(schedule);

    if (slot == NULL) {
        return false;
    }
    enum schedule_action_type type = first_of(slot);
    *out = (struct schedule_action){
        .type = type,
        .check = slot->id,
        .probe = type == SCHEDULE_CANCEL ? slot->stale_probe : slot->probe,
        .timeout_ms = slot->entry.timeout_ms,
        .definition = slot->is_removed ? NULL : slot->entry.definition,
        .owner = slot->is_removed ? NULL : slot->entry.owner,
        .news = slot->news,
    };
    slot->todo &= ~(1U << type);
    if (type == SCHEDULE_CANCEL) {
        slot->stale_probe = 0;
    } else if (type == SCHEDULE_CHANGED) {
        slot->news = CHECK_NEWS_NONE;
    }
    if (slot->todo == 0) {
        dequeue(schedule, slot);
    }
    return true;
}

uint64_t schedule_started_ms(const struct schedule *schedule, uint64_t probe,
                             uint64_t now_ms)
{
    const struct slot *slot = slot_at(schedule, probe);

    return slot != NULL && slot->probe == probe ? slot->started_at_ms : now_ms;
}

size_t schedule_count(const struct schedule *schedule, enum check_status status)
{
    assert(status < CHECK_STATUS_COUNT);
    return schedule->counts[status];
}
