/* headroom: is there memory for work that cannot be told that there is none?
 *
 * Some libraries end the process, or crash, where an allocation fails in the middle of an
 * operation. Who asks first, and does without the operation when the answer is no, keeps the
 * process. Memory that is there may be taken by another thread before it is used: an answer, no
 * promise. */
#ifndef RN_BASE_HEADROOM_H
#define RN_BASE_HEADROOM_H

#include <stdbool.h>
#include <stddef.h>

bool rn_headroom(size_t bytes);

#endif
