/* Signals for readiness: O_ASYNC, F_SETOWN, F_SETSIG (async.c). */
#ifndef SHADOW_ASYNC_H
#define SHADOW_ASYNC_H

#include "ready.h"

/* Whether a file of this kind can send signals; of others O_ASYNC is ignored. */
bool async_is_possible(const struct ofd *o);
/* Turns O_ASYNC on or off; `fd` is what si_fd will say.  The kind can. */
void async_switch(struct ofd *o, u32 fd, bool on);
/* F_SETOWN, F_GETOWN, F_SETOWN_EX, F_GETOWN_EX, F_SETSIG, F_GETSIG; -ENOSYS: none of these. */
long async_fcntl(struct task *t, struct ofd *o, u32 request, u64 arg);

#endif
