/* conn_callbacks: what ngtcp2 tells a connection while it reads and writes packets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"

static void random_bytes(uint8_t *out, size_t len, const ngtcp2_rand_ctx *context) {
    rn_env_random(context->native_handle, out, len);
}

static int path_challenge_data(ngtcp2_conn *quic, uint8_t *out, void *user) {
    rn_conn *conn = user;
    (void)quic;
    rn_env_random(conn->endpoint->config.env, out, NGTCP2_PATH_CHALLENGE_DATALEN);
    return 0;
}

/* ---- connection ids ---- */

/* Makes room for one more: of those that are retired the oldest is let go of. */
static bool reserve_own_id(rn_conn *conn) {
    if (conn->own_ids_count < conn->own_ids_capacity) {
        return true;
    }
    if (conn->own_ids_capacity < RN_OWN_IDS_MAX) {
        size_t capacity = conn->own_ids_capacity * 2;
        rn_own_id *ids = realloc(conn->own_ids, capacity * sizeof *ids);
        if (ids == NULL) {
            return false;
        }
        conn->own_ids = ids;
        conn->own_ids_capacity = capacity;
        return true;
    }
    for (rn_own_id *id = conn->own_ids; id < conn->own_ids + conn->own_ids_count; id++) {
        if (id->retired) {
            conn->own_ids_count--;
            memmove(id, id + 1, (size_t)(conn->own_ids + conn->own_ids_count - id) * sizeof *id);
            return true;
        }
    }
    return false;
}

static int new_connection_id(ngtcp2_conn *quic, ngtcp2_cid *id, uint8_t *token, size_t len,
                             void *user) {
    rn_conn *conn = user;
    rn_endpoint *endpoint = conn->endpoint;
    (void)quic;
    (void)len;
    if (!reserve_own_id(conn) ||
        rn_secrets_new_connection_id(&endpoint->secrets, endpoint->config.env,
                                     endpoint->config.process, id) != RPCNET_OK ||
        rn_secrets_reset_token(&endpoint->secrets, id, token) != RPCNET_OK ||
        rn_endpoint_add_id(endpoint, id, conn) != RPCNET_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    uint64_t sequence = conn->own_ids[conn->own_ids_count - 1].sequence + 1;
    conn->own_ids[conn->own_ids_count++] = (rn_own_id){.sequence = sequence, .id = *id};
    return 0;
}

static int remove_connection_id(ngtcp2_conn *quic, const ngtcp2_cid *id, void *user) {
    rn_conn *conn = user;
    (void)quic;
    for (size_t i = 0; i < conn->own_ids_count; i++) {
        if (ngtcp2_cid_eq(&conn->own_ids[i].id, id) && !conn->own_ids[i].retired) {
            conn->own_ids[i].retired = true;
            rn_endpoint_remove_id(conn->endpoint, id);
        }
    }
    return 0;
}

/* ---- handshake ---- */

static int send_address_token(rn_conn *conn) {
    rn_endpoint *endpoint = conn->endpoint;
    uint8_t token[RN_TLS_TOKEN_MAX];
    rn_address remote;
    const ngtcp2_path *path = ngtcp2_conn_get_path(conn->quic);
    if (rn_address_from_sockaddr(&remote, path->remote.addr, path->remote.addrlen) != RPCNET_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    rn_tls_token_scope scope = {.key = endpoint->secrets.token_key,
                                .remote = &remote,
                                .wall_ns = rn_env_wall(endpoint->config.env)};
    ngtcp2_ssize len = rn_tls_regular_token_write(token, &scope);
    if (len < 0 || ngtcp2_conn_submit_new_token(conn->quic, token, (size_t)len) != 0) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
}

static int handshake_completed(ngtcp2_conn *quic, void *user) {
    rn_conn *conn = user;
    rn_endpoint *endpoint = conn->endpoint;
    (void)quic;
    conn->state = RN_CONN_ESTABLISHED;
    rn_conn_leave_handshake(conn);
    rn_conn_update_keep_alive(conn); /* the peer's idle timeout is known now */
    endpoint->stats.handshakes_completed++;
    snprintf(conn->peer_identity, sizeof conn->peer_identity, "%s",
             rn_tls_session_peer_identity(conn->tls));
    if (conn->server && send_address_token(conn) != 0) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if (conn->handler.established != NULL) {
        conn->handler.established(conn, conn->user);
    }
    return 0;
}

static int received_address_token(ngtcp2_conn *quic, const uint8_t *token, size_t len, void *user) {
    rn_conn *conn = user;
    (void)quic;
    if (conn->handler.address_token != NULL) {
        conn->handler.address_token(conn, token, len, conn->user);
    }
    return 0;
}

static int received_stateless_reset(ngtcp2_conn *quic, const ngtcp2_pkt_stateless_reset *reset,
                                    void *user) {
    rn_conn *conn = user;
    (void)quic;
    (void)reset;
    conn->reset_received = true;
    return 0;
}

/* ---- streams ---- */

static int stream_open(ngtcp2_conn *quic, int64_t id, void *user) {
    rn_conn *conn = user;
    rn_stream *stream;
    if (rn_stream_new(&stream, conn, id) != RPCNET_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    return ngtcp2_conn_set_stream_user_data(quic, id, stream);
}

static int stream_data(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t offset,
                       const uint8_t *data, size_t len, void *user, void *stream_user) {
    rn_conn *conn = user;
    rn_stream *stream = stream_user;
    (void)quic;
    (void)id;
    if (stream == NULL) {
        return 0;
    }
    stream->received = offset + len;
    rn_books_stream_delivered(&conn->books, stream->id, stream->received);
    if (conn->close_asked || conn->handler.stream_data == NULL || stream->stop_waits) {
        rn_stream_consume(stream, len);
        rn_stream_stop_in_turn(stream);
        return 0;
    }
    bool fin = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
    conn->handler.stream_data(conn, stream, data, len, fin, conn->user);
    return 0;
}

static int stream_acknowledged(ngtcp2_conn *quic, int64_t id, uint64_t offset, uint64_t len,
                               void *user, void *stream_user) {
    rn_conn *conn = user;
    rn_stream *stream = stream_user;
    (void)quic;
    (void)id;
    if (stream == NULL) {
        return 0;
    }
    rn_send_ring_release(&stream->ring, offset + len);
    if (stream->wants_room && rn_send_ring_room(&stream->ring) >= stream->ring.limit / 4 &&
        !stream->write_closed) {
        stream->wants_room = false;
        if (conn->handler.stream_room != NULL && !conn->close_asked) {
            conn->handler.stream_room(conn, stream, conn->user);
        }
    }
    return 0;
}

static int stream_window(ngtcp2_conn *quic, int64_t id, uint64_t max, void *user,
                         void *stream_user) {
    rn_stream *stream = stream_user;
    (void)quic;
    (void)id;
    (void)max;
    (void)user;
    if (stream != NULL) {
        stream->window_closed = false;
        rn_stream_update_ready(stream);
    }
    return 0;
}

static int stream_reset(ngtcp2_conn *quic, int64_t id, uint64_t final_size, uint64_t code,
                        void *user, void *stream_user) {
    rn_conn *conn = user;
    rn_stream *stream = stream_user;
    (void)quic;
    (void)id;
    (void)final_size;
    if (stream != NULL && conn->handler.stream_reset != NULL && !conn->close_asked) {
        conn->handler.stream_reset(conn, stream, code, conn->user);
    }
    return 0;
}

static int stream_close(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t code, void *user,
                        void *stream_user) {
    rn_conn *conn = user;
    rn_stream *stream = stream_user;
    (void)flags;
    (void)code;
    if (ngtcp2_conn_is_local_stream(quic, id) == 0) {
        /* One stream is over, the peer may open another. */
        if (ngtcp2_is_bidi_stream(id) != 0) {
            ngtcp2_conn_extend_max_streams_bidi(quic, 1);
        } else {
            ngtcp2_conn_extend_max_streams_uni(quic, 1);
        }
    }
    if (stream == NULL) {
        return 0;
    }
    rn_books_stream_delivered(&conn->books, id, UINT64_MAX);
    stream->write_closed = true;
    if (conn->handler.stream_closed != NULL && !conn->close_asked) {
        conn->handler.stream_closed(conn, stream, conn->user);
    }
    /* Bytes that nobody will consume any more must not eat the connection's window. */
    if (stream->received > stream->consumed) {
        ngtcp2_conn_extend_max_offset(quic, stream->received - stream->consumed);
    }
    rn_stream_del(stream);
    return 0;
}

static int more_streams(ngtcp2_conn *quic, uint64_t max, void *user) {
    rn_conn *conn = user;
    (void)quic;
    (void)max;
    if (conn->handler.streams_available != NULL && conn->state == RN_CONN_ESTABLISHED &&
        !conn->close_asked) {
        conn->handler.streams_available(conn, conn->user);
    }
    return 0;
}

/* ---- keys and paths ---- */

static int update_key(ngtcp2_conn *quic, uint8_t *receive_secret, uint8_t *transmit_secret,
                      ngtcp2_crypto_aead_ctx *receive_key, uint8_t *receive_iv,
                      ngtcp2_crypto_aead_ctx *transmit_key, uint8_t *transmit_iv,
                      const uint8_t *receive_secret_now, const uint8_t *transmit_secret_now,
                      size_t len, void *user) {
    rn_conn *conn = user;
    (void)quic;
    return rn_protection_update(&conn->protection, receive_secret, transmit_secret, receive_key,
                                receive_iv, transmit_key, transmit_iv, receive_secret_now,
                                transmit_secret_now, len);
}

static void delete_key(ngtcp2_conn *quic, ngtcp2_crypto_aead_ctx *key, void *user) {
    rn_conn *conn = user;
    (void)quic;
    rn_protection_delete_key(&conn->protection, key);
}

static void delete_header_key(ngtcp2_conn *quic, ngtcp2_crypto_cipher_ctx *key, void *user) {
    (void)quic;
    (void)user;
    rn_header_key_del(key);
}

static int path_validated(ngtcp2_conn *quic, uint32_t flags, const ngtcp2_path *path,
                          const ngtcp2_path *old_path, ngtcp2_path_validation_result result,
                          void *user) {
    rn_conn *conn = user;
    (void)quic;
    (void)flags;
    (void)old_path;
    rn_address remote;
    if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS &&
        rn_address_from_sockaddr(&remote, path->remote.addr, path->remote.addrlen) == RPCNET_OK &&
        !rn_address_equal(&remote, &conn->remote)) {
        conn->remote = remote;
        conn->endpoint->stats.path_changes++;
    }
    return 0;
}

void rn_conn_callbacks(ngtcp2_callbacks *callbacks) {
    memset(callbacks, 0, sizeof *callbacks);
    rn_tls_callbacks(callbacks);
    callbacks->rand = random_bytes;
    callbacks->get_path_challenge_data = path_challenge_data;
    callbacks->get_new_connection_id = new_connection_id;
    callbacks->remove_connection_id = remove_connection_id;
    callbacks->handshake_completed = handshake_completed;
    callbacks->recv_new_token = received_address_token;
    callbacks->recv_stateless_reset = received_stateless_reset;
    callbacks->stream_open = stream_open;
    callbacks->recv_stream_data = stream_data;
    callbacks->acked_stream_data_offset = stream_acknowledged;
    callbacks->extend_max_stream_data = stream_window;
    callbacks->stream_reset = stream_reset;
    callbacks->stream_close = stream_close;
    callbacks->extend_max_local_streams_bidi = more_streams;
    callbacks->encrypt = rn_protection_encrypt;
    callbacks->decrypt = rn_protection_decrypt;
    callbacks->hp_mask = rn_header_key_mask;
    callbacks->update_key = update_key;
    callbacks->delete_crypto_aead_ctx = delete_key;
    callbacks->delete_crypto_cipher_ctx = delete_header_key;
    callbacks->path_validation = path_validated;
}
