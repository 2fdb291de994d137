/* sentence: short texts for people, made of our words and the peer's.
 *
 * What is written is always NUL-terminated valid UTF-8 without control characters, cut at a
 * character's edge when there is no room for more: it goes into protobuf strings, status messages
 * and logs. */
#ifndef RN_SWAP_SENTENCE_H
#define RN_SWAP_SENTENCE_H

#include "base/bytes.h"

enum {
    RN_SWAP_LABEL_SIZE = 128,   /* a worker's label with its NUL; longer ones are cut */
    RN_SWAP_SENTENCE_SIZE = 256 /* a sentence with its NUL */
};

/* Copies the peer's text, made safe as by rn_text_piece (base/text.h). `size` > 0 counts the NUL.
 * Returns the length without it. */
size_t rn_sentence_copy(char *out, size_t size, rn_bytes peer);

/* printf. The arguments' strings must be valid UTF-8 (what rn_sentence_copy wrote). */
size_t rn_sentence_format(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
