/* text: making foreign bytes safe to show on one line, and small helpers on names. */
#ifndef RN_BASE_TEXT_H
#define RN_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* The longest piece that rn_text_piece writes: "\xe2\x80\xa8". */
enum { RN_TEXT_PIECE_MAX = 12 };

/* Takes one character from the front of `bytes` (not empty) and writes how it is shown to `out`.
 * Well-formed UTF-8 is shown as it is. Shown as \xNN for each byte: C0 controls, DEL, C1 controls
 * (U+0080..U+009F), the line and paragraph separators and direction marks that can forge or reorder
 * a line (U+2028..U+202E, U+2066..U+2069), and bytes that are no UTF-8 (one at a time). Returns the
 * bytes taken, at least 1; `*out_len` is at most RN_TEXT_PIECE_MAX; no NUL is added. */
size_t rn_text_piece(rn_bytes bytes, char out[RN_TEXT_PIECE_MAX], size_t *out_len);

/* Writes all of `bytes` so, with a NUL; what does not fit in `size` bytes is cut and ends in "…".
 * `size` >= 4. Returns `out`. */
const char *rn_text_escape(rn_bytes bytes, char *out, size_t size);

/* For the value of a `key=value` on a log line, so that it cannot pass for more keys: writes
 * `bytes` in double quotes, with a backslash before '"' and before a backslash, else as
 * rn_text_escape does. What does not fit is cut and ends in "…\"". `size` >= 6. Returns `out`. */
const char *rn_text_quote(rn_bytes bytes, char *out, size_t size);

/* The same without quotes for a plain word, which has no space, '=', '"' or backslash and nothing
 * to escape; one that is cut ends in "…". */
const char *rn_text_value(rn_bytes bytes, char *out, size_t size);

/* Both as an argument of a log line. The text is gone at the end of the enclosing block. */
enum { RN_TEXT_SHOWN_MAX = 1280 };
#define RN_TEXT_QUOTE(bytes) rn_text_quote(bytes, (char[RN_TEXT_SHOWN_MAX]){0}, RN_TEXT_SHOWN_MAX)
#define RN_TEXT_VALUE(bytes) rn_text_value(bytes, (char[RN_TEXT_SHOWN_MAX]){0}, RN_TEXT_SHOWN_MAX)

bool rn_text_is_utf8(rn_bytes bytes);

/* How many single-character insertions, deletions, replacements and swaps of neighbours lead from
 * `a` to `b`; names longer than 63 bytes count as infinitely far (SIZE_MAX). */
size_t rn_text_distance(const char *a, const char *b);

#endif
