/* secrets: what derives from the one configured secret: connection ids, stateless-reset tokens and
 * the key of address tokens. Processes that share the secret recognise one another's.
 *
 *   connection id   ┌─────────┬──────────────────┬──────────────────────────┐
 *   (16 bytes)      │ process │ nonce (7, random)│ HMAC of the first 8 (8)   │
 *                   └─────────┴──────────────────┴──────────────────────────┘
 *
 * The check bytes tell a connection id that some process with this secret has issued from one that
 * somebody made up, so a stateless reset is sent for the former only. */
#ifndef RN_QUIC_SECRETS_H
#define RN_QUIC_SECRETS_H

#include <stdbool.h>
#include <stdint.h>

#include <ngtcp2/ngtcp2.h>

#include "base/env.h"

enum { RN_CONNECTION_ID_LEN = 16, RN_SECRET_KEY_LEN = 32 };

typedef struct rn_secrets {
    uint8_t connection_id_key[RN_SECRET_KEY_LEN];
    uint8_t reset_key[RN_SECRET_KEY_LEN];
    uint8_t token_key[RN_SECRET_KEY_LEN];
} rn_secrets;

/* `secret`: RN_SECRET_KEY_LEN bytes. RPCNET_ERR_TLS when the library fails. */
int rn_secrets_init(rn_secrets *secrets, const uint8_t *secret);
void rn_secrets_fini(rn_secrets *secrets); /* wipes */

int rn_secrets_new_connection_id(const rn_secrets *secrets, rn_env *env, uint8_t process,
                                 ngtcp2_cid *out);
/* Was it issued under this secret? */
bool rn_secrets_owns_connection_id(const rn_secrets *secrets, const uint8_t *id, size_t len);
/* RFC 9000, section 10.3.2. */
int rn_secrets_reset_token(const rn_secrets *secrets, const ngtcp2_cid *id,
                           uint8_t out[NGTCP2_STATELESS_RESET_TOKENLEN]);

#endif
