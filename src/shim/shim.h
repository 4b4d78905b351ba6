/*
 * The inside of the shim: what handlers may call.
 *
 * A handler is `long sys_NAME(struct task *t, struct frame *f)`: arguments in f->arg[], result
 * returned, errors as negative errno.  It runs on the task's shim stack while its task holds the
 * turn, so it never locks.  It must not block in the kernel: what could block is tried, else the
 * task parks (turn_park).  Memory of the app is reached through user_* only (faults give -EFAULT),
 * or by handing the app's pointer to the kernel with raw_syscall.
 */
#ifndef SHADOW_SHIM_H
#define SHADOW_SHIM_H

#include "shim_abi.h"
#include "task.h"
#include "../scheduler/scheduler.h"

#define SCHED REGION_AT(struct sched, REGION_SCHED_OFF)

static inline struct task *current(void)
{
	struct task *t;
	__asm__("mov %%gs:0, %0" : "=r"(t));
	return t;
}

static inline struct proc *proc_of(const struct task *t)
{
	return proc_at(t->proc);
}

/* entry.S: the only system calls that reach the kernel.  Negative errno on failure. */
long raw_syscall(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);
#define SYS0(nr)		raw_syscall(nr, 0, 0, 0, 0, 0, 0)
#define SYS1(nr, a)		raw_syscall(nr, (u64)(a), 0, 0, 0, 0, 0)
#define SYS2(nr, a, b)		raw_syscall(nr, (u64)(a), (u64)(b), 0, 0, 0, 0)
#define SYS3(nr, a, b, c)	raw_syscall(nr, (u64)(a), (u64)(b), (u64)(c), 0, 0, 0)
#define SYS4(nr, a, b, c, d)	raw_syscall(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), 0, 0)
#define SYS5(nr, a, b, c, d, e) raw_syscall(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), 0)
#define SYS6(nr, a, b, c, d, e, f) \
	raw_syscall(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), (u64)(f))

/* entry.S: ask the tracer; see enum upcall. */
long upcall(long op, u64 a, u64 b, u64 c);

/* entry.S: copies between the app and the shim; 0, or -EFAULT when the app's side faulted. */
long user_copy_in(void *to, u64 from, u64 len);
long user_copy_out_raw(u64 to, const void *from, u64 len);
long user_zero_raw(u64 to, u64 len);
long user_put_pair_raw(u64 to, u64 a, u64 b); /* two words */
/* code_pages.c: another try after the raw copy failed, if the app could have stored there itself.
 */
long user_copy_out_again(u64 to, const void *from, u64 len);
long user_zero_again(u64 to, u64 len);
long user_put_pair_again(u64 to, u64 a, u64 b);

static inline long user_copy_out(u64 to, const void *from, u64 len)
{
	long r = user_copy_out_raw(to, from, len);

	return __builtin_expect(r < 0, 0) ? user_copy_out_again(to, from, len) : r;
}

static inline long user_zero(u64 to, u64 len)
{
	long r = user_zero_raw(to, len);

	return __builtin_expect(r < 0, 0) ? user_zero_again(to, len) : r;
}

static inline long user_put_pair(u64 to, u64 a, u64 b)
{
	long r = user_put_pair_raw(to, a, b);

	return __builtin_expect(r < 0, 0) ? user_put_pair_again(to, a, b) : r;
}
/* Copies a string of at most size-1 bytes; its length, -ENAMETOOLONG if longer, or -EFAULT. */
long user_string_in(char *to, u64 from, u64 size);
#define user_get(var, addr) user_copy_in(&(var), (addr), sizeof(var))
#define user_put(addr, var) user_copy_out((addr), &(var), sizeof(var))

/* string.c */
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
#ifdef SHADOW_SHIM
/* What has a known size is done in place. */
#define memcpy __builtin_memcpy
#define memset __builtin_memset
#endif
/* Appends to out[*len] as far as cap allows, always NUL-terminated: %s %d %u %x %o %c, l for 64
 * bit, field widths with zero or space padding.  Never fails; the result is cut at cap. */
void str_format(char *out, size_t cap, size_t *len, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* heap.c: memory in the region, for state of the container.  Zeroed.  It never fails: calls that
 * take memory fail before their handlers, when it gets scarce. */
void *heap_alloc(u64 size);
void *heap_alloc_unset(u64 size); /* not zeroed: for buffers filled before they are read */
void *heap_alloc_aside(u64 size); /* of a size that is not a function of the container's state */
bool heap_scarce(void);
void heap_free(void *p);      /* NULL is fine */
u64 heap_size(const void *p); /* usable bytes */
char *heap_strdup(const char *s);

/* digest.c: folds bytes into the current event: what it read, wrote or was told. */
void digest_bytes(struct task *t, const void *p, u64 len);
/* The same for memory of the app, which the handler has just proven readable. */
void digest_user(struct task *t, u64 addr, u64 len);
void digest_u64(struct task *t, u64 value);
u64 hash_bytes(u64 seed, const void *p, u64 len);

/* random.c: bytes of the container's ChaCha20 stream. */
void random_fill(void *to, u64 len);

/*
 * turn.c: parks the current task until woken or until deadline_ns (virtual; SCHED_NEVER for none),
 * after wait nodes were added with sched_wait_add.  Passes the turn on, takes epochs, lets time
 * jump.  Returns the reason: SCHED_* of scheduler.h, or -EINTR when a signal that must be handled
 * is pending (also when it already was: then the task does not park at all).  A task whose process
 * is exiting does not return.
 */
long turn_park(struct task *t, u64 deadline_ns);
/* Gives the turn away and waits for it again, staying runnable (sched_yield, new child first). */
void turn_yield(struct task *t);
/* The same for sched_yield and yield points: if for long nobody has done anything else, time goes
 * faster; see turn.c. */
void turn_yield_idle(struct task *t);
/* The same for a pause; true if the task is to be looked at: UPCALL_SPIN_LOOK. */
bool turn_pause(struct task *t);
/* The current task is done for good: it is removed from the scheduler, the turn passed on, and
 * the kernel task ended (the whole process if `group`).  Does not return. */
void turn_exit(struct task *t, bool group) __attribute__((noreturn));

/* A broken invariant inside the shim: ends the container with context. */
void shim_bug(const char *what, u64 detail) __attribute__((noreturn));

/*
 * The host lacks what the run needs (processes, disk space).  The program must not be told: no
 * other run would be told the same.  Ends the container at its last whole epoch.
 */
void shim_host_failed(const char *what) __attribute__((noreturn));

#define SHIM_ASSERT(cond)                          \
	do {                                       \
		if (!(cond))                       \
			shim_bug(#cond, __LINE__); \
	} while (0)

#define BOOT_NS 1000000000000ull /* the container was booted so long before its start */

/* Virtual time of the container's boot: what CLOCK_MONOTONIC counts from. */
static inline u64 clock_monotonic_base(void)
{
	return HEAD->config.start_time_ns - BOOT_NS;
}

static inline u64 now_ns(void)
{
	return HEAD->now_ns;
}

#endif
