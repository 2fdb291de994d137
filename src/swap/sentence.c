/* sentence: see the header. Peers choose labels and failure messages, so nothing of theirs reaches
 * a sentence unchecked. */
#include "swap/sentence.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

size_t rn_sentence_copy(char *out, size_t size, rn_bytes peer) {
    char piece[RN_TEXT_PIECE_MAX];
    size_t used = 0;
    assert(size > 0);
    while (peer.len > 0) {
        size_t piece_len;
        size_t taken = rn_text_piece(peer, piece, &piece_len);
        if (piece_len > size - 1 - used) {
            break;
        }
        memcpy(out + used, piece, piece_len);
        used += piece_len;
        peer = rn_bytes_of(peer.data + taken, peer.len - taken);
    }
    out[used] = '\0';
    return used;
}

size_t rn_sentence_format(char *out, size_t size, const char *format, ...) {
    va_list arguments;
    assert(size > 0);
    va_start(arguments, format);
    int wanted = vsnprintf(out, size, format, arguments);
    va_end(arguments);
    assert(wanted >= 0);
    size_t used = (size_t)wanted;
    if (used >= size) {
        /* The cut may have gone through the last character: then its beginning goes, too. */
        used = size - 1;
        size_t last = used;
        while (last > 0 && ((uint8_t)out[--last] & 0xc0) == 0x80) {
        }
        if (!rn_text_is_utf8(rn_bytes_of(out + last, used - last))) {
            used = last;
        }
        out[used] = '\0';
    }
    return used;
}
