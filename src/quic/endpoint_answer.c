/* endpoint_answer: answers that need no connection: Version Negotiation, Retry, CONNECTION_CLOSE in
 * an Initial packet, stateless reset. They wait in a small queue for the next transmit; what does
 * not fit is not answered, as if it had been lost on the way. */
#include <stdlib.h>
#include <string.h>

#include "quic/conn_internal.h"
#include "rpcnet/error.h"

enum {
    ANSWERS_MAX = 32,
    ANSWER_BYTES_MAX = 512,
    VERSION_DATAGRAM_MIN = 1200, /* a smaller one cannot be a client's first (section 5.2.2) */
    /* A reset is shorter than what it answers, so that resets do not loop (section 10.3.3), and no
     * shorter than this (section 10.3). */
    RESET_MIN = 21,
    RESET_MAX = 42
};

typedef struct answer {
    rn_transmit transmit;
    uint8_t bytes[ANSWER_BYTES_MAX];
} answer;

struct rn_answers {
    answer queue[ANSWERS_MAX];
    size_t first;
    size_t count;
    uint64_t reset_second; /* resets are counted by second */
    size_t resets;
};

int rn_answers_new(struct rn_answers **out) {
    *out = calloc(1, sizeof **out);
    return *out != NULL ? RPCNET_OK : RPCNET_ERR_MEMORY;
}

void rn_answers_del(struct rn_answers *answers) {
    free(answers);
}

bool rn_answers_take(struct rn_answers *answers, rn_transmit *out) {
    if (answers->count == 0) {
        return false;
    }
    *out = answers->queue[answers->first].transmit;
    answers->first = (answers->first + 1) % ANSWERS_MAX;
    answers->count--;
    return true;
}

/* A place to write an answer to the datagram's sender; NULL when the queue is full. The slot that
 * was taken last is still borrowed by the caller of transmit, so one stays free. */
static answer *begin(rn_endpoint *endpoint, const rn_datagram *datagram) {
    struct rn_answers *answers = endpoint->answers;
    if (answers->count >= ANSWERS_MAX - 1) {
        endpoint->stats.datagrams_dropped++;
        return NULL;
    }
    answer *slot = &answers->queue[(answers->first + answers->count) % ANSWERS_MAX];
    memset(&slot->transmit, 0, sizeof slot->transmit);
    slot->transmit.local = datagram->local;
    slot->transmit.remote = datagram->remote;
    slot->transmit.data = slot->bytes;
    return slot;
}

static bool end(rn_endpoint *endpoint, answer *slot, ngtcp2_ssize len) {
    if (len <= 0) {
        endpoint->stats.datagrams_dropped++;
        return false;
    }
    slot->transmit.len = slot->transmit.segment_size = (size_t)len;
    endpoint->answers->count++;
    return true;
}

void rn_answer_version(rn_endpoint *endpoint, const rn_datagram *datagram,
                       const ngtcp2_version_cid *ids) {
    /* A reserved version among ours keeps clients honest (RFC 9000, section 6.3). */
    uint8_t random;
    rn_env_random(endpoint->config.env, &random, 1);
    uint32_t versions[] = {0x0a0a0a0aU | (uint32_t)(random & 0xf0) << 24, NGTCP2_PROTO_VER_V1};
    if (datagram->len < VERSION_DATAGRAM_MIN) {
        endpoint->stats.datagrams_dropped++;
        return;
    }
    answer *slot = begin(endpoint, datagram);
    if (slot != NULL &&
        end(endpoint, slot,
            ngtcp2_pkt_write_version_negotiation(slot->bytes, sizeof slot->bytes, random, ids->scid,
                                                 ids->scidlen, ids->dcid, ids->dcidlen, versions,
                                                 sizeof versions / sizeof versions[0]))) {
        endpoint->stats.version_negotiations_sent++;
    }
}

void rn_answer_retry(rn_endpoint *endpoint, const rn_datagram *datagram,
                     const ngtcp2_pkt_hd *header) {
    uint8_t token[RN_TLS_TOKEN_MAX];
    ngtcp2_cid id;
    answer *slot = begin(endpoint, datagram);
    if (slot == NULL || rn_secrets_new_connection_id(&endpoint->secrets, endpoint->config.env,
                                                     endpoint->config.process, &id) != RPCNET_OK) {
        return;
    }
    /* RFC 9000, section 17.2.5.1: they must differ. A client that guessed it gets no answer. */
    if (ngtcp2_cid_eq(&id, &header->dcid)) {
        return;
    }
    rn_tls_token_scope scope = {.key = endpoint->secrets.token_key,
                                .remote = &datagram->remote,
                                .wall_ns = rn_env_wall(endpoint->config.env)};
    ngtcp2_ssize len = rn_tls_retry_token_write(token, &scope, &id, &header->dcid);
    if (len > 0 && end(endpoint, slot,
                       rn_tls_retry_write(slot->bytes, sizeof slot->bytes, header, &id,
                                          rn_bytes_of(token, (size_t)len)))) {
        endpoint->stats.retries_sent++;
    }
}

void rn_answer_close(rn_endpoint *endpoint, const rn_datagram *datagram,
                     const ngtcp2_pkt_hd *header, uint64_t code) {
    answer *slot = begin(endpoint, datagram);
    if (slot != NULL) {
        end(endpoint, slot, rn_tls_close_write(slot->bytes, sizeof slot->bytes, header, code));
    }
}

static bool may_reset(rn_endpoint *endpoint) {
    struct rn_answers *answers = endpoint->answers;
    uint64_t second = rn_endpoint_now(endpoint) / RN_SECOND;
    if (answers->reset_second != second) {
        answers->reset_second = second;
        answers->resets = 0;
    }
    if (answers->resets == RN_RESETS_PER_SECOND_MAX) {
        endpoint->stats.stateless_resets_withheld++;
        return false;
    }
    answers->resets++;
    return true;
}

/* Under which secret was the id issued? NULL: under none that we know. */
static const rn_secrets *issuer(const rn_endpoint *endpoint, const ngtcp2_version_cid *ids) {
    if (rn_secrets_owns_connection_id(&endpoint->secrets, ids->dcid, ids->dcidlen)) {
        return &endpoint->secrets;
    }
    if (endpoint->config.has_previous_secret &&
        rn_secrets_owns_connection_id(&endpoint->previous, ids->dcid, ids->dcidlen)) {
        return &endpoint->previous;
    }
    return NULL;
}

void rn_answer_reset(rn_endpoint *endpoint, const rn_datagram *datagram,
                     const ngtcp2_version_cid *ids) {
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
    uint8_t random[RESET_MAX - NGTCP2_STATELESS_RESET_TOKENLEN];
    ngtcp2_cid id;
    const rn_secrets *secrets = issuer(endpoint, ids);
    if (datagram->len <= RESET_MIN || !endpoint->config.accept || secrets == NULL ||
        !may_reset(endpoint)) {
        endpoint->stats.datagrams_dropped++;
        return;
    }
    ngtcp2_cid_init(&id, ids->dcid, ids->dcidlen);
    answer *slot = begin(endpoint, datagram);
    if (slot == NULL || rn_secrets_reset_token(secrets, &id, token) != RPCNET_OK) {
        return;
    }
    size_t len = datagram->len - 1 < RESET_MAX ? datagram->len - 1 : RESET_MAX;
    rn_env_random(endpoint->config.env, random, sizeof random);
    if (end(endpoint, slot,
            ngtcp2_pkt_write_stateless_reset(slot->bytes, sizeof slot->bytes, token, random,
                                             len - NGTCP2_STATELESS_RESET_TOKENLEN))) {
        endpoint->stats.stateless_resets_sent++;
    }
}
