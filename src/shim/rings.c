/* The producer's side of rings.h that takes a system call. */
#include "rings.h"
#include "shim.h"
#include "syscall_nr.h"

#define FUTEX_WAKE 1

void ring_wake(struct ring *r)
{
	u32 how = __atomic_load_n(&r->waiting, __ATOMIC_RELAXED);
	if (how == RING_NOBODY)
		upcall(UPCALL_DRAIN, r == OUTPUT_RING ? RING_OUTPUT : RING_CAPTURE, 1, 0);
	if (how != RING_SLEEPS)
		return;
	__atomic_store_n(&r->waiting, RING_AWAKE, __ATOMIC_RELAXED);
	SYS3(NR_futex, &r->waiting, FUTEX_WAKE, 1);
}
