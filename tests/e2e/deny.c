/*
 * deny CALL[=ERRNO]... -- PROG ARGS...: runs PROG under a seccomp filter that makes the calls fail,
 * as a sandbox around us does: with EPERM, or ENOSYS.  Calls may have a condition on an argument:
 * `clone+FLAG` fails if the first one has the bit FLAG, `prctl:N` if the first one is N,
 * `seccomp:N` alike.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	unsigned nr;
} calls[] = {
	{"ptrace", SYS_ptrace},
	{"seccomp", SYS_seccomp},
	{"clone", SYS_clone},
	{"clone3", 435},
	{"unshare", SYS_unshare},
	{"mount", SYS_mount},
	{"personality", SYS_personality},
	{"memfd_create", SYS_memfd_create},
	{"openat2", 437},
	{"process_vm_readv", SYS_process_vm_readv},
	{"close_range", 436},
	{"prctl", SYS_prctl},
	{"execveat", SYS_execveat},
	{"sethostname", SYS_sethostname},
};

#define RULE 4

struct filter {
	struct sock_filter code[64 * RULE + 4];
	unsigned short length;
};

static void put(struct filter *f, unsigned short code, unsigned k, unsigned char jt,
		unsigned char jf)
{
	f->code[f->length++] = (struct sock_filter){code, jt, jf, k};
}

static unsigned number_of(const char *name, size_t size)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		if (strlen(calls[i].name) == size && strncmp(calls[i].name, name, size) == 0)
			return calls[i].nr;
	}
	fprintf(stderr, "deny: unknown call %.*s\n", (int)size, name);
	exit(2);
}

/* CALL, CALL:N, CALL+BIT, each with =EPERM or =ENOSYS behind it. */
static void put_rule(struct filter *f, const char *rule)
{
	size_t name = strcspn(rule, ":+=");
	unsigned error = strstr(rule, "=ENOSYS") != NULL ? ENOSYS : EPERM;
	unsigned value = (unsigned)strtoul(rule + name + (rule[name] != '\0'), NULL, 0);
	bool condition = rule[name] == ':' || rule[name] == '+';

	put(f, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, number_of(rule, name), 0, condition ? 3 : 1);
	if (condition) {
		put(f, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args), 0, 0);
		put(f, BPF_JMP | (rule[name] == ':' ? BPF_JEQ : BPF_JSET) | BPF_K, value, 0, 1);
	}
	put(f, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error, 0, 0);
}

int main(int argc, char **argv)
{
	static struct filter f;
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--") != 0 && i < 32; i++)
		put_rule(&f, argv[i]);
	put(&f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	if (i + 1 >= argc)
		return 2;
	struct sock_fprog program = {f.length, f.code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		perror("deny");
		return 2;
	}
	execvp(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 2;
}
