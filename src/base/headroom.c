/* headroom: takes the memory and gives it back. */
#include "base/headroom.h"

#include <stdlib.h>

bool rn_headroom(size_t bytes) {
    /* Volatile, or the compiler sees that the block is of no use and says yes. */
    void *volatile block = malloc(bytes);
    bool there = block != NULL;
    free(block);
    return there;
}
