/* qlogs: each text is written as it comes, for work at the end of a turn would be an event of the
 * world, and a world that crashes is to leave its last packet. */
#include "sim/world/qlogs.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/internal.h"

static void remove_records(const char *path) {
    DIR *folder = opendir(path);
    if (folder == NULL) {
        rn_sim_require(false, "a folder for qlog");
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *suffix = strrchr(entry->d_name, '.');
        if (suffix != NULL && strcmp(suffix, ".sqlog") == 0) {
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    closedir(folder);
}

rn_qlog *rn_qlogs_open(const char *dir, uint64_t seed) {
    char path[PATH_MAX];
    rn_qlog *qlog;
    (void)mkdir(dir, 0755);
    snprintf(path, sizeof path, "%s/seed-%" PRIu64, dir, seed);
    (void)mkdir(path, 0755);
    remove_records(path);
    const rn_qlog_options options = {.dir = path,
                                     .target = "qlog",
                                     .bytes_max = RN_QLOG_BYTES_MAX,
                                     .files_max = UINT64_MAX,
                                     .at_once = true};
    rn_sim_require(rn_qlog_new(&qlog, &options) == 0, "a folder for qlog");
    return qlog;
}
