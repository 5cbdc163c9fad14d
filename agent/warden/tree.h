/* tree.h - a postmaster and all that came of it, and how to end them.
 *
 * Found through /proc: the descendants of a process, and whoever else works in the data folder
 * (every process of PostgreSQL does, also the orphans of a postmaster that was killed). Order of
 * killing: the postmaster is stopped first, so that it forks no more, then its descendants are
 * killed, then itself. Nothing is allocated after tree_create(): used by the warden, and by the
 * keeper when the warden is silent. */
#ifndef AGENT_WARDEN_TREE_H
#define AGENT_WARDEN_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tree;

/* NULL: no memory. */
struct tree *tree_create(void);
void tree_destroy(struct tree *tree);

/* What belongs together. */
struct tree_roots {
    pid_t postmaster; /* 0: it has ended */
    pid_t
        keeper_of_all; /* all its descendants belong too; 0: nobody's do. Itself stays. */
    const char *data_dir; /* whoever works in there belongs too; NULL: nobody does */
    const char *cgroup;   /* its folder, killed as a whole; NULL: none */
};

/* Kills them all and returns how many it found alive. Zombies are dead. Call it again
 * until it returns 0. */
size_t tree_kill(struct tree *tree, const struct tree_roots *roots);

/* The same without killing. */
size_t tree_count(struct tree *tree, const struct tree_roots *roots);

/* Whether the process is there and no zombie. */
bool tree_is_alive(pid_t pid);

/* The postmaster of a data folder as its postmaster.pid says, if that process is alive and works
 * there; 0: none. */
pid_t tree_find_postmaster(const char *data_dir);

#endif
