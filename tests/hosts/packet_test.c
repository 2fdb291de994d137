/* What the bad line does to packets leaves them right: checksums, marks, and a NAT there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "packet.h"

enum { PACKET = 20 + 8 + 5 };

/* 10.77.1.2:40000 to 10.77.0.1:61000, with the five bytes "hello" and both checksums. */
static const uint8_t sample[PACKET] = {
    0x45, 0x02, 0x00, 0x21, 0x12, 0x34, 0x40, 0x00, 0x40, 0x11, 0x12, 0xfa, 10,  77,  1,   2,  10,
    77,   0,    1,    0x9c, 0x40, 0xee, 0x48, 0x00, 0x0d, 0x1b, 0xdc, 'h',  'e', 'l', 'l', 'o'};

/* Over all words of a part with a right checksum. */
static uint32_t sum_of(const uint8_t *data, size_t len) {
    uint32_t total = 0;
    for (size_t i = 0; i < len; i++) {
        total += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
    }
    while (total >> 16 != 0) {
        total = (total & 0xffff) + (total >> 16);
    }
    return total;
}

static void assert_sealed(const uint8_t *packet) {
    assert_int_equal(sum_of(packet, 20), 0xffff);
    uint8_t pseudo[12 + PACKET - 20] = {[9] = 17, [11] = PACKET - 20};
    memcpy(pseudo, packet + 12, 8);
    memcpy(pseudo + 12, packet + 20, PACKET - 20);
    assert_int_equal(sum_of(pseudo, sizeof pseudo), 0xffff);
}

static void checksums_are_made_right(void **state) {
    (void)state;
    uint8_t packet[PACKET];
    assert_sealed(sample);
    memcpy(packet, sample, PACKET);
    hosts_packet_seal(packet, PACKET);
    assert_memory_equal(packet, sample, PACKET);
    for (size_t bit = 0; bit < 40; bit++) {
        packet[28 + bit / 8] ^= (uint8_t)(1U << bit % 8);
        hosts_packet_seal(packet, PACKET);
        assert_sealed(packet);
    }
    assert_true(hosts_packet_is_ect(packet));
    hosts_packet_mark(packet);
    assert_int_equal(packet[1] & 3, 3);
    packet[1] = 0;
    assert_false(hosts_packet_is_ect(packet));
}

static void only_whole_datagrams_have_a_payload(void **state) {
    (void)state;
    uint8_t packet[PACKET];
    size_t len;
    memcpy(packet, sample, PACKET);
    assert_true(hosts_packet_is_ipv4(packet, PACKET));
    assert_ptr_equal(hosts_packet_udp_payload(packet, PACKET, &len), packet + 28);
    assert_int_equal(len, 5);
    assert_false(hosts_packet_is_ipv4(packet, PACKET - 1));
    assert_false(hosts_packet_is_ipv4(packet, 19));
    static const struct {
        size_t at;
        uint8_t value;
    } not_udp[] = {{9, 6}, {6, 0x20}, {7, 1}, {25, 0x0c}, {25, 0x0e}};
    for (size_t i = 0; i < sizeof not_udp / sizeof not_udp[0]; i++) {
        memcpy(packet, sample, PACKET);
        packet[not_udp[i].at] = not_udp[i].value;
        assert_null(hosts_packet_udp_payload(packet, PACKET, &len));
    }
    static const uint8_t versions[] = {0x65, 0x44, 0x4f};
    for (size_t i = 0; i < sizeof versions; i++) {
        memcpy(packet, sample, PACKET);
        packet[0] = versions[i];
        assert_false(hosts_packet_is_ipv4(packet, PACKET));
    }
    memcpy(packet, sample, PACKET); /* empty */
    packet[3] = 28;
    packet[25] = 8;
    assert_true(hosts_packet_is_ipv4(packet, 28));
    assert_null(hosts_packet_udp_payload(packet, 28, &len));
}

/* The answer to a packet: addresses and ports the other way round. */
static void answer(uint8_t *packet) {
    uint8_t copy[PACKET];
    memcpy(copy, packet, PACKET);
    memcpy(packet + 12, copy + 16, 4);
    memcpy(packet + 16, copy + 12, 4);
    memcpy(packet + 20, copy + 22, 2);
    memcpy(packet + 22, copy + 20, 2);
}

static void nat_translates_both_ways_and_forgets(void **state) {
    (void)state;
    hosts_nat nat = {.outer = 0x0a4d0900};
    uint8_t out[PACKET];
    uint8_t back[PACKET];
    uint8_t last[PACKET];
    memcpy(last, sample, PACKET);
    hosts_nat_out(&nat, last, PACKET);
    assert_memory_equal(last, sample, PACKET); /* never rebound */
    for (unsigned times = 1; times <= 254; times++) {
        assert_true(hosts_nat_rebind(&nat, true));
        memcpy(out, sample, PACKET);
        hosts_nat_out(&nat, out, PACKET);
        assert_sealed(out);
        assert_memory_not_equal(out + 12, last + 12, 4); /* address and port are others */
        assert_memory_not_equal(out + 20, last + 20, 2);
        assert_memory_equal(out + 16, sample + 16, 4); /* the destination is not */
        memcpy(back, out, PACKET);
        answer(back);
        assert_true(hosts_nat_in(&nat, back, PACKET));
        assert_sealed(back);
        answer(back);
        assert_memory_equal(back, sample, PACKET);
        answer(last); /* what is sent to the address before is lost */
        assert_false(hosts_nat_in(&nat, last, PACKET));
        memcpy(last, out, PACKET);
    }
    assert_false(hosts_nat_rebind(&nat, true));
}

static void nat_may_keep_its_mappings(void **state) {
    (void)state;
    hosts_nat nat = {.outer = 0x0a4d0900};
    uint8_t packets[4][PACKET];
    for (size_t i = 0; i < 4; i++) {
        memcpy(packets[i], sample, PACKET);
        hosts_nat_out(&nat, packets[i], PACKET);
        assert_true(hosts_nat_rebind(&nat, i == 2));
        answer(packets[i]);
    }
    /* The third time has forgotten what was before it. */
    assert_int_equal(nat.oldest, 3);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(hosts_nat_in(&nat, packets[i], PACKET), i == 3);
    }
    nat.oldest = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_true(hosts_nat_in(&nat, packets[i], PACKET));
        answer(packets[i]);
        assert_memory_equal(packets[i], sample, PACKET);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_made_right),
        cmocka_unit_test(only_whole_datagrams_have_a_payload),
        cmocka_unit_test(nat_translates_both_ways_and_forgets),
        cmocka_unit_test(nat_may_keep_its_mappings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
