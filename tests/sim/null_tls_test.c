/* tls_null itself: what its keys, tokens and certificates refuse, and handshakes whose messages
 * were changed by the peer that sent them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "quic/conn_internal.h"
#include "quic/secrets.h"
#include "rpcnet/error.h"
#include "sim/net.h"
#include "sim/papers.h"
#include "sim/tls_null/internal.h"
#include "support/quic_echo.h"

#define SERVER "10.0.0.1"
#define CLIENT "10.0.0.2"

/* ---- keys ---- */

static rn_packet_key *key_of(uint8_t byte) {
    uint8_t secret[RN_NULL_SECRET_LEN];
    uint8_t iv[RN_PACKET_IV_LEN];
    rn_packet_key *key;
    memset(secret, byte, sizeof secret);
    assert_int_equal(rn_packet_key_new(&key, RN_NULL_SUITE, secret, iv), RPCNET_OK);
    return key;
}

static void each_changed_bit_is_noticed(void **state) {
    (void)state;
    enum { LEN = 61, AD = 19 };
    uint8_t plain[LEN];
    uint8_t parts[3][LEN + RN_PACKET_TAG_LEN] = {{0}}; /* sealed, nonce, associated data */
    const size_t lens[3] = {LEN + RN_PACKET_TAG_LEN, RN_PACKET_IV_LEN, AD};
    uint8_t out[LEN];
    rn_packet_key *key = key_of(1);
    rn_packet_key *other = key_of(2);
    for (size_t i = 0; i < LEN; i++) {
        plain[i] = (uint8_t)(i * 7);
    }
    assert_int_equal(rn_packet_key_seal(key, parts[0], plain, LEN, parts[1], parts[2], AD),
                     RPCNET_OK);
    for (size_t part = 0; part < 3; part++) {
        for (size_t bit = 0; bit < 8 * lens[part]; bit++) {
            parts[part][bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_int_equal(
                rn_packet_key_open(key, out, parts[0], lens[0], parts[1], parts[2], AD),
                RPCNET_ERR_PROTOCOL);
            parts[part][bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
    for (size_t len = 0; len < lens[0]; len++) {
        assert_int_equal(rn_packet_key_open(key, out, parts[0], len, parts[1], parts[2], AD),
                         RPCNET_ERR_PROTOCOL);
    }
    assert_int_equal(rn_packet_key_open(other, out, parts[0], lens[0], parts[1], parts[2], AD),
                     RPCNET_ERR_PROTOCOL);
    assert_int_equal(rn_packet_key_open(key, out, parts[0], lens[0], parts[1], parts[2], AD),
                     RPCNET_OK);
    assert_memory_equal(out, plain, LEN);
    rn_packet_key_del(key);
    rn_packet_key_del(other);
}

static void tokens_are_bound(void **state) {
    (void)state;
    const uint8_t keys[2][RN_SECRET_KEY_LEN] = {{1}, {2}};
    uint8_t bytes[RN_TLS_TOKEN_MAX];
    rn_address here;
    rn_address port;
    rn_address host;
    ngtcp2_cid id;
    ngtcp2_cid other_id;
    ngtcp2_cid original;
    ngtcp2_cid read;
    ngtcp2_cid_init(&id, (const uint8_t *)"0123456789abcdef", 16);
    ngtcp2_cid_init(&other_id, (const uint8_t *)"0123456789abcdeF", 16);
    ngtcp2_cid_init(&original, (const uint8_t *)"the first one", 13);
    assert_int_equal(rn_address_parse(&here, "10.0.0.1:1"), RPCNET_OK);
    assert_int_equal(rn_address_parse(&port, "10.0.0.1:2"), RPCNET_OK);
    assert_int_equal(rn_address_parse(&host, "10.0.0.2:1"), RPCNET_OK);
    const rn_tls_token_scope scope = {.key = keys[0], .remote = &here, .wall_ns = 1000};
    const rn_tls_token_scope scopes[] = {
        {.key = keys[1], .remote = &here, .wall_ns = 1000},
        {.key = keys[0], .remote = &host, .wall_ns = 1000},
        {.key = keys[0], .remote = &here, .wall_ns = 1100}, /* too late */
        {.key = keys[0], .remote = &port, .wall_ns = 1000}};
    rn_bytes token =
        rn_bytes_of(bytes, (size_t)rn_tls_retry_token_write(bytes, &scope, &id, &original));
    assert_int_equal(token.len, NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2);
    assert_int_equal(rn_tls_token_kind_of(token), RN_TLS_TOKEN_RETRY);
    assert_int_equal(rn_tls_retry_token_read(&read, token, &scope, &id, 100), RPCNET_OK);
    assert_true(ngtcp2_cid_eq(&read, &original));
    assert_int_equal(rn_tls_retry_token_read(&read, token, &scope, &other_id, 100),
                     RPCNET_ERR_PROTOCOL);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(rn_tls_retry_token_read(&read, token, &scopes[i], &id, 100),
                         RPCNET_ERR_PROTOCOL);
    }
    token.len = (size_t)rn_tls_regular_token_write(bytes, &scope);
    assert_int_equal(token.len, NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN);
    assert_int_equal(rn_tls_token_kind_of(token), RN_TLS_TOKEN_REGULAR);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(rn_tls_regular_token_check(token, &scopes[i], 100), RPCNET_ERR_PROTOCOL);
    }
    assert_int_equal(rn_tls_regular_token_check(token, &scopes[3], 100), RPCNET_OK);
    for (size_t i = 1; i < token.len; i++) {
        bytes[i] ^= 1;
        assert_int_equal(rn_tls_regular_token_check(token, &scope, 100), RPCNET_ERR_PROTOCOL);
        bytes[i] ^= 1;
    }
}

/* ---- files ---- */

static int parse(const char *text) {
    rn_paper papers[RN_PAPERS_MAX];
    return rn_papers_parse(papers, rn_bytes_text(text));
}

static void certificates_are_read_strictly(void **state) {
    (void)state;
    uint64_t number;
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse(RN_PAPER_CERTIFICATE "\nsubject=a\n\n# b\n" RN_PAPER_CERTIFICATE), 2);
    assert_int_equal(parse("subject=a\n"), -1);
    assert_int_equal(parse(RN_PAPER_CERTIFICATE "\nsubject"), -1);
    assert_int_equal(parse(RN_PAPER_CERTIFICATE "\nsubject="), -1);
    assert_int_equal(parse(RN_PAPER_CERTIFICATE "\nuse=both"), -1);
    assert_int_equal(parse(RN_PAPER_CERTIFICATE "\nfrom=1x"), -1);
    assert_int_equal(parse(RN_PAPER_CERTIFICATE "\nuntil=99999999999999999999"), -1);
    assert_int_equal(parse(RN_PAPER_CERTIFICATE "\npublic=-1"), -1);
    assert_int_equal(parse("-----BEGIN CERTIFICATE-----\n"), -1);
    assert_true(rn_paper_key_parse(&number, rn_bytes_text(RN_PAPER_KEY "\nprivate=ff\n")));
    assert_int_equal(number, 255);
    assert_false(rn_paper_key_parse(&number, rn_bytes_text(RN_PAPER_KEY "\n")));
    assert_false(rn_paper_key_parse(&number, rn_bytes_text(RN_PAPER_KEY "\nprivate=ff\nx\n")));
    assert_false(rn_paper_key_parse(&number, rn_bytes_text("private=ff\n")));
}

typedef struct folder {
    char path[64];
    char file[4][128];
} folder;

static void folder_make(folder *in, const rn_papers *how) {
    static const char *const workers[] = {"w", NULL};
    rn_papers papers = *how;
    snprintf(in->path, sizeof in->path, "/tmp/rn-papers-XXXXXX");
    assert_non_null(mkdtemp(in->path));
    papers.folder = in->path;
    assert_int_equal(rn_papers_write(&papers, workers), 0);
}

static const char *folder_file(folder *in, size_t slot, const char *name) {
    snprintf(in->file[slot], sizeof in->file[slot], "%s/%s", in->path, name);
    return in->file[slot];
}

static void folder_remove(folder *in) {
    static const char *const names[] = {
        "ca.crt",     "ca.key",     "server.crt", "server.key", "director.crt",  "director.key",
        "client.crt", "client.key", "w.crt",      "w.key",      "cluster.secret"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(unlink(folder_file(in, 0, names[i])), 0);
    }
    assert_int_equal(rmdir(in->path), 0);
}

static void bad_files_are_explained(void **state) {
    (void)state;
    folder in;
    char error[RN_TLS_ERROR_MAX];
    rn_tls_context *context;
    folder_make(&in, &(rn_papers){.seed = 1});
    rn_tls_config config = {.certificate_file = folder_file(&in, 0, "w.crt"),
                            .key_file = folder_file(&in, 1, "w.key"),
                            .ca_file = folder_file(&in, 2, "ca.crt")};
    assert_int_equal(rn_tls_context_new(&context, &config, error), RPCNET_OK);
    assert_string_equal(rn_tls_context_identity(context), "rpcnet://role/worker/w");
    assert_int_equal(rn_tls_context_expiry(context), 1798761600);
    rn_tls_context_del(context);
    config.key_file = folder_file(&in, 1, "director.key");
    assert_int_equal(rn_tls_context_new(&context, &config, error), RPCNET_ERR_TLS);
    assert_non_null(strstr(error, "do not match"));
    config.key_file = folder_file(&in, 1, "nothing");
    assert_int_equal(rn_tls_context_new(&context, &config, error), RPCNET_ERR_TLS);
    assert_non_null(strstr(error, "nothing"));
    config.ca_file = folder_file(&in, 2, "w.key");
    assert_int_equal(rn_tls_context_new(&context, &config, error), RPCNET_ERR_TLS);
    assert_non_null(strstr(error, "cannot read CA certificates from"));
    config.ca_file = NULL;
    config.client_auth = RN_TLS_CLIENT_AUTH_REQUIRED;
    assert_int_equal(rn_tls_context_new(&context, &config, error), RPCNET_ERR_ARGUMENT);
    folder_remove(&in);
}

/* ---- handshakes ---- */

typedef struct world {
    rn_sim *sim;
    rn_echo_server server;
    rn_echo_client client;
} world;

static bool is_settled(void *user) {
    const world *w = user;
    return w->client.done || w->client.closed;
}

static void shake_hands(world *w, const char *server_papers, const char *client_papers) {
    memset(w, 0, sizeof *w);
    w->sim = rn_sim_new(1);
    rn_env *server_env = rn_sim_host_new(w->sim, SERVER);
    rn_env *client_env = rn_sim_host_new(w->sim, CLIENT);
    rn_echo_server_options options = {.certificate = "director",
                                      .require_client = true,
                                      .secret_byte = 7,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_address_parse(&options.bind, SERVER ":61000"), RPCNET_OK);
    assert_int_equal(rn_echo_server_start(&w->server, server_env, server_papers, &options),
                     RPCNET_OK);
    rn_echo_client_options asks = {.certificate = "client",
                                   .expect = {.identity = "rpcnet://role/director"},
                                   .server = *rn_port_address(w->server.port),
                                   .streams = 1,
                                   .bytes = 1000,
                                   .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_echo_client_start(&w->client, client_env, client_papers, &asks), RPCNET_OK);
    assert_true(rn_sim_run_until_done(w->sim, is_settled, w, 120 * RN_SECOND));
    rn_sim_run_for(w->sim, RN_SECOND);
}

static void end(world *w) {
    rn_echo_client_stop(&w->client);
    rn_echo_server_stop(&w->server);
    rn_sim_del(w->sim);
}

static void refused_papers(const rn_papers *of_server, const rn_papers *of_client,
                           const char *words) {
    world w;
    folder server;
    folder client;
    folder_make(&server, of_server);
    folder_make(&client, of_client);
    shake_hands(&w, server.path, client.path);
    assert_false(w.client.done);
    assert_true(w.client.closed);
    assert_int_equal(w.client.close.cause, RN_CLOSE_HANDSHAKE_FAILED);
    assert_non_null(strstr(w.client.close.text, words));
    end(&w);
    folder_remove(&server);
    folder_remove(&client);
}

static void time_and_authority_count(void **state) {
    (void)state;
    const rn_papers good = {.seed = 1};
    const rn_papers another = {.seed = 2};
    const int64_t now = (int64_t)(RN_SIM_WALL_START / RN_SECOND);
    const rn_papers expired = {.seed = 1, .from = now - 10, .until = now};
    const rn_papers early = {.seed = 1, .from = now + 3600, .until = now + 7200};
    refused_papers(&expired, &good, "expired");
    refused_papers(&early, &good, "not yet valid");
    refused_papers(&another, &good, "issuer is unknown");
}

/* ---- peers that say something else ---- */

static struct {
    bool server;  /* whose messages */
    size_t count; /* of messages said by that side so far */
    size_t message;
    size_t at;
    bool cut;  /* instead of a changed byte: the message ends there */
    bool done; /* it was there to be changed */
} lie;

int __real_ngtcp2_conn_submit_crypto_data(ngtcp2_conn *quic, ngtcp2_encryption_level level,
                                          const uint8_t *data, size_t len);
int __wrap_ngtcp2_conn_submit_crypto_data(ngtcp2_conn *quic, ngtcp2_encryption_level level,
                                          const uint8_t *data, size_t len);

/* In front of ngtcp2's function, by the linker. */
int __wrap_ngtcp2_conn_submit_crypto_data(ngtcp2_conn *quic, ngtcp2_encryption_level level,
                                          const uint8_t *data, size_t len) {
    uint8_t bytes[RN_NULL_MESSAGE_MAX];
    bool ours = (ngtcp2_conn_is_server(quic) != 0) == lie.server;
    if (ours && lie.count++ == lie.message && lie.at < len) {
        assert_true(len <= sizeof bytes);
        memcpy(bytes, data, len);
        data = bytes;
        if (lie.cut) {
            /* The header says so, too: a whole message that ends within a field, or after one. */
            size_t shorter = lie.at > 4 ? lie.at : 4;
            lie.done = shorter < len;
            len = shorter;
            bytes[2] = (uint8_t)((len - 4) >> 8);
            bytes[3] = (uint8_t)(len - 4);
        } else {
            bytes[lie.at] ^= (uint8_t)(1U << lie.at % 8);
            lie.done = true;
        }
    }
    return __real_ngtcp2_conn_submit_crypto_data(quic, level, data, len);
}

/* Every byte of every message of one side; the client says 4, the server 6. */
static void no_lie_gets_through(bool server, size_t messages, bool cut) {
    size_t lies = 0;
    for (size_t message = 0; message < messages; message++) {
        for (size_t at = 0;; at++) {
            world w;
            memset(&lie, 0, sizeof lie);
            lie.server = server;
            lie.message = message;
            lie.at = at;
            lie.cut = cut;
            shake_hands(&w, RN_TEST_CERTS, RN_TEST_CERTS);
            bool lied = lie.done;
            if (lied) {
                assert_true(w.client.closed);
                assert_false(w.client.done);
                assert_int_equal(w.server.established, 0);
            } else {
                assert_true(w.client.done);
            }
            end(&w);
            if (!lied) {
                break;
            }
            lies++;
        }
    }
    assert_true(lies > 200);
    lie.message = SIZE_MAX;
}

static void changed_by_the_client(void **state) {
    (void)state;
    no_lie_gets_through(false, 4, false);
}

static void changed_by_the_server(void **state) {
    (void)state;
    no_lie_gets_through(true, 6, false);
}

static void cut_by_the_client(void **state) {
    (void)state;
    no_lie_gets_through(false, 4, true);
}

static void cut_by_the_server(void **state) {
    (void)state;
    no_lie_gets_through(true, 6, true);
}

static bool client_is_closed(void *user) {
    return ((const world *)user)->client.closed;
}

static void nothing_is_said_behind_the_handshake(void **state) {
    (void)state;
    enum { UNEXPECTED_MESSAGE = 10 };
    static const uint8_t words[] = {4, 0, 0, 0};
    world w;
    shake_hands(&w, RN_TEST_CERTS, RN_TEST_CERTS);
    assert_true(w.client.done);
    assert_int_equal(ngtcp2_conn_submit_crypto_data(
                         w.client.conn->quic, NGTCP2_ENCRYPTION_LEVEL_1RTT, words, sizeof words),
                     0);
    rn_conn_wake(w.client.conn);
    assert_true(rn_sim_run_until_done(w.sim, client_is_closed, &w, 120 * RN_SECOND));
    assert_int_equal(w.client.close.cause, RN_CLOSE_PEER);
    assert_int_equal(w.client.close.code, NGTCP2_CRYPTO_ERROR | UNEXPECTED_MESSAGE);
    assert_int_equal(w.server.closed, 1);
    end(&w);
}

int main(void) {
    lie.message = SIZE_MAX;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_changed_bit_is_noticed),
        cmocka_unit_test(tokens_are_bound),
        cmocka_unit_test(certificates_are_read_strictly),
        cmocka_unit_test(bad_files_are_explained),
        cmocka_unit_test(time_and_authority_count),
        cmocka_unit_test(changed_by_the_client),
        cmocka_unit_test(changed_by_the_server),
        cmocka_unit_test(cut_by_the_client),
        cmocka_unit_test(cut_by_the_server),
        cmocka_unit_test(nothing_is_said_behind_the_handshake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
