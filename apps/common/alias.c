/* alias: arithmetic on addresses and the rule that newer names win. */
#include "common/alias.h"

#include <stdio.h>
#include <string.h>

#include "rpcnet/error.h"

#define DIRECTOR_ADDR "CONNECTION_SWAP_DIRECTOR_ADDR"
#define WORKER_ADDR "CONNECTION_SWAP_WORKER_ADDR"
#define DIRECTOR_TARGET "CONNECTION_SWAP_DIRECTOR_TARGET"

int rn_alias_shift(const char *address, unsigned delta, rn_alias *out) {
    char host[RN_HOST_MAX + 1];
    uint16_t port;
    if (rn_address_split(address, host, &port) != RPCNET_OK) {
        return RPCNET_ERR_ADDRESS;
    }
    unsigned shifted = port == 0 ? 0 : port + delta;
    if (shifted > UINT16_MAX) {
        return RPCNET_ERR_LIMIT;
    }
    bool brackets = strchr(host, ':') != NULL;
    int len = snprintf(out->text, sizeof out->text, "%s%s%s:%u", brackets ? "[" : "", host,
                       brackets ? "]" : "", shifted);
    return len > 0 && (size_t)len < sizeof out->text ? RPCNET_OK : RPCNET_ERR_ADDRESS;
}

static bool is_given(const rn_settings *settings, const char *name) {
    return rn_settings_source(settings, name) >= RN_SETTING_ENVIRONMENT;
}

/* The name under which the setting was given, for the warning. */
static void warn(rn_settings *settings, const char *older, const char *first, const char *second) {
    const char *winner = is_given(settings, first) ? first : NULL;
    if (winner == NULL && second != NULL && is_given(settings, second)) {
        winner = second;
    }
    if (winner == NULL) {
        return;
    }
    char line[RN_SETTINGS_LINE_MAX];
    rn_settings_complain(settings, winner, line, "wins over the older %s", older);
    rn_settings_warn(settings, "%s", line + strlen(settings->spec->program) + strlen(": "));
}

static int derive(rn_settings *settings, const char *name, const char *older, const char *text,
                  unsigned delta, rn_alias *out) {
    if (is_given(settings, name)) {
        return RPCNET_OK;
    }
    int result = rn_alias_shift(text, delta, out);
    if (result == RPCNET_ERR_LIMIT) {
        return rn_settings_fail(settings,
                                "%s: '%s': the port that belongs to it, %u above, does "
                                "not exist; set the newer names",
                                older, text, delta);
    }
    if (result != RPCNET_OK) {
        return rn_settings_fail(settings, "%s: '%s' is no address; expected host:port", older,
                                text);
    }
    return rn_settings_derive(settings, name, out->text, older);
}

/* USER and MGMT address from one older variable. */
static int derive_both(rn_settings *settings, const char *older, unsigned delta, rn_alias *mgmt) {
    const char *text = rn_settings_environment(settings, older);
    if (text == NULL) {
        return RPCNET_OK;
    }
    warn(settings, older, "user-addr", "mgmt-addr");
    int result = rn_settings_derive(settings, "user-addr", text, older);
    return result != RPCNET_OK ? result : derive(settings, "mgmt-addr", older, text, delta, mgmt);
}

int rn_alias_director(rn_settings *settings, rn_alias *mgmt) {
    return derive_both(settings, DIRECTOR_ADDR, RN_ALIAS_DIRECTOR_MGMT, mgmt);
}

int rn_alias_worker(rn_settings *settings, rn_alias *mgmt, rn_alias *director) {
    int result = derive_both(settings, WORKER_ADDR, RN_ALIAS_WORKER_MGMT, mgmt);
    const char *text = rn_settings_environment(settings, DIRECTOR_TARGET);
    if (result != RPCNET_OK || text == NULL) {
        return result;
    }
    warn(settings, DIRECTOR_TARGET, "director-mgmt-addr", NULL);
    return derive(settings, "director-mgmt-addr", DIRECTOR_TARGET, text, RN_ALIAS_DIRECTOR_MGMT,
                  director);
}
