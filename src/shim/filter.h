/* The seccomp filter; see filter.c. */
#ifndef SHADOW_SHIM_FILTER_H
#define SHADOW_SHIM_FILTER_H

/* For this task and its descendants, for good.  0 or a negative errno. */
long filter_install(void);

#endif
