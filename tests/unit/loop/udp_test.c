/* Real sockets on the loopback device: what arrives, from where, with which marks. */
#include "fixture.h"

#include "base/address.h"

static void test_echo(const char *host) {
    fixture *at = fixture_new((rn_loop_options){0});
    skip_without(at, host);
    peer server;
    peer client;
    peer_open(&server, at, host, NULL);
    peer_open(&client, at, host, NULL);
    server.echo = true;
    client.stop_at = 1;
    assert_int_not_equal(rn_address_port(peer_address(&server)), 0);
    assert_int_equal(peer_send(&client, peer_address(&server), "hello", 5, 5, RN_ECN_NOT_ECT),
                     RPCNET_OK);
    rn_loop_run(at->loop);
    assert_int_equal(server.count, 1);
    assert_true(rn_address_equal(&server.last.remote, peer_address(&client)));
    assert_true(rn_address_equal(&server.last.local, peer_address(&server)));
    assert_int_equal(server.batches, 1);
    assert_int_equal(client.count, 1);
    assert_int_equal(client.lens[0], 5);
    assert_int_equal(client.first_bytes[0], 'h');
    assert_true(rn_address_equal(&client.last.remote, peer_address(&server)));
    fixture_del(at);
}

static void echo_ipv4(void **state) {
    (void)state;
    test_echo("127.0.0.1:0");
}

static void echo_ipv6(void **state) {
    (void)state;
    test_echo("[::1]:0");
}

/* Ten segments, the last one shorter, arrive as ten datagrams in order. */
static void test_segments(const char *host, rn_loop_options options) {
    fixture *at = fixture_new(options);
    skip_without(at, host);
    peer server;
    peer client;
    peer_open(&server, at, host, NULL);
    peer_open(&client, at, host, NULL);
    server.stop_at = 10;
    uint8_t data[9 * 1200 + 700];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i / 1200);
    }
    assert_int_equal(
        peer_send(&client, peer_address(&server), data, sizeof data, 1200, RN_ECN_ECT0), RPCNET_OK);
    rn_loop_run(at->loop);
    assert_int_equal(server.count, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(server.lens[i], i < 9 ? 1200 : 700);
        assert_int_equal(server.first_bytes[i], i);
        assert_int_equal(server.ecns[i], RN_ECN_ECT0);
    }
    fixture_del(at);
}

static void segments_offloaded(void **state) {
    (void)state;
    test_segments("127.0.0.1:0", (rn_loop_options){0});
    test_segments("127.0.0.1:0", (rn_loop_options){.udp_gro_off = true});
    test_segments("[::1]:0", (rn_loop_options){0});
}

static void segments_one_by_one(void **state) {
    (void)state;
    test_segments("127.0.0.1:0", (rn_loop_options){.udp_gso_off = true});
    test_segments("127.0.0.1:0", (rn_loop_options){.udp_gso_off = true, .udp_gro_off = true});
    test_segments("[::1]:0", (rn_loop_options){.udp_gso_off = true});
}

/* Around the kernel's limit of segments in one message. */
static void segments_around_the_limit(void **state) {
    (void)state;
    for (size_t segments = RN_LOOP_UDP_SEGMENTS_MAX - 1; segments <= RN_LOOP_UDP_SEGMENTS_MAX + 1;
         segments++) {
        fixture *at = fixture_new((rn_loop_options){0});
        peer server;
        peer client;
        peer_open(&server, at, "127.0.0.1:0", NULL);
        peer_open(&client, at, "127.0.0.1:0", NULL);
        server.stop_at = segments;
        uint8_t data[(RN_LOOP_UDP_SEGMENTS_MAX + 1) * 100];
        for (size_t i = 0; i < sizeof data; i++) {
            data[i] = (uint8_t)(i / 100);
        }
        assert_int_equal(peer_send(&client, peer_address(&server), data, segments * 100, 100, 0),
                         RPCNET_OK);
        rn_loop_run(at->loop);
        for (size_t i = 0; i < segments; i++) {
            assert_int_equal(server.lens[i], 100);
            assert_int_equal(server.first_bytes[i], i);
        }
        fixture_del(at);
    }
}

static void test_ecn(const char *host) {
    static const uint8_t marks[] = {RN_ECN_NOT_ECT, RN_ECN_ECT1, RN_ECN_ECT0, RN_ECN_CE};
    fixture *at = fixture_new((rn_loop_options){0});
    skip_without(at, host);
    peer server;
    peer client;
    peer_open(&server, at, host, NULL);
    peer_open(&client, at, host, NULL);
    server.stop_at = 4;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(peer_send(&client, peer_address(&server), "x", 1, 1, marks[i]), RPCNET_OK);
    }
    rn_loop_run(at->loop);
    assert_memory_equal(server.ecns, marks, 4);
    fixture_del(at);
}

static void ecn_marks_ipv4(void **state) {
    (void)state;
    test_ecn("127.0.0.1:0");
}

static void ecn_marks_ipv6(void **state) {
    (void)state;
    test_ecn("[::1]:0");
}

/* The whole of 127.0.0.0/8 is this machine, so a wildcard socket has many addresses to tell. */
static void wildcard_tells_and_keeps_the_address(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    peer server;
    peer client;
    peer_open(&server, at, "0.0.0.0:0", NULL);
    peer_open(&client, at, "127.0.0.1:0", NULL);
    rn_address target;
    assert_int_equal(rn_address_parse(&target, "127.0.0.5:0"), RPCNET_OK);
    rn_address_set_port(&target, rn_address_port(peer_address(&server)));
    server.stop_at = 1;
    assert_int_equal(peer_send(&client, &target, "x", 1, 1, 0), RPCNET_OK);
    rn_loop_run(at->loop);
    assert_true(rn_address_equal(&server.last.local, &target));

    client.stop_at = 1;
    rn_transmit answer = {.local = server.last.local,
                          .remote = server.last.remote,
                          .data = (const uint8_t *)"y",
                          .len = 1,
                          .segment_size = 1};
    assert_int_equal(at->env->ops->udp_send(server.udp, &answer), RPCNET_OK);
    rn_loop_run(at->loop);
    assert_true(rn_address_equal(&client.last.remote, &target));
    fixture_del(at);
}

static void wildcard_ipv6(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    skip_without(at, "[::1]:0");
    peer server;
    peer client;
    peer_open(&server, at, "[::]:0", NULL);
    peer_open(&client, at, "[::1]:0", NULL);
    rn_address target = *peer_address(&client);
    rn_address_set_port(&target, rn_address_port(peer_address(&server)));
    server.stop_at = 1;
    assert_int_equal(peer_send(&client, &target, "x", 1, 1, RN_ECN_ECT1), RPCNET_OK);
    rn_loop_run(at->loop);
    assert_true(rn_address_equal(&server.last.local, &target));
    assert_int_equal(server.last.ecn, RN_ECN_ECT1);
    client.stop_at = 1;
    rn_transmit answer = {.local = server.last.local,
                          .remote = server.last.remote,
                          .ecn = RN_ECN_ECT0,
                          .data = (const uint8_t *)"y",
                          .len = 1,
                          .segment_size = 1};
    assert_int_equal(at->env->ops->udp_send(server.udp, &answer), RPCNET_OK);
    rn_loop_run(at->loop);
    assert_true(rn_address_equal(&client.last.remote, &target));
    assert_int_equal(client.last.ecn, RN_ECN_ECT0);
    fixture_del(at);
}

/* IPv6 sockets take IPv6 alone: the same port is free in the other family, unless another program
 * has it. */
static void families_are_apart(void **state) {
    (void)state;
    enum { TRIES = 50 };
    fixture *at = fixture_new((rn_loop_options){0});
    skip_without(at, "[::]:0");
    int result = RPCNET_ERR_ADDRESS_IN_USE;
    for (int i = 0; i < TRIES && result == RPCNET_ERR_ADDRESS_IN_USE; i++) {
        char text[RN_ADDRESS_TEXT_MAX];
        rn_address any;
        peer six;
        peer four;
        peer_open(&six, at, "[::]:0", NULL);
        assert_int_equal(rn_address_parse(&any, "0.0.0.0:0"), RPCNET_OK);
        rn_address_set_port(&any, rn_address_port(peer_address(&six)));
        result = peer_try_open(&four, at, rn_address_format(&any, text), NULL);
        at->env->ops->udp_close(six.udp);
        if (result == RPCNET_OK) {
            at->env->ops->udp_close(four.udp);
        }
    }
    assert_int_equal(result, RPCNET_OK);
    fixture_del(at);
}

/* An address of this machine where nothing listens. */
static rn_address closed_address(fixture *at) {
    peer gone;
    peer_open(&gone, at, "127.0.0.1:0", NULL);
    rn_address address = *peer_address(&gone);
    at->env->ops->udp_close(gone.udp);
    return address;
}

static void connected_hears_unreachable(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    rn_address nobody = closed_address(at);
    peer client;
    peer_open(&client, at, NULL, &nobody);
    assert_int_equal(peer_send(&client, &nobody, "x", 1, 1, 0), RPCNET_OK);
    rn_loop_run(at->loop);
    assert_int_equal(client.unreachable, 1);
    assert_int_equal(client.count, 0);
    /* The socket goes on: the next datagram is answered again. */
    assert_int_equal(peer_send(&client, &nobody, "x", 1, 1, 0), RPCNET_OK);
    rn_loop_run(at->loop);
    assert_int_equal(client.unreachable, 2);
    fixture_del(at);
}

/* The kernel tells it to the next send; the callback must not come from inside that send. */
static void unreachable_never_inside_send(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    rn_address nobody = closed_address(at);
    peer client;
    peer_open(&client, at, NULL, &nobody);
    for (size_t i = 0; i < 5; i++) {
        peer_send(&client, &nobody, "x", 1, 1, 0);
        assert_int_equal(client.unreachable, 0);
    }
    rn_loop_run(at->loop);
    assert_int_not_equal(client.unreachable, 0);
    fixture_del(at);
}

static void unreachable_is_forgotten_when_closed(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    rn_address nobody = closed_address(at);
    peer client;
    peer_open(&client, at, NULL, &nobody);
    peer_send(&client, &nobody, "x", 1, 1, 0);
    peer_send(&client, &nobody, "x", 1, 1, 0);
    at->env->ops->udp_close(client.udp);
    peer other;
    peer_open(&other, at, "127.0.0.1:0", NULL);
    other.stop_at = 1;
    assert_int_equal(peer_send(&other, peer_address(&other), "x", 1, 1, 0), RPCNET_OK);
    rn_loop_run(at->loop);
    assert_int_equal(client.unreachable, 0);
    fixture_del(at);
}

/* A peer says its last words and is gone; one of our datagrams, or two, find its port closed. The
 * kernel tells of that before it gives the words, to the next receive or to the second send. */
static void test_last_words(size_t words, size_t segments, size_t sends) {
    static const uint8_t data[30 * 64];
    fixture *at = fixture_new((rn_loop_options){0});
    peer server;
    peer client;
    peer_open(&server, at, "127.0.0.1:0", NULL);
    rn_address address = *peer_address(&server);
    peer_open(&client, at, NULL, &address);
    for (size_t i = 0; i < words; i++) {
        assert_int_equal(
            peer_send(&server, peer_address(&client), data, 30 * segments, 30, RN_ECN_NOT_ECT),
            RPCNET_OK);
    }
    at->env->ops->udp_close(server.udp);
    for (size_t i = 0; i < sends; i++) {
        assert_int_equal(peer_send(&client, &address, "x", 1, 1, 0), RPCNET_OK);
    }
    rn_loop_run(at->loop);
    assert_int_equal(client.before_unreachable, words * segments);
    assert_int_equal(client.unreachable, 1);
    fixture_del(at);
}

static void last_words_are_heard_first(void **state) {
    enum { SHARE = RN_LOOP_UDP_DATAGRAMS / RN_LOOP_UDP_BATCH };
    (void)state;
    for (size_t sends = 1; sends <= 2; sends++) {
        test_last_words(0, 1, sends);
        test_last_words(1, 1, sends);
        test_last_words(RN_LOOP_UDP_BATCH, 1, sends);
        test_last_words(RN_LOOP_UDP_BATCH + 1, 1, sends);
        test_last_words(RN_LOOP_UDP_BATCH + 1, SHARE + 1, sends); /* more than one turn takes */
    }
}

static void connected_talks_to_its_peer(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    peer server;
    peer client;
    peer_open(&server, at, "127.0.0.1:0", NULL);
    server.echo = true;
    peer_open(&client, at, NULL, peer_address(&server));
    client.stop_at = 1;
    assert_int_equal(peer_send(&client, peer_address(&server), "x", 1, 1, 0), RPCNET_OK);
    rn_loop_run(at->loop);
    assert_true(rn_address_equal(&server.last.remote, peer_address(&client)));
    assert_true(rn_address_equal(&client.last.local, peer_address(&client)));
    fixture_del(at);
}

/* Closing ends the batch: neither the datagrams behind it nor batch_end are delivered. */
static void test_close_inside_receive(rn_loop_options options) {
    fixture *at = fixture_new(options);
    peer server;
    peer client;
    peer_open(&server, at, "127.0.0.1:0", NULL);
    peer_open(&client, at, "127.0.0.1:0", NULL);
    server.stop_at = 2;
    server.close_at = 2;
    uint8_t data[500] = {0};
    assert_int_equal(peer_send(&client, peer_address(&server), data, 500, 100, 0), RPCNET_OK);
    assert_int_equal(peer_send(&client, peer_address(&server), data, 500, 100, 0), RPCNET_OK);
    rn_loop_run(at->loop);
    assert_int_equal(server.count, 2);
    assert_int_equal(server.batches, 0);
    fixture_del(at);
}

static void close_inside_receive(void **state) {
    (void)state;
    test_close_inside_receive((rn_loop_options){0});
    test_close_inside_receive((rn_loop_options){.udp_gro_off = true});
}

/* One receive more than a batch, each of `segments` datagrams: how many turns do they take? */
static size_t turns_of(size_t segments) {
    enum { RECEIVES = RN_LOOP_UDP_BATCH + 1, BYTES = 30 };
    static const uint8_t data[BYTES * 64];
    fixture *at = fixture_new((rn_loop_options){0});
    peer server;
    peer client;
    peer_open(&server, at, "127.0.0.1:0", NULL);
    peer_open(&client, at, "127.0.0.1:0", NULL);
    server.stop_at = RECEIVES * segments;
    for (size_t i = 0; i < RECEIVES; i++) {
        assert_int_equal(
            peer_send(&client, peer_address(&server), data, segments * BYTES, BYTES, 0), RPCNET_OK);
    }
    rn_loop_run(at->loop);
    size_t turns = server.batches;
    fixture_del(at);
    return turns;
}

static void a_full_socket_is_emptied_in_one_turn(void **state) {
    (void)state;
    assert_int_equal(turns_of(1), 1);
    assert_int_equal(turns_of(RN_LOOP_UDP_DATAGRAMS / RN_LOOP_UDP_BATCH - 1), 1);
}

static void but_others_get_their_turn(void **state) {
    (void)state;
    assert_int_equal(turns_of(RN_LOOP_UDP_DATAGRAMS / RN_LOOP_UDP_BATCH), 2);
    assert_int_equal(turns_of(RN_LOOP_UDP_DATAGRAMS / RN_LOOP_UDP_BATCH + 1), 2);
}

static void open_errors(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    peer first;
    peer second;
    peer_open(&first, at, "127.0.0.1:0", NULL);
    char text[RN_ADDRESS_TEXT_MAX];
    assert_int_equal(
        peer_try_open(&second, at, rn_address_format(peer_address(&first), text), NULL),
        RPCNET_ERR_ADDRESS_IN_USE);
    assert_null(second.udp);
    /* TEST-NET-3 (RFC 5737) is nobody's address. */
    assert_int_equal(peer_try_open(&second, at, "203.0.113.77:0", NULL), RPCNET_ERR_ADDRESS);
    assert_int_equal(peer_try_open(&second, at, NULL, NULL), RPCNET_ERR_ADDRESS);
    assert_int_equal(peer_try_open(&second, at, "[::1]:0", peer_address(&first)),
                     RPCNET_ERR_ADDRESS);
    fixture_del(at);
}

static void too_large_is_lost(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){0});
    peer server;
    peer_open(&server, at, "127.0.0.1:0", NULL);
    static uint8_t data[65508]; /* one more than IPv4 carries */
    assert_int_equal(peer_send(&server, peer_address(&server), data, sizeof data, sizeof data, 0),
                     RPCNET_ERR_IO);
    server.stop_at = 1;
    assert_int_equal(
        peer_send(&server, peer_address(&server), data, sizeof data - 1, sizeof data - 1, 0),
        RPCNET_OK);
    rn_loop_run(at->loop);
    assert_int_equal(server.lens[0], sizeof data - 1);
    fixture_del(at);
}

static size_t count_text(const char *text, const char *part) {
    size_t count = 0;
    while ((text = strstr(text, part)) != NULL) {
        count++;
        text += strlen(part);
    }
    return count;
}

static void clipped_buffers_are_told_once(void **state) {
    (void)state;
    fixture *at = fixture_new((rn_loop_options){.udp_buffer_bytes = (size_t)1 << 30});
    peer first;
    peer second;
    peer_open(&first, at, "127.0.0.1:0", NULL);
    peer_open(&second, at, "127.0.0.1:0", NULL);
    assert_int_equal(count_text(at->log_text, "WARN rpcnet::udp"), 1);
    assert_non_null(strstr(at->log_text, "net.core.rmem_max=1073741824"));
    assert_non_null(strstr(at->log_text, "net.core.wmem_max=1073741824"));
    fixture_del(at);

    at = fixture_new((rn_loop_options){.udp_buffer_bytes = 65536});
    peer_open(&first, at, "127.0.0.1:0", NULL);
    assert_string_equal(at->log_text, "");
    fixture_del(at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_ipv4),
        cmocka_unit_test(echo_ipv6),
        cmocka_unit_test(segments_offloaded),
        cmocka_unit_test(segments_one_by_one),
        cmocka_unit_test(segments_around_the_limit),
        cmocka_unit_test(ecn_marks_ipv4),
        cmocka_unit_test(ecn_marks_ipv6),
        cmocka_unit_test(wildcard_tells_and_keeps_the_address),
        cmocka_unit_test(wildcard_ipv6),
        cmocka_unit_test(families_are_apart),
        cmocka_unit_test(connected_hears_unreachable),
        cmocka_unit_test(unreachable_never_inside_send),
        cmocka_unit_test(unreachable_is_forgotten_when_closed),
        cmocka_unit_test(last_words_are_heard_first),
        cmocka_unit_test(connected_talks_to_its_peer),
        cmocka_unit_test(close_inside_receive),
        cmocka_unit_test(a_full_socket_is_emptied_in_one_turn),
        cmocka_unit_test(but_others_get_their_turn),
        cmocka_unit_test(open_errors),
        cmocka_unit_test(too_large_is_lost),
        cmocka_unit_test(clipped_buffers_are_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
