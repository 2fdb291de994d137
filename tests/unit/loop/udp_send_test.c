/* What the loop does when the kernel refuses a send. The system call is replaced here: this
 * program's own sendmmsg is found before the C library's. */
#include "fixture.h"

#include <errno.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    int segments_error; /* what a message with several datagrams is answered with; 0: sent */
    int error;          /* what the next calls are answered with, `error_count` times */
    unsigned error_count;
    unsigned error_after; /* calls that succeed before that */
    unsigned taken_max;   /* messages taken by one call; 0: all */
    unsigned calls;
    unsigned segmented_calls;
} kernel;

static bool has_segments(const struct msghdr *message) {
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL;
         at = CMSG_NXTHDR((struct msghdr *)(uintptr_t)message, at)) {
        if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_SEGMENT) {
            return true;
        }
    }
    return false;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library's names */
int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    kernel.calls++;
    bool segmented = has_segments(&messages[0].msg_hdr);
    kernel.segmented_calls += segmented;
    if (segmented && kernel.segments_error != 0) {
        errno = kernel.segments_error;
        return -1;
    }
    if (kernel.error_after > 0) {
        kernel.error_after--;
    } else if (kernel.error_count > 0) {
        kernel.error_count--;
        errno = kernel.error;
        return -1;
    }
    if (kernel.taken_max > 0 && count > kernel.taken_max) {
        count = kernel.taken_max;
    }
    return (int)syscall(SYS_sendmmsg, fd, messages, count, flags);
}

typedef struct scene {
    fixture *at;
    peer server;
    peer client;
    uint8_t data[1000]; /* ten segments of 100 */
} scene;

static scene *scene_new(rn_loop_options options) {
    memset(&kernel, 0, sizeof kernel);
    scene *on = calloc(1, sizeof *on);
    assert_non_null(on);
    on->at = fixture_new(options);
    peer_open(&on->server, on->at, "127.0.0.1:0", NULL);
    peer_open(&on->client, on->at, "127.0.0.1:0", NULL);
    for (size_t i = 0; i < sizeof on->data; i++) {
        on->data[i] = (uint8_t)(i / 100);
    }
    return on;
}

static void scene_del(scene *on) {
    fixture_del(on->at);
    free(on);
}

static int send_ten(scene *on) {
    return peer_send(&on->client, peer_address(&on->server), on->data, sizeof on->data, 100, 0);
}

static void expect_ten(scene *on) {
    on->server.count = 0;
    on->server.stop_at = 10;
    rn_loop_run(on->at->loop);
    assert_int_equal(on->server.count, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(on->server.lens[i], 100);
        assert_int_equal(on->server.first_bytes[i], i);
    }
}

static void one_call_when_offloaded(void **state) {
    (void)state;
    scene *on = scene_new((rn_loop_options){0});
    assert_int_equal(send_ten(on), RPCNET_OK);
    assert_int_equal(kernel.calls, 1);
    assert_int_equal(kernel.segmented_calls, 1);
    expect_ten(on);
    scene_del(on);
}

static void one_call_when_not_offloaded(void **state) {
    (void)state;
    scene *on = scene_new((rn_loop_options){.udp_gso_off = true});
    assert_int_equal(send_ten(on), RPCNET_OK);
    assert_int_equal(kernel.calls, 1);
    assert_int_equal(kernel.segmented_calls, 0);
    expect_ten(on);
    scene_del(on);
}

static void falls_back_for_good(void **state) {
    (void)state;
    static const int errors[] = {EIO, EINVAL, ENOPROTOOPT, EOPNOTSUPP, EMSGSIZE};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        scene *on = scene_new((rn_loop_options){0});
        kernel.segments_error = errors[i];
        assert_int_equal(send_ten(on), RPCNET_OK);
        assert_int_equal(kernel.segmented_calls, 1);
        expect_ten(on);
        assert_int_equal(send_ten(on), RPCNET_OK);
        assert_int_equal(kernel.segmented_calls, 1); /* not tried again */
        expect_ten(on);
        scene_del(on);
    }
}

static void expect_nine(scene *on) {
    on->server.count = 0;
    on->server.stop_at = 9;
    rn_loop_run(on->at->loop);
    assert_int_equal(on->server.count, 9);
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(on->server.first_bytes[i], i + 1);
    }
}

/* A probe of the path's MTU takes no other datagram with it. */
static void too_long_a_datagram_is_lost_alone(void **state) {
    (void)state;
    scene *on = scene_new((rn_loop_options){.udp_gso_off = true});
    kernel.error = EMSGSIZE;
    kernel.error_count = 1;
    assert_int_equal(send_ten(on), RPCNET_ERR_IO);
    expect_nine(on);
    scene_del(on);
}

static void size_is_no_reason_to_fall_back(void **state) {
    (void)state;
    static const int errors[] = {EINVAL, EMSGSIZE}; /* older and newer kernels */
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        scene *on = scene_new((rn_loop_options){0});
        kernel.segments_error = errors[i];
        kernel.error = EMSGSIZE;
        kernel.error_count = 1;
        assert_int_equal(send_ten(on), RPCNET_ERR_IO);
        expect_nine(on);
        kernel.segments_error = 0;
        assert_int_equal(send_ten(on), RPCNET_OK);
        assert_int_equal(kernel.segmented_calls, 2);
        expect_ten(on);
        scene_del(on);
    }
}

/* The kernel itself refuses port 0, with the word that may stand for segments. */
static void an_address_is_no_reason_to_fall_back(void **state) {
    (void)state;
    scene *on = scene_new((rn_loop_options){0});
    rn_address nobody = *peer_address(&on->server);
    rn_address_set_port(&nobody, 0);
    assert_int_equal(peer_send(&on->client, &nobody, on->data, sizeof on->data, 100, 0),
                     RPCNET_ERR_IO);
    assert_int_equal(send_ten(on), RPCNET_OK);
    assert_int_equal(kernel.segmented_calls, 2);
    expect_ten(on);
    scene_del(on);
}

static void again_then_writable(void **state) {
    (void)state;
    scene *on = scene_new((rn_loop_options){0});
    kernel.error = EAGAIN;
    kernel.error_count = 1;
    assert_int_equal(send_ten(on), RPCNET_ERR_AGAIN);
    assert_int_equal(send_ten(on), RPCNET_ERR_AGAIN); /* not past the one that waits */
    assert_int_equal(kernel.calls, 1);
    on->client.stop_when_writable = true;
    rn_loop_run(on->at->loop);
    assert_int_equal(on->client.writable, 1);
    assert_int_equal(on->server.count, 0);
    assert_int_equal(send_ten(on), RPCNET_OK);
    expect_ten(on);
    assert_int_equal(on->client.writable, 1);
    scene_del(on);
}

static void partial_calls_go_on(void **state) {
    (void)state;
    scene *on = scene_new((rn_loop_options){.udp_gso_off = true});
    kernel.taken_max = 4;
    assert_int_equal(send_ten(on), RPCNET_OK);
    assert_int_equal(kernel.calls, 3);
    expect_ten(on);
    scene_del(on);
}

/* A part went out when the kernel had enough: the rest follows by itself, in order, and nothing
 * overtakes it. */
static void rest_follows(void **state) {
    (void)state;
    scene *on = scene_new((rn_loop_options){.udp_gso_off = true});
    kernel.taken_max = 4;
    kernel.error = EAGAIN;
    kernel.error_count = 1;
    kernel.error_after = 1;
    assert_int_equal(send_ten(on), RPCNET_OK);
    memset(on->data, 0xff, sizeof on->data); /* the caller keeps its buffer */
    assert_int_equal(send_ten(on), RPCNET_ERR_AGAIN);
    kernel.error_count = 1; /* and once more, in the middle of the rest */
    kernel.error_after = 1;
    expect_ten(on);
    assert_int_equal(on->client.writable, 1);
    scene_del(on);
}

static void rest_is_freed_with_its_socket(void **state) {
    (void)state;
    scene *on = scene_new((rn_loop_options){.udp_gso_off = true});
    kernel.taken_max = 4;
    kernel.error = EAGAIN;
    kernel.error_count = 1;
    kernel.error_after = 1;
    assert_int_equal(send_ten(on), RPCNET_OK);
    on->at->env->ops->udp_close(on->client.udp);
    on->server.stop_at = 4;
    rn_loop_run(on->at->loop);
    assert_int_equal(on->server.count, 4);
    scene_del(on);
}

static void other_errors_are_losses(void **state) {
    (void)state;
    scene *on = scene_new((rn_loop_options){0});
    kernel.error = EPERM;
    kernel.error_count = 1;
    assert_int_equal(send_ten(on), RPCNET_ERR_IO);
    assert_int_equal(send_ten(on), RPCNET_OK);
    expect_ten(on);
    scene_del(on);
}

static void interrupted_is_tried_again(void **state) {
    (void)state;
    scene *on = scene_new((rn_loop_options){0});
    kernel.error = EINTR;
    kernel.error_count = 2;
    assert_int_equal(send_ten(on), RPCNET_OK);
    assert_int_equal(kernel.calls, 3);
    expect_ten(on);
    scene_del(on);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_when_offloaded),
        cmocka_unit_test(one_call_when_not_offloaded),
        cmocka_unit_test(falls_back_for_good),
        cmocka_unit_test(too_long_a_datagram_is_lost_alone),
        cmocka_unit_test(size_is_no_reason_to_fall_back),
        cmocka_unit_test(an_address_is_no_reason_to_fall_back),
        cmocka_unit_test(again_then_writable),
        cmocka_unit_test(partial_calls_go_on),
        cmocka_unit_test(rest_follows),
        cmocka_unit_test(rest_is_freed_with_its_socket),
        cmocka_unit_test(other_errors_are_losses),
        cmocka_unit_test(interrupted_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
