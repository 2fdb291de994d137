/* make_papers: the folder of simulated certificates that the tests share.
 *
 *   make_papers FOLDER WORKER... */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sim/papers.h"

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "Usage: make_papers FOLDER WORKER...\n");
        return 2;
    }
    rn_papers papers = {.folder = arguments[1], .seed = 1};
    int result = mkdir(papers.folder, 0700) == 0 || errno == EEXIST
                     ? rn_papers_write(&papers, (const char *const *)arguments + 2)
                     : errno;
    if (result != 0) {
        fprintf(stderr, "make_papers: %s: %s\n", papers.folder, strerror(result));
        return 1;
    }
    return 0;
}
