#include "dns/serve/listen_uv.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

enum { RECEIVE_BUFFER_SIZE = 4 << 20, BACKLOG = 512 };

static int set(int socket, int level, int name, int value)
{
    return setsockopt(socket, level, name, &value, sizeof value);
}

static int set_udp_options(int socket, const struct rc_address *address)
{
    int size = RECEIVE_BUFFER_SIZE;
    int is_any = rc_address_is_any(address);

    (void)set(socket, SOL_SOCKET, SO_RCVBUF, size); /* as much as the system allows */
    if (address->family == RC_ADDRESS_IPV4) {
        /* No path MTU discovery, whose forged answers could make us send fragments. */
        (void)set(socket, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
        return is_any ? set(socket, IPPROTO_IP, IP_PKTINFO, 1) : 0;
    }
    (void)set(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
    return is_any ? set(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : 0;
}

/* Linux looks at SO_REUSEPORT of both sockets when the second one is bound, so the first
 * may be bound without it and still be joined later. */
static int bind_shared(int socket, const struct rc_address *address, enum dns_share share)
{
    struct sockaddr_storage storage;

    socklen_t size = (socklen_t)rc_address_to_sockaddr(address, &storage);
    if ((address->family == RC_ADDRESS_IPV6 &&
         set(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0) ||
        (share == DNS_SHARE_NEXT && set(socket, SOL_SOCKET, SO_REUSEPORT, 1) != 0) ||
        bind(socket, (struct sockaddr *)&storage, size) != 0) {
        return -1;
    }
    return share == DNS_SHARE_FIRST ? set(socket, SOL_SOCKET, SO_REUSEPORT, 1) : 0;
}

static int told_address(int socket, struct rc_address *bound)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;

    return getsockname(socket, (struct sockaddr *)&storage, &size) == 0 &&
                   rc_address_from_sockaddr((struct sockaddr *)&storage, bound) == RC_OK
               ? 0
               : -1;
}

static int give_up(int socket)
{
    int saved = errno;

    if (socket >= 0) {
        (void)close(socket);
    }
    errno = saved;
    return RC_EIO;
}

static int open_socket(const struct rc_address *address, int type)
{
    int family = address->family == RC_ADDRESS_IPV4 ? AF_INET : AF_INET6;

    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int dns_listen_udp(const struct rc_address *address, enum dns_share share, int *fd,
                   struct rc_address *bound)
{
    int made = open_socket(address, SOCK_DGRAM);

    if (made < 0 || set_udp_options(made, address) != 0 ||
        bind_shared(made, address, share) != 0 || told_address(made, bound) != 0) {
        return give_up(made);
    }
    *fd = made;
    return RC_OK;
}

int dns_listen_tcp(const struct rc_address *address, enum dns_share share, int *fd,
                   struct rc_address *bound)
{
    int made = open_socket(address, SOCK_STREAM);

    if (made < 0 || set(made, SOL_SOCKET, SO_REUSEADDR, 1) != 0 ||
        bind_shared(made, address, share) != 0 || listen(made, BACKLOG) != 0 ||
        told_address(made, bound) != 0) {
        return give_up(made);
    }
    *fd = made;
    return RC_OK;
}
