/* corpus: corpus.txt as it was when the program was built. */
#ifndef RN_MODEL_CORPUS_H
#define RN_MODEL_CORPUS_H

#include <stddef.h>

extern const unsigned char rn_model_corpus[];
extern const size_t rn_model_corpus_len;

#endif
