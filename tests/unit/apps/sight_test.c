/* Tests of common/sight over real sockets: pages, refusals, limits. The loop runs in this thread;
 * it is stopped when the client's socket has something to read. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/sight.h"
#include "worker/config.h"

enum { TEXT_MAX = 64 * 1024 };

typedef struct fixture {
    rn_program program;
    rn_worker_config config;
    rn_sight *sight;
    int result; /* of rn_sight_new */
    int fill;   /* what the page answers */
    size_t fill_bytes;
    char text[TEXT_MAX]; /* of the last answer */
} fixture;

static fixture *fixture_new(const char *address) {
    fixture *at = calloc(1, sizeof *at);
    assert_non_null(at);
    char name[] = "worker";
    char quiet[] = "--log=off";
    char *argv[] = {name, quiet, NULL};
    char *envp[] = {NULL};
    assert_true(rn_program_start(&at->program, rn_worker_spec(), &at->config, 2, argv, envp));
    at->fill = 200;
    at->result = rn_sight_new(&at->sight, &at->program, "metrics-addr", address);
    return at;
}

static int fixture_del(fixture *at) {
    rn_sight_del(at->sight);
    int code = rn_program_end(&at->program);
    free(at);
    return code;
}

static int fill(rn_buffer *out, void *user) {
    fixture *at = user;
    for (size_t i = 0; i < at->fill_bytes; i++) {
        int result = rn_buffer_append(out, "x", 1);
        if (result != RPCNET_OK) {
            return result;
        }
    }
    return at->fill;
}

/* ---- a client ---- */

static void stop(void *user) {
    rn_loop_stop(user);
}

static int connect_from(const fixture *at, const char *source) {
    rn_address to;
    rn_address from;
    char text[RN_ADDRESS_TEXT_MAX];
    assert_int_equal(rn_address_parse(&to, rn_sight_address(at->sight)), RPCNET_OK);
    int fd = socket(to.sa.sa_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (source != NULL) {
        snprintf(text, sizeof text, "%s:0", source);
        assert_int_equal(rn_address_parse(&from, text), RPCNET_OK);
        assert_int_equal(bind(fd, &from.sa, from.len), 0);
    }
    assert_int_equal(connect(fd, &to.sa, to.len), 0);
    return fd;
}

/* Turns of the loop until the socket can be read. */
static void wait_readable(const fixture *at, int fd) {
    rn_loop_watch *watch;
    assert_int_equal(rn_loop_watch_new(&watch, at->program.loop, fd, stop, at->program.loop),
                     RPCNET_OK);
    rn_loop_run(at->program.loop);
    rn_loop_watch_del(watch);
}

/* Reads an answer until the server closes. */
static const char *read_all(fixture *at, int fd) {
    size_t len = 0;
    for (;;) {
        wait_readable(at, fd);
        ssize_t got = read(fd, at->text + len, TEXT_MAX - 1 - len);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
    }
    at->text[len] = '\0';
    close(fd);
    return at->text;
}

static const char *ask_at(fixture *at, int fd, const char *request) {
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    return read_all(at, fd);
}

#define REST " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static const char *ask(fixture *at, const char *request) {
    return ask_at(at, connect_from(at, NULL), request);
}

static void begins(const char *text, const char *start) {
    assert_int_equal(strncmp(text, start, strlen(start)), 0);
}

static const char *body(const char *text) {
    const char *end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

/* Turns of the loop for a moment, so that the server takes what waits. */
static void run_on(const fixture *at) {
    rn_timer *timer;
    rn_env *env = at->program.env;
    assert_int_equal(rn_env_timer_new(env, stop, at->program.loop, &timer), RPCNET_OK);
    env->ops->timer_set(timer, rn_env_now(env) + 5 * RN_MILLISECOND);
    rn_loop_run(at->program.loop);
    env->ops->timer_del(timer);
}

/* ---- tests ---- */

static void test_pages(void **state) {
    (void)state;
    fixture *at = fixture_new("127.0.0.1:0");
    assert_int_equal(at->result, RPCNET_OK);
    begins(rn_sight_address(at->sight), "127.0.0.1:");
    assert_int_not_equal(atoi(rn_sight_address(at->sight) + strlen("127.0.0.1:")), 0);
    assert_int_equal(rn_sight_add(at->sight, "/page", "text/x", fill, at), RPCNET_OK);
    at->fill_bytes = 3;

    const char *text = ask(at, "GET /page?query=1" REST);
    begins(text, "HTTP/1.1 200 OK\r\n");
    assert_non_null(strstr(text, "\r\nContent-Type: text/x\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Length: 3\r\n"));
    assert_non_null(strstr(text, "\r\nCache-Control: no-store\r\n"));
    assert_string_equal(body(text), "xxx");

    text = ask(at, "HEAD /page" REST);
    begins(text, "HTTP/1.1 200 OK\r\n");
    assert_non_null(strstr(text, "\r\nContent-Length: 3\r\n"));
    assert_string_equal(body(text), "");

    at->fill = 503;
    text = ask(at, "GET /page" REST);
    begins(text, "HTTP/1.1 503 ");
    assert_string_equal(body(text), "xxx");

    at->fill = RPCNET_ERR_MEMORY;
    text = ask(at, "GET /page" REST);
    begins(text, "HTTP/1.1 500 ");
    assert_string_equal(body(text), "");

    at->fill = 200;
    at->fill_bytes = 0;
    begins(ask(at, "GET /page" REST), "HTTP/1.1 200 OK\r\n");
    begins(ask(at, "GET /other" REST), "HTTP/1.1 404 ");
    begins(ask(at, "GET /page/" REST), "HTTP/1.1 404 ");
    assert_int_equal(fixture_del(at), 0);
}

static void test_other_requests(void **state) {
    (void)state;
    fixture *at = fixture_new("127.0.0.1:0");
    assert_int_equal(rn_sight_add(at->sight, "/page", "text/x", fill, at), RPCNET_OK);
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "X"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char request[256];
        snprintf(request, sizeof request, "%s /page%s", methods[i], REST);
        const char *text = ask(at, request);
        begins(text, "HTTP/1.1 405 ");
        assert_non_null(strstr(text, "\r\nAllow: GET, HEAD\r\n"));
    }
    begins(ask(at, "POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"),
           "HTTP/1.1 405 ");
    /* What is no HTTP, and headers without end: an answer or none, and the server lives. */
    (void)ask(at, "\x16\x03\x01\x02\r\n\r\n");
    char *endless = malloc((size_t)2 * RN_SIGHT_REQUEST_MAX + 1);
    memset(endless, 'a', (size_t)2 * RN_SIGHT_REQUEST_MAX);
    endless[(size_t)2 * RN_SIGHT_REQUEST_MAX] = '\0';
    memcpy(endless, "GET /page HTTP/1.1\r\nx: ", 23);
    begins(ask(at, endless), "HTTP/1.1 431 ");
    free(endless);
    begins(ask(at, "GET /page" REST), "HTTP/1.1 200 ");
    fixture_del(at);
}

static void test_pages_are_limited(void **state) {
    (void)state;
    fixture *at = fixture_new("127.0.0.1:0");
    for (int i = 0; i <= RN_SIGHT_PAGES_MAX; i++) {
        assert_int_equal(rn_sight_add(at->sight, "/page", "text/x", fill, at),
                         i < RN_SIGHT_PAGES_MAX ? RPCNET_OK : RPCNET_ERR_LIMIT);
    }
    at->fill_bytes = RN_SIGHT_PAGE_MAX + 1;
    begins(ask(at, "GET /page" REST), "HTTP/1.1 500 ");
    fixture_del(at);
}

/* One address may have so many connections: the next one is closed at once, without an answer. */
static void test_connections_of_one_address(void **state) {
    (void)state;
    fixture *at = fixture_new("127.0.0.1:0");
    int idle[RN_SIGHT_CONNECTIONS_OF_ONE_MAX];
    assert_int_equal(rn_sight_add(at->sight, "/page", "text/x", fill, at), RPCNET_OK);
    for (int i = 0; i < RN_SIGHT_CONNECTIONS_OF_ONE_MAX - 1; i++) {
        idle[i] = connect_from(at, "127.0.0.2");
    }
    run_on(at);
    begins(ask_at(at, connect_from(at, "127.0.0.2"), "GET /page" REST), "HTTP/1.1 200 ");
    idle[RN_SIGHT_CONNECTIONS_OF_ONE_MAX - 1] = connect_from(at, "127.0.0.2");
    run_on(at);
    assert_string_equal(read_all(at, connect_from(at, "127.0.0.2")), "");
    begins(ask_at(at, connect_from(at, "127.0.0.3"), "GET /page" REST), "HTTP/1.1 200 ");
    for (int i = 0; i < RN_SIGHT_CONNECTIONS_OF_ONE_MAX; i++) {
        close(idle[i]);
    }
    run_on(at);
    begins(ask_at(at, connect_from(at, "127.0.0.2"), "GET /page" REST), "HTTP/1.1 200 ");
    fixture_del(at);
}

/* Over the limit of all, a connection waits until another one has ended. */
static void test_connections_of_all(void **state) {
    (void)state;
    fixture *at = fixture_new("127.0.0.1:0");
    int idle[RN_SIGHT_CONNECTIONS_MAX];
    char byte;
    assert_int_equal(rn_sight_add(at->sight, "/page", "text/x", fill, at), RPCNET_OK);
    for (int i = 0; i < RN_SIGHT_CONNECTIONS_MAX; i++) {
        idle[i] = connect_from(at, i % 2 == 0 ? "127.0.0.2" : "127.0.0.3");
    }
    run_on(at);
    static const char request[] = "GET /page" REST;
    int waits = connect_from(at, "127.0.0.4");
    assert_int_equal(write(waits, request, strlen(request)), strlen(request));
    run_on(at);
    assert_int_equal(recv(waits, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    /* All of them: no connection is left whose timeout would wake the server. */
    for (int i = 0; i < RN_SIGHT_CONNECTIONS_MAX; i++) {
        close(idle[i]);
    }
    begins(read_all(at, waits), "HTTP/1.1 200 ");
    fixture_del(at);
}

/* ---- time ---- */

/* The env's clock, put forward; what the timer was set to last. */
static struct {
    const rn_env_ops *real;
    uint64_t ahead;
    uint64_t deadline;
} skewed;

static uint64_t skewed_now(rn_env *env) {
    return skewed.real->now(env) + skewed.ahead;
}

static void skewed_timer_set(rn_timer *timer, uint64_t deadline) {
    skewed.deadline = deadline;
    skewed.real->timer_set(timer, deadline == RN_NEVER ? deadline : deadline - skewed.ahead);
}

static fixture *fixture_with_skew(rn_env_ops *ops) {
    fixture *at = fixture_new("127.0.0.1:0");
    rn_env *env = at->program.env;
    assert_int_equal(rn_sight_add(at->sight, "/page", "text/x", fill, at), RPCNET_OK);
    skewed.real = env->ops;
    skewed.ahead = 0;
    *ops = *env->ops;
    ops->now = skewed_now;
    ops->timer_set = skewed_timer_set;
    env->ops = ops;
    return at;
}

static void fixture_del_with_skew(fixture *at) {
    at->program.env->ops = skewed.real;
    fixture_del(at);
}

static bool is_open(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

static void say(const fixture *at, int fd, const char *text) {
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    run_on(at);
}

/* Those that are never silent and never done are closed, and others get their places. */
static void test_time_of_a_request(void **state) {
    (void)state;
    rn_env_ops ops;
    fixture *at = fixture_with_skew(&ops);
    int slow[RN_SIGHT_CONNECTIONS_OF_ONE_MAX];
    for (int i = 0; i < RN_SIGHT_CONNECTIONS_OF_ONE_MAX; i++) {
        slow[i] = connect_from(at, "127.0.0.2");
        say(at, slow[i], "G");
    }
    uint64_t last = rn_env_now(at->program.env) + RN_SIGHT_REQUEST_SECONDS * RN_SECOND;
    skewed.ahead = (RN_SIGHT_REQUEST_SECONDS - 2) * RN_SECOND;
    for (int i = 0; i < RN_SIGHT_CONNECTIONS_OF_ONE_MAX; i++) {
        say(at, slow[i], "E");
        assert_true(is_open(slow[i]));
        /* The server will wake by itself, though it has just heard something. */
        assert_true(skewed.deadline <= last);
    }
    skewed.ahead = (RN_SIGHT_REQUEST_SECONDS + 60) * RN_SECOND;
    say(at, slow[0], "T");
    run_on(at);
    for (int i = 0; i < RN_SIGHT_CONNECTIONS_OF_ONE_MAX; i++) {
        assert_false(is_open(slow[i]));
    }
    begins(ask_at(at, connect_from(at, "127.0.0.2"), "GET /page" REST), "HTTP/1.1 200 ");
    for (int i = 0; i < RN_SIGHT_CONNECTIONS_OF_ONE_MAX; i++) {
        close(slow[i]);
    }
    fixture_del_with_skew(at);
}

/* A connection is for one request, whatever the client would like: the time is that of both. */
static void test_one_request(void **state) {
    (void)state;
    fixture *at = fixture_new("127.0.0.1:0");
    assert_int_equal(rn_sight_add(at->sight, "/page", "text/x", fill, at), RPCNET_OK);
    const char *text = ask(at, "GET /page HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
    begins(text, "HTTP/1.1 200 ");
    text = strstr(text, "\r\nConnection: close\r\n");
    assert_non_null(text);
    assert_null(strstr(text + 2, "\r\nConnection: "));
    fixture_del(at);
}

static void test_addresses(void **state) {
    (void)state;
    static const char *const refused[] = {"0.0.0.0:0",       "192.0.2.1:9100",      "[::]:0",
                                          "[2001:db8::1]:0", "[::ffff:10.0.0.1]:0", "128.0.0.1:0"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        fixture *at = fixture_new(refused[i]);
        assert_int_not_equal(at->result, RPCNET_OK);
        assert_null(at->sight);
        assert_int_equal(fixture_del(at), RN_EXIT_USAGE);
    }
    static const char *const fine[] = {"127.255.0.1:0", "localhost:0"};
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        fixture *at = fixture_new(fine[i]);
        assert_int_equal(at->result, RPCNET_OK);
        assert_int_equal(fixture_del(at), RN_EXIT_OK);
    }
    fixture *at = fixture_new("127.0.0.1:0");
    fixture *second = fixture_new(rn_sight_address(at->sight));
    assert_int_not_equal(second->result, RPCNET_OK);
    assert_int_equal(fixture_del(second), RN_EXIT_RUNTIME);
    fixture_del(at);
    rn_sight_del(NULL);
}

static void test_ipv6(void **state) {
    (void)state;
    fixture *at = fixture_new("[::1]:0");
    if (at->result != RPCNET_OK) {
        fixture_del(at);
        skip();
        abort(); /* skip does not return */
    }
    begins(rn_sight_address(at->sight), "[::1]:");
    assert_int_equal(rn_sight_add(at->sight, "/page", "text/x", fill, at), RPCNET_OK);
    begins(ask(at, "GET /page" REST), "HTTP/1.1 200 ");
    fixture_del(at);
}

/* Deleted with connections open and a request half read. */
static void test_deleted_in_use(void **state) {
    (void)state;
    fixture *at = fixture_new("127.0.0.1:0");
    int fd = connect_from(at, NULL);
    assert_int_equal(write(fd, "GET /pa", 7), 7);
    run_on(at);
    fixture_del(at);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_other_requests),
        cmocka_unit_test(test_pages_are_limited),
        cmocka_unit_test(test_connections_of_one_address),
        cmocka_unit_test(test_connections_of_all),
        cmocka_unit_test(test_time_of_a_request),
        cmocka_unit_test(test_one_request),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_deleted_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
