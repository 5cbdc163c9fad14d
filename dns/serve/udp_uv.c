#include "dns/serve/udp_uv.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/metrics.h"
#include "dns/wire/message.h"

enum {
    BATCH_MAX = 64,
    ROUNDS_MAX = 4,        /* per wake-up, so that TCP and timers get their turn */
    QUERY_MAX = 1536,      /* a longer query is no query */
    ARENA_SIZE = 96 << 10, /* of answers; flushed when the largest may not fit any more */
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
    uint8_t queries[BATCH_MAX][QUERY_MAX];
    uint8_t arena[ARENA_SIZE];
    unsigned out_count;
    size_t arena_used;
    const struct dns_udp *prepared_for; /* whose slots `in` has now */
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
            rc_metric_add(udp->clerk->meter->unsent, 1);
        }
    }
    if (sent < batch->out_count) {
        rc_metric_add(udp->clerk->meter->unsent, batch->out_count - sent);
    }
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

/* Says from which of our addresses an answer is to leave. Returns the size of that. */
static size_t put_local(struct msghdr *message, const struct dns_later *later)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message);

    if (later->local.family == RC_ADDRESS_IPV4) {
        struct in_pktinfo info = {.ipi_ifindex = 0};
        memcpy(&info.ipi_spec_dst, later->local.ip, sizeof info.ipi_spec_dst);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(c), &info, sizeof info);
        return CMSG_SPACE(sizeof info);
    }
    struct in6_pktinfo info = {.ipi6_ifindex = later->scope};
    memcpy(&info.ipi6_addr, later->local.ip, sizeof info.ipi6_addr);
    c->cmsg_level = IPPROTO_IPV6;
    c->cmsg_type = IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(c), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
}

/* The answer that was written at the end of the arena goes to whom the packet came from. */
static void add_answer(struct dns_udp_batch *batch, const struct msghdr *message,
                       size_t size)
{
    struct msghdr *out = &batch->out[batch->out_count].msg_hdr;

    out->msg_name = message->msg_name;
    out->msg_namelen = message->msg_namelen;
    out->msg_control = message->msg_controllen > 0 ? message->msg_control : NULL;
    out->msg_controllen = message->msg_controllen;
    out->msg_iov->iov_base = batch->arena + batch->arena_used;
    out->msg_iov->iov_len = size;
    batch->out_count++;
    batch->arena_used += size;
}

/* The interface that a link-local address belongs to. */
static uint32_t scope_of(const struct sockaddr_storage *peer)
{
    struct sockaddr_in6 address;

    if (peer->ss_family != AF_INET6) {
        return 0;
    }
    memcpy(&address, peer, sizeof address);
    return address.sin6_scope_id;
}

static void answer_one(struct dns_udp *udp, size_t i)
{
    struct dns_udp_batch *batch = udp->batch;
    struct msghdr *message = &batch->in[i].msg_hdr;
    struct dns_client client = {.idle_ms = 0};
    struct dns_packet packet = {.outlet = &udp->outlet,
                                .client = &client,
                                .query = batch->queries[i],
                                .size = batch->in[i].msg_len,
                                .scope = scope_of(&batch->peers[i])};

    if (rc_address_from_sockaddr(message->msg_name, &client.peer) != RC_OK ||
        client.peer.port == 0) {
        return;
    }
    packet.local = message->msg_controllen > 0 ? local_of(message) : udp->address;
    if (client.peer.port == udp->address.port &&
        rc_address_ip_equals(&client.peer, &packet.local)) {
        return; /* our own packet come back: answering would never end */
    }
    client.channel = channel_of(&client.peer, &packet.local);
    if (ARENA_SIZE - batch->arena_used < DNS_UDP_LOCAL_MAX) {
        flush(udp);
    }
    /* Of a packet that was cut only the header is looked at, so it is FORMERR. */
    if ((message->msg_flags & MSG_TRUNC) != 0) {
        packet.size = DNS_HEADER_SIZE;
    }
    struct dns_outcome outcome = dns_clerk_answer(
        udp->clerk, &packet, batch->arena + batch->arena_used, DNS_UDP_LOCAL_MAX);
    if (outcome.size > 0) {
        add_answer(batch, message, outcome.size);
    }
}

/* Sockets of both kinds take turns with the slots, so each sets them up for itself. */
static void prepare_slot(struct dns_udp *udp, size_t i)
{
    struct dns_udp_batch *batch = udp->batch;
    struct msghdr *message = &batch->in[i].msg_hdr;

    message->msg_namelen = sizeof batch->peers[i];
    message->msg_control = udp->is_any == DNS_YES ? batch->controls[i] : NULL;
    message->msg_controllen = udp->is_any == DNS_YES ? CONTROL_SIZE : 0;
}

/* One batch. Returns how many packets came. */
static unsigned serve_batch(struct dns_udp *udp)
{
    struct dns_udp_batch *batch = udp->batch;

    int count = recvmmsg(udp->socket, batch->in, BATCH_MAX, MSG_DONTWAIT, NULL);
    if (count <= 0) {
        return 0;
    }
    dns_clerk_begin(udp->clerk);
    for (size_t i = 0; i < (size_t)count; i++) {
        answer_one(udp, i);
    }
    flush(udp);
    dns_clerk_end(udp->clerk, DNS_PROTOCOL_UDP);
    for (size_t i = 0; i < (size_t)count; i++) {
        prepare_slot(udp, i); /* what the system wrote into */
    }
    return (unsigned)count;
}

/* An answer that comes later leaves alone, from the address that was packet. */
static void send_later(struct dns_outlet *outlet, const struct dns_later *later,
                       const uint8_t *bytes, size_t size)
{
    struct dns_udp *udp = (struct dns_udp *)outlet; /* its first member */
    struct sockaddr_storage peer;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
    _Alignas(struct cmsghdr) uint8_t control[CONTROL_SIZE] = {0};
    struct msghdr message = {.msg_name = &peer, .msg_iov = &part, .msg_iovlen = 1};

    if (size == 0) {
        return;
    }
    message.msg_namelen = (socklen_t)rc_address_to_sockaddr(&later->client.peer, &peer);
    if (peer.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&peer)->sin6_scope_id = later->scope;
    }
    if (udp->is_any == DNS_YES) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        message.msg_controllen = put_local(&message, later);
    }
    if (sendmsg(udp->socket, &message, MSG_DONTWAIT) < 0) {
        rc_metric_add(udp->clerk->meter->unsent, 1);
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct dns_udp *udp = poll->data;

    (void)status; /* an error of the socket is fetched, and so cleared, by recvmmsg */
    (void)events;
    if (udp->batch->prepared_for != udp) {
        udp->batch->prepared_for = udp;
        for (size_t i = 0; i < BATCH_MAX; i++) {
            prepare_slot(udp, i);
        }
    }
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (serve_batch(udp) < BATCH_MAX) {
            break;
        }
    }
}

int dns_udp_start(struct dns_udp *udp, uv_loop_t *loop, const struct rc_address *address,
                  enum dns_share share)
{
    assert(udp->batch != NULL && udp->clerk != NULL);
    udp->outlet = (struct dns_outlet){.send = send_later};
    udp->is_any = rc_address_is_any(address) ? DNS_YES : DNS_NO;
    int err = dns_listen_udp(address, share, &udp->socket, &udp->address);
    if (err != RC_OK) {
        return err;
    }
    int code = uv_poll_init(loop, &udp->poll, udp->socket);
    if (code != 0) {
        (void)close(udp->socket);
        errno = -code;
        return RC_EIO;
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
    dns_outlet_close(&udp->outlet);
    uv_close((uv_handle_t *)&udp->poll, on_poll_closed);
}
