/* fuzz_path_form.c - any target as a path: its normal form is its own normal form, no longer, and holds no byte that
 * a target may not hold; what counts as plain has no other reading. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proxy/pattern/path_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What the parser of heads lets through: visible bytes, no '#', no '?' in a path. */
static size_t as_path(const uint8_t *bytes, size_t size, char *out)
{
    out[0] = '/';
    for (size_t i = 0; i < size; i++) {
        unsigned visible = 0x21U + bytes[i] % 0x5eU;
        bool other = visible == '#' || visible == '?';
        out[i + 1] = '/';
        if (!other) {
            out[i + 1] = (char)visible;
        }
    }
    return size + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char path[PATH_FORM_MAX];
    static char normal[PATH_FORM_MAX];
    static char again[PATH_FORM_MAX];
    size_t normal_size = 0;
    size_t again_size = 0;

    if (size >= PATH_FORM_MAX) {
        return 0;
    }
    size = as_path(bytes, size, path);
    enum path_fault fault = path_form_normal(path, size, normal, &normal_size);
    if (fault != PATH_SOUND) {
        assert(!path_form_is_plain(path, size));
        return 0;
    }
    assert(normal_size > 0 && normal_size <= size && normal[0] == '/');
    for (size_t i = 0; i < normal_size; i++) {
        assert(normal[i] > 0x20 && normal[i] < 0x7f && normal[i] != '?' &&
               normal[i] != '#' && normal[i] != '\\');
    }
    assert(path_form_normal(normal, normal_size, again, &again_size) == PATH_SOUND);
    assert(again_size == normal_size && memcmp(again, normal, normal_size) == 0);
    size_t lax_size = path_form_lax(normal, normal_size, again);
    assert(lax_size <= normal_size);
    if (path_form_is_plain(path, size)) {
        assert(normal_size == size && memcmp(normal, path, size) == 0);
        assert(lax_size == size && memcmp(again, path, size) == 0);
    }
    return 0;
}
