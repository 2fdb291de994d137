/* packet: IPv4 packets as a TUN device gives them, and the address translation of a NAT that now
 * and then forgets its mappings. */
#ifndef RN_TESTS_HOSTS_PACKET_H
#define RN_TESTS_HOSTS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hosts_nat {
    uint32_t outer; /* the network of its outside, a /24, in host order */
    uint32_t inner; /* the address inside, learnt from what comes from there */
    uint8_t times;  /* how often it was rebound; 0: nothing is translated */
    uint8_t oldest; /* the first of its mappings that it has not forgotten */
} hosts_nat;

/* A packet whose lengths are right. */
bool hosts_packet_is_ipv4(const uint8_t *packet, size_t len);
/* The payload of a whole UDP datagram in it, one byte at least; NULL: there is none. */
uint8_t *hosts_packet_udp_payload(uint8_t *packet, size_t len, size_t *payload_len);
bool hosts_packet_is_ect(const uint8_t *packet);
void hosts_packet_mark(uint8_t *packet); /* CE */
/* Makes the checksums right again. */
void hosts_packet_seal(uint8_t *packet, size_t len);

/* From now on what comes from inside has another address and another port. `forget`: what is sent
 * to the ones before is lost. false: that was too often. */
bool hosts_nat_rebind(hosts_nat *nat, bool forget);
/* Translates a packet from inside. */
void hosts_nat_out(hosts_nat *nat, uint8_t *packet, size_t len);
/* Translates a packet to the inside. false: it has no mapping. */
bool hosts_nat_in(const hosts_nat *nat, uint8_t *packet, size_t len);

#endif
