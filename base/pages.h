/* pages.h - memory that only the start of a program needed.
 *
 * The dynamic linker reads the tables of every library once, and the kernel maps what lies around
 * each page that is read: half of what a small program seems to need, shared or not. */
#ifndef BASE_PAGES_H
#define BASE_PAGES_H

/* Lets go of all pages of programs and libraries that cannot be written to, and of free heap.
 * What is used again comes back from the page cache, a page fault of a microsecond for 64 KiB.
 * To be called once a program runs, and after a library has been loaded. */
void rc_pages_release(void);

#endif
