/* local_peer_uv.h - what is different when the peer of a connection is on this machine. */
#ifndef PROXY_WORKER_LOCAL_PEER_UV_H
#define PROXY_WORKER_LOCAL_PEER_UV_H

/* For a connection that is about to send much: if its peer is on this machine, its segments are
 * no longer spread in time. Congestion control that measures a path and paces what it sends
 * (BBR) sets a timer for each segment; between two sockets of one machine there is no path, and
 * the timers cost three times what passing the bytes on does. Nothing changes for others. */
void local_peer_unpace(int fd);

#endif
