#include "base/pages.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Code that the linker had to write into: those pages are not what the file holds. */
static bool has_written_code(const struct dl_phdr_info *object, const ElfW(Phdr) * header)
{
    const ElfW(Dyn) *entry = NULL;

    if (header->p_type != PT_DYNAMIC) {
        return false;
    }
    // NOLINTNEXTLINE(performance-no-int-to-ptr): that is how the linker tells it
    entry = (const ElfW(Dyn) *)(object->dlpi_addr + header->p_vaddr);
    while (entry->d_tag != DT_NULL) {
        if (entry->d_tag == DT_TEXTREL ||
            (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0)) {
            return true;
        }
        entry++;
    }
    return false;
}

static void release(const struct dl_phdr_info *object, const ElfW(Phdr) * header)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = object->dlpi_addr + header->p_vaddr;
    uintptr_t end = (start + header->p_memsz) & ~(page - 1);

    start = (start + page - 1) & ~(page - 1);
    if (header->p_type == PT_LOAD && (header->p_flags & PF_W) == 0 && end > start) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): that is how the linker tells it
        (void)madvise((void *)start, end - start, MADV_DONTNEED); /* a hint */
    }
}

static int release_object(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size;
    (void)context;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        if (has_written_code(object, &object->dlpi_phdr[i])) {
            return 0;
        }
    }
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        release(object, &object->dlpi_phdr[i]);
    }
    return 0; /* the next, please */
}

void rc_pages_release(void)
{
    (void)dl_iterate_phdr(release_object, NULL);
    (void)malloc_trim(0);
}
