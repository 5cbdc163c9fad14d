#include "proxy/worker/silence.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

void silence_watch(int fd)
{
    int on = 1;
    int after_s = SILENCE_PROBE_AFTER_S;
    int every_s = SILENCE_PROBE_EVERY_S;
    int count = SILENCE_MAX_MS / 1000 / SILENCE_PROBE_EVERY_S;
    unsigned max_ms = SILENCE_MAX_MS;

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after_s, sizeof after_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &max_ms, sizeof max_ms);
}
