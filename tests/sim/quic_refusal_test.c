/* Who is refused, with which code and which words on both sides. The same test on the real TLS and
 * on tls_null shows that they decide alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"
#include "sim/net.h"
#include "support/quic_echo.h"

#define SERVER "10.0.0.1"
#define CLIENT "10.0.0.2"

typedef struct refusal_case {
    const char *certificate; /* the client's; NULL: none */
    const char *server;      /* the server's */
    const char *ca;          /* the client's; NULL: the cluster's */
    rn_tls_expect expect;
    enum rn_close_cause client_cause;
    enum rn_close_cause server_cause;
    unsigned alert;
    const char *words; /* of the side that refuses, or some of them */
} refusal_case;

static bool both_are_closed(void *user) {
    rn_echo_server *server = ((void **)user)[0];
    rn_echo_client *client = ((void **)user)[1];
    return server->closed > 0 && client->closed;
}

static void refused(const refusal_case *is) {
    rn_echo_server server;
    rn_echo_client client;
    rn_sim *sim = rn_sim_new(rn_sim_seed(1));
    rn_env *server_env = rn_sim_host_new(sim, SERVER);
    rn_env *client_env = rn_sim_host_new(sim, CLIENT);
    memset(&client, 0, sizeof client);
    rn_echo_server_options options = {.certificate = is->server,
                                      .require_client = true,
                                      .secret_byte = 7,
                                      .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_address_parse(&options.bind, SERVER ":61000"), RPCNET_OK);
    assert_int_equal(rn_echo_server_start(&server, server_env, RN_TEST_CERTS, &options), RPCNET_OK);
    rn_echo_client_options asks = {.certificate = is->certificate,
                                   .ca = is->ca,
                                   .expect = is->expect,
                                   .server = *rn_port_address(server.port),
                                   .streams = 1,
                                   .bytes = 1000,
                                   .limits = RN_QUIC_LIMITS_DEFAULT};
    assert_int_equal(rn_echo_client_start(&client, client_env, RN_TEST_CERTS, &asks), RPCNET_OK);
    void *sides[] = {&server, &client};
    assert_true(rn_sim_run_until_done(sim, both_are_closed, sides, 20 * RN_SECOND));
    assert_false(client.done);
    assert_int_equal(server.established, 0);
    assert_int_equal(client.close.cause, is->client_cause);
    assert_int_equal(server.close.cause, is->server_cause);
    assert_int_equal(client.close.code, NGTCP2_CRYPTO_ERROR | is->alert);
    assert_int_equal(server.close.code, NGTCP2_CRYPTO_ERROR | is->alert);
    const rn_close *refuses = is->client_cause == RN_CLOSE_PEER ? &server.close : &client.close;
    const rn_close *hears = is->client_cause == RN_CLOSE_PEER ? &client.close : &server.close;
    assert_non_null(strstr(refuses->text, is->words));
    assert_string_equal(hears->text, rn_tls_alert_name((uint8_t)is->alert));
    rn_echo_client_stop(&client);
    rn_echo_server_stop(&server);
    rn_sim_del(sim);
}

enum { BAD_CERTIFICATE = 42, CERTIFICATE_REQUIRED = 116 }; /* RFC 8446, section 6 */

static const rn_tls_expect director = {.identity = "rpcnet://role/director"};

static void no_certificate(void **state) {
    (void)state;
    refused(&(refusal_case){.server = "director",
                            .expect = director,
                            .client_cause = RN_CLOSE_PEER,
                            .server_cause = RN_CLOSE_HANDSHAKE_FAILED,
                            .alert = CERTIFICATE_REQUIRED,
                            .words = "ERR_CRYPTO"});
}

static void a_certificate_for_servers(void **state) {
    (void)state;
    refused(&(refusal_case){.certificate = "server",
                            .server = "director",
                            .expect = director,
                            .client_cause = RN_CLOSE_PEER,
                            .server_cause = RN_CLOSE_HANDSHAKE_FAILED,
                            .alert = BAD_CERTIFICATE,
                            .words = "intended purpose"});
}

static void a_certificate_for_clients(void **state) {
    (void)state;
    refused(&(refusal_case){.certificate = "worker-a",
                            .server = "client",
                            .expect = {.identity = "rpcnet://role/client"},
                            .client_cause = RN_CLOSE_HANDSHAKE_FAILED,
                            .server_cause = RN_CLOSE_PEER,
                            .alert = BAD_CERTIFICATE,
                            .words = "intended purpose"});
}

static void another_role(void **state) {
    (void)state;
    refused(&(refusal_case){.certificate = "worker-a",
                            .server = "worker-b",
                            .expect = director,
                            .client_cause = RN_CLOSE_HANDSHAKE_FAILED,
                            .server_cause = RN_CLOSE_PEER,
                            .alert = BAD_CERTIFICATE,
                            .words = "certificate refused: the peer is "
                                     "rpcnet://role/worker/worker-b, not rpcnet://role/director"});
}

static void no_role(void **state) {
    (void)state;
    refused(&(refusal_case){.certificate = "worker-a",
                            .server = "server",
                            .expect = director,
                            .client_cause = RN_CLOSE_HANDSHAKE_FAILED,
                            .server_cause = RN_CLOSE_PEER,
                            .alert = BAD_CERTIFICATE,
                            .words = "certificate refused: the peer is without a role, not "
                                     "rpcnet://role/director"});
}

static void another_name(void **state) {
    (void)state;
    refused(&(refusal_case){.certificate = "worker-a",
                            .server = "server",
                            .expect = {.server_name = "example.org"},
                            .client_cause = RN_CLOSE_HANDSHAKE_FAILED,
                            .server_cause = RN_CLOSE_PEER,
                            .alert = BAD_CERTIFICATE,
                            .words = "The name in the certificate"});
}

static void another_address(void **state) {
    (void)state;
    refused(&(refusal_case){.certificate = "worker-a",
                            .server = "server",
                            .expect = {.server_name = "192.0.2.1"},
                            .client_cause = RN_CLOSE_HANDSHAKE_FAILED,
                            .server_cause = RN_CLOSE_PEER,
                            .alert = BAD_CERTIFICATE,
                            .words = "The name in the certificate"});
}

static void another_authority(void **state) {
    (void)state;
    refused(&(refusal_case){.certificate = "worker-a",
                            .server = "director",
                            .ca = "worker-b",
                            .expect = director,
                            .client_cause = RN_CLOSE_HANDSHAKE_FAILED,
                            .server_cause = RN_CLOSE_PEER,
                            .alert = BAD_CERTIFICATE,
                            .words = "issuer is unknown"});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_certificate),
        cmocka_unit_test(a_certificate_for_servers),
        cmocka_unit_test(a_certificate_for_clients),
        cmocka_unit_test(another_role),
        cmocka_unit_test(no_role),
        cmocka_unit_test(another_name),
        cmocka_unit_test(another_address),
        cmocka_unit_test(another_authority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
