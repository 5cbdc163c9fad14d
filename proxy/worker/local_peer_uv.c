/* local_peer_uv.c - see local_peer_uv.h. */
#include "proxy/worker/local_peer_uv.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

enum { LOOPBACK_NET = 127 };

/* From an address to itself, or over the loopback: no packet leaves the machine. */
static bool is_local(int fd)
{
    struct sockaddr_storage here = {0};
    struct sockaddr_storage there = {0};
    socklen_t here_size = sizeof here;
    socklen_t there_size = sizeof there;

    if (getsockname(fd, (struct sockaddr *)&here, &here_size) != 0 ||
        getpeername(fd, (struct sockaddr *)&there, &there_size) != 0 ||
        here.ss_family != there.ss_family) {
        return false;
    }
    if (here.ss_family == AF_INET) {
        const struct sockaddr_in *from = (const struct sockaddr_in *)&here;
        const struct sockaddr_in *to = (const struct sockaddr_in *)&there;
        return from->sin_addr.s_addr == to->sin_addr.s_addr ||
               ntohl(to->sin_addr.s_addr) >> 24U == LOOPBACK_NET;
    }
    if (here.ss_family == AF_INET6) {
        const struct sockaddr_in6 *from = (const struct sockaddr_in6 *)&here;
        const struct sockaddr_in6 *to = (const struct sockaddr_in6 *)&there;
        return memcmp(&from->sin6_addr, &to->sin6_addr, sizeof to->sin6_addr) == 0;
    }
    return false;
}

void local_peer_unpace(int fd)
{
    static const char plain[] = "reno"; /* always there, and does not pace by itself */

    if (is_local(fd)) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, plain, sizeof plain - 1);
    }
}
