/* The director's MGMT port and what it asks workers: messages have a limit at which nothing that
 * can be meant is refused, and nobody but workers gets as far as sending one. */
#include "sim/world/few.h"

#include "common/cluster.h"

enum { SEED = 92, PADDING_TAG = 0x7a /* field 15, bytes: of no message */ };

#define MEMBER "10.0.1.4" /* on a worker's machine, whether or not it runs */
#define MGMT_ADDR RN_CLUSTER_DIRECTOR_HOST ":61001"
#define REGISTER "/connection_swap.DirectorRegistry/Register"
#define REPORT "/connection_swap.DirectorRegistry/Report"

typedef struct member {
    rpcnet_credentials *credentials;
    rn_env *env;
    rpcnet_channel *channel;
    size_t health_size; /* of its answers */
    uint64_t registration;
} member;

static rpcnet_credentials *papers_of(const char *name) {
    char crt[256];
    char key[256];
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials *credentials = NULL;
    rpcnet_credentials_options options;
    rpcnet_credentials_options_init(&options);
    snprintf(crt, sizeof crt, "%s/%s.crt", RN_TEST_CERTS, name);
    snprintf(key, sizeof key, "%s/%s.key", RN_TEST_CERTS, name);
    options.certificate_file = crt;
    options.key_file = key;
    options.ca_file = RN_TEST_CERTS "/ca.crt";
    options.require_client_certificate = true;
    assert_int_equal(rpcnet_credentials_new(&credentials, &options, error), RPCNET_OK);
    return credentials;
}

static void member_init(member *m, const few *w, const char *name) {
    rpcnet_channel_options options;
    *m = (member){.credentials = papers_of(name)};
    m->env = rn_sim_host_new(w->sim, MEMBER);
    rpcnet_channel_options_init(&options);
    options.credentials = m->credentials;
    options.identity = RN_ROLE_DIRECTOR;
    assert_int_equal(rpcnet_channel_new(&m->channel, m->env, MGMT_ADDR, &options), RPCNET_OK);
}

static void member_fini(member *m) {
    rpcnet_channel_del(m->channel);
    rpcnet_credentials_del(m->credentials);
}

/* Appends a field that nobody knows, so that the message has `size` bytes. */
static size_t pad(uint8_t *bytes, size_t len, size_t size) {
    enum { HEAD = 3 };
    size_t more = size - len - HEAD;
    assert_true(size >= len + HEAD && more >= 0x80 && more < 0x4000);
    bytes[len] = PADDING_TAG;
    bytes[len + 1] = (uint8_t)(more | 0x80);
    bytes[len + 2] = (uint8_t)(more >> 7);
    memset(bytes + len + HEAD, 0, more);
    return size;
}

static void begin(const few *w, const member *m, stream *at, const char *path,
                  const uint8_t *message, size_t len) {
    static const rpcnet_call_callbacks callbacks = {.on_message = few_message,
                                                    .on_status = few_status};
    *at = (stream){.code = -1};
    assert_int_equal(rpcnet_call_new(&at->call, m->channel, path, NULL, &callbacks, at), RPCNET_OK);
    if (message != NULL) {
        assert_int_equal(rpcnet_call_send(at->call, message, len), RPCNET_OK);
    }
    rn_sim_run_for(w->sim, 500 * RN_MILLISECOND);
}

/* How the call ends without another word of ours; -1: it does not. */
static int ends(const few *w, const member *m, const char *path, const uint8_t *message,
                size_t len) {
    stream at;
    begin(w, m, &at, path, message, len);
    rpcnet_call_del(at.call);
    return at.code;
}

/* ---- what it is told ---- */

static size_t registration(uint8_t *out, const char *label, const char *user_addr,
                           const char *mgmt_addr) {
    ConnectionSwap__RegisterRequest request = CONNECTION_SWAP__REGISTER_REQUEST__INIT;
    char texts[3][RN_POOL_ADDRESS_MAX];
    snprintf(texts[0], sizeof texts[0], "%s", label);
    snprintf(texts[1], sizeof texts[1], "%s", user_addr);
    snprintf(texts[2], sizeof texts[2], "%s", mgmt_addr);
    request.label = texts[0];
    request.user_addr = texts[1];
    request.mgmt_addr = texts[2];
    request.incarnation = UINT64_MAX;
    return connection_swap__register_request__pack(&request, out);
}

static void test_messages_have_their_limit(void **state) {
    (void)state;
    static few w;
    member m;
    uint8_t message[RN_CLUSTER_MESSAGE_MAX + 1];
    few_init(&w, SEED, 1, 10 * RN_MILLISECOND);
    few_start(&w);
    member_init(&m, &w, "worker-d");
    for (size_t size = RN_CLUSTER_MESSAGE_MAX - 1; size <= RN_CLUSTER_MESSAGE_MAX + 1; size++) {
        bool fits = size <= RN_CLUSTER_MESSAGE_MAX;
        size_t len = registration(message, "worker-d", MEMBER ":1", MEMBER ":2");
        assert_int_equal(ends(&w, &m, REGISTER, message, pad(message, len, size)),
                         fits ? RPCNET_GRPC_OK : RPCNET_GRPC_RESOURCE_EXHAUSTED);
        assert_int_equal(ends(&w, &m, REPORT, message, pad(message, 0, size)),
                         fits ? RPCNET_GRPC_FAILED_PRECONDITION : RPCNET_GRPC_RESOURCE_EXHAUSTED);
    }
    member_fini(&m);
    few_del(&w);
}

/* Names of hosts as long as they may be. */
static void test_the_longest_registration(void **state) {
    (void)state;
    static few w;
    member m;
    uint8_t message[RN_CLUSTER_MESSAGE_MAX];
    char address[RN_POOL_ADDRESS_MAX];
    few_init(&w, SEED, 1, 10 * RN_MILLISECOND);
    few_start(&w);
    member_init(&m, &w, "worker-d");
    memset(address, 'h', RN_HOST_MAX);
    snprintf(address + RN_HOST_MAX, sizeof address - RN_HOST_MAX, ":65535");
    size_t len = registration(message, "worker-d", address, address);
    assert_true(2 * (len + RN_LABEL_MAX) < RN_CLUSTER_MESSAGE_MAX); /* room for what is to come */
    assert_int_equal(ends(&w, &m, REGISTER, message, len), RPCNET_GRPC_OK);
    member_fini(&m);
    few_del(&w);
}

static void test_who_is_no_worker_sends_no_message(void **state) {
    (void)state;
    static few w;
    member m;
    few_init(&w, SEED, 1, 10 * RN_MILLISECOND);
    few_start(&w);
    member_init(&m, &w, "client");
    assert_int_equal(ends(&w, &m, REGISTER, NULL, 0), RPCNET_GRPC_PERMISSION_DENIED);
    assert_int_equal(ends(&w, &m, REPORT, NULL, 0), RPCNET_GRPC_PERMISSION_DENIED);
    member_fini(&m);
    few_del(&w);
}

/* ---- what it asks ---- */

static void answer(rpcnet_call *call, void *user) {
    const member *m = user;
    uint8_t message[RN_CLUSTER_MESSAGE_MAX + 1] = {0x08, 1}; /* SERVING */
    assert_int_equal(rpcnet_call_send(call, message, pad(message, 2, m->health_size)), RPCNET_OK);
    assert_int_equal(rpcnet_call_finish(call, RPCNET_GRPC_OK, NULL, NULL), RPCNET_OK);
    rpcnet_call_del(call);
}

static void drop(rpcnet_call *call, int code, void *user) {
    (void)code;
    (void)user;
    rpcnet_call_del(call);
}

static void serve_health(rpcnet_server *server, rpcnet_call *call, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_half_close = answer, .on_cancelled = drop};
    (void)server;
    rpcnet_call_set_callbacks(call, &callbacks, user);
}

static void note_registration(rpcnet_call *call, const void *data, size_t len, void *user) {
    (void)call;
    ConnectionSwap__RegisterResponse *response =
        connection_swap__register_response__unpack(NULL, len, data);
    assert_non_null(response);
    ((member *)user)->registration = response->registration;
    connection_swap__register_response__free_unpacked(response, NULL);
}

static void join(const few *w, member *m, stream *reports) {
    static const rpcnet_call_callbacks callbacks = {.on_message = note_registration};
    uint8_t message[RN_CLUSTER_MESSAGE_MAX];
    rpcnet_call *call;
    assert_int_equal(rpcnet_call_new(&call, m->channel, REGISTER, NULL, &callbacks, m), RPCNET_OK);
    assert_int_equal(
        rpcnet_call_send(call, message,
                         registration(message, "worker-d", MEMBER ":62001", MEMBER ":63001")),
        RPCNET_OK);
    rn_sim_run_for(w->sim, 500 * RN_MILLISECOND);
    rpcnet_call_del(call);
    ConnectionSwap__WorkerReport report = CONNECTION_SWAP__WORKER_REPORT__INIT;
    report.registration = m->registration;
    begin(w, m, reports, REPORT, message, connection_swap__worker_report__pack(&report, message));
}

static void test_answers_have_their_limit(void **state) {
    (void)state;
    static few w;
    member m;
    stream reports;
    rpcnet_server *user;
    rpcnet_server *mgmt;
    rpcnet_server_options options;
    const uint8_t secret[RPCNET_SECRET_LEN] = {1};
    few_init(&w, SEED, 1, 10 * RN_MILLISECOND);
    few_start(&w);
    member_init(&m, &w, "worker-d");
    rpcnet_server_options_init(&options);
    options.credentials = m.credentials;
    options.secret = secret;
    assert_int_equal(rpcnet_server_new(&user, m.env, MEMBER ":62001", &options), RPCNET_OK);
    assert_int_equal(rpcnet_server_new(&mgmt, m.env, MEMBER ":63001", &options), RPCNET_OK);
    assert_int_equal(
        rpcnet_server_add_method(mgmt, "/grpc.health.v1.Health/Check", serve_health, &m),
        RPCNET_OK);
    m.health_size = RN_CLUSTER_MESSAGE_MAX - 1;
    join(&w, &m, &reports);
    rn_pool *pool = &w.cluster.director->control.pool;
    for (; m.health_size <= RN_CLUSTER_MESSAGE_MAX + 1; m.health_size++) {
        rn_sim_run_for(w.sim, 5 * RN_SECOND);
        const rn_pool_entry *entry = rn_pool_find(pool, m.registration);
        assert_non_null(entry);
        assert_int_equal(entry->unhealthy, m.health_size > RN_CLUSTER_MESSAGE_MAX);
    }
    rpcnet_call_del(reports.call);
    member_fini(&m);
    rpcnet_server_del(user);
    rpcnet_server_del(mgmt);
    few_del(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_have_their_limit),
        cmocka_unit_test(test_the_longest_registration),
        cmocka_unit_test(test_who_is_no_worker_sends_no_message),
        cmocka_unit_test(test_answers_have_their_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
