/* file.h - whole files: read with a limit, written so that a crash leaves old or new. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>

#include "base/buffer.h"

/* Appends the whole file to `out`. RC_OK, RC_ENOTFOUND, RC_ETOOBIG (over `max`), RC_EIO, RC_ENOMEM. */
int rc_file_read(const char *path, size_t max, struct rc_buffer *out);

/* Replaces `path` atomically: temporary file beside it, fsync, rename, fsync of the folder. Mode
 * 0600. RC_OK, or RC_EIO (errno kept) with the old file untouched. */
int rc_file_replace(const char *path, const void *bytes, size_t size);

/* Appends to the file, which is made (mode 0600) if it is not there; not synced: a power failure
 * may lose or tear the end. RC_OK, or RC_EIO (errno kept) with maybe a part written. */
int rc_file_append(const char *path, const void *bytes, size_t size);

/* Makes the folder and what is missing above it, mode 0700. RC_OK or RC_EIO. */
int rc_file_make_folder(const char *path);

#endif
