/* Socket options of a UDP socket: what is asked of the kernel, and what is said when it gives less.
 * An option that a kernel lacks only costs a feature, so none of them is an error. */
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "loop/internal.h"

#define TARGET "rpcnet::udp"

static bool enable(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* How many bytes of a buffer the kernel grants; it doubles what is asked for its own books. */
static size_t granted_bytes(int fd, int option, size_t wanted) {
    enable(fd, SOL_SOCKET, option, (int)wanted);
    int value = 0;
    socklen_t len = sizeof value;
    if (getsockopt(fd, SOL_SOCKET, option, &value, &len) != 0 || value < 0) {
        return wanted;
    }
    return (size_t)value / 2;
}

static void set_buffers(rn_udp *udp) {
    rn_loop *loop = udp->loop;
    size_t wanted = loop->options.udp_buffer_bytes;
    size_t receive = granted_bytes(udp->fd, SO_RCVBUF, wanted);
    size_t send = granted_bytes(udp->fd, SO_SNDBUF, wanted);
    if ((receive < wanted || send < wanted) && !loop->udp_buffer_warned) {
        loop->udp_buffer_warned = true;
        RN_WARN(loop->env.log, TARGET,
                "wanted=%zu receive=%zu send=%zu socket buffers were clipped; datagrams may be "
                "lost under load: sysctl -w net.core.rmem_max=%zu net.core.wmem_max=%zu",
                wanted, receive, send, wanted, wanted);
    }
}

void rn_udp_set_options(rn_udp *udp, int family) {
    int fd = udp->fd;
    set_buffers(udp);
    /* PROBE sets "don't fragment" and does not trust what ICMP told the kernel about the path: QUIC
     * searches its own packet size (RFC 9000, section 14). */
    if (family == AF_INET) {
        enable(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
        enable(fd, IPPROTO_IP, IP_RECVTOS, 1);
        enable(fd, IPPROTO_IP, IP_PKTINFO, 1);
    } else {
        enable(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        enable(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
        enable(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
        enable(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        enable(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    }
    if (!udp->loop->options.udp_gro_off) {
        enable(fd, IPPROTO_UDP, UDP_GRO, 1);
    }
    /* Setting "no segmentation" succeeds where the option exists. */
    udp->gso = !udp->loop->options.udp_gso_off && enable(fd, IPPROTO_UDP, UDP_SEGMENT, 0);
}
