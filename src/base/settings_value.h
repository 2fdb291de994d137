/* settings_value: one setting's value: its parsing, its range, and how it is shown. Shared by the
 * files of settings; programs use base/settings.h. */
#ifndef RN_BASE_SETTINGS_VALUE_H
#define RN_BASE_SETTINGS_VALUE_H

#include "base/settings.h"

enum { RN_SETTING_FORM_MAX = 200 };

/* Parses `text` into the member of `values`. RPCNET_ERR_PARSE: not of that kind; RPCNET_ERR_LIMIT:
 * out of range. The member is unchanged then. */
int rn_setting_store(const rn_setting *setting, const char *text, void *values);

/* Sets the member to NULL, 0 or false. */
void rn_setting_clear(const rn_setting *setting, void *values);

/* Explains a refusal: "'1.2.3' is not an address; expected host:port, e.g. 127.0.0.1:61000". */
void rn_setting_explain(const rn_setting *setting, const char *text, int result, char *out,
                        size_t size);

/* The placeholder of a value in help: "HOST:PORT", "DURATION", "text|json". Empty for a flag. */
const char *rn_setting_placeholder(const rn_setting *setting, char out[RN_SETTING_FORM_MAX]);

/* What is said about the allowed range: "1 to 64", "at least 1s", "0: never"; "" for nothing. */
const char *rn_setting_range(const rn_setting *setting, char out[RN_SETTING_FORM_MAX]);

#endif
