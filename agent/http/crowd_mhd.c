/* crowd_mhd.c - those who have asked the same and are woken together get the same answer.
 *
 * Of the connections that we hold, those that go on in the same turn, with the same question,
 * headers and rights, stand behind the first. It is answered as ever, which may take until the
 * store has spoken, and they are sent the same bytes. If it has to wait on, each of them goes
 * its own way. */
#include <assert.h>
#include <string.h>

#include "agent/http/server_mhd.h"
#include "base/err.h"

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The texts lie behind each other, in the order of the headers that are there. */
static bool has_same_headers(const struct connection *a, const struct connection *b)
{
    return a->kept_size == b->kept_size && a->kept_which == b->kept_which &&
           memcmp(a->kept, b->kept, a->kept_size) == 0;
}

static bool has_same_target(const struct target *a, const struct target *b)
{
    return a->text.size == b->text.size &&
           memcmp(a->text.bytes, b->text.bytes, a->text.size) == 0;
}

/* Who comes with a token is also judged by the address. */
static bool has_same_rights(const struct connection *a, const struct connection *b)
{
    const struct http_exchange *x = &a->exchange;
    const struct http_exchange *y = &b->exchange;

    return a->place == b->place && x->is_local == y->is_local &&
           is_same_text(x->request.token, y->request.token) &&
           (x->request.token == NULL || x->client == y->client) &&
           x->token_wait.is_on == y->token_wait.is_on;
}

static bool is_alike(const struct connection *a, const struct connection *b)
{
    const struct http_exchange *x = &a->exchange;
    const struct http_exchange *y = &b->exchange;

    return x->expired == y->expired && a->closes == b->closes &&
           has_same_target(&x->target, &y->target) && has_same_headers(a, b) &&
           has_same_rights(a, b);
}

static void follow(struct connection *leader, struct connection *connection)
{
    connection->leader = leader;
    connection->previous_follower = NULL;
    connection->next_follower = leader->first_follower;
    if (leader->first_follower != NULL) {
        leader->first_follower->previous_follower = connection;
    }
    leader->first_follower = connection;
    leader->follower_count++;
}

static void unfollow(struct connection *connection)
{
    struct connection *leader = connection->leader;

    if (connection->previous_follower != NULL) {
        connection->previous_follower->next_follower = connection->next_follower;
    } else {
        leader->first_follower = connection->next_follower;
    }
    if (connection->next_follower != NULL) {
        connection->next_follower->previous_follower = connection->previous_follower;
    }
    leader->follower_count--;
    connection->leader = NULL;
}

struct connection *crowd_next(struct connection *leader)
{
    struct connection *connection = leader->first_follower;

    if (connection != NULL) {
        unfollow(connection);
    }
    return connection;
}

void crowd_disperse(struct connection *leader)
{
    struct connection *connection = crowd_next(leader);

    while (connection != NULL) {
        connection_go_on(connection);
        connection = crowd_next(leader);
    }
}

void crowd_add(struct connection *connection)
{
    struct http *http = connection->http;

    assert(connection->mhd == NULL && connection->suspended);
    if (http->leader != NULL && is_alike(http->leader, connection)) {
        follow(http->leader, connection);
        return;
    }
    crowd_go_on(http);
    http->leader = connection;
}

void crowd_go_on(struct http *http)
{
    struct connection *leader = http->leader;

    http->leader = NULL;
    if (leader != NULL) {
        connection_go_on(leader);
        if (leader->exchange.outcome != EXCHANGE_PENDING) {
            crowd_disperse(leader); /* nobody is left of those who were answered */
        }
    }
}

void crowd_leave(struct connection *connection)
{
    struct http *http = connection->http;

    if (http->leader == connection) {
        http->leader = NULL;
    }
    if (connection->leader != NULL) {
        unfollow(connection);
    }
    struct connection *follower = crowd_next(connection);
    while (follower != NULL) { /* they are called once more, without it */
        struct waiter *waiter = &follower->exchange.waiter;
        if (waiters_add(http->waiters, waiter) == RC_OK) {
            http_wake(http, waiter->key);
        } else {
            held_give_up(follower);
        }
        follower = crowd_next(connection);
    }
}
