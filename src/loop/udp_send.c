/* Sending: a transmit is cut into pieces, one per message of a sendmmsg. With segmentation offload
 * a piece is up to 64 datagrams that the kernel cuts apart, so a transmit is one message; without
 * it, a piece is one datagram. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"
#include "loop/internal.h"
#include "rpcnet/error.h"

#define TARGET "rpcnet::udp"

enum {
    PIECE_BYTES_MAX = 65000, /* below the largest UDP payload of both families, with headers */
    CONTROL_BYTES = 128      /* packet info, traffic class and segment size need 40 + 24 + 24 */
};

typedef struct control {
    size_t len;
    _Alignas(struct cmsghdr) char data[CONTROL_BYTES];
} control;

typedef struct flight {
    struct mmsghdr messages[RN_LOOP_UDP_SEGMENTS_MAX];
    struct iovec spans[RN_LOOP_UDP_SEGMENTS_MAX];
    control control; /* the same for every message */
    unsigned count;
    bool segmented; /* some message holds several datagrams */
} flight;

/* How far a transmit has come. */
typedef struct sending {
    size_t offset;
    bool segments;     /* the kernel may cut apart what it gets */
    bool doubted;      /* it has refused that, and took nothing since */
    bool told_refused; /* that the port is closed, and took nothing since */
    bool lost;         /* some datagrams were too long */
} sending;

static void add_control(control *out, int level, int type, const void *data, size_t len) {
    struct cmsghdr header = {.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
    assert(out->len + CMSG_SPACE(len) <= CONTROL_BYTES);
    memset(out->data + out->len, 0, CMSG_SPACE(len));
    memcpy(out->data + out->len, &header, sizeof header);
    memcpy(out->data + out->len + CMSG_LEN(0), data, len);
    out->len += CMSG_SPACE(len);
}

static void build_control(const rn_udp *udp, const rn_transmit *transmit, bool segmented,
                          control *out) {
    bool v4 = udp->address.sa.sa_family == AF_INET;
    out->len = 0;
    if (transmit->ecn != RN_ECN_NOT_ECT) {
        int ecn = transmit->ecn & 3;
        add_control(out, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, &ecn,
                    sizeof ecn);
    }
    if (udp->wildcard && transmit->local.len > 0 &&
        transmit->local.sa.sa_family == udp->address.sa.sa_family) {
        if (v4) {
            struct in_pktinfo info = {.ipi_spec_dst = transmit->local.in.sin_addr};
            add_control(out, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
        } else {
            struct in6_pktinfo info = {.ipi6_addr = transmit->local.in6.sin6_addr,
                                       .ipi6_ifindex = transmit->local.in6.sin6_scope_id};
            add_control(out, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
        }
    }
    if (segmented) {
        uint16_t segment_size = (uint16_t)transmit->segment_size;
        add_control(out, IPPROTO_UDP, UDP_SEGMENT, &segment_size, sizeof segment_size);
    }
}

/* Cuts what stands behind `offset` into the messages of one system call. */
static void build_flight(const rn_udp *udp, const rn_transmit *transmit, size_t offset,
                         bool segments_allowed, flight *out) {
    size_t piece_bytes = transmit->segment_size;
    if (segments_allowed && transmit->segment_size <= PIECE_BYTES_MAX) {
        size_t segments = PIECE_BYTES_MAX / transmit->segment_size;
        if (segments > RN_LOOP_UDP_SEGMENTS_MAX) {
            segments = RN_LOOP_UDP_SEGMENTS_MAX;
        }
        piece_bytes = segments * transmit->segment_size;
    }
    size_t left = transmit->len - offset;
    out->segmented = segments_allowed && left > transmit->segment_size;
    build_control(udp, transmit, out->segmented, &out->control);
    out->count = 0;
    while (left > 0 && out->count < RN_LOOP_UDP_SEGMENTS_MAX) {
        struct iovec *span = &out->spans[out->count];
        span->iov_base = (void *)(transmit->data + offset);
        span->iov_len = left < piece_bytes ? left : piece_bytes;
        offset += span->iov_len;
        left -= span->iov_len;
        out->messages[out->count++].msg_hdr = (struct msghdr){
            .msg_name = udp->connected ? NULL : (void *)&transmit->remote.sa,
            .msg_namelen = udp->connected ? 0 : transmit->remote.len,
            .msg_iov = span,
            .msg_iovlen = 1,
            .msg_control = out->control.len > 0 ? out->control.data : NULL,
            .msg_controllen = out->control.len,
        };
    }
}

/* Is this what a kernel, a network device or a route without segmentation offload says? It may have
 * other reasons for each: a datagram too long for the path, or an address that is none. */
static bool refuses_segments(int error) {
    return error == EIO || error == EINVAL || error == ENOPROTOOPT || error == EOPNOTSUPP ||
           error == EMSGSIZE;
}

/* The kernel took some of the flight. */
static void note_taken(rn_udp *udp, sending *state, const flight *taken, int count) {
    for (int i = 0; i < count; i++) {
        state->offset += taken->spans[i].iov_len;
    }
    state->told_refused = false;
    if (state->doubted) {
        state->doubted = false;
        udp->gso = false; /* the same bytes go without segments */
        RN_DEBUG(udp->loop->env.log, TARGET,
                 "the system refuses segmentation offload; sending datagrams one by one");
    }
}

/* The kernel took none of it. True: go on. */
static bool note_error(rn_udp *udp, sending *state, const flight *refused, int error) {
    if (error == EINTR) {
        return true;
    }
    if (refused->segmented && refuses_segments(error)) {
        state->segments = false;
        state->doubted = true;
        return true;
    }
    state->doubted = false; /* it was not the segments */
    if (error == ECONNREFUSED && udp->connected) {
        udp->refused = true;
        rn_loop_defer(udp->loop, &udp->hear);
        if (!state->told_refused) {
            state->told_refused = true; /* that was the answer to an earlier datagram: try again */
            return true;
        }
    }
    if (error == EMSGSIZE) {
        state->offset += refused->spans[0].iov_len; /* the others may be shorter */
        state->lost = true;
        RN_TRACE(udp->loop->env.log, TARGET, "len=%zu a datagram is too long for its path",
                 refused->spans[0].iov_len);
        return true;
    }
    return false;
}

/* Sends from *offset on and moves it behind what the kernel took. */
static int send_from(rn_udp *udp, const rn_transmit *transmit, size_t *offset) {
    sending state = {.offset = *offset, .segments = udp->gso};
    int result = RPCNET_OK;
    while (result == RPCNET_OK && state.offset < transmit->len) {
        flight next;
        build_flight(udp, transmit, state.offset, state.segments, &next);
        int taken = sendmmsg(udp->fd, next.messages, next.count, 0);
        int error = errno;
        if (taken > 0) {
            note_taken(udp, &state, &next, taken);
        } else if (error == EAGAIN || error == EWOULDBLOCK) {
            result = RPCNET_ERR_AGAIN;
        } else if (!note_error(udp, &state, &next, error)) {
            RN_TRACE(udp->loop->env.log, TARGET, "len=%zu err=%s datagrams lost at the socket",
                     transmit->len - state.offset, RN_TEXT_QUOTE(rn_bytes_text(strerror(error))));
            result = RPCNET_ERR_IO;
        }
    }
    *offset = state.offset;
    return result == RPCNET_OK && state.lost ? RPCNET_ERR_IO : result;
}

static void set_blocked(rn_udp *udp, bool blocked) {
    if (udp->blocked != blocked) {
        udp->blocked = blocked;
        rn_udp_watch(udp);
    }
}

/* Keeps what stands behind `offset` until the kernel takes it. */
static int keep_rest(rn_udp *udp, const rn_transmit *transmit, size_t offset) {
    size_t len = transmit->len - offset;
    uint8_t *rest = malloc(len);
    if (rest == NULL) {
        return RPCNET_ERR_IO;
    }
    memcpy(rest, transmit->data + offset, len);
    udp->pending = *transmit;
    udp->pending.data = rest;
    udp->pending.len = len;
    set_blocked(udp, true);
    return RPCNET_OK;
}

int rn_udp_send(rn_udp *udp, const rn_transmit *transmit) {
    assert(transmit->len > 0 && transmit->segment_size > 0);
    assert(transmit->segment_size <= transmit->len);
    size_t offset = 0;
    int result = RPCNET_ERR_AGAIN;
    if (!udp->blocked) { /* otherwise earlier datagrams wait for the kernel: not before those */
        result = send_from(udp, transmit, &offset);
    }
    if (result == RPCNET_ERR_AGAIN) {
        if (offset > 0) {
            return keep_rest(udp, transmit, offset);
        }
        udp->wants_writable = true;
        set_blocked(udp, true);
    }
    return result;
}

void rn_udp_send_pending(rn_udp *udp) {
    if (udp->pending.data != NULL) {
        size_t offset = 0;
        int result = send_from(udp, &udp->pending, &offset);
        if (result == RPCNET_ERR_AGAIN) {
            udp->pending.len -= offset;
            memmove((void *)udp->pending.data, udp->pending.data + offset, udp->pending.len);
            return;
        }
        free((void *)udp->pending.data);
        udp->pending.data = NULL;
    }
    set_blocked(udp, false);
    if (udp->wants_writable) {
        udp->wants_writable = false;
        if (udp->handler.writable != NULL) {
            udp->handler.writable(udp->user);
        }
    }
}
