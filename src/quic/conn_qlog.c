/* conn_qlog: ngtcp2's own account of a connection, handed to whoever records it. */
#include "quic/conn_internal.h"

enum { RECORD_SEPARATOR = 0x1e, MENDED_MAX = 8192 };

/* Where `part` ends in the first `len` bytes; 0: it is not there. */
static size_t behind(const uint8_t *data, size_t len, const char *part) {
    size_t part_len = strlen(part);
    for (size_t i = 0; i + part_len <= len; i++) {
        if (memcmp(data + i, part, part_len) == 0) {
            return i + part_len;
        }
    }
    return 0;
}

/* A packet of padding alone is told by ngtcp2 (1.11) without a beginning, behind the text of the
 * packet in front of it in the datagram, which was told already. It gets that one's beginning. */
static rn_bytes mend(rn_bytes text, uint8_t out[MENDED_MAX]) {
    const uint8_t *line_end = memchr(text.data, '\n', text.len);
    size_t first = line_end != NULL ? (size_t)(line_end + 1 - text.data) : text.len;
    if (first == text.len || text.data[first] == RECORD_SEPARATOR) {
        return text;
    }
    size_t head = behind(text.data, first, "\"frames\":[");
    size_t rest = text.len - first;
    if (head == 0 || head + rest > MENDED_MAX ||
        behind(text.data, head, "\"name\":\"transport:packet_sent\"") == 0) {
        return rn_bytes_of(NULL, 0);
    }
    memcpy(out, text.data, head);
    memcpy(out + head, text.data + first, rest);
    return rn_bytes_of(out, head + rest);
}

static void write_text(void *user, uint32_t flags, const void *data, size_t len) {
    const rn_conn *conn = user;
    uint8_t mended[MENDED_MAX];
    (void)flags; /* the end is told by rn_conn_qlog_end, which comes even if ngtcp2 never started */
    rn_bytes text = len > 0 ? mend(rn_bytes_of(data, len), mended) : rn_bytes_of(NULL, 0);
    if (conn->qlog != NULL && text.len > 0) {
        conn->endpoint->config.env->qlog->write(conn->qlog, text);
    }
}

void rn_conn_qlog_begin(rn_conn *conn, ngtcp2_settings *settings, const ngtcp2_cid *original_id) {
    rn_env *env = conn->endpoint->config.env;
    if (env->qlog == NULL) {
        return;
    }
    rn_bytes id = rn_bytes_of(original_id->data, original_id->datalen);
    conn->qlog = env->qlog->begin(env, id, conn->server, env->qlog->user);
    if (conn->qlog != NULL) {
        settings->qlog_write = write_text;
    }
}

void rn_conn_qlog_end(rn_conn *conn) {
    if (conn->qlog != NULL) {
        conn->endpoint->config.env->qlog->end(conn->qlog);
        conn->qlog = NULL;
    }
}
