/* Checksums are made anew, not corrected: the packets are few. */
#include "packet.h"

#include <string.h>

enum {
    IPV4_HEADER_MIN = 20,
    UDP_HEADER = 8,
    PROTOCOL_UDP = 17,
    FRAGMENT_MASK = 0x3fff, /* more fragments, and the offset */
    AT_LENGTH = 2,          /* fields of the IPv4 header */
    AT_FRAGMENT = 6,
    AT_PROTOCOL = 9,
    AT_CHECKSUM = 10,
    AT_SOURCE = 12,
    AT_DESTINATION = 16,
    UDP_AT_LENGTH = 4, /* and of the UDP header */
    UDP_AT_CHECKSUM = 6,
    PORT_BITS = 10 /* of a port that the NAT changes */
};

static uint16_t get16(const uint8_t *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at) {
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, unsigned value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static size_t header_len(const uint8_t *packet) {
    return (size_t)(packet[0] & 0xf) * 4;
}

bool hosts_packet_is_ipv4(const uint8_t *packet, size_t len) {
    return len >= IPV4_HEADER_MIN && packet[0] >> 4 == 4 && header_len(packet) >= IPV4_HEADER_MIN &&
           header_len(packet) <= len && get16(packet + AT_LENGTH) == len;
}

/* The UDP header of a whole datagram, or NULL. */
static uint8_t *udp_of(uint8_t *packet, size_t len) {
    size_t at = header_len(packet);
    if (packet[AT_PROTOCOL] != PROTOCOL_UDP || len < at + UDP_HEADER ||
        (get16(packet + AT_FRAGMENT) & FRAGMENT_MASK) != 0 ||
        get16(packet + at + UDP_AT_LENGTH) != len - at) {
        return NULL;
    }
    return packet + at;
}

uint8_t *hosts_packet_udp_payload(uint8_t *packet, size_t len, size_t *payload_len) {
    uint8_t *udp = udp_of(packet, len);
    *payload_len = udp == NULL ? 0 : get16(udp + UDP_AT_LENGTH) - (size_t)UDP_HEADER;
    return *payload_len > 0 ? udp + UDP_HEADER : NULL;
}

bool hosts_packet_is_ect(const uint8_t *packet) {
    return (packet[1] & 3) != 0;
}

void hosts_packet_mark(uint8_t *packet) {
    packet[1] |= 3;
}

static uint32_t sum(uint32_t start, const uint8_t *data, size_t len) {
    for (size_t i = 0; i + 1 < len; i += 2) {
        start += get16(data + i);
    }
    return len % 2 == 1 ? start + ((uint32_t)data[len - 1] << 8) : start;
}

static uint16_t folded(uint32_t value) {
    while (value >> 16 != 0) {
        value = (value & 0xffff) + (value >> 16);
    }
    return (uint16_t)~value;
}

void hosts_packet_seal(uint8_t *packet, size_t len) {
    put16(packet + AT_CHECKSUM, 0);
    put16(packet + AT_CHECKSUM, folded(sum(0, packet, header_len(packet))));
    uint8_t *udp = udp_of(packet, len);
    if (udp != NULL) {
        size_t udp_len = get16(udp + UDP_AT_LENGTH);
        put16(udp + UDP_AT_CHECKSUM, 0);
        /* With the pseudo header of RFC 768; 0 would mean that there is none. */
        uint32_t pseudo = sum(PROTOCOL_UDP + (uint32_t)udp_len, packet + AT_SOURCE, 8);
        uint16_t checksum = folded(sum(pseudo, udp, udp_len));
        put16(udp + UDP_AT_CHECKSUM, checksum == 0 ? 0xffff : checksum);
    }
}

bool hosts_nat_rebind(hosts_nat *nat, bool forget) {
    if (nat->times == 254) {
        return false;
    }
    nat->times++;
    if (forget) {
        nat->oldest = nat->times;
    }
    return true;
}

/* The same both ways, and another one for each mapping. */
static uint16_t translated(uint32_t mapping, uint16_t port) {
    return (uint16_t)(port ^ (mapping * 37U & ((1U << PORT_BITS) - 1)));
}

void hosts_nat_out(hosts_nat *nat, uint8_t *packet, size_t len) {
    uint8_t *udp = udp_of(packet, len);
    if (udp == NULL) {
        return;
    }
    nat->inner = get32(packet + AT_SOURCE);
    if (nat->times > 0) {
        put32(packet + AT_SOURCE, nat->outer + nat->times);
        put16(udp, translated(nat->times, get16(udp)));
        hosts_packet_seal(packet, len);
    }
}

bool hosts_nat_in(const hosts_nat *nat, uint8_t *packet, size_t len) {
    uint32_t to = get32(packet + AT_DESTINATION);
    uint32_t mapping = to - nat->outer;
    if (nat->oldest == 0 && (mapping == 0 || mapping > nat->times)) {
        return true; /* as it is */
    }
    uint8_t *udp = udp_of(packet, len);
    if (udp == NULL || mapping < nat->oldest || mapping > nat->times) {
        return false;
    }
    put32(packet + AT_DESTINATION, nat->inner);
    put16(udp + 2, translated(mapping, get16(udp + 2)));
    hosts_packet_seal(packet, len);
    return true;
}
