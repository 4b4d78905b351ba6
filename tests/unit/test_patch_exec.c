/*
 * Patched code executed: small functions are run as they are and patched, from the same registers
 * and flags, and must leave the same ones and the same red zone. The stubs jump to a trampoline
 * of this test that stands in for the shim.
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tracer/insn_scan.h"
#include "tracer/patch_plan.h"

#define PAGE	  4096u
#define CODE_AT	  0x200u
#define FLAG_BITS 0xcd5ull /* CF PF AF ZF SF DF OF */

#define CHECK(condition)                                                                  \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, case_name, \
				#condition);                                              \
			exit(1);                                                          \
		}                                                                         \
	} while (0)

static const char *case_name = "";

/* In the order the assembler below saves them. */
struct registers {
	uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, flags;
};

/* The words the stubs of instructions write, at these offsets from GS base; see slot_* below. */
struct slot {
	uint64_t r11, resume, code;
};

extern struct slot test_slot;
extern uint64_t test_stubs_taken;
struct slot test_slot;
uint64_t test_stubs_taken;

/* What the trampolines work with while the app's stack must not be touched. */
extern uint64_t test_scratch[8];
uint64_t test_scratch[8];
extern uint8_t test_stack[8192];
uint8_t test_stack[8192];

/* Emulation, on the registers of the app; called by the trampoline. */
void test_emulate(struct registers *registers);

/* Call `code` with *in loaded; *out is what it leaves. */
void test_run(void *code, const struct registers *in, struct registers *out);
void test_syscall_entry(void);
void test_insn_entry(void);

__asm__(".text\n"
	".macro load_registers base\n"
	"	push 120(\\base)\n"
	"	popfq\n"
	"	mov 0(\\base), %rax\n	mov 8(\\base), %rcx\n	mov 16(\\base), %rdx\n"
	"	mov 24(\\base), %rbx\n	mov 32(\\base), %rbp\n	mov 48(\\base), %rdi\n"
	"	mov 56(\\base), %r8\n	mov 64(\\base), %r9\n	mov 72(\\base), %r10\n"
	"	mov 80(\\base), %r11\n	mov 88(\\base), %r12\n	mov 96(\\base), %r13\n"
	"	mov 104(\\base), %r14\n	mov 112(\\base), %r15\n	mov 40(\\base), %rsi\n"
	".endm\n"
	/* expects rsi in test_scratch[0]; the stack must be ours */
	".macro store_registers base\n"
	"	mov %rax, 0(\\base)\n	mov %rcx, 8(\\base)\n	mov %rdx, 16(\\base)\n"
	"	mov %rbx, 24(\\base)\n	mov %rbp, 32(\\base)\n	mov %rdi, 48(\\base)\n"
	"	mov %r8, 56(\\base)\n	mov %r9, 64(\\base)\n	mov %r10, 72(\\base)\n"
	"	mov %r11, 80(\\base)\n	mov %r12, 88(\\base)\n	mov %r13, 96(\\base)\n"
	"	mov %r14, 104(\\base)\n	mov %r15, 112(\\base)\n"
	"	pushfq\n"
	"	pop %rax\n"
	"	mov %rax, 120(\\base)\n"
	"	mov test_scratch(%rip), %rax\n"
	"	mov %rax, 40(\\base)\n"
	".endm\n"
	"	.globl test_run\n"
	"test_run:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n"
	"	push %r14\n	push %r15\n	push %rdx\n"
	"	mov %rdi, test_scratch+8(%rip)\n"
	"	load_registers %rsi\n"
	"	call *test_scratch+8(%rip)\n"
	"	mov %rsi, test_scratch(%rip)\n"
	"	mov (%rsp), %rsi\n"
	"	store_registers %rsi\n"
	"	cld\n"
	"	pop %rdx\n	pop %r15\n	pop %r14\n	pop %r13\n"
	"	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n"
	/* rcx and r11 as the kernel would leave them; to r11 without a register */
	"	.globl test_syscall_entry\n"
	"test_syscall_entry:\n"
	"	mov %r11, test_scratch+16(%rip)\n"
	"	mov %rcx, test_scratch+24(%rip)\n"
	"	mov %rsp, test_scratch+32(%rip)\n"
	"	lea test_stack+8192(%rip), %rsp\n"
	"	pushfq\n"
	"	incq test_stubs_taken(%rip)\n"
	"	syscall\n" /* touches no stack; rcx and r11 are set below */
	"	popfq\n"
	"	pushfq\n"
	"	pop %r11\n"
	"	mov test_scratch+24(%rip), %rcx\n"
	"	mov test_scratch+32(%rip), %rsp\n"
	"	jmp *test_scratch+16(%rip)\n"
	"	.globl test_insn_entry\n"
	"test_insn_entry:\n"
	"	mov %gs:0, %r11\n"
	"	mov %rsi, test_scratch(%rip)\n"
	"	mov %rsp, test_scratch+32(%rip)\n"
	"	lea test_stack+8192-128(%rip), %rsp\n"
	"	mov %rsp, %rsi\n"
	"	store_registers %rsi\n"
	"	cld\n"
	"	mov %rsp, %rdi\n"
	"	call test_emulate\n"
	"	mov %rsp, %rsi\n"
	"	load_registers %rsi\n"
	"	mov test_scratch+32(%rip), %rsp\n"
	"	jmp *%gs:8\n");

/* The number of a call is in eax only; the answer of an instruction depends on its code alone. */
static uint64_t *register_of(struct registers *registers, unsigned number)
{
	uint64_t *const all[16] = {
		&registers->rax, &registers->rcx, &registers->rdx, &registers->rbx, NULL,
		&registers->rbp, &registers->rsi, &registers->rdi, &registers->r8,  &registers->r9,
		&registers->r10, &registers->r11, &registers->r12, &registers->r13, &registers->r14,
		&registers->r15};

	return all[number];
}

void test_emulate(struct registers *registers)
{
	unsigned code = (unsigned)test_slot.code;
	unsigned a, b, c, d;

	test_stubs_taken++;
	switch (INSN_CODE_KIND(code)) {
	case INSN_CPUID:
		__cpuid_count((unsigned)registers->rax, (unsigned)registers->rcx, a, b, c, d);
		registers->rax = a;
		registers->rbx = b;
		registers->rcx = c;
		registers->rdx = d;
		break;
	case INSN_PAUSE:
		break;
	case INSN_RDTSC:
	case INSN_RDTSCP:
		registers->rax = 0x1111;
		registers->rdx = 0x2222;
		break;
	case INSN_RDRAND:
		*register_of(registers, INSN_CODE_REG(code)) = 0x3333 + INSN_CODE_SIZE(code);
		registers->flags = (registers->flags & ~(uint64_t)0x8d5) | 1;
		break;
	default:
		abort();
	}
}

enum outcome {
	OUTCOME_SAME,	/* both runs leave the same registers */
	OUTCOME_RDTSC,	/* the patched run leaves what test_emulate says */
	OUTCOME_RDRAND, /* likewise, in r11 */
	OUTCOME_ABORT,	/* rax becomes 0: only the patched run is made */
};

struct exec_case {
	const char *name;
	const char *code; /* ends in ret */
	size_t size;
	uint32_t site;
	enum patch_kind kind;
	enum outcome outcome;
};

#define CODE(string) (string), sizeof(string) - 1
/* the red zone: a value is stored before and must come back in r15 */
#define STORE "\x4c\x89\x64\x24\xf8" /* mov %r12, -8(%rsp) */
#define LOAD  "\x4c\x8b\x7c\x24\xf8" /* mov -8(%rsp), %r15 */
#define PAD   "\x66\x2e\x0f\x1f\x84\0\0\0\0\0"

static const struct exec_case cases[] = {
	{"padding", CODE(STORE "\x0f\x05" LOAD "\xc3" PAD), 5, PATCH_PADDING, OUTCOME_SAME},
	{"padding before", CODE("\xeb\x0a" PAD STORE "\x0f\x05" LOAD "\xc3"), 17, PATCH_PADDING,
	 OUTCOME_SAME},
	{"mov before", CODE(STORE "\xb8\x6e\0\0\0\x0f\x05" LOAD "\xc3"), 10, PATCH_BACKWARD,
	 OUTCOME_SAME},
	{"moves before", CODE(STORE "\x49\x89\xca\x48\x89\xfe\x0f\x05" LOAD "\xc3"), 11,
	 PATCH_BACKWARD, OUTCOME_SAME},
	{"lea before", CODE(STORE "\x48\x8d\x35\x10\0\0\0\x0f\x05" LOAD "\xc3"), 12, PATCH_BACKWARD,
	 OUTCOME_SAME},
	{"over the site", CODE(STORE "\x4c\x8b\xc1\x0f\x05" LOAD "\xc3"), 8, PATCH_BACKWARD,
	 OUTCOME_SAME},
	{"jump onto the kept site",
	 CODE(STORE "\x83\xfb\x05\x74\x05\xb8\x6e\0\0\0\x0f\x05" LOAD "\xc3"), 15, PATCH_BACKWARD,
	 OUTCOME_SAME},
	{"compare after", CODE(STORE "\x0f\x05\x48\x3d\x01\xf0\xff\xff" LOAD "\xc3"), 5,
	 PATCH_FORWARD, OUTCOME_SAME},
	{"many after", CODE(STORE "\x0f\x05\x89\xc6\x85\xc0\x0f\x48\xf3" LOAD "\xc3"), 5,
	 PATCH_FORWARD, OUTCOME_SAME},
	{"both sides", CODE(STORE "\x89\xd1\x0f\x05\x89\xc6" LOAD "\xc3"), 7, PATCH_FORWARD,
	 OUTCOME_SAME},
	{"memory after", CODE(STORE "\x0f\x05" LOAD "\xc3"), 5, PATCH_FORWARD, OUTCOME_SAME},
	/* cmpl with the four nops behind the ret: equal only if they are found there */
	{"memory after, relative",
	 CODE(STORE "\x0f\x05\x81\x3d\x06\0\0\0\x90\x90\x90\x90" LOAD "\xc3\x90\x90\x90\x90"), 5,
	 PATCH_FORWARD, OUTCOME_SAME},
	{"cpuid, padding", CODE("\x31\xc0\x0f\xa2\xc3" PAD), 2, PATCH_PADDING, OUTCOME_SAME},
	{"cpuid, mov before",
	 CODE("\xb8\x01\0\0\0\x31\xc9\x50\x58\xb8\0\0\0\0\x0f\xa2\x50\x58\xc3"), 14, PATCH_BACKWARD,
	 OUTCOME_SAME},
	{"cpuid, after", CODE(STORE "\x31\xc0\x0f\xa2\x3d\x07\0\0\0" LOAD "\xc3"), 7, PATCH_FORWARD,
	 OUTCOME_SAME},
	{"pause, padding", CODE(STORE "\xf3\x90" LOAD "\xc3" PAD), 5, PATCH_PADDING, OUTCOME_SAME},
	{"pause, after", CODE(STORE "\xf3\x90" LOAD "\xc3"), 5, PATCH_FORWARD, OUTCOME_SAME},
	{"rdtsc, padding", CODE("\x0f\x31\xc3" PAD), 0, PATCH_PADDING, OUTCOME_RDTSC},
	{"rdtsc, after", CODE("\x0f\x31\x49\x89\xc7\xc3"), 0, PATCH_FORWARD, OUTCOME_RDTSC},
	{"rdrand %r11, padding", CODE("\x49\x0f\xc7\xf3\xc3" PAD), 0, PATCH_PADDING,
	 OUTCOME_RDRAND},
	{"rdrand %r11, after", CODE("\x49\x0f\xc7\xf3\x49\x89\xdf\xc3"), 0, PATCH_FORWARD,
	 OUTCOME_RDRAND},
	{"xbegin", CODE("\xc7\xf8\0\0\0\0\xc3"), 0, PATCH_DIRECT, OUTCOME_ABORT},
};

static struct registers initial(unsigned round)
{
	struct registers in = {.rax = SYS_getppid, .flags = 0x202};
	uint64_t *const words = &in.rax;

	for (size_t i = 1; i < 15; i++)
		words[i] = 0x1000100010001000ull * i + 0x77 + round;
	in.rcx = 0;
	in.rbx = round & 1 ? 5 : 6;
	in.flags |= round & 2 ? 0x8d5 : 0;
	return in;
}

/* A page for stubs and one for code, next to each other as the shim lays them out. */
static uint8_t *map_area(void)
{
	uint8_t *area = mmap(NULL, 2 * (size_t)PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(area != MAP_FAILED);
	return area;
}

static void apply(const struct exec_case *one, uint8_t *area, struct patch_plan *ret_plan)
{
	static const uint32_t starts[] = {0};
	uint8_t *code = area + PAGE + CODE_AT;
	struct patch_request request = {
		.code = {(const uint8_t *)one->code, one->size, starts, 1},
		.code_address = (uint64_t)(uintptr_t)code,
		.site = one->site,
		.stub_address = (uint64_t)(uintptr_t)area,
		.stub_room = PAGE,
		.target = {(uint64_t)(uintptr_t)test_syscall_entry,
			   (uint64_t)(uintptr_t)test_insn_entry, offsetof(struct slot, r11),
			   offsetof(struct slot, resume), offsetof(struct slot, code)},
	};

	CHECK(patch_plan(&request, ret_plan) == 0);
	CHECK(ret_plan->kind == one->kind);
	memcpy(area, ret_plan->stub, ret_plan->stub_size);
	for (unsigned i = 0; i < ret_plan->write_count; i++) {
		const struct patch_store *store = &ret_plan->writes[i];

		memcpy(code + (store->address - request.code_address), store->bytes, store->size);
	}
}

static void expect_changes(const struct exec_case *one, const struct registers *in,
			   struct registers *expected)
{
	if (one->outcome == OUTCOME_SAME)
		return;
	*expected = *in;
	if (one->outcome == OUTCOME_ABORT)
		expected->rax = 0;
	if (one->outcome == OUTCOME_RDTSC) {
		expected->rax = 0x1111;
		expected->rdx = 0x2222;
		if (one->kind == PATCH_FORWARD)
			expected->r15 = 0x1111;
	}
	if (one->outcome == OUTCOME_RDRAND) {
		expected->r11 = 0x3333 + 8;
		expected->flags = (expected->flags & ~(uint64_t)0x8d5) | 1;
		if (one->kind == PATCH_FORWARD)
			expected->r15 = expected->rbx;
	}
}

static void compare(const struct registers *expected, const struct registers *got)
{
	static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8",
					    "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

	for (size_t i = 0; i < 15; i++)
		if ((&expected->rax)[i] != (&got->rax)[i]) {
			fprintf(stderr, "%s: %s is %#lx, expected %#lx\n", case_name, names[i],
				(&got->rax)[i], (&expected->rax)[i]);
			exit(1);
		}
	CHECK((expected->flags & FLAG_BITS) == (got->flags & FLAG_BITS));
}

static void run_case(const struct exec_case *one, unsigned round)
{
	struct registers in = initial(round);
	struct registers expected = in;
	struct registers got;
	struct patch_plan plan;
	uint8_t *area = map_area();
	uint8_t *code = area + PAGE + CODE_AT;
	bool jumps_over = (in.rbx == 5) && strstr(one->name, "kept site");

	case_name = one->name;
	memcpy(code, one->code, one->size);
	if (one->outcome == OUTCOME_SAME)
		test_run(code, &in, &expected);
	apply(one, area, &plan);
	test_stubs_taken = 0;
	test_run(code, &in, &got);
	CHECK(test_stubs_taken == (jumps_over || one->outcome == OUTCOME_ABORT ? 0 : 1));
	expect_changes(one, &in, &expected);
	compare(&expected, &got);
	munmap(area, 2 * (size_t)PAGE);
}

int main(void)
{
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, &test_slot) == 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (unsigned round = 0; round < 4; round++)
			run_case(&cases[i], round);
	return 0;
}
