/* qlogs: a world's connections on record, in the folder <dir>/seed-<seed>. */
#ifndef RN_TESTS_SIM_WORLD_QLOGS_H
#define RN_TESTS_SIM_WORLD_QLOGS_H

#include "common/qlog.h"

/* Makes the folders; records of an earlier run of the seed are removed. Ends the program when that
 * fails. */
rn_qlog *rn_qlogs_open(const char *dir, uint64_t seed);

#endif
