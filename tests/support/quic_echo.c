/* quic_echo: see the header. */
#include "support/quic_echo.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "rpcnet/error.h"

enum { PATH_TEXT_MAX = 1024, WRITE_PIECE = 3000 };

static int load_tls(rn_tls_context **out, const char *certs, const char *name, const char *ca,
                    bool require) {
    char crt[PATH_TEXT_MAX];
    char key[PATH_TEXT_MAX];
    char authority[PATH_TEXT_MAX];
    char error[RN_TLS_ERROR_MAX];
    snprintf(crt, sizeof crt, "%s/%s.crt", certs, name != NULL ? name : "");
    snprintf(key, sizeof key, "%s/%s.key", certs, name != NULL ? name : "");
    snprintf(authority, sizeof authority, "%s/%s.crt", certs, ca != NULL ? ca : "ca");
    rn_tls_config config = {.certificate_file = name != NULL ? crt : NULL,
                            .key_file = name != NULL ? key : NULL,
                            .ca_file = authority,
                            .client_auth =
                                require ? RN_TLS_CLIENT_AUTH_REQUIRED : RN_TLS_CLIENT_AUTH_NONE};
    int result = rn_tls_context_new(out, &config, error);
    if (result != RPCNET_OK) {
        fprintf(stderr, "%s\n", error);
    }
    return result;
}

/* ---- server ---- */

/* Bytes that the ring had no room for; their window is not given back, so they are bounded. */
typedef struct held {
    rn_list link; /* rn_echo_server.held */
    rn_conn *conn;
    rn_buffer bytes;
    bool fin;
} held;

static void write_back(rn_stream *stream) {
    held *kept = rn_stream_user(stream);
    size_t len = kept->bytes.len;
    size_t room = rn_stream_room(stream);
    if (len > room) {
        len = room;
    }
    if (len == 0 && !(kept->fin && kept->bytes.len == 0)) {
        return;
    }
    rn_bytes piece = rn_bytes_of(kept->bytes.data, len);
    bool fin = kept->fin && len == kept->bytes.len;
    int result = rn_stream_write(stream, &piece, 1, fin);
    if (result == RPCNET_ERR_MEMORY) {
        rn_stream_reset(stream, 1);
        return;
    }
    if (result == RPCNET_OK) {
        if (fin) {
            kept->fin = false;
        }
        rn_stream_consume(stream, len);
        rn_buffer_drop_front(&kept->bytes, len);
    }
    if (kept->bytes.len > 0) {
        /* Ask for stream_room: a write that cannot be taken. */
        rn_bytes all = rn_buffer_bytes(&kept->bytes);
        (void)rn_stream_write(stream, &all, 1, false);
    }
}

static void server_data(rn_conn *conn, rn_stream *stream, const uint8_t *data, size_t len, bool fin,
                        void *user) {
    rn_echo_server *server = user;
    held *kept = rn_stream_user(stream);
    if (kept == NULL) {
        kept = calloc(1, sizeof *kept);
        assert(kept != NULL);
        kept->conn = conn;
        rn_list_append(&server->held, &kept->link);
        rn_buffer_init(&kept->bytes, (size_t)64 << 20);
        rn_stream_set_user(stream, kept);
    }
    if (rn_buffer_append(&kept->bytes, data, len) != RPCNET_OK) {
        rn_stream_reset(stream, 1);
        return;
    }
    kept->fin |= fin;
    write_back(stream);
}

static void server_room(rn_conn *conn, rn_stream *stream, void *user) {
    (void)conn;
    (void)user;
    write_back(stream);
}

static void free_held(held *kept) {
    rn_list_remove(&kept->link);
    rn_buffer_fini(&kept->bytes);
    free(kept);
}

static void server_stream_closed(rn_conn *conn, rn_stream *stream, void *user) {
    (void)conn;
    (void)user;
    if (rn_stream_user(stream) != NULL) {
        free_held(rn_stream_user(stream));
    }
}

static void server_established(rn_conn *conn, void *user) {
    rn_echo_server *server = user;
    server->established++;
    snprintf(server->identity, sizeof server->identity, "%s", rn_conn_peer_identity(conn));
}

static void server_closed(rn_conn *conn, const rn_close *close, void *user) {
    rn_echo_server *server = user;
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &server->held) {
        held *kept = RN_CONTAINER_OF(link, held, link);
        if (kept->conn == conn) {
            free_held(kept);
        }
    }
    server->closed++;
    server->close = *close;
    if (server->conn == conn) {
        server->conn = NULL;
    }
}

static void server_accepted(rn_endpoint *endpoint, rn_conn *conn, void *user) {
    static const rn_conn_handler handler = {.established = server_established,
                                            .stream_data = server_data,
                                            .stream_room = server_room,
                                            .stream_closed = server_stream_closed,
                                            .closed = server_closed};
    rn_echo_server *server = user;
    (void)endpoint;
    server->accepted++;
    server->conn = conn;
    rn_conn_set_handler(conn, &handler, server);
}

int rn_echo_server_start(rn_echo_server *server, rn_env *env, const char *certs,
                         const rn_echo_server_options *options) {
    memset(server, 0, sizeof *server);
    rn_list_init(&server->held);
    int result = load_tls(&server->tls, certs, options->certificate, NULL, options->require_client);
    if (result != RPCNET_OK) {
        return result;
    }
    rn_port_config config = {.udp = {.bind = options->bind},
                             .endpoint = {.env = env,
                                          .tls = server->tls,
                                          .alpn = "echo",
                                          .accept = true,
                                          .limits = options->limits,
                                          .accepted = server_accepted,
                                          .user = server}};
    memset(config.endpoint.secret, options->secret_byte, sizeof config.endpoint.secret);
    config.endpoint.has_previous_secret = options->previous_secret_byte != 0;
    memset(config.endpoint.previous_secret, options->previous_secret_byte,
           sizeof config.endpoint.previous_secret);
    result = rn_port_new(&server->port, &config);
    rn_tls_context_del(server->tls);
    return result;
}

void rn_echo_server_stop(rn_echo_server *server) {
    rn_port_del(server->port);
    server->port = NULL;
}

/* ---- client ---- */

static uint8_t byte_at(const rn_echo_stream *stream, uint64_t offset) {
    return (uint8_t)(offset * 7 + (offset >> 9) + (uint64_t)(stream - stream->client->streams));
}

static void changed(rn_echo_client *client) {
    if (client->on_change != NULL) {
        client->on_change(client->user);
    }
}

static void write_more(rn_echo_stream *stream) {
    rn_echo_client *client = stream->client;
    while (stream->sent < client->bytes) {
        uint8_t piece[WRITE_PIECE];
        size_t len = WRITE_PIECE;
        if (len > client->bytes - stream->sent) {
            len = (size_t)(client->bytes - stream->sent);
        }
        for (size_t i = 0; i < len; i++) {
            piece[i] = byte_at(stream, stream->sent + i);
        }
        rn_bytes bytes = rn_bytes_of(piece, len);
        bool fin = stream->sent + len == client->bytes;
        int result = rn_stream_write(stream->stream, &bytes, 1, fin);
        if (result == RPCNET_ERR_MEMORY) {
            rn_stream_reset(stream->stream, 1);
        }
        if (result != RPCNET_OK) {
            return;
        }
        stream->sent += len;
    }
}

static void open_streams(rn_echo_client *client) {
    while (client->streams_open < client->streams_wanted) {
        rn_echo_stream *stream = &client->streams[client->streams_open];
        int result = rn_conn_open_bidi(client->conn, &stream->stream);
        if (result == RPCNET_ERR_MEMORY) {
            rn_conn_close(client->conn, 1, "out of memory");
        }
        if (result != RPCNET_OK) {
            return;
        }
        stream->client = client;
        rn_stream_set_user(stream->stream, stream);
        client->streams_open++;
        write_more(stream);
    }
}

static void client_established(rn_conn *conn, void *user) {
    rn_echo_client *client = user;
    (void)conn;
    client->established = true;
    open_streams(client);
    changed(client);
}

static void client_available(rn_conn *conn, void *user) {
    (void)conn;
    open_streams(user);
}

static void client_data(rn_conn *conn, rn_stream *stream, const uint8_t *data, size_t len, bool fin,
                        void *user) {
    rn_echo_client *client = user;
    rn_echo_stream *echo = rn_stream_user(stream);
    (void)conn;
    if (echo == NULL) {
        client->wrong = true;
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (data[i] != byte_at(echo, echo->echoed + i)) {
            client->wrong = true;
        }
    }
    echo->echoed += len;
    if (echo->echoed > client->bytes || (fin && echo->echoed != client->bytes)) {
        client->wrong = true;
    }
    rn_stream_consume(stream, len);
    if (fin) {
        echo->ended = true;
        client->streams_done++;
        client->done = client->streams_done == client->streams_wanted;
        if (client->done) {
            changed(client);
        }
    }
}

static void client_room(rn_conn *conn, rn_stream *stream, void *user) {
    (void)conn;
    (void)user;
    write_more(rn_stream_user(stream));
}

static void client_stream_closed(rn_conn *conn, rn_stream *stream, void *user) {
    rn_echo_stream *echo = rn_stream_user(stream);
    (void)conn;
    (void)user;
    if (echo != NULL) {
        echo->closed = true;
        echo->stream = NULL;
        echo->client->streams_failed += !echo->ended;
    }
}

static void client_token(rn_conn *conn, const uint8_t *token, size_t len, void *user) {
    rn_echo_client *client = user;
    (void)conn;
    if (len <= sizeof client->token) {
        memcpy(client->token, token, len);
        client->token_len = len;
    }
}

static void client_unreachable(rn_conn *conn, void *user) {
    rn_echo_client *client = user;
    (void)conn;
    client->unreachable++;
    changed(client);
}

static void client_closed(rn_conn *conn, const rn_close *close, void *user) {
    rn_echo_client *client = user;
    (void)conn;
    client->conn = NULL;
    client->closed = true;
    client->close = *close;
    changed(client);
}

int rn_echo_client_start(rn_echo_client *client, rn_env *env, const char *certs,
                         const rn_echo_client_options *options) {
    static const rn_conn_handler handler = {.established = client_established,
                                            .stream_data = client_data,
                                            .stream_room = client_room,
                                            .stream_closed = client_stream_closed,
                                            .streams_available = client_available,
                                            .address_token = client_token,
                                            .unreachable = client_unreachable,
                                            .closed = client_closed};
    void (*on_change)(void *) = client->on_change;
    void *user = client->user;
    memset(client, 0, sizeof *client);
    client->on_change = on_change;
    client->user = user;
    client->bytes = options->bytes;
    client->streams_wanted = options->streams;
    int result = load_tls(&client->tls, certs, options->certificate, options->ca, false);
    if (result != RPCNET_OK) {
        return result;
    }
    rn_port_config config = {
        .udp = {.connect = options->server},
        .endpoint = {.env = env, .tls = client->tls, .alpn = "echo", .limits = options->limits}};
    rn_env_random(env, config.endpoint.secret, sizeof config.endpoint.secret);
    result = rn_port_new(&client->port, &config);
    rn_tls_context_del(client->tls);
    if (result != RPCNET_OK) {
        return result;
    }
    rn_connect_options connect = {.local = *rn_port_address(client->port),
                                  .remote = options->server,
                                  .expect = options->expect,
                                  .token = options->token,
                                  .token_len = options->token_len};
    result = rn_endpoint_connect(rn_port_endpoint(client->port), &connect, &client->conn);
    if (result == RPCNET_OK) {
        rn_conn_set_handler(client->conn, &handler, client);
    } else {
        rn_echo_client_stop(client);
    }
    return result;
}

void rn_echo_client_stop(rn_echo_client *client) {
    rn_port_del(client->port);
    client->port = NULL;
}
