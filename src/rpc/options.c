/* options: defaults, and the caller's structs on top of them. A caller that was compiled against an
 * older header hands over shorter structs; their missing end keeps its defaults. */
#include <string.h>

#include "rpc/internal.h"

enum {
    STREAM_BYTES_MIN = 4096,
    HEADERS_MIN = 1024,
    HEADERS_MAX = RN_H3_BOOK_FRAME_MAX,
    URGENCY_MAX = 7
};

#define LIMIT_MAX (UINT64_C(1) << 60) /* what QUIC can count of bytes and streams */

int rn_rpc_take_options(void *out, size_t size, const void *in) {
    size_t given = 0;
    memcpy(&given, in, sizeof given);
    if (given < sizeof given || given > size) {
        return RPCNET_ERR_ARGUMENT;
    }
    memcpy(out, in, given);
    memcpy(out, &size, sizeof size);
    return RPCNET_OK;
}

bool rn_rpc_is_urgency(unsigned urgency) {
    return urgency <= URGENCY_MAX || urgency == RPCNET_URGENCY_DEFAULT;
}

void rpcnet_limits_init(rpcnet_limits *limits) {
    static const rn_quic_limits defaults = RN_QUIC_LIMITS_DEFAULT;
    *limits = (rpcnet_limits){
        .struct_size = sizeof *limits,
        .idle_timeout_ns = defaults.idle_timeout_ns,
        .keep_alive_ns = defaults.keep_alive_ns,
        .handshake_timeout_ns = defaults.handshake_timeout_ns,
        .send_ring_bytes = defaults.send_ring_bytes,
        .stream_window_bytes = defaults.stream_window_bytes,
        .connection_window_bytes = defaults.connection_window_bytes,
        .streams_max = defaults.streams_bidi_max,
        .connections_max = defaults.connections_max,
        .handshakes_max = defaults.handshakes_max,
        .retry_above = defaults.retry_above,
        .connections_per_address = defaults.connections_per_address,
        .handshakes_per_address = defaults.handshakes_per_address,
        .headers_max = RN_H3_FIELD_SECTION_DEFAULT,
        .keep_alive_calls_ns = defaults.keep_alive_waiting_ns,
    };
}

static bool are_sensible(const rpcnet_limits *limits, bool server) {
    if (limits->send_ring_bytes < STREAM_BYTES_MIN ||
        limits->stream_window_bytes < STREAM_BYTES_MIN ||
        limits->connection_window_bytes < limits->stream_window_bytes ||
        limits->connection_window_bytes > LIMIT_MAX || limits->streams_max == 0 ||
        limits->streams_max > LIMIT_MAX || limits->handshake_timeout_ns == 0) {
        return false;
    }
    return !server || (limits->connections_max > 0 && limits->handshakes_max > 0 &&
                       limits->headers_max >= HEADERS_MIN && limits->headers_max <= HEADERS_MAX);
}

int rn_rpc_take_limits(rpcnet_limits *out, bool server, const rpcnet_limits *in) {
    rpcnet_limits_init(out);
    int rv = in != NULL ? rn_rpc_take_options(out, sizeof *out, in) : RPCNET_OK;
    return rv == RPCNET_OK && !are_sensible(out, server) ? RPCNET_ERR_ARGUMENT : rv;
}

void rn_rpc_quic_limits(rn_quic_limits *out, bool server, const rpcnet_limits *limits) {
    *out = (rn_quic_limits)RN_QUIC_LIMITS_DEFAULT;
    out->idle_timeout_ns = limits->idle_timeout_ns;
    out->keep_alive_ns = limits->keep_alive_ns;
    out->keep_alive_waiting_ns = limits->keep_alive_calls_ns;
    out->handshake_timeout_ns = limits->handshake_timeout_ns;
    out->send_ring_bytes = limits->send_ring_bytes;
    out->stream_window_bytes = limits->stream_window_bytes;
    out->connection_window_bytes = limits->connection_window_bytes;
    /* An HTTP/3 server opens no bidirectional streams (RFC 9114, section 6.1). */
    out->streams_bidi_max = server ? limits->streams_max : 0;
    out->connections_max = server ? limits->connections_max : 1;
    out->handshakes_max = limits->handshakes_max;
    out->retry_above = limits->retry_above;
    out->budget = limits->memory;
    out->exhausted_code = RN_H3_EXCESSIVE_LOAD;
    out->connections_per_address = server ? limits->connections_per_address : 0;
    out->handshakes_per_address = server ? limits->handshakes_per_address : 0;
}

void rpcnet_call_options_init(rpcnet_call_options *options) {
    *options = (rpcnet_call_options){
        .struct_size = sizeof *options,
        .deadline_ns = RPCNET_NO_DEADLINE,
        .receive_max = RN_CALL_MESSAGE_DEFAULT,
        .send_max = RN_CALL_MESSAGE_DEFAULT,
        .urgency = RPCNET_URGENCY_DEFAULT,
    };
}

void rpcnet_channel_options_init(rpcnet_channel_options *options) {
    *options = (rpcnet_channel_options){
        .struct_size = sizeof *options,
        .reconnect = true,
        .reconnect_when_drained = true,
        .unreachable_is_fatal = true,
        .backoff_min_ns = 50 * RN_MILLISECOND,
        .backoff_max_ns = 2 * RN_SECOND,
        .calls_waiting_max = 1024,
    };
}

void rpcnet_server_options_init(rpcnet_server_options *options) {
    *options = (rpcnet_server_options){.struct_size = sizeof *options};
}

void rpcnet_credentials_options_init(rpcnet_credentials_options *options) {
    *options = (rpcnet_credentials_options){.struct_size = sizeof *options};
}
