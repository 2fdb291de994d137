/* A bad line between two network namespaces: opens a TUN device in each of them and carries IPv4
 * packets from one to the other. What it does to them is tests/sim/link.h, as in the simulated
 * network; a NAT stands at side a. Commands come line by line from standard input, and each gets
 * one line of answer; the end of the input is its end. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "base/heap.h"
#include "packet.h"
#include "rpcnet/error.h"
#include "sim/link.h"

enum {
    PACKET_MAX = 65535,
    PACKETS_WAITING_MAX = 65536,
    PACKETS_AT_ONCE = 64, /* of one side, before the others have their turn */
    LINE_MAX_BYTES = 256,
    WAYS = 2
};

enum counter {
    RECEIVED,
    FORWARDED,
    LOST,
    DUPLICATED,
    REORDERED,
    CORRUPTED,
    MARKED,
    TOO_LARGE,
    QUEUE_FULL,
    PARTITIONED,
    UNDELIVERED, /* the other side took it not: its interface is down */
    UNMAPPED,    /* to an address that the NAT has forgotten */
    IGNORED,     /* not IPv4 */
    COUNTERS
};

static const char *const counter_names[COUNTERS] = {
    "received",  "forwarded",  "lost",        "duplicated",  "reordered", "corrupted", "marked",
    "too_large", "queue_full", "partitioned", "undelivered", "unmapped",  "ignored"};

typedef struct way {
    const char *name;
    int from; /* devices */
    int to;
    rn_sim_link link;
    bool cut;
    rn_sim_link_state state;
    rn_sim_random random;
    uint64_t key_last; /* no two packets in order are due at once */
    uint64_t counters[COUNTERS];
} way;

typedef struct parcel {
    rn_heap_node node; /* by the time when it is due */
    way *on;
    size_t len;
    uint8_t data[];
} parcel;

typedef struct relay {
    way ways[WAYS]; /* a to b, b to a */
    rn_heap due;
    hosts_nat nat;
    struct {
        const uint64_t *counter; /* NULL: nobody waits */
        uint64_t until;
    } wait;
    char line[LINE_MAX_BYTES];
    size_t line_len;
    bool ended;
} relay;

static void fail(const char *what) {
    fprintf(stderr, "impair: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * RN_SECOND + (uint64_t)now.tv_nsec;
}

/* "/run/netns/x:device": opens a TUN device there. */
static int open_device(char *place) {
    char *name = strrchr(place, ':');
    if (name == NULL || strlen(name + 1) >= IFNAMSIZ) {
        errno = EINVAL;
        fail(place);
    }
    *name++ = '\0';
    int netns = open(place, O_RDONLY | O_CLOEXEC);
    if (netns < 0 || setns(netns, CLONE_NEWNET) != 0) {
        fail(place);
    }
    close(netns);
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device < 0) {
        fail("/dev/net/tun");
    }
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    memcpy(request.ifr_name, name, strlen(name) + 1);
    if (ioctl(device, TUNSETIFF, &request) != 0) {
        fail(name);
    }
    return device;
}

static void hand_over(parcel *at) {
    way *on = at->on;
    ssize_t written = write(on->to, at->data, at->len);
    on->counters[written == (ssize_t)at->len ? FORWARDED : UNDELIVERED]++;
    free(at);
}

/* One copy sets out. */
static void post(relay *r, way *on, const uint8_t *data, size_t len, uint64_t time,
                 bool reordered) {
    if (r->due.len >= PACKETS_WAITING_MAX) {
        on->counters[QUEUE_FULL]++;
        return;
    }
    parcel *out = malloc(sizeof *out + len);
    if (out == NULL) {
        fail("memory");
    }
    *out = (parcel){.on = on, .len = len};
    memcpy(out->data, data, len);
    size_t payload_len;
    uint8_t *payload = hosts_packet_udp_payload(out->data, len, &payload_len);
    if (payload != NULL && rn_sim_link_harm(&on->link, &on->random, payload, payload_len)) {
        /* With a right checksum, or the kernel would take it for a loss. */
        hosts_packet_seal(out->data, len);
        on->counters[CORRUPTED]++;
    }
    on->counters[REORDERED] += reordered;
    if (!reordered) {
        time = time > on->key_last ? time : on->key_last + 1;
        on->key_last = time;
    }
    if (rn_heap_set(&r->due, &out->node, time) != RPCNET_OK) {
        fail("memory");
    }
}

static void carry(relay *r, way *on, uint8_t *packet, size_t len) {
    bool outwards = on == &r->ways[0];
    on->counters[RECEIVED]++;
    if (!hosts_packet_is_ipv4(packet, len)) {
        on->counters[IGNORED]++;
        return;
    }
    if (on->cut) {
        on->counters[PARTITIONED]++;
        return;
    }
    if (!outwards && !hosts_nat_in(&r->nat, packet, len)) {
        on->counters[UNMAPPED]++;
        return;
    }
    if (outwards) {
        hosts_nat_out(&r->nat, packet, len);
    }
    rn_sim_passage passage;
    rn_sim_link_pass(&on->link, &on->state, &on->random, now_ns(), len, hosts_packet_is_ect(packet),
                     &passage);
    switch (passage.fate) {
    case RN_SIM_TOO_LARGE:
        on->counters[TOO_LARGE]++;
        return;
    case RN_SIM_QUEUE_FULL:
        on->counters[QUEUE_FULL]++;
        return;
    case RN_SIM_LOST:
        on->counters[LOST]++;
        return;
    default:
        break;
    }
    if (passage.marked) {
        hosts_packet_mark(packet);
        hosts_packet_seal(packet, len);
        on->counters[MARKED]++;
    }
    on->counters[DUPLICATED] += passage.copies - 1;
    for (size_t i = 0; i < passage.copies; i++) {
        post(r, on, packet, len, passage.copy[i].time, passage.copy[i].reordered);
    }
}

static void read_packets(relay *r, way *on) {
    uint8_t packet[PACKET_MAX];
    for (unsigned i = 0; i < PACKETS_AT_ONCE; i++) {
        ssize_t len = read(on->from, packet, sizeof packet);
        if (len <= 0) {
            return; /* nothing more, or the interface is down */
        }
        carry(r, on, packet, (size_t)len);
    }
}

static void hand_over_due(relay *r) {
    uint64_t now = now_ns();
    rn_heap_node *first;
    while ((first = rn_heap_first(&r->due)) != NULL && first->key <= now) {
        rn_heap_remove(&r->due, first);
        hand_over(RN_CONTAINER_OF(first, parcel, node));
    }
}

static bool set_value(way *on, const char *name, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value <= 1e15)) {
        return false;
    }
    const struct {
        const char *name;
        double *chance;
        uint64_t *milliseconds;
        uint64_t *number;
        size_t *size;
    } settings[] = {
        {"loss", &on->link.loss, NULL, NULL, NULL},
        {"duplicate", &on->link.duplicate, NULL, NULL, NULL},
        {"reorder", &on->link.reorder, NULL, NULL, NULL},
        {"corrupt", &on->link.corrupt, NULL, NULL, NULL},
        {"ecn-mark", &on->link.ecn_mark, NULL, NULL, NULL},
        {"delay-ms", NULL, &on->link.latency_ns, NULL, NULL},
        {"jitter-ms", NULL, &on->link.jitter_ns, NULL, NULL},
        {"reorder-ms", NULL, &on->link.reorder_ns, NULL, NULL},
        {"rate-bps", NULL, NULL, &on->link.rate_bps, NULL},
        {"queue-bytes", NULL, NULL, NULL, &on->link.queue_bytes},
        {"mtu", NULL, NULL, NULL, &on->link.mtu},
    };
    if (strcmp(name, "cut") == 0) {
        on->cut = value != 0;
        return true;
    }
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (strcmp(name, settings[i].name) != 0) {
            continue;
        }
        if (settings[i].chance != NULL) {
            *settings[i].chance = value;
        } else if (settings[i].milliseconds != NULL) {
            *settings[i].milliseconds = (uint64_t)(value * (double)RN_MILLISECOND);
        } else if (settings[i].number != NULL) {
            *settings[i].number = (uint64_t)value;
        } else {
            *settings[i].size = (size_t)value;
        }
        return on->link.queue_bytes <= RN_SIM_QUEUE_BYTES_MAX;
    }
    return false;
}

static bool is_way(const way *on, const char *name) {
    return strcmp(name, "both") == 0 || strcmp(name, on->name) == 0;
}

static const uint64_t *counter_called(const way *on, const char *name) {
    for (size_t i = 0; i < COUNTERS; i++) {
        if (strcmp(name, counter_names[i]) == 0) {
            return &on->counters[i];
        }
    }
    return NULL;
}

static void print_stats(const relay *r) {
    printf("ok {");
    for (size_t w = 0; w < WAYS; w++) {
        printf("%s\"%s\": {", w > 0 ? ", " : "", r->ways[w].name);
        for (size_t i = 0; i < COUNTERS; i++) {
            printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", counter_names[i],
                   r->ways[w].counters[i]);
        }
        printf("}");
    }
    printf("}\n");
}

/* "set both loss 0.05": one value of one way or both. "clear ab": all is well again. "wait ba lost
 * 10": answers when so many more were. "rebind keep" and "rebind forget": the NAT. "stats". */
static void obey(relay *r, char *line) {
    char *words[4] = {NULL};
    size_t count = 0;
    char *rest = line;
    char *word;
    while (count < 4 && (word = strtok_r(rest, " ", &rest)) != NULL) {
        words[count++] = word;
    }
    bool done = false;
    for (size_t w = 0; count > 1 && w < WAYS; w++) {
        way *on = &r->ways[w];
        if (!is_way(on, words[1])) {
            continue;
        }
        if (count == 4 && strcmp(words[0], "set") == 0) {
            done = set_value(on, words[2], words[3]);
        } else if (count == 2 && strcmp(words[0], "clear") == 0) {
            on->link = (rn_sim_link){.latency_ns = 0};
            on->cut = false;
            done = true;
        } else if (count == 4 && strcmp(words[0], "wait") == 0) {
            r->wait.counter = counter_called(on, words[2]);
            if (r->wait.counter != NULL) {
                r->wait.until = *r->wait.counter + strtoull(words[3], NULL, 10);
                return; /* the answer comes later */
            }
        }
    }
    if (count == 2 && strcmp(words[0], "rebind") == 0) {
        done = hosts_nat_rebind(&r->nat, strcmp(words[1], "forget") == 0);
    } else if (count == 1 && strcmp(words[0], "stats") == 0) {
        print_stats(r);
        return;
    }
    puts(done ? "ok" : "error");
}

static void read_commands(relay *r) {
    ssize_t len = read(STDIN_FILENO, r->line + r->line_len, sizeof r->line - 1 - r->line_len);
    if (len <= 0) {
        r->ended = true;
        return;
    }
    r->line_len += (size_t)len;
    char *end;
    while ((end = memchr(r->line, '\n', r->line_len)) != NULL) {
        *end = '\0';
        obey(r, r->line);
        r->line_len -= (size_t)(end + 1 - r->line);
        memmove(r->line, end + 1, r->line_len);
    }
    r->ended = r->line_len == sizeof r->line - 1; /* a line without an end */
}

static void run(relay *r) {
    while (!r->ended) {
        if (r->wait.counter != NULL && *r->wait.counter >= r->wait.until) {
            r->wait.counter = NULL;
            puts("ok");
        }
        struct pollfd polled[] = {{.fd = r->ways[0].from, .events = POLLIN},
                                  {.fd = r->ways[1].from, .events = POLLIN},
                                  {.fd = STDIN_FILENO, .events = POLLIN}};
        const rn_heap_node *first = rn_heap_first(&r->due);
        uint64_t now = now_ns();
        uint64_t left = first == NULL || first->key <= now ? 0 : first->key - now;
        struct timespec wait = {.tv_sec = (time_t)(left / RN_SECOND),
                                .tv_nsec = (long)(left % RN_SECOND)};
        if (ppoll(polled, 3, first != NULL ? &wait : NULL, NULL) < 0 && errno != EINTR) {
            fail("poll");
        }
        if ((polled[2].revents & (POLLIN | POLLHUP)) != 0) {
            read_commands(r);
        }
        for (size_t w = 0; w < WAYS; w++) {
            if ((polled[w].revents & POLLIN) != 0) {
                read_packets(r, &r->ways[w]);
            }
        }
        hand_over_due(r);
    }
}

static void usage(void) {
    fputs("Usage: impair SEED NAT-NETWORK NETNS-FILE:DEVICE-A NETNS-FILE:DEVICE-B\n", stderr);
    exit(2);
}

int main(int argc, char **argv) {
    static relay r; /* zeroed */
    struct in_addr outer;
    if (argc != 5 || inet_pton(AF_INET, argv[2], &outer) != 1) {
        usage();
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    r.nat.outer = ntohl(outer.s_addr);
    rn_heap_init(&r.due);
    int a = open_device(argv[3]);
    int b = open_device(argv[4]);
    r.ways[0] = (way){.name = "ab", .from = a, .to = b};
    r.ways[1] = (way){.name = "ba", .from = b, .to = a};
    for (uint64_t w = 0; w < WAYS; w++) {
        rn_sim_random_init(&r.ways[w].random, strtoull(argv[1], NULL, 10), w);
    }
    puts("ready");
    run(&r);
    rn_heap_node *left;
    while ((left = rn_heap_first(&r.due)) != NULL) {
        rn_heap_remove(&r.due, left);
        free(RN_CONTAINER_OF(left, parcel, node));
    }
    rn_heap_fini(&r.due);
    close(a);
    close(b);
    return 0;
}
