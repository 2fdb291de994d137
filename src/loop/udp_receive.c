/* Receiving: recvmmsg into memory that the loop's sockets share, again while it comes back full;
 * merged datagrams are cut apart again, and each is handed on with its addresses and ECN mark. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "loop/internal.h"
#include "rpcnet/error.h"

enum {
    SLOT_BYTES = 65536, /* the largest datagram, also of merged ones */
    CONTROL_BYTES = 128 /* packet info, traffic class and segment size need 40 + 24 + 24 */
};

struct rn_udp_batch {
    struct mmsghdr messages[RN_LOOP_UDP_BATCH];
    struct iovec spans[RN_LOOP_UDP_BATCH];
    rn_address remotes[RN_LOOP_UDP_BATCH];
    _Alignas(struct cmsghdr) char controls[RN_LOOP_UDP_BATCH][CONTROL_BYTES];
    uint8_t data[RN_LOOP_UDP_BATCH][SLOT_BYTES];
};

int rn_udp_batch_new(rn_udp_batch **out) {
    /* 2 MiB of addresses; the kernel gives pages only for slots that were filled. */
    rn_udp_batch *batch = malloc(sizeof *batch);
    *out = batch;
    return batch != NULL ? RPCNET_OK : RPCNET_ERR_MEMORY;
}

void rn_udp_batch_del(rn_udp_batch *batch) {
    free(batch);
}

static int receive_batch(rn_udp_batch *batch, int fd) {
    for (size_t i = 0; i < RN_LOOP_UDP_BATCH; i++) {
        batch->spans[i] = (struct iovec){.iov_base = batch->data[i], .iov_len = SLOT_BYTES};
        batch->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->remotes[i].sa,
            .msg_namelen = sizeof(struct sockaddr_in6),
            .msg_iov = &batch->spans[i],
            .msg_iovlen = 1,
            .msg_control = batch->controls[i],
            .msg_controllen = CONTROL_BYTES,
        };
    }
    int count;
    do {
        count = recvmmsg(fd, batch->messages, RN_LOOP_UDP_BATCH, 0, NULL);
    } while (count < 0 && errno == EINTR);
    return count;
}

/* Fills `local` and `ecn`; returns the length of the datagrams in a merged message, 0: one alone.
 */
static size_t read_control(struct msghdr *message, rn_datagram *datagram) {
    size_t segment_size = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        const void *data = CMSG_DATA(at);
        if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) {
            datagram->ecn = *(const uint8_t *)data & 3;
        } else if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, data, sizeof info);
            datagram->local.in.sin_addr = info.ipi_addr;
        } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_TCLASS) {
            int value;
            memcpy(&value, data, sizeof value);
            datagram->ecn = (uint8_t)(value & 3);
        } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, data, sizeof info);
            datagram->local.in6.sin6_addr = info.ipi6_addr;
            datagram->local.in6.sin6_scope_id =
                IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
        } else if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO) {
            int value;
            memcpy(&value, data, sizeof value);
            segment_size = value > 0 ? (size_t)value : 0;
        }
    }
    return segment_size;
}

/* Hands on one message as its datagrams, until the socket is closed. Returns how many there were.
 */
static size_t deliver(rn_udp *udp, rn_udp_batch *batch, size_t index) {
    struct msghdr *message = &batch->messages[index].msg_hdr;
    if ((message->msg_flags & MSG_TRUNC) != 0) {
        return 1;
    }
    rn_datagram whole = {.local = udp->address, .remote = batch->remotes[index]};
    whole.remote.len = message->msg_namelen;
    if (rn_address_port(&whole.remote) == 0) {
        return 1; /* nobody can be answered there: whoever sent this made its address up */
    }
    size_t segment_size = read_control(message, &whole);
    size_t len = batch->messages[index].msg_len;
    if (segment_size == 0) {
        segment_size = len;
    }
    size_t offset = 0;
    size_t count = 0;
    do {
        rn_datagram datagram = whole; /* the callback gets its own, to do with as it likes */
        datagram.data = batch->data[index] + offset;
        datagram.len = len - offset < segment_size ? len - offset : segment_size;
        offset += datagram.len;
        count++;
        udp->handler.receive(&datagram, udp->user);
    } while (offset < len && !udp->closed);
    return count;
}

static void tell_refused(rn_udp *udp) {
    udp->refused = false;
    rn_list_remove(&udp->hear.link); /* told now, so not again in the next turn */
    if (udp->handler.unreachable != NULL) {
        udp->handler.unreachable(udp->user);
    }
}

void rn_udp_receive(rn_udp *udp) {
    rn_udp_batch *batch = udp->loop->batch;
    size_t datagrams = 0;
    bool more = true;
    while (more && datagrams < RN_LOOP_UDP_DATAGRAMS && !udp->closed) {
        int count = receive_batch(batch, udp->fd);
        if (count < 0 && errno == ECONNREFUSED && udp->connected) {
            udp->refused = true; /* what the peer said before it went lies behind this */
            continue;
        }
        more = count == RN_LOOP_UDP_BATCH;
        for (int i = 0; i < count && !udp->closed; i++) {
            datagrams += deliver(udp, batch, (size_t)i);
        }
    }
    if (datagrams > 0 && !udp->closed && udp->handler.batch_end != NULL) {
        udp->handler.batch_end(udp->user);
    }
    if (udp->refused && !udp->closed) {
        if (more) {
            rn_loop_defer(udp->loop, &udp->hear);
        } else {
            tell_refused(udp);
        }
    }
}
