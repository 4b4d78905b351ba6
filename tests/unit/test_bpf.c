/*
 * Classic BPF: programs Linux refuses and takes, what each instruction computes, and random
 * programs, which must end whatever they were accepted with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/syscall-table/bpf.h"

#define CHECK(cond)                                                                \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			exit(1);                                                   \
		}                                                                  \
	} while (0)

#define INSN(code, jt, jf, k)   \
	{                       \
		code, jt, jf, k \
	}
#define STMT(code, k) INSN(code, 0, 0, k)
#define RETURN_A      STMT(BPF_RET | BPF_A, 0)
#define LENGTH(p)     (sizeof(p) / sizeof(*(p)))
#define TAKES(...)    CHECK(check((struct sock_filter[]){__VA_ARGS__}, SIZE(__VA_ARGS__)) == 0)
#define REFUSES(...)  CHECK(check((struct sock_filter[]){__VA_ARGS__}, SIZE(__VA_ARGS__)) < 0)
#define GIVES(want, ...) \
	CHECK(result((struct sock_filter[]){__VA_ARGS__}, SIZE(__VA_ARGS__)) == (want))
#define SIZE(...) LENGTH(((struct sock_filter[]){__VA_ARGS__}))

static const struct seccomp_data call = {
	.nr = 39,
	.arch = 0xc000003e,
	.instruction_pointer = 0x1122334455667788,
	.args = {1, 2, 3, 4, 5, 0xaabbccddeeff0011},
};

static long check(const struct sock_filter *program, size_t length)
{
	return bpf_check(program, length);
}

static u32 result(const struct sock_filter *program, size_t length)
{
	CHECK(bpf_check(program, length) == 0);
	return bpf_run(program, &call);
}

static void test_length(void)
{
	static struct sock_filter program[BPF_MAXINSNS + 1];

	for (size_t i = 0; i < LENGTH(program); i++)
		program[i] = (struct sock_filter)STMT(BPF_RET | BPF_K, 7);
	CHECK(bpf_check(program, 0) < 0);
	CHECK(bpf_check(program, 1) == 0 && bpf_check(program, BPF_MAXINSNS) == 0);
	CHECK(bpf_check(program, BPF_MAXINSNS + 1) < 0);
	program[BPF_MAXINSNS - 1].code = BPF_LD | BPF_IMM;
	CHECK(bpf_check(program, BPF_MAXINSNS) < 0);
}

static void test_refused(void)
{
	REFUSES(STMT(BPF_LD | BPF_IMM, 1));
	REFUSES(STMT(BPF_RET | BPF_X, 0));
	REFUSES(STMT(BPF_LD | BPF_W | BPF_ABS, 64), RETURN_A);
	REFUSES(STMT(BPF_LD | BPF_W | BPF_ABS, 2), RETURN_A);
	REFUSES(STMT(BPF_LD | BPF_W | BPF_ABS, 0xfffff000), RETURN_A);
	REFUSES(STMT(BPF_LD | BPF_H | BPF_ABS, 0), RETURN_A);
	REFUSES(STMT(BPF_LD | BPF_B | BPF_ABS, 0), RETURN_A);
	REFUSES(STMT(BPF_LD | BPF_W | BPF_IND, 0), RETURN_A);
	REFUSES(STMT(BPF_LDX | BPF_B | BPF_MSH, 0), RETURN_A);
	REFUSES(STMT(BPF_ALU | BPF_MOD | BPF_K, 3), RETURN_A);
	REFUSES(STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RETURN_A);
	REFUSES(STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RETURN_A);
	REFUSES(STMT(BPF_ALU | BPF_RSH | BPF_K, 32), RETURN_A);
	REFUSES(STMT(BPF_ST, BPF_MEMWORDS), RETURN_A);
	REFUSES(STMT(BPF_STX, BPF_MEMWORDS), RETURN_A);
	REFUSES(STMT(0xffff, 0), RETURN_A);
}

static void test_jumps(void)
{
	TAKES(INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), RETURN_A);
	TAKES(STMT(BPF_JMP | BPF_JA, 0), RETURN_A);
	REFUSES(INSN(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1), RETURN_A);
	REFUSES(INSN(BPF_JMP | BPF_JGT | BPF_X, 0, 1, 1), RETURN_A);
	REFUSES(STMT(BPF_JMP | BPF_JA, 1), RETURN_A);
	REFUSES(STMT(BPF_JMP | BPF_JA, 0xffffffff), RETURN_A);
	REFUSES(STMT(BPF_JMP | BPF_JA, 0x7fffffff), RETURN_A);
}

static void test_cells(void)
{
	REFUSES(STMT(BPF_LD | BPF_MEM, 3), RETURN_A);
	REFUSES(STMT(BPF_ST, 2), STMT(BPF_LDX | BPF_MEM, 3), RETURN_A);
	REFUSES(STMT(BPF_ST, 3), STMT(BPF_LD | BPF_MEM, BPF_MEMWORDS), RETURN_A);
	TAKES(STMT(BPF_STX, 3), STMT(BPF_LD | BPF_MEM, 3), RETURN_A);
	/* What is never reached may read anything. */
	TAKES(STMT(BPF_JMP | BPF_JA, 1), STMT(BPF_LD | BPF_MEM, 3), RETURN_A);
	/* Written on one of two ways only, on both, and where the read is jumped over. */
	REFUSES(INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 39), STMT(BPF_ST, 0),
		STMT(BPF_LD | BPF_MEM, 0), RETURN_A);
	TAKES(INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 39), STMT(BPF_ST, 0), STMT(BPF_JMP | BPF_JA, 1),
	      STMT(BPF_STX, 0), STMT(BPF_LD | BPF_MEM, 0), RETURN_A);
	REFUSES(INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 39), STMT(BPF_ST, 0),
		STMT(BPF_JMP | BPF_JA, 1), STMT(BPF_STX, 1), STMT(BPF_LD | BPF_MEM, 0), RETURN_A);
}

static void test_loads(void)
{
	GIVES(5, STMT(BPF_RET | BPF_K, 5));
	GIVES(0, RETURN_A);
	GIVES(39, STMT(BPF_LD | BPF_W | BPF_ABS, 0), RETURN_A);
	GIVES(0xc000003e, STMT(BPF_LD | BPF_W | BPF_ABS, 4), RETURN_A);
	GIVES(0x55667788, STMT(BPF_LD | BPF_W | BPF_ABS, 8), RETURN_A);
	GIVES(0x11223344, STMT(BPF_LD | BPF_W | BPF_ABS, 12), RETURN_A);
	GIVES(0xaabbccdd, STMT(BPF_LD | BPF_W | BPF_ABS, 60), RETURN_A);
	GIVES(64, STMT(BPF_LD | BPF_W | BPF_LEN, 0), RETURN_A);
	GIVES(64, STMT(BPF_LDX | BPF_W | BPF_LEN, 0), STMT(BPF_MISC | BPF_TXA, 0), RETURN_A);
	GIVES(9, STMT(BPF_LDX | BPF_IMM, 9), STMT(BPF_STX, 15), STMT(BPF_LD | BPF_MEM, 15),
	      RETURN_A);
	GIVES(8, STMT(BPF_LD | BPF_IMM, 8), STMT(BPF_ST, 0), STMT(BPF_LD | BPF_IMM, 0),
	      STMT(BPF_LDX | BPF_MEM, 0), STMT(BPF_MISC | BPF_TXA, 0), RETURN_A);
	GIVES(4, STMT(BPF_LD | BPF_IMM, 4), STMT(BPF_MISC | BPF_TAX, 0), STMT(BPF_LD | BPF_IMM, 0),
	      STMT(BPF_MISC | BPF_TXA, 0), RETURN_A);
}

/* The operation with an immediate and with X must agree. */
static u32 computed(u16 op, u32 a, u32 b)
{
	struct sock_filter by_k[] = {STMT(BPF_LD | BPF_IMM, a), STMT(BPF_ALU | op | BPF_K, b),
				     RETURN_A};
	struct sock_filter by_x[] = {STMT(BPF_LD | BPF_IMM, a), STMT(BPF_LDX | BPF_IMM, b),
				     STMT(BPF_ALU | op | BPF_X, 0), RETURN_A};
	u32 value = result(by_x, LENGTH(by_x));

	if (bpf_check(by_k, LENGTH(by_k)) == 0)
		CHECK(result(by_k, LENGTH(by_k)) == value);
	return value;
}

static void test_computing(void)
{
	CHECK(computed(BPF_ADD, 0xffffffff, 2) == 1);
	CHECK(computed(BPF_SUB, 1, 2) == 0xffffffff);
	CHECK(computed(BPF_MUL, 0x10001, 0x10000) == 0x10000);
	CHECK(computed(BPF_DIV, 0xffffffff, 16) == 0x0fffffff);
	CHECK(computed(BPF_AND, 0xf0f0, 0xff) == 0xf0);
	CHECK(computed(BPF_OR, 0xf000, 0xff) == 0xf0ff);
	CHECK(computed(BPF_XOR, 0xff00, 0x0ff0) == 0xf0f0);
	CHECK(computed(BPF_LSH, 0x80000001, 4) == 0x10);
	CHECK(computed(BPF_RSH, 0x80000010, 4) == 0x08000001);
	CHECK(computed(BPF_LSH, 1, 33) == 2 && computed(BPF_RSH, 4, 33) == 2);
	GIVES(0xffffffff, STMT(BPF_LD | BPF_IMM, 1), STMT(BPF_ALU | BPF_NEG, 0), RETURN_A);
	/* A division by zero ends the program at once, and kills. */
	GIVES(0, STMT(BPF_LD | BPF_IMM, 1), STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
	      STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

static u32 jumped(u16 op, u32 a, u32 b)
{
	struct sock_filter by_k[] = {STMT(BPF_LD | BPF_IMM, a), INSN(BPF_JMP | op | BPF_K, 1, 0, b),
				     STMT(BPF_RET | BPF_K, 0), STMT(BPF_RET | BPF_K, 1)};
	struct sock_filter by_x[] = {STMT(BPF_LD | BPF_IMM, a), STMT(BPF_LDX | BPF_IMM, b),
				     INSN(BPF_JMP | op | BPF_X, 0, 1, 0), STMT(BPF_RET | BPF_K, 1),
				     STMT(BPF_RET | BPF_K, 0)};
	u32 value = result(by_k, LENGTH(by_k));

	CHECK(result(by_x, LENGTH(by_x)) == value);
	return value;
}

static void test_deciding(void)
{
	CHECK(jumped(BPF_JEQ, 5, 5) && !jumped(BPF_JEQ, 5, 6));
	CHECK(jumped(BPF_JGT, 0x80000000, 1) && !jumped(BPF_JGT, 5, 5) && !jumped(BPF_JGT, 4, 5));
	CHECK(jumped(BPF_JGE, 5, 5) && !jumped(BPF_JGE, 1, 0x80000000));
	CHECK(jumped(BPF_JSET, 6, 2) && !jumped(BPF_JSET, 4, 2));
	GIVES(2, STMT(BPF_JMP | BPF_JA, 1), STMT(BPF_RET | BPF_K, 1), STMT(BPF_RET | BPF_K, 2));
}

static unsigned long state = 1;

static u32 next_random(u32 below)
{
	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (u32)(state >> 33) % below;
}

/* Accepted programs read and write nothing but their own: the sanitizers watch. */
static void test_random(void)
{
	struct sock_filter program[24];
	long accepted = 0;

	for (long n = 0; n < 2000000; n++) {
		u32 length = 1 + next_random(LENGTH(program));

		for (u32 i = 0; i < length; i++)
			program[i] = (struct sock_filter)INSN(
				(u16)next_random(256), (u8)next_random(4), (u8)next_random(4),
				next_random(4) ? next_random(20) : next_random(0x7fffffff) * 2);
		if (length > 1 && next_random(2))
			program[length - 1].code = BPF_RET | BPF_A;
		if (bpf_check(program, length) == 0) {
			accepted++;
			bpf_run(program, &call);
		}
	}
	CHECK(accepted > 1000);
}

int main(void)
{
	test_length();
	test_refused();
	test_jumps();
	test_cells();
	test_loads();
	test_computing();
	test_deciding();
	test_random();
	return 0;
}
