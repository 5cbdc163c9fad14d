#include "agent/event/asked.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/table.h"
#include "base/text.h"

struct answer {
    size_t size;
    uint8_t bytes[];
};

struct asked {
    uint32_t id;
    uint64_t ticket;
    char *name;
    struct rc_table *expected;  /* name -> itself: nothing to own */
    struct rc_table *acks;      /* likewise */
    struct rc_table *responses; /* name -> struct answer, owned */
    size_t bytes;               /* of responses */
    uint64_t dropped;           /* did not fit */
};

struct asked_list {
    struct asked *items[ASKED_MAX]; /* NULL: free */
    uint64_t seed;
};

static const char present[] = "there"; /* what a set holds under each name */

struct asked_list *asked_create(uint64_t seed)
{
    struct asked_list *list = calloc(1, sizeof *list);

    if (list != NULL) {
        list->seed = seed;
    }
    return list;
}

static void destroy(struct asked *asked)
{
    size_t position = 0;
    struct answer *answer = NULL;

    while (asked->responses != NULL &&
           (answer = rc_table_next(asked->responses, &position, NULL)) != NULL) {
        free(answer);
    }
    rc_table_destroy(asked->responses);
    rc_table_destroy(asked->expected);
    rc_table_destroy(asked->acks);
    free(asked->name);
    free(asked);
}

void asked_destroy(struct asked_list *list)
{
    if (list == NULL) {
        return;
    }
    for (size_t i = 0; i < ASKED_MAX; i++) {
        if (list->items[i] != NULL) {
            destroy(list->items[i]);
        }
    }
    free(list);
}

static struct asked *create(const struct asked_list *list, const char *name)
{
    struct asked *asked = calloc(1, sizeof *asked);

    if (asked == NULL) {
        return NULL;
    }
    asked->name = rc_text_copy(name);
    asked->expected = rc_table_create(list->seed);
    asked->acks = rc_table_create(list->seed);
    asked->responses = rc_table_create(list->seed);
    if (asked->name == NULL || asked->expected == NULL || asked->acks == NULL ||
        asked->responses == NULL) {
        destroy(asked);
        return NULL;
    }
    return asked;
}

struct asked *asked_add(struct asked_list *list, uint32_t id, uint64_t ticket,
                        const char *name)
{
    for (size_t i = 0; i < ASKED_MAX; i++) {
        if (list->items[i] == NULL) {
            struct asked *asked = create(list, name);
            if (asked != NULL) {
                asked->id = id;
                asked->ticket = ticket;
                list->items[i] = asked;
            }
            return asked;
        }
    }
    return NULL;
}

bool asked_is_full(const struct asked_list *list)
{
    size_t open = 0;

    for (size_t i = 0; i < ASKED_MAX; i++) {
        open += list->items[i] != NULL;
    }
    return open == ASKED_MAX;
}

struct asked *asked_find(struct asked_list *list, uint32_t id)
{
    for (size_t i = 0; i < ASKED_MAX; i++) {
        if (list->items[i] != NULL && list->items[i]->id == id) {
            return list->items[i];
        }
    }
    return NULL;
}

void asked_remove(struct asked_list *list, struct asked *asked)
{
    for (size_t i = 0; i < ASKED_MAX; i++) {
        if (list->items[i] == asked) {
            list->items[i] = NULL;
            destroy(asked);
            return;
        }
    }
    assert(false && "not of this list");
}

uint64_t asked_ticket(const struct asked *asked)
{
    return asked->ticket;
}

/* False: it is there already, or does not fit. */
static bool add_name(struct rc_table *set, const char *name)
{
    return rc_table_get(set, name) == NULL && rc_table_count(set) < ASKED_NAMES_MAX &&
           rc_table_put(set, name, (void *)present, NULL) == RC_OK;
}

void asked_expect(struct asked *asked, const char *member)
{
    (void)add_name(asked->expected, member);
}

void asked_ack(struct asked *asked, const char *from)
{
    if (rc_table_get(asked->acks, from) == NULL && !add_name(asked->acks, from)) {
        asked->dropped++;
    }
}

void asked_response(struct asked *asked, const char *from, const uint8_t *bytes,
                    size_t size)
{
    if (rc_table_get(asked->responses, from) != NULL) {
        return;
    }
    struct answer *answer = asked->bytes + size <= ASKED_BYTES_MAX &&
                                    rc_table_count(asked->responses) < ASKED_NAMES_MAX
                                ? malloc(sizeof *answer + size)
                                : NULL;
    if (answer == NULL || rc_table_put(asked->responses, from, answer, NULL) != RC_OK) {
        free(answer);
        asked->dropped++;
        return;
    }
    answer->size = size;
    if (size > 0) {
        memcpy(answer->bytes, bytes, size);
    }
    asked->bytes += size;
}

static void put_payload(struct rc_json *json, const struct answer *answer)
{
    rc_json_key(json, "Payload");
    if (answer->size == 0) {
        rc_json_null(json);
        return;
    }
    char *text = malloc(4 * ((answer->size + 2) / 3) + 1);
    if (text == NULL) {
        json->out->err = RC_ENOMEM;
        return;
    }
    rc_text_to_base64(answer->bytes, answer->size, text);
    rc_json_string(json, text);
    free(text);
}

static void put_responses(struct rc_json *json, const struct asked *asked)
{
    const struct answer *answer = NULL;
    const char *name = NULL;
    size_t position = 0;

    rc_json_key(json, "Responses");
    rc_json_array(json);
    while ((answer = rc_table_next(asked->responses, &position, &name)) != NULL) {
        rc_json_object(json);
        rc_json_put_string(json, "From", name);
        put_payload(json, answer);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

void asked_render(const struct asked *asked, struct rc_buffer *out)
{
    struct rc_json json = rc_json_over(out, 0);
    const char *name = NULL;
    size_t position = 0;

    rc_json_object(&json);
    rc_json_put_u64(&json, "ID", asked->id);
    rc_json_put_string(&json, "Name", asked->name);
    rc_json_key(&json, "Acks");
    rc_json_array(&json);
    while (rc_table_next(asked->acks, &position, &name) != NULL) {
        rc_json_string(&json, name);
    }
    rc_json_array_end(&json);
    put_responses(&json, asked);
    rc_json_key(&json, "Unanswered");
    rc_json_array(&json);
    position = 0;
    while (rc_table_next(asked->expected, &position, &name) != NULL) {
        if (rc_table_get(asked->responses, name) == NULL) {
            rc_json_string(&json, name);
        }
    }
    rc_json_array_end(&json);
    rc_json_put_u64(&json, "Dropped", asked->dropped);
    rc_json_object_end(&json);
}
