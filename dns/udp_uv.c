#include "dns/udp_uv.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "dns/message.h"

enum {
    BATCH_MAX = 64,
    ROUNDS_MAX = 4,        /* per wake-up, so that TCP and timers get their turn */
    QUERY_MAX = 1536,      /* a longer query is no query */
    ARENA_SIZE = 96 << 10, /* of answers; flushed when the largest may not fit any more */
    RECEIVE_BUFFER_SIZE = 4 << 20,
    CONTROL_SIZE = 64
};

struct dns_udp_batch {
    struct mmsghdr in[BATCH_MAX];
    struct mmsghdr out[BATCH_MAX];
    struct iovec in_parts[BATCH_MAX];
    struct iovec out_parts[BATCH_MAX];
    struct sockaddr_storage peers[BATCH_MAX];
    /* Ancillary data: which of our addresses a packet was sent to. */
    _Alignas(struct cmsghdr) uint8_t controls[BATCH_MAX][CONTROL_SIZE];
    struct dns_outcome outcomes[BATCH_MAX];
    uint8_t queries[BATCH_MAX][QUERY_MAX];
    uint8_t arena[ARENA_SIZE];
    unsigned out_count;
    size_t arena_used;
};

struct dns_udp_batch *dns_udp_batch_create(void)
{
    struct dns_udp_batch *batch = calloc(1, sizeof *batch);

    if (batch == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < BATCH_MAX; i++) {
        batch->in_parts[i].iov_base = batch->queries[i];
        batch->in_parts[i].iov_len = QUERY_MAX;
        batch->in[i].msg_hdr.msg_iov = &batch->in_parts[i];
        batch->in[i].msg_hdr.msg_iovlen = 1;
        batch->in[i].msg_hdr.msg_name = &batch->peers[i];
        batch->out[i].msg_hdr.msg_iov = &batch->out_parts[i];
        batch->out[i].msg_hdr.msg_iovlen = 1;
    }
    return batch;
}

void dns_udp_batch_destroy(struct dns_udp_batch *batch)
{
    free(batch);
}

/* Sends what is ready. What the system does not take at the second try is dropped: the
 * client asks again, and waiting here would hold up everybody else. */
static void flush(struct dns_udp *udp)
{
    struct dns_udp_batch *batch = udp->batch;
    unsigned sent = 0;

    for (int tries = 0; tries < 2 && sent < batch->out_count; tries++) {
        int count = sendmmsg(udp->socket, batch->out + sent, batch->out_count - sent, 0);
        if (count > 0) {
            sent += (unsigned)count;
        } else if (count < 0 && errno != EAGAIN && errno != EINTR) {
            sent++; /* this one cannot be sent at all, the next ones may */
            tries--;
            rc_metric_add(udp->meter->unsent, 1);
        }
    }
    rc_metric_add(udp->meter->unsent, batch->out_count - sent);
    batch->out_count = 0;
    batch->arena_used = 0;
}

/* The address that a packet was sent to, from its ancillary data; and makes the answer
 * leave from there, by whatever interface routing chooses (index 0). */
static struct rc_address local_of(struct msghdr *message)
{
    struct rc_address local = {.family = RC_ADDRESS_NONE};

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL;
         c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            (void)rc_address_from_bytes(&info.ipi_addr, 4, 0, &local);
            info.ipi_spec_dst = info.ipi_addr;
            info.ipi_ifindex = 0;
            memcpy(CMSG_DATA(c), &info, sizeof info);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            (void)rc_address_from_bytes(&info.ipi6_addr, 16, 0, &local);
            if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) {
                info.ipi6_ifindex = 0;
            }
            memcpy(CMSG_DATA(c), &info, sizeof info);
        }
    }
    return local;
}

/* A client on this host talks to us from one of its own addresses: the loopback, or the
 * one that it talks to. */
static enum dns_channel channel_of(const struct rc_address *peer,
                                   const struct rc_address *local)
{
    return rc_address_is_loopback(peer) || rc_address_ip_equals(peer, local)
               ? DNS_CHANNEL_UDP_LOCAL
               : DNS_CHANNEL_UDP_REMOTE;
}

static void answer_one(struct dns_udp *udp, size_t i)
{
    struct dns_udp_batch *batch = udp->batch;
    struct msghdr *message = &batch->in[i].msg_hdr;
    struct rc_address peer;
    struct rc_address local = udp->address;

    batch->outcomes[i].size = 0;
    if (rc_address_from_sockaddr(message->msg_name, &peer) != RC_OK || peer.port == 0) {
        return;
    }
    if (message->msg_controllen > 0) {
        local = local_of(message);
    }
    if (peer.port == udp->address.port && rc_address_ip_equals(&peer, &local)) {
        return; /* our own packet come back: answering would never end */
    }
    if (ARENA_SIZE - batch->arena_used < DNS_UDP_LOCAL_MAX) {
        flush(udp);
    }
    /* Of a packet that was cut only the header is looked at, so it is FORMERR. */
    size_t size =
        (message->msg_flags & MSG_TRUNC) != 0 ? DNS_HEADER_SIZE : batch->in[i].msg_len;
    uint8_t *space = batch->arena + batch->arena_used;
    batch->outcomes[i] = dns_answer(udp->answerer, channel_of(&peer, &local),
                                    batch->queries[i], size, space, DNS_UDP_LOCAL_MAX);
    if (batch->outcomes[i].size == 0) {
        return;
    }
    struct msghdr *out = &batch->out[batch->out_count].msg_hdr;
    out->msg_name = message->msg_name;
    out->msg_namelen = message->msg_namelen;
    out->msg_control = message->msg_controllen > 0 ? message->msg_control : NULL;
    out->msg_controllen = message->msg_controllen;
    out->msg_iov->iov_base = space;
    out->msg_iov->iov_len = batch->outcomes[i].size;
    batch->out_count++;
    batch->arena_used += batch->outcomes[i].size;
}

/* One batch. Returns how many packets came. */
static unsigned serve_batch(struct dns_udp *udp)
{
    struct dns_udp_batch *batch = udp->batch;

    for (size_t i = 0; i < BATCH_MAX; i++) {
        struct msghdr *message = &batch->in[i].msg_hdr;
        message->msg_namelen = sizeof batch->peers[i];
        message->msg_control =
            rc_address_is_any(&udp->address) ? batch->controls[i] : NULL;
        message->msg_controllen = message->msg_control != NULL ? CONTROL_SIZE : 0;
    }
    int count = recvmmsg(udp->socket, batch->in, BATCH_MAX, MSG_DONTWAIT, NULL);
    if (count <= 0) {
        return 0;
    }
    uint64_t start_ns = rc_clock_ns();
    for (size_t i = 0; i < (size_t)count; i++) {
        answer_one(udp, i);
    }
    flush(udp);
    uint64_t spent_ns = rc_clock_ns() - start_ns;
    for (size_t i = 0; i < (size_t)count; i++) {
        dns_meter_count(udp->meter, DNS_PROTOCOL_UDP, &batch->outcomes[i], spent_ns);
    }
    return (unsigned)count;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct dns_udp *udp = poll->data;

    (void)status; /* an error of the socket is fetched, and so cleared, by recvmmsg */
    (void)events;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (serve_batch(udp) < BATCH_MAX) {
            break;
        }
    }
}

static int set(int socket, int level, int name, int value)
{
    return setsockopt(socket, level, name, &value, sizeof value);
}

static int set_options(int socket, const struct rc_address *address)
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
    if (set(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0) {
        return -1;
    }
    return is_any ? set(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : 0;
}

static int bind_socket(struct dns_udp *udp, const struct rc_address *address)
{
    struct sockaddr_storage storage;

    socklen_t size = (socklen_t)rc_address_to_sockaddr(address, &storage);
    if (set_options(udp->socket, address) != 0 ||
        bind(udp->socket, (struct sockaddr *)&storage, size) != 0) {
        return RC_EIO;
    }
    size = sizeof storage;
    if (getsockname(udp->socket, (struct sockaddr *)&storage, &size) != 0 ||
        rc_address_from_sockaddr((struct sockaddr *)&storage, &udp->address) != RC_OK) {
        return RC_EIO;
    }
    return RC_OK;
}

int dns_udp_start(struct dns_udp *udp, uv_loop_t *loop, const struct rc_address *address)
{
    int family = address->family == RC_ADDRESS_IPV4 ? AF_INET : AF_INET6;

    assert(udp->batch != NULL && udp->answerer != NULL && udp->meter != NULL);
    udp->socket = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (udp->socket < 0) {
        return RC_EIO;
    }
    int err = bind_socket(udp, address);
    if (err == RC_OK) {
        int code = uv_poll_init(loop, &udp->poll, udp->socket);
        errno = -code;
        err = code == 0 ? RC_OK : RC_EIO;
    }
    if (err != RC_OK) {
        int saved = errno;
        (void)close(udp->socket);
        errno = saved;
        return err;
    }
    udp->poll.data = udp;
    (void)uv_poll_start(&udp->poll, UV_READABLE, on_ready); /* fails only when closing */
    return RC_OK;
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct dns_udp *udp = handle->data;

    (void)close(udp->socket);
    udp->on_closed(udp->context);
}

void dns_udp_close(struct dns_udp *udp, void (*on_closed)(void *context), void *context)
{
    udp->on_closed = on_closed;
    udp->context = context;
    uv_close((uv_handle_t *)&udp->poll, on_poll_closed);
}
