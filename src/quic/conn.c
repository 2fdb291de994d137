/* conn: a connection's beginning and end, and what it tells about itself. Receiving, sending,
 * streams, timers and closing have files of their own. */
#include "quic/conn.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/headroom.h"
#include "quic/conn_internal.h"
#include "rpcnet/error.h"

static const char log_target[] = "rpcnet::quic";

void rn_conn_reference_path(const rn_address *local, const rn_address *remote, ngtcp2_path *out) {
    /* ngtcp2 copies addresses and never writes to them; its types lack the const. */
    out->local.addr = (ngtcp2_sockaddr *)&local->sa;
    out->local.addrlen = local->len;
    out->remote.addr = (ngtcp2_sockaddr *)&remote->sa;
    out->remote.addrlen = remote->len;
    out->user_data = NULL;
}

static ngtcp2_conn *quic_of(void *user) {
    return ((rn_conn *)user)->quic;
}

static uint64_t wall_of(void *user) {
    return rn_env_wall(((rn_conn *)user)->endpoint->config.env);
}

static int take_secret(void *user, bool transmit, const uint8_t *secret, size_t len) {
    rn_conn *conn = user;
    return rn_protection_install(&conn->protection, conn->quic, rn_tls_session_suite(conn->tls),
                                 transmit, secret, len);
}

/* ngtcp2's own log, at level trace. */
static void log_quic(void *user, const char *format, ...) {
    const rn_conn *conn = user;
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    RN_TRACE(conn->endpoint->config.env->log, log_target, "%s", line);
}

static void fill_settings(rn_conn *conn, ngtcp2_settings *settings) {
    rn_env *env = conn->endpoint->config.env;
    ngtcp2_settings_default(settings);
    settings->initial_ts = rn_env_now(env);
    settings->handshake_timeout = conn->endpoint->config.limits.handshake_timeout_ns;
    settings->max_tx_udp_payload_size = RN_DATAGRAM_MAX;
    settings->cc_algo = NGTCP2_CC_ALGO_CUBIC;
    settings->rand_ctx.native_handle = env;
    if (rn_log_enabled(env->log, RN_LOG_TRACE, log_target)) {
        settings->log_printf = log_quic;
    }
}

static void fill_params(const rn_conn *conn, ngtcp2_transport_params *params) {
    const rn_quic_limits *limits = &conn->endpoint->config.limits;
    ngtcp2_transport_params_default(params);
    params->initial_max_data = limits->connection_window_bytes;
    params->initial_max_stream_data_bidi_local = limits->stream_window_bytes;
    params->initial_max_stream_data_bidi_remote = limits->stream_window_bytes;
    params->initial_max_stream_data_uni = limits->stream_window_bytes;
    params->initial_max_streams_bidi = limits->streams_bidi_max;
    params->initial_max_streams_uni = limits->streams_uni_max;
    params->max_idle_timeout = limits->idle_timeout_ns;
    params->active_connection_id_limit = RN_ACTIVE_IDS;
}

static rn_conn *conn_alloc(rn_endpoint *endpoint, bool server) {
    rn_conn *conn = rn_headroom(RN_TLS_HEADROOM_BYTES) ? calloc(1, sizeof *conn) : NULL;
    if (conn == NULL) {
        return NULL;
    }
    conn->endpoint = endpoint;
    conn->server = server;
    conn->resets_wait = !server;
    rn_blocks_init(&conn->blocks, endpoint->config.limits.budget);
    rn_list_init(&conn->link);
    rn_list_init(&conn->age_link);
    rn_list_init(&conn->ready_link);
    rn_list_init(&conn->streams);
    for (size_t i = 0; i < RN_URGENCY_LEVELS; i++) {
        rn_list_init(&conn->ready[i]);
    }
    rn_books_init(&conn->books, &conn->blocks);
    conn->books.server = server;
    rn_protection_init(&conn->protection, &conn->books, rn_conn_delivered, rn_conn_puts_off, conn);
    uint64_t seed;
    rn_env_random(endpoint->config.env, &seed, sizeof seed);
    const rn_quic_limits *limits = &endpoint->config.limits;
    size_t most = (size_t)(limits->streams_bidi_max + limits->streams_uni_max) + (1U << 16);
    conn->own_ids_capacity = RN_ACTIVE_IDS;
    conn->own_ids = calloc(conn->own_ids_capacity, sizeof *conn->own_ids);
    if (conn->own_ids == NULL || rn_map_new(&conn->streams_by_id, most, seed) != RPCNET_OK) {
        free(conn->own_ids);
        free(conn);
        return NULL;
    }
    return conn;
}

/* The first connection id of ours; later ones are asked for by ngtcp2. */
static int make_first_id(rn_conn *conn) {
    rn_endpoint *endpoint = conn->endpoint;
    ngtcp2_cid *id = &conn->own_ids[0].id;
    int result = rn_secrets_new_connection_id(&endpoint->secrets, endpoint->config.env,
                                              endpoint->config.process, id);
    if (result == RPCNET_OK) {
        result = rn_endpoint_add_id(endpoint, id, conn);
    }
    if (result == RPCNET_OK) {
        conn->own_ids_count = 1;
    }
    return result;
}

static int start_tls(rn_conn *conn, const rn_tls_expect *expect) {
    rn_tls_events events = {.secret = take_secret, .quic = quic_of, .wall = wall_of, .user = conn};
    const rn_endpoint_config *config = &conn->endpoint->config;
    int result =
        rn_tls_session_new(&conn->tls, config->tls, conn->server, expect, config->alpn, &events);
    if (result == RPCNET_OK) {
        ngtcp2_conn_set_tls_native_handle(conn->quic, rn_tls_session_native(conn->tls));
        rn_conn_update_keep_alive(conn);
    }
    return result;
}

/* The result of ngtcp2_conn_*_new, which leaves a pointer to freed memory where it fails. */
static int library_result(rn_conn *conn, int error) {
    if (error != 0) {
        conn->quic = NULL;
    }
    return error == 0                  ? RPCNET_OK
           : error == NGTCP2_ERR_NOMEM ? RPCNET_ERR_MEMORY
                                       : RPCNET_ERR_PROTOCOL;
}

/* From here on the timer has its place among the endpoint's, so that moving it cannot fail. */
static int reserve_timer(rn_conn *conn) {
    return rn_heap_set(&conn->endpoint->timers, &conn->timer, RN_NEVER);
}

static void register_conn(rn_conn *conn) {
    rn_endpoint *endpoint = conn->endpoint;
    rn_list_append(&endpoint->conns, &conn->link);
    rn_blocks_settle(&conn->blocks);
    endpoint->stats.connections++;
    endpoint->stats.handshakes++;
    conn->handshake_counted = true;
    conn->begun_ns = rn_conn_now(conn);
    if (conn->server) {
        rn_list_append(&endpoint->unfinished, &conn->age_link);
    }
    rn_conn_wake(conn);
}

static int accept_quic(rn_conn *conn, const rn_accept_info *info) {
    const ngtcp2_pkt_hd *header = info->header;
    ngtcp2_callbacks callbacks;
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path path;
    rn_conn_callbacks(&callbacks);
    fill_settings(conn, &settings);
    fill_params(conn, &params);
    /* With any token, whatever its type, the library takes the address for proven. */
    if (info->token_type != NGTCP2_TOKEN_TYPE_UNKNOWN) {
        settings.token = header->token;
        settings.tokenlen = header->tokenlen;
        settings.token_type = info->token_type;
    }
    params.original_dcid = info->original_id != NULL ? *info->original_id : header->dcid;
    params.original_dcid_present = 1;
    if (info->original_id != NULL) {
        params.retry_scid = header->dcid;
        params.retry_scid_present = 1;
    }
    int result = rn_secrets_reset_token(&conn->endpoint->secrets, &conn->own_ids[0].id,
                                        params.stateless_reset_token);
    if (result != RPCNET_OK) {
        return result;
    }
    params.stateless_reset_token_present = 1;
    rn_conn_qlog_begin(conn, &settings, &params.original_dcid);
    rn_conn_reference_path(&info->local, &info->remote, &path);
    return library_result(conn,
                          ngtcp2_conn_server_new(&conn->quic, &header->scid, &conn->own_ids[0].id,
                                                 &path, header->version, &callbacks, &settings,
                                                 &params, rn_blocks_mem(&conn->blocks), conn));
}

int rn_conn_accept(rn_conn **out, rn_endpoint *endpoint, const rn_accept_info *info) {
    rn_conn *conn = conn_alloc(endpoint, true);
    if (conn == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    conn->remote = info->remote;
    int result = reserve_timer(conn);
    if (result == RPCNET_OK) {
        result = make_first_id(conn);
    }
    if (result == RPCNET_OK) {
        /* The client goes on using the id that it chose until it has heard ours. */
        result = rn_endpoint_add_id(endpoint, &info->header->dcid, conn);
        if (result == RPCNET_OK) {
            conn->original_id = info->header->dcid;
        }
    }
    if (result == RPCNET_OK) {
        result = accept_quic(conn, info);
    }
    if (result == RPCNET_OK) {
        result = start_tls(conn, NULL);
    }
    if (result != RPCNET_OK) {
        rn_conn_del(conn);
        return result;
    }
    conn->place = info->place;
    conn->handshake_place = info->handshake_place;
    register_conn(conn);
    *out = conn;
    return RPCNET_OK;
}

static int connect_quic(rn_conn *conn, const rn_connect_options *options) {
    ngtcp2_callbacks callbacks;
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path path;
    ngtcp2_cid first_destination;
    uint8_t random_id[NGTCP2_MAX_CIDLEN];
    rn_conn_callbacks(&callbacks);
    fill_settings(conn, &settings);
    fill_params(conn, &params);
    settings.token = options->token;
    settings.tokenlen = options->token_len;
    settings.token_type =
        options->token_len > 0 ? NGTCP2_TOKEN_TYPE_NEW_TOKEN : NGTCP2_TOKEN_TYPE_UNKNOWN;
    rn_env_random(conn->endpoint->config.env, random_id, sizeof random_id);
    ngtcp2_cid_init(&first_destination, random_id, 18);
    rn_conn_qlog_begin(conn, &settings, &first_destination);
    rn_conn_reference_path(&options->local, &options->remote, &path);
    return library_result(
        conn, ngtcp2_conn_client_new(&conn->quic, &first_destination, &conn->own_ids[0].id, &path,
                                     NGTCP2_PROTO_VER_V1, &callbacks, &settings, &params,
                                     rn_blocks_mem(&conn->blocks), conn));
}

int rn_conn_connect(rn_conn **out, rn_endpoint *endpoint, const rn_connect_options *options) {
    rn_conn *conn = conn_alloc(endpoint, false);
    if (conn == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    conn->remote = options->remote;
    int result = reserve_timer(conn);
    if (result == RPCNET_OK) {
        result = make_first_id(conn);
    }
    if (result == RPCNET_OK) {
        result = connect_quic(conn, options);
    }
    if (result == RPCNET_OK) {
        result = start_tls(conn, &options->expect);
    }
    if (result != RPCNET_OK) {
        rn_conn_del(conn);
        return result;
    }
    register_conn(conn);
    *out = conn;
    return RPCNET_OK;
}

static void forget_ids(rn_conn *conn) {
    for (size_t i = 0; i < conn->own_ids_count; i++) {
        if (!conn->own_ids[i].retired) {
            rn_endpoint_remove_id(conn->endpoint, &conn->own_ids[i].id);
        }
    }
    if (conn->original_id.datalen > 0) {
        rn_endpoint_remove_id(conn->endpoint, &conn->original_id);
    }
}

void rn_conn_leave_handshake(rn_conn *conn) {
    if (!conn->handshake_counted) {
        return;
    }
    conn->handshake_counted = false;
    conn->endpoint->stats.handshakes--;
    rn_list_remove(&conn->age_link);
    rn_census_leave(conn->endpoint->handshake_census, conn->handshake_place);
    conn->handshake_place = NULL;
}

void rn_conn_del(rn_conn *conn) {
    rn_endpoint *endpoint = conn->endpoint;
    rn_list *link;
    rn_list *after;
    forget_ids(conn);
    rn_census_leave(endpoint->census, conn->place);
    if (rn_list_linked(&conn->link)) {
        endpoint->stats.connections--;
    }
    rn_conn_leave_handshake(conn);
    rn_list_remove(&conn->age_link);
    rn_list_remove(&conn->link);
    rn_list_remove(&conn->ready_link);
    rn_heap_remove(&endpoint->timers, &conn->timer);
    RN_LIST_FOREACH(link, after, &conn->streams) {
        rn_stream_del(RN_CONTAINER_OF(link, rn_stream, link));
    }
    ngtcp2_conn_del(conn->quic);
    rn_conn_qlog_end(conn);
    rn_tls_session_del(conn->tls);
    rn_protection_fini(&conn->protection);
    rn_books_fini(&conn->books);
    rn_map_del(conn->streams_by_id);
    free(conn->own_ids);
    free(conn->close_packet);
    free(conn);
}

/* ---- what it tells ---- */

void rn_conn_set_handler(rn_conn *conn, const rn_conn_handler *handler, void *user) {
    conn->handler = *handler;
    conn->user = user;
}

bool rn_conn_is_server(const rn_conn *conn) {
    return conn->server;
}

const rn_address *rn_conn_remote(const rn_conn *conn) {
    return &conn->remote;
}

const char *rn_conn_peer_identity(const rn_conn *conn) {
    return conn->peer_identity;
}

uint64_t rn_conn_now(const rn_conn *conn) {
    return rn_endpoint_now(conn->endpoint);
}

uint64_t rn_conn_rtt(const rn_conn *conn) {
    if (conn->quic == NULL) {
        return 0;
    }
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(conn->quic, &info);
    return info.latest_rtt == 0 ? 0 : info.smoothed_rtt;
}

rn_budget *rn_conn_budget(const rn_conn *conn) {
    return conn->endpoint->config.limits.budget;
}

size_t rn_conn_memory(const rn_conn *conn) {
    return conn->blocks.leaving ? 0 : rn_blocks_counted(&conn->blocks);
}

size_t rn_conn_overdue_memory(const rn_conn *conn, uint64_t before_ns) {
    size_t memory = 0;
    if (conn->close_asked) {
        return 0;
    }
    for (const rn_list *at = conn->streams.next; at != &conn->streams; at = at->next) {
        const rn_stream *stream = RN_CONTAINER_OF(at, const rn_stream, link);
        if (stream->ring.leaving && stream->abandoned_ns <= before_ns) {
            memory += stream->ring.memory;
        }
    }
    return memory;
}

uint64_t rn_conn_streams_left(const rn_conn *conn) {
    return conn->state == RN_CONN_ESTABLISHED && !conn->close_asked
               ? ngtcp2_conn_get_streams_bidi_left(conn->quic)
               : 0;
}

int rn_conn_update_key(rn_conn *conn) {
    if (conn->state != RN_CONN_ESTABLISHED ||
        ngtcp2_conn_initiate_key_update(conn->quic, rn_conn_now(conn)) != 0) {
        return RPCNET_ERR_STATE;
    }
    conn->endpoint->stats.key_updates++;
    rn_conn_wake(conn);
    return RPCNET_OK;
}

void rn_conn_wake(rn_conn *conn) {
    rn_endpoint *endpoint = conn->endpoint;
    if (!rn_list_linked(&conn->ready_link)) {
        rn_list_append(&endpoint->ready, &conn->ready_link);
    }
    if (!endpoint->inside && endpoint->config.ready != NULL) {
        endpoint->config.ready(endpoint, endpoint->config.ready_user);
    }
}

void rn_conn_schedule(rn_conn *conn) {
    if (conn->quic != NULL) {
        /* What is due already is due once more when time has moved on, not within this turn. */
        uint64_t expiry = ngtcp2_conn_get_expiry(conn->quic);
        uint64_t path = rn_conn_path_deadline(conn);
        uint64_t now = rn_conn_now(conn);
        expiry = path < expiry ? path : expiry;
        if (expiry <= now) {
            expiry = now + 1;
        }
        (void)rn_heap_set(&conn->endpoint->timers, &conn->timer, expiry);
    }
}
