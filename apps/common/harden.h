/* harden: what keeps a process's secrets in its own memory. */
#ifndef APPS_COMMON_HARDEN_H
#define APPS_COMMON_HARDEN_H

/* No core dumps, and no debugger or reader of /proc/<pid>/mem of the same user. 0, or an errno when
 * the system refuses. */
int rn_harden(void);

#endif
