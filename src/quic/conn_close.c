/* conn_close: how connections end (RFC 9000, section 10). Once the end is decided the handler is
 * told, and ngtcp2, TLS, streams and secrets are let go of. What remains for three probe timeouts
 * are the ids, so that late packets get no stateless reset, and, where we have closed, the
 * CONNECTION_CLOSE packet that answers them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"

enum { CLOSE_PACKET_MAX = 1200 };

static const char exhausted_text[] = "memory is used up";

/* All that it holds is on its way out. */
static void leave(rn_conn *conn) {
    rn_blocks_abandon(&conn->blocks);
    for (rn_list *at = conn->streams.next; at != &conn->streams; at = at->next) {
        rn_send_ring_abandon(&RN_CONTAINER_OF(at, rn_stream, link)->ring);
    }
}

void rn_conn_close(rn_conn *conn, uint64_t code, const char *text) {
    if (conn->close_asked || conn->quic == NULL) {
        return;
    }
    conn->close_asked = true;
    leave(conn);
    conn->close.cause = RN_CLOSE_LOCAL;
    conn->close.application = true;
    conn->close.code = code;
    snprintf(conn->close.text, sizeof conn->close.text, "%s", text != NULL ? text : "");
    rn_conn_wake(conn);
}

/* For how long late packets are known. Who has timed out sends none. */
static uint64_t linger_ns(const rn_conn *conn) {
    bool lingers = conn->state == RN_CONN_CLOSING || conn->close.cause == RN_CLOSE_PEER ||
                   conn->close.cause == RN_CLOSE_RESET;
    return lingers ? 3 * ngtcp2_conn_get_pto(conn->quic) : 0;
}

/* Tells the handler and lets go of all but what is for late packets. */
static void finish(rn_conn *conn, enum rn_conn_state state) {
    rn_conn_handler handler = conn->handler;
    rn_list *link;
    rn_list *after;
    memset(&conn->handler, 0, sizeof conn->handler);
    conn->close_asked = true;
    conn->state = state;
    uint64_t end = rn_conn_now(conn) + linger_ns(conn);
    conn->endpoint->stats.handshakes_failed += conn->handshake_counted;
    rn_conn_leave_handshake(conn);
    if (conn->server) {
        rn_list_append(&conn->endpoint->ended, &conn->age_link);
    }
    rn_census_leave(conn->endpoint->census, conn->place);
    conn->place = NULL;
    if (handler.closed != NULL) {
        handler.closed(conn, &conn->close, conn->user);
    }
    RN_LIST_FOREACH(link, after, &conn->streams) {
        rn_stream_del(RN_CONTAINER_OF(link, rn_stream, link));
    }
    ngtcp2_conn_del(conn->quic);
    conn->quic = NULL;
    rn_conn_qlog_end(conn);
    rn_tls_session_del(conn->tls);
    conn->tls = NULL;
    rn_protection_fini(&conn->protection);
    rn_books_fini(&conn->books);
    rn_books_init(&conn->books, &conn->blocks);
    (void)rn_heap_set(&conn->endpoint->timers, &conn->timer, end);
    rn_conn_wake(conn);
}

/* Writes the CONNECTION_CLOSE packet. Without memory or keys the peer is left to its timeout. */
static void write_close(rn_conn *conn, const ngtcp2_ccerr *error) {
    ngtcp2_path_storage storage;
    ngtcp2_pkt_info info = {0};
    ngtcp2_path_storage_zero(&storage);
    conn->close_packet = malloc(CLOSE_PACKET_MAX);
    if (conn->close_packet == NULL) {
        return;
    }
    ngtcp2_ssize len =
        ngtcp2_conn_write_connection_close(conn->quic, &storage.path, &info, conn->close_packet,
                                           CLOSE_PACKET_MAX, error, rn_conn_now(conn));
    if (len <= 0) {
        return;
    }
    conn->close_packet_len = (size_t)len;
    rn_transmit *transmit = &conn->close_transmit;
    if (rn_address_from_sockaddr(&transmit->local, storage.path.local.addr,
                                 storage.path.local.addrlen) != RPCNET_OK ||
        rn_address_from_sockaddr(&transmit->remote, storage.path.remote.addr,
                                 storage.path.remote.addrlen) != RPCNET_OK) {
        return;
    }
    transmit->ecn = info.ecn;
    transmit->data = conn->close_packet;
    transmit->len = transmit->segment_size = conn->close_packet_len;
    conn->close_due = true;
    if (conn->books.dirty != 0) {
        rn_env_commit(conn->endpoint->config.env, conn, conn->books.dirty);
        conn->books.dirty = 0;
    }
}

void rn_conn_close_now(rn_conn *conn) {
    ngtcp2_ccerr error;
    ngtcp2_ccerr_set_application_error(&error, conn->close.code, (const uint8_t *)conn->close.text,
                                       strlen(conn->close.text));
    write_close(conn, &error);
    finish(conn, RN_CONN_CLOSING);
}

void rn_conn_abandon(rn_conn *conn, enum rn_close_cause cause, const char *text) {
    conn->close.cause = cause;
    conn->close.application = false;
    conn->close.code = 0;
    snprintf(conn->close.text, sizeof conn->close.text, "%s", text);
    finish(conn, RN_CONN_DRAINING);
}

/* A peer that fails in TLS gives a code instead of a reason (RFC 9001, section 4.8). */
static const char *crypto_error_text(const rn_close *close) {
    bool alert = !close->application && (close->code & ~(uint64_t)0xff) == NGTCP2_CRYPTO_ERROR;
    return alert ? rn_tls_alert_name((uint8_t)close->code) : "";
}

/* The peer's CONNECTION_CLOSE, or its stateless reset. */
static void fail_draining(rn_conn *conn) {
    if (conn->reset_received) {
        rn_conn_abandon(conn, RN_CLOSE_RESET, "stateless reset");
        return;
    }
    const ngtcp2_ccerr *error = ngtcp2_conn_get_ccerr(conn->quic);
    conn->close.cause = RN_CLOSE_PEER;
    conn->close.application = error->type == NGTCP2_CCERR_TYPE_APPLICATION;
    conn->close.code = error->error_code;
    snprintf(conn->close.text, sizeof conn->close.text, "%.*s", (int)error->reasonlen,
             (const char *)error->reason);
    if (conn->close.text[0] == '\0') {
        snprintf(conn->close.text, sizeof conn->close.text, "%s", crypto_error_text(&conn->close));
    }
    finish(conn, RN_CONN_DRAINING);
}

/* The error is told to the peer. */
static void fail_telling(rn_conn *conn, int code) {
    ngtcp2_ccerr error;
    ngtcp2_ccerr_default(&error);
    bool handshaking = conn->state == RN_CONN_HANDSHAKE;
    const char *certificate = conn->tls != NULL ? rn_tls_session_failure(conn->tls) : "";
    if (conn->books.wrong_reset) {
        code = NGTCP2_ERR_STREAM_STATE;
    }
    if (code == NGTCP2_ERR_CRYPTO) {
        ngtcp2_ccerr_set_tls_alert(&error, ngtcp2_conn_get_tls_alert(conn->quic), NULL, 0);
    } else if (code == NGTCP2_ERR_NOMEM && handshaking && conn->server) {
        /* As a newcomer is told for whom there is no memory from the start. */
        ngtcp2_ccerr_set_transport_error(&error, NGTCP2_CONNECTION_REFUSED, NULL, 0);
    } else {
        ngtcp2_ccerr_set_liberr(&error, code, NULL, 0);
    }
    conn->close.cause = code == NGTCP2_ERR_NOMEM || code == NGTCP2_ERR_INTERNAL ||
                                code == NGTCP2_ERR_CALLBACK_FAILURE
                            ? RN_CLOSE_INTERNAL
                        : handshaking ? RN_CLOSE_HANDSHAKE_FAILED
                                      : RN_CLOSE_PROTOCOL;
    if (code == NGTCP2_ERR_NOMEM && conn->blocks.starved && !handshaking) {
        ngtcp2_ccerr_set_application_error(&error, conn->endpoint->config.limits.exhausted_code,
                                           (const uint8_t *)exhausted_text, strlen(exhausted_text));
    }
    conn->close.application = error.type == NGTCP2_CCERR_TYPE_APPLICATION;
    conn->close.code = error.error_code;
    if (certificate[0] != '\0') {
        conn->close.cause = RN_CLOSE_HANDSHAKE_FAILED;
        snprintf(conn->close.text, sizeof conn->close.text, "certificate refused: %s", certificate);
    } else {
        snprintf(conn->close.text, sizeof conn->close.text, "%s", ngtcp2_strerror(code));
    }
    write_close(conn, &error);
    finish(conn, RN_CONN_CLOSING);
}

void rn_conn_fail(rn_conn *conn, int error) {
    switch (error) {
    case NGTCP2_ERR_DRAINING:
        fail_draining(conn);
        break;
    case NGTCP2_ERR_IDLE_CLOSE:
        rn_conn_abandon(conn, RN_CLOSE_IDLE, "idle timeout");
        break;
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        rn_conn_abandon(conn, RN_CLOSE_HANDSHAKE_TIMEOUT, "the handshake took too long");
        break;
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
        rn_conn_abandon(conn, RN_CLOSE_HANDSHAKE_FAILED,
                        "the server does not speak QUIC version 1");
        break;
    case NGTCP2_ERR_RETRY:
        /* A later part of the ClientHello has overtaken its beginning. */
        conn->retry_due = true;
        rn_conn_abandon(conn, RN_CLOSE_HANDSHAKE_FAILED, "the address has to be proven first");
        break;
    case NGTCP2_ERR_DROP_CONN:
        rn_conn_abandon(conn, RN_CLOSE_HANDSHAKE_FAILED, "the first packet is not acceptable");
        break;
    case NGTCP2_ERR_CLOSING:
        break;
    default:
        fail_telling(conn, error);
        break;
    }
}

void rn_conn_answer_closing(rn_conn *conn) {
    uint64_t n = ++conn->datagrams_while_closing;
    /* At the first, second, fourth, eighth ... datagram. */
    if (conn->close_packet_len > 0 && (n & (n - 1)) == 0) {
        conn->close_due = true;
        rn_conn_wake(conn);
    }
}
