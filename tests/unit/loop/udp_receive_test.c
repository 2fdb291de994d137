/* Datagrams that no honest sender can have sent. The system call is replaced here: this program's
 * own recvmmsg is found before the C library's. */
#include "fixture.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FORGED = 0x66 }; /* first byte of what is to come from port 0 */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library's names */
int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags,
             struct timespec *timeout) {
    int result = (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
    for (int i = 0; i < result; i++) {
        const struct msghdr *message = &messages[i].msg_hdr;
        if (*(const uint8_t *)message->msg_iov->iov_base == FORGED) {
            ((struct sockaddr_in *)message->msg_name)->sin_port = 0;
        }
    }
    return result;
}

/* An answer could not be sent, and an attempt costs. */
static void nobody_is_at_port_0(void **state) {
    static const uint8_t bytes[] = {FORGED, 1, FORGED, 2};
    fixture *at = fixture_new((rn_loop_options){0});
    peer server;
    peer client;
    (void)state;
    peer_open(&server, at, "127.0.0.1:0", NULL);
    peer_open(&client, at, "127.0.0.1:0", NULL);
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(peer_send(&client, peer_address(&server), &bytes[i], 1, 1, 0), RPCNET_OK);
    }
    server.stop_at = 2;
    rn_loop_run(at->loop);
    assert_int_equal(server.count, 2);
    assert_int_equal(server.first_bytes[0], 1);
    assert_int_equal(server.first_bytes[1], 2);
    fixture_del(at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_at_port_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
