/* warden_socket.h - the Unix socket between keeper and warden, whatever the length of its path. */
#ifndef AGENT_WARDEN_WARDEN_SOCKET_H
#define AGENT_WARDEN_WARDEN_SOCKET_H

#include <stddef.h>
#include <stdint.h>

/* Listens at `path`; an old socket is removed, and a lock beside it keeps a second warden out.
 * RC_OK with the listener, which does not block; RC_EEXISTS: another warden is there; RC_EIO. */
int warden_socket_listen(const char *path, int *out);

/* Takes who knocks. Descriptor, or -1: nobody, or somebody who may not. */
int warden_socket_accept(int listener);

/* RC_OK with a descriptor that does not block; RC_ENOTFOUND: nobody is there; RC_EIO. */
int warden_socket_connect(const char *path, int *out);

/* RC_OK, RC_EAGAIN (the other side does not read), or RC_ECLOSED. */
int warden_socket_send(int file, const void *bytes, size_t size);

/* RC_OK with a message in `space`; RC_EAGAIN: none; RC_ECLOSED. */
int warden_socket_receive(int file, void *space, size_t space_size, size_t *size);

/* CLOCK_BOOTTIME in ms. */
uint64_t warden_clock_ms(void);

#endif
