/* redis_talk.h - what a check says to a Redis server, and what it makes of the answers.
 *
 * AUTH where a password is given, PING, and where a role is wanted ROLE, or INFO where a user
 * may not ask for that. Pure: bytes in, bytes out. The password is in no text. Commands:
 * https://redis.io/commands/{auth,ping,role,info}. */
#ifndef AGENT_CHECKS_REDIS_TALK_H
#define AGENT_CHECKS_REDIS_TALK_H

#include "agent/checks/check.h"

enum { REDIS_REPLY_MAX = 16 * 1024, REDIS_PASSWORD_MAX = 512 };

enum redis_role { REDIS_ANY, REDIS_MASTER, REDIS_REPLICA };

/* "master" and "replica" as a definition has them; NULL is any. RC_OK or RC_EINVAL. */
int redis_role_parse(const char *word, enum redis_role *out);

enum redis_step { REDIS_AUTH, REDIS_PING, REDIS_ROLE, REDIS_INFO, REDIS_DONE };

struct redis_talk {
    enum redis_role wanted;
    enum redis_step step;
    struct rc_buffer out;     /* to be sent, then cleared by whoever sends */
    struct rc_buffer in;      /* of an answer that is not complete */
    enum check_status status; /* when done, with what it says: */
    struct rc_buffer text;
};

/* Begins; `out` has the first command. `user` and `password` may be NULL. */
void redis_talk_begin(struct redis_talk *talk, enum redis_role wanted, const char *user,
                      const char *password);

/* Forgets all; a password in `out` is overwritten. A zeroed struct is allowed. */
void redis_talk_fini(struct redis_talk *talk);

/* RC_EAGAIN: wants more, maybe after sending `out`; RC_OK: done, whatever came of it. */
int redis_talk_feed(struct redis_talk *talk, const void *bytes, size_t size);

#endif
