/*
 * The seccomp filter of the container: allowed is exactly the `syscall` of the call page, told by
 * the address behind it; everything else stops at the tracer.  Not even there may anybody make a
 * socket of the host's network, by itself or by io_uring: this stands for a network namespace
 * (docs/decisions/0013).  The first task installs it before anything of the app is there; everybody
 * else inherits it.
 */
#include <asm/errno.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include "filter.h"
#include "shim.h"
#include "syscall_nr.h"

#define X32_SYSCALL_BIT 0x40000000

extern const char call_page_return[];

long filter_install(void)
{
	u64 address = (u64)call_page_return;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (u32)address, 0, 8),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (u32)(address >> 32), 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_SYSCALL_BIT, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NR_socket, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NR_io_uring_setup, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	long r = SYS5(NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return r < 0 ? r : SYS3(NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
