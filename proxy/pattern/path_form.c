/* path_form.c - see path_form.h. */
#include "proxy/pattern/path_form.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

static const char *const fault_texts[PATH_FAULT_COUNT] = {
    [PATH_SOUND] = "a sound path",
    [PATH_BAD_PERCENT] = "a percent sign in the path without two hexadecimal digits",
    [PATH_NUL] = "%00 in the path",
    [PATH_BACKSLASH] = "a backslash in the path",
    [PATH_ABOVE_ROOT] = "the path leads above the root",
    [PATH_TOO_LONG] = "the path is too long",
};

const char *path_form_fault_text(enum path_fault fault)
{
    assert(fault < PATH_FAULT_COUNT);
    return fault_texts[fault];
}

/* Bytes that may make a path mean something else: 1 always, 2 only behind a slash. */
static const uint8_t suspicious[256] = {
    ['%'] = 1, ['\\'] = 1, [';'] = 1, ['/'] = 2, ['.'] = 2,
};

bool path_form_is_plain(const char *path, size_t size)
{
    unsigned found = 0;
    unsigned behind_slash = 1; /* one, or three behind a slash */

    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)path[i];
        found |= suspicious[byte] & behind_slash;
        behind_slash = byte == '/' ? 3 : 1;
    }
    return found == 0;
}

static int hex(char byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    char low = (char)(byte | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* The byte that "%XX" at `at` stands for, or -1. */
static int decoded(const char *at, size_t left)
{
    if (left < 3 || at[0] != '%' || hex(at[1]) < 0 || hex(at[2]) < 0) {
        return -1;
    }
    return hex(at[1]) * 16 + hex(at[2]);
}

/* RFC 3986 section 2.3. */
static bool is_unreserved(int byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
           byte == '~';
}

/* RFC 3986 section 5.2.4 in place: segments "." go, ".." take the one before with them.
 * Returns the new size, or 0 if it leads above the root. The path begins with "/". */
static size_t resolve_dots(char *path, size_t size)
{
    size_t to = 0;
    size_t at = 0;

    while (at < size) { /* at a slash */
        size_t end = at + 1;
        while (end < size && path[end] != '/') {
            end++;
        }
        size_t segment = end - at - 1;
        bool one = segment == 1 && path[at + 1] == '.';
        bool two = segment == 2 && path[at + 1] == '.' && path[at + 2] == '.';
        bool last = end == size;
        if (two && to == 0) {
            return 0;
        }
        while (two && path[--to] != '/') {
        }
        if (!one && !two) {
            memmove(path + to, path + at, end - at);
            to += end - at;
        } else if (last) {
            path[to++] = '/'; /* "/a/.." is a folder */
        }
        at = end;
    }
    return to;
}

/* Decodes what may be, upper case for the rest. Returns the fault. */
static enum path_fault decode(const char *path, size_t size, char *space, size_t *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t to = 0;

    for (size_t i = 0; i < size; i++) {
        if (path[i] == '\\') {
            return PATH_BACKSLASH;
        }
        if (path[i] != '%') {
            space[to++] = path[i];
            continue;
        }
        int byte = decoded(path + i, size - i);
        if (byte <= 0) {
            return byte == 0 ? PATH_NUL : PATH_BAD_PERCENT;
        }
        i += 2;
        if (is_unreserved(byte)) {
            space[to++] = (char)byte;
            continue;
        }
        space[to++] = '%';
        space[to++] = digits[byte / 16];
        space[to++] = digits[byte % 16];
    }
    *out = to;
    return PATH_SOUND;
}

enum path_fault path_form_normal(const char *path, size_t size, char *space, size_t *out)
{
    if (size > PATH_FORM_MAX) {
        return PATH_TOO_LONG;
    }
    assert(size > 0 && path[0] == '/');
    enum path_fault fault = decode(path, size, space, out);
    if (fault != PATH_SOUND) {
        return fault;
    }
    *out = resolve_dots(space, *out);
    return *out > 0 ? PATH_SOUND : PATH_ABOVE_ROOT;
}

/* What a careless decoder makes of the text at `at`: the byte, and in `*used` how many bytes
 * it took. Only what can change where segments end is decoded: the rest has one spelling. */
static char careless(const char *at, size_t left, size_t *used)
{
    int first = decoded(at, left);
    int second = first == 0xc0 || first == 0xc1 ? decoded(at + 3, left - 3) : -1;

    *used = 1;
    if (second >= 0x80 && second < 0xc0) { /* overlong UTF-8 of an ASCII byte */
        first = (first & 1) * 64 + (second & 0x3f);
        *used = 6;
    } else if (first >= 0) {
        *used = 3;
    }
    if (first == '/' || first == '\\') {
        return '/';
    }
    if (*used == 6 && (first == '.' || first == ';')) {
        return (char)first;
    }
    if (first == ';') {
        return ';';
    }
    *used = 1;
    return at[0];
}

size_t path_form_lax(const char *normal, size_t size, char *space)
{
    size_t to = 0;
    bool parameter = false;

    assert(size <= PATH_FORM_MAX);
    for (size_t i = 0; i < size;) {
        size_t used = 1;
        char byte = careless(normal + i, size - i, &used);
        i += used;
        parameter = byte == ';' || (parameter && byte != '/');
        bool repeated = byte == '/' && to > 0 && space[to - 1] == '/';
        if (!parameter && !repeated) {
            space[to++] = byte;
        }
    }
    size_t resolved = resolve_dots(space, to);
    if (resolved == 0) { /* a server stays at its root, or refuses */
        space[0] = '/';
        resolved = 1;
    }
    return resolved;
}
