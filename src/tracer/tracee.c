/*
 * Requests to a stopped task; see tracee.h.  Writes go word by word with PTRACE_POKEDATA, which
 * ignores page protection (FOLL_FORCE): patches are a few words, so a descriptor of
 * /proc/PID/mem per process would cost more.
 */
#include "tracee.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

struct tracee_event tracee_event_of(int status)
{
	if (WIFEXITED(status) || WIFSIGNALED(status))
		return (struct tracee_event){TRACEE_EXITED, status};
	if (!WIFSTOPPED(status))
		return (struct tracee_event){TRACEE_OTHER, status};
	switch (status >> 16) {
	case PTRACE_EVENT_SECCOMP:
		return (struct tracee_event){TRACEE_SECCOMP, 0};
	case PTRACE_EVENT_CLONE:
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		return (struct tracee_event){TRACEE_BIRTH, 0};
	case PTRACE_EVENT_EXEC:
		return (struct tracee_event){TRACEE_EXEC, 0};
	case PTRACE_EVENT_STOP:
		return (struct tracee_event){TRACEE_STARTED, WSTOPSIG(status)};
	case 0:
		return (struct tracee_event){TRACEE_SIGNAL, WSTOPSIG(status)};
	default:
		return (struct tracee_event){TRACEE_OTHER, status};
	}
}

int tracee_regs_get(pid_t tid, struct user_regs_struct *ret_regs)
{
	return ptrace(PTRACE_GETREGS, tid, NULL, ret_regs) < 0 ? -errno : 0;
}

int tracee_regs_set(pid_t tid, const struct user_regs_struct *regs)
{
	return ptrace(PTRACE_SETREGS, tid, NULL, regs) < 0 ? -errno : 0;
}

int tracee_continue(pid_t tid)
{
	return ptrace(PTRACE_CONT, tid, NULL, NULL) < 0 ? -errno : 0;
}

int tracee_message(pid_t tid, unsigned long *ret_message)
{
	return ptrace(PTRACE_GETEVENTMSG, tid, NULL, ret_message) < 0 ? -errno : 0;
}

int tracee_siginfo(pid_t tid, siginfo_t *ret_info)
{
	return ptrace(PTRACE_GETSIGINFO, tid, NULL, ret_info) < 0 ? -errno : 0;
}

int tracee_extended(pid_t tid, void *ret_state, size_t size)
{
	struct iovec to = {ret_state, size};

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &to) < 0)
		return -errno;
	return to.iov_len < size ? (int)to.iov_len : -E2BIG;
}

int tracee_step(pid_t tid, int *ret_status)
{
	if (ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL) < 0)
		return -errno;
	while (waitpid(tid, ret_status, __WALL) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	struct tracee_event e = tracee_event_of(*ret_status);
	return e.kind == TRACEE_SIGNAL && e.value == SIGTRAP ? 0 : -ECANCELED;
}

int tracee_interrupt(pid_t tid)
{
	return ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 ? -errno : 0;
}

/* Where a sandbox forbids process_vm_readv: the same, word by word. */
static int read_words(pid_t tid, uint64_t from, uint8_t *to, size_t size)
{
	while (size > 0) {
		size_t offset = from & 7, n = 8 - offset < size ? 8 - offset : size;

		errno = 0;
		long word = ptrace(PTRACE_PEEKDATA, tid, (void *)(from - offset), NULL);
		if (errno != 0)
			return errno == EIO ? -EFAULT : -errno;
		memcpy(to, (uint8_t *)&word + offset, n);
		from += n;
		to += n;
		size -= n;
	}
	return 0;
}

int tracee_read(pid_t tid, tracee_addr from, void *to, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)from.value, size};
	ssize_t n = process_vm_readv(tid, &local, 1, &remote, 1, 0);

	if (n < 0 && (errno == EPERM || errno == ENOSYS))
		return read_words(tid, from.value, to, size);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EFAULT;
}

static int write_word(pid_t tid, uint64_t address, const uint8_t *bytes, size_t offset, size_t size)
{
	uint64_t word;

	errno = 0;
	word = (uint64_t)ptrace(PTRACE_PEEKDATA, tid, (void *)address, NULL);
	if (errno != 0)
		return -errno;
	memcpy((uint8_t *)&word + offset, bytes, size);
	return ptrace(PTRACE_POKEDATA, tid, (void *)address, (void *)word) < 0 ? -errno : 0;
}

int tracee_write(pid_t tid, tracee_addr to, const void *from, size_t size)
{
	const uint8_t *bytes = from;
	uint64_t at = to.value;

	while (size > 0) {
		size_t offset = at & 7, n = 8 - offset < size ? 8 - offset : size;
		int error = write_word(tid, at - offset, bytes, offset, n);

		if (error < 0)
			return error;
		at += n;
		bytes += n;
		size -= n;
	}
	return 0;
}
