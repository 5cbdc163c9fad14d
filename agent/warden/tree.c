#include "agent/warden/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROCESSES_MAX = 32768, NAMES_SIZE = 32768, STAT_SIZE = 512, PID_TEXT = 32 };

struct process_entry {
    pid_t pid;
    pid_t parent;
    bool is_dead;    /* a zombie */
    bool is_of_tree; /* belongs to what is looked for */
};

struct tree {
    size_t count;
    struct process_entry processes[PROCESSES_MAX];
    char names[NAMES_SIZE] __attribute__((aligned(16)));
};

struct tree *tree_create(void)
{
    return calloc(1, sizeof(struct tree));
}

void tree_destroy(struct tree *tree)
{
    free(tree);
}

/* ---- One process. */

/* proc(5): "pid (name) S ppid ...", and the name may hold anything, also ")". */
static bool read_entry(pid_t pid, struct process_entry *out)
{
    char path[PID_TEXT];
    char text[STAT_SIZE];
    int parent = 0;
    char state = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    ssize_t got = read(file, text, sizeof text - 1);
    (void)close(file);
    if (got <= 0) {
        return false;
    }
    text[got] = '\0';
    const char *end = strrchr(text, ')');
    // NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers
    if (end == NULL || sscanf(end + 1, " %c %d", &state, &parent) != 2) {
        return false;
    }
    *out = (struct process_entry){
        .pid = pid, .parent = (pid_t)parent, .is_dead = state == 'Z' || state == 'X'};
    return true;
}

bool tree_is_alive(pid_t pid)
{
    struct process_entry entry;

    return pid > 0 && read_entry(pid, &entry) && !entry.is_dead;
}

static bool works_in(pid_t pid, const char *folder)
{
    char path[PID_TEXT];
    char place[PATH_MAX];

    (void)snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
    ssize_t size = readlink(path, place, sizeof place - 1);
    if (size <= 0) {
        return false;
    }
    place[size] = '\0';
    return strcmp(place, folder) == 0;
}

/* A shell of somebody who looks into the data folder is not killed for it. */
static bool is_postgres(pid_t pid)
{
    char path[PID_TEXT];
    char place[PATH_MAX];

    (void)snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t size = readlink(path, place, sizeof place - 1);
    if (size <= 0) {
        return false;
    }
    place[size] = '\0';
    const char *name = strrchr(place, '/');
    return name != NULL && strncmp(name + 1, "postgres", strlen("postgres")) == 0;
}

/* ---- All of them. Without opendir(), which allocates. */

static pid_t pid_of(const char *name)
{
    char *end = NULL;
    long pid = strtol(name, &end, 10);

    return *end == '\0' && pid > 0 && pid < INT_MAX ? (pid_t)pid : 0;
}

static void take_names(struct tree *tree, ssize_t size)
{
    for (ssize_t at = 0; at < size && tree->count < PROCESSES_MAX;) {
        const struct dirent64 *entry =
            (const struct dirent64 *)(const void *)(tree->names + at);
        pid_t pid = pid_of(entry->d_name);
        if (pid > 0 && read_entry(pid, &tree->processes[tree->count])) {
            tree->count++;
        }
        at += entry->d_reclen;
    }
}

static void look(struct tree *tree)
{
    tree->count = 0;
    int folder = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return;
    }
    ssize_t got = getdents64(folder, tree->names, sizeof tree->names);
    while (got > 0) {
        take_names(tree, got);
        got = getdents64(folder, tree->names, sizeof tree->names);
    }
    (void)close(folder);
}

/* The kernel lists them in the order of their numbers. */
static bool is_marked(const struct tree *tree, pid_t pid)
{
    size_t low = 0;
    size_t high = tree->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tree->processes[middle].pid < pid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < tree->count && tree->processes[low].pid == pid &&
           tree->processes[low].is_of_tree;
}

/* Marks the descendants of what is marked, until nothing is added. Children mostly have higher
 * numbers than their parents, so this takes two or three rounds. */
static void mark_descendants(struct tree *tree, pid_t keeper_of_all)
{
    bool added = true;

    while (added) {
        added = false;
        for (size_t i = 0; i < tree->count; i++) {
            struct process_entry *child = &tree->processes[i];
            if (!child->is_of_tree &&
                ((keeper_of_all > 0 && child->parent == keeper_of_all) ||
                 is_marked(tree, child->parent))) {
                child->is_of_tree = true;
                added = true;
            }
        }
    }
}

static size_t mark(struct tree *tree, const struct tree_roots *roots)
{
    char folder[PATH_MAX];
    size_t alive = 0;
    bool has_folder =
        roots->data_dir != NULL && realpath(roots->data_dir, folder) != NULL;

    look(tree);
    for (size_t i = 0; i < tree->count; i++) {
        struct process_entry *p = &tree->processes[i];
        p->is_of_tree = p->pid != getpid() && p->pid != roots->keeper_of_all &&
                        (p->pid == roots->postmaster ||
                         (has_folder && works_in(p->pid, folder) && is_postgres(p->pid)));
    }
    mark_descendants(tree, roots->keeper_of_all);
    for (size_t i = 0; i < tree->count; i++) {
        alive += tree->processes[i].is_of_tree && !tree->processes[i].is_dead;
    }
    return alive;
}

size_t tree_count(struct tree *tree, const struct tree_roots *roots)
{
    return mark(tree, roots);
}

static void kill_cgroup(const char *folder)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/cgroup.kill", folder);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file >= 0) {
        (void)!write(file, "1", 1); /* the walk follows anyway */
        (void)close(file);
    }
}

size_t tree_kill(struct tree *tree, const struct tree_roots *roots)
{
    if (roots->postmaster > 0) {
        (void)kill(roots->postmaster, SIGSTOP);
    }
    if (roots->cgroup != NULL) {
        kill_cgroup(roots->cgroup);
    }
    size_t alive = mark(tree, roots);
    for (size_t i = 0; i < tree->count; i++) {
        const struct process_entry *p = &tree->processes[i];
        if (p->is_of_tree && !p->is_dead && p->pid != roots->postmaster) {
            (void)kill(p->pid, SIGKILL);
        }
    }
    if (roots->postmaster > 0) {
        (void)kill(roots->postmaster, SIGKILL);
    }
    return alive;
}

/* ---- postmaster.pid: its first line is the number. */

pid_t tree_find_postmaster(const char *data_dir)
{
    char path[PATH_MAX];
    char text[PID_TEXT];
    char folder[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/postmaster.pid", data_dir);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    ssize_t got = read(file, text, sizeof text - 1);
    (void)close(file);
    if (got <= 0 || realpath(data_dir, folder) == NULL) {
        return 0;
    }
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0';
    pid_t pid = pid_of(text);
    return pid > 1 && tree_is_alive(pid) && works_in(pid, folder) ? pid : 0;
}
