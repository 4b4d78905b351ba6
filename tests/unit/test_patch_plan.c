/*
 * Plans for hand-assembled code, one case for each kind of window and each reason to refuse one;
 * the bytes of jumps and stubs are checked by decoding them again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracer/elf_image.h"
#include "tracer/insn_scan.h"
#include "tracer/patch_plan.h"

#define CODE_ADDRESS 0x7f0000000000ull
#define STUB_ADDRESS (CODE_ADDRESS + 0x10000)
#define ENTRY	     0x7fff00001000ull
#define INSN_ENTRY   0x7fff00002000ull

#define CHECK(condition)                                                                  \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, case_name, \
				#condition);                                              \
			exit(1);                                                          \
		}                                                                         \
	} while (0)

static const char *case_name = "";

struct plan_case {
	const char *name;
	const char *code;
	size_t size;
	uint32_t site;
	int result;
	enum patch_kind kind;
	uint32_t last_write; /* offset of the write that takes effect */
	uint32_t head;
	uint32_t tail;
};

#define CODE(string) (string), sizeof(string) - 1

static const struct plan_case cases[] = {
	{"padding after", CODE("\x0f\x05\xc3\x0f\x1f\x84\0\0\0\0\0"), 0, 0, PATCH_PADDING, 0, 0, 0},
	{"padding of int3", CODE("\x0f\x05\xc3\xcc\xcc\xcc\xcc\xcc"), 0, 0, PATCH_PADDING, 0, 0, 0},
	{"padding before", CODE("\xeb\x05\x90\x90\x90\x90\x90\x0f\x05\xc3"), 7, 0, PATCH_PADDING, 7,
	 0, 0},
	{"padding too small", CODE("\x0f\x05\xc3\x0f\x1f\x40\0"), 0, -ENOENT, 0, 0, 0, 0},
	{"padding jumped to", CODE("\x74\x03\x0f\x05\xc3\x90\x90\x90\x90\x90\xc3"), 2, -ENOENT, 0,
	 0, 0, 0},
	{"padding jumped into, later part",
	 CODE("\x74\x08\x0f\x05\xc3\x90\x90\x90\x90\x90\x90\xc3"), 2, 0, PATCH_PADDING, 2, 0, 0},
	{"reached nops are no padding", CODE("\x0f\x05\x90\x90\x90\x90\x90\xe8\0\0\0\0\xc3"), 0, 0,
	 PATCH_FORWARD, 0, 0, 3},
	{"after int3 execution can go on", CODE("\x0f\x05\xc3\x74\x00\xcc\x90\x90\x90\x90\x90\xc3"),
	 0, -ENOENT, 0, 0, 0, 0},
	{"mov before", CODE("\xb8\x27\0\0\0\x0f\x05\xc3"), 5, 0, PATCH_BACKWARD, 0, 5, 0},
	{"two before", CODE("\x49\x89\xca\x48\x89\xfe\x0f\x05\xc3"), 6, 0, PATCH_BACKWARD, 0, 6, 0},
	{"over the site", CODE("\x49\x89\xca\x0f\x05\xc3"), 3, 0, PATCH_BACKWARD, 0, 3, 0},
	{"over the site, a target", CODE("\x49\x89\xca\x0f\x05\xeb\xfc"), 3, -ENOENT, 0, 0, 0, 0},
	{"compare after", CODE("\x0f\x05\x48\x3d\x01\xf0\xff\xff\xc3"), 0, 0, PATCH_FORWARD, 0, 0,
	 6},
	{"compare after, a target", CODE("\x0f\x05\x48\x3d\x01\xf0\xff\xff\x74\xf8\xc3"), 0,
	 -ENOENT, 0, 0, 0, 0},
	{"compare after, a table", CODE("\x0f\x05\x48\x3d\x01\xf0\xff\xff\xff\xe1"), 0, -ENOENT, 0,
	 0, 0, 0},
	{"memory after is moved", CODE("\x0f\x05\x48\x89\x07\x48\x89\x07\xc3"), 0, 0, PATCH_FORWARD,
	 0, 0, 3},
	{"memory before is not moved", CODE("\x48\x89\x07\x48\x89\x07\x0f\x05\x50\xc3"), 6, -ENOENT,
	 0, 0, 0, 0},
	{"gs is not moved", CODE("\x0f\x05\x65\x48\x89\x07\xc3"), 0, -ENOENT, 0, 0, 0, 0},
	{"rip-relative before is not moved", CODE("\x48\x8b\x05\0\0\0\0\x0f\x05\x50\xc3"), 7,
	 -ENOENT, 0, 0, 0, 0},
	{"lea is adjusted", CODE("\x48\x8d\x05\0\0\0\0\x0f\x05\xc3"), 7, 0, PATCH_BACKWARD, 0, 7,
	 0},
	{"lea of the inside", CODE("\x0f\x05\x48\x89\xc7\x50\x48\x8d\x15\xf5\xff\xff\xff\xc3"), 0,
	 -ENOENT, 0, 0, 0, 0},
	{"stack is not moved", CODE("\x0f\x05\x50\x50\x50\x50\xc3"), 0, -ENOENT, 0, 0, 0, 0},
	{"both sides", CODE("\x89\xd0\x0f\x05\x89\xc3\xc3"), 2, 0, PATCH_FORWARD, 0, 2, 2},
	{"cpuid, compare after", CODE("\x0f\xa2\x3d\x01\0\0\0\xc3"), 0, 0, PATCH_FORWARD, 0, 0, 5},
	{"cpuid, nothing around", CODE("\x50\x0f\xa2\x50\xc3"), 1, 0, PATCH_INT3, 1, 0, 0},
	{"cpuid, mov before", CODE("\xb8\0\0\0\0\x0f\xa2\x50\xc3"), 5, 0, PATCH_BACKWARD, 0, 5, 0},
	{"cpuid, mov before, a target", CODE("\xb8\0\0\0\0\x0f\xa2\x50\xeb\xfb"), 5, 0, PATCH_INT3,
	 5, 0, 0},
	{"pause, padding", CODE("\xf3\x90\xc3\x90\x90\x90\x90\x90"), 0, 0, PATCH_PADDING, 0, 0, 0},
	{"pause, nothing around", CODE("\x50\xf3\x90\x50\xc3"), 1, 0, PATCH_INT3, 1, 0, 0},
	{"rdtsc traps by itself", CODE("\x50\x0f\x31\x50\xc3"), 1, -ENOENT, 0, 0, 0, 0},
	{"rdtscp, padding", CODE("\x0f\x01\xf9\xc3\x90\x90\x90\x90\x90"), 0, 0, PATCH_PADDING, 0, 0,
	 0},
	{"rdrand of 16 bits has the room", CODE("\x66\x41\x0f\xc7\xf0\xc3"), 0, 0, PATCH_DIRECT, 0,
	 0, 0},
	{"xbegin", CODE("\xc7\xf8\x01\0\0\0\xc3\xc3"), 0, 0, PATCH_DIRECT, 0, 0, 0},
	{"int80 is refused", CODE("\xcd\x80\xc3"), 0, -EOPNOTSUPP, 0, 0, 0, 0},
	{"no site", CODE("\x90\x90\xc3"), 0, -EINVAL, 0, 0, 0, 0},
	{"no site at the end", CODE("\x0f"), 0, -EINVAL, 0, 0, 0, 0},
};

static const uint32_t starts[] = {0};

static struct patch_request request_for(const struct plan_case *one)
{
	return (struct patch_request){
		.code = {(const uint8_t *)one->code, one->size, starts, 1},
		.code_address = CODE_ADDRESS,
		.site = one->site,
		.stub_address = STUB_ADDRESS,
		.stub_room = PATCH_PLAN_STUB_MAX,
		.target = {ENTRY, INSN_ENTRY, 32, 24, 40},
	};
}

/* Where the direct jump in a write goes. */
static uint64_t write_target(const struct patch_store *write)
{
	struct insn insn;

	CHECK(insn_decode(write->bytes, write->size, &insn) == 0);
	CHECK(insn.flow == INSN_FLOW_JUMP && insn.length == write->size);
	return write->address + insn.length + (uint64_t)(int64_t)insn.relative;
}

static void check_jumps(const struct patch_plan *plan)
{
	if (plan->kind == PATCH_INT3) {
		CHECK(plan->write_count == 1 && plan->stub_size == 0);
		CHECK(plan->writes[0].size == 1 && plan->writes[0].bytes[0] == 0xcc);
		return;
	}
	CHECK(plan->write_count == (plan->kind == PATCH_PADDING ? 2u : 1u));
	CHECK(write_target(&plan->writes[0]) == STUB_ADDRESS);
	CHECK(plan->writes[0].size == 5);
	if (plan->kind == PATCH_PADDING)
		CHECK(write_target(&plan->writes[1]) == plan->writes[0].address);
}

static void run_case(const struct plan_case *one)
{
	struct patch_request request = request_for(one);
	struct patch_plan plan;
	const struct patch_store *last;
	int r = patch_plan(&request, &plan);

	case_name = one->name;
	if (r != one->result)
		fprintf(stderr, "%s: result %d\n", one->name, r);
	CHECK(r == one->result);
	if (r < 0)
		return;
	last = &plan.writes[plan.write_count - 1];
	if (plan.kind != one->kind)
		fprintf(stderr, "%s: kind %s\n", one->name, patch_kind_name(plan.kind));
	CHECK(plan.kind == one->kind);
	CHECK(last->address == CODE_ADDRESS + one->last_write);
	CHECK(plan.head_size == one->head && plan.tail_size == one->tail);
	check_jumps(&plan);
	if (plan.tail_size)
		CHECK(plan.resume_address == plan.tail_to &&
		      plan.tail_address == plan.return_address);
	if (plan.tail_size)
		CHECK(!memcmp(plan.stub + (plan.tail_to - STUB_ADDRESS),
			      one->code + (plan.tail_address - CODE_ADDRESS), plan.tail_size));
	if ((uint8_t)one->code[1] != 0x8d) /* adjusted: see test_lea */
		CHECK(!memcmp(plan.stub, one->code + one->site - plan.head_size, plan.head_size));
}

/* The stub of a system call, byte for byte. */
static void test_stub_bytes(void)
{
	static const uint8_t expected[] = {
		0xb8, 0x27, 0,	  0,	0,		  /* mov $39, %eax */
		0x48, 0x8d, 0x0d, 0xfb, 0xff, 0xfe, 0xff, /* lea CODE+7(%rip), %rcx */
		0x4c, 0x8d, 0x1d, 0xf4, 0xff, 0xfe, 0xff, /* lea CODE+7(%rip), %r11 */
		0xff, 0x25, 7,	  0,	0,    0,	  /* jmp *7(%rip) */
		0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, /* so that it lies aligned */
		0x00, 0x10, 0x00, 0x00, 0xff, 0x7f, 0,	  0,
	};
	static const struct plan_case one = {
		.code = "\xb8\x27\0\0\0\x0f\x05\xc3", .size = 8, .site = 5};
	struct patch_request request = request_for(&one);
	struct patch_plan plan;

	case_name = "stub bytes";
	CHECK(patch_plan(&request, &plan) == 0);
	CHECK(plan.stub_size == sizeof(expected) && !memcmp(plan.stub, expected, sizeof(expected)));
	CHECK(plan.return_address == CODE_ADDRESS + 7 && plan.resume_address == CODE_ADDRESS + 7);
}

static void test_lea(void)
{
	static const struct plan_case one = {
		.code = "\x48\x8d\x05\x10\0\0\0\x0f\x05\xc3", .size = 10, .site = 7};
	struct patch_request request = request_for(&one);
	struct patch_plan plan;
	int32_t relative;

	case_name = "lea";
	CHECK(patch_plan(&request, &plan) == 0 && plan.head_size == 7);
	CHECK(!memcmp(plan.stub, "\x48\x8d\x05", 3));
	memcpy(&relative, plan.stub + 3, sizeof(relative));
	CHECK(STUB_ADDRESS + 7 + (uint64_t)(int64_t)relative == CODE_ADDRESS + 7 + 0x10);
}

/* andb $imm, x(%rip) and mov x(%rip), %rax behind the site: the same address from the stub. */
static void test_relative_memory(void)
{
	static const char *const codes[] = {"\x0f\x05\x80\x25\x10\0\0\0\x77\xc3",
					    "\x0f\x05\x48\x8b\x05\x10\0\0\0\xc3"};
	static const size_t places[] = {2, 3};

	case_name = "relative memory";
	for (unsigned i = 0; i < 2; i++) {
		struct plan_case one = {.code = codes[i], .size = 10};
		struct patch_request request = request_for(&one);
		struct patch_plan plan;
		const uint8_t *tail;
		int32_t relative;

		CHECK(patch_plan(&request, &plan) == 0 && plan.tail_size == 7);
		tail = plan.stub + (plan.tail_to - STUB_ADDRESS);
		CHECK(!memcmp(tail, codes[i] + 2, places[i]));
		memcpy(&relative, tail + places[i], sizeof(relative));
		CHECK(plan.tail_to + 7 + (uint64_t)(int64_t)relative == CODE_ADDRESS + 9 + 0x10);
		CHECK(i || tail[6] == 0x77);
	}
}

/* What earlier plans took is not used again. */
static void test_taken(void)
{
	static const struct plan_case one = {
		.code = "\x0f\x05\x0f\x05\xc3\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc",
		.size = 15,
		.site = 0};
	struct patch_request request = request_for(&one);
	struct patch_range taken[4];
	struct patch_plan plan;

	case_name = "taken";
	request.taken = taken;
	CHECK(patch_plan(&request, &plan) == 0 && plan.kind == PATCH_PADDING);
	memcpy(taken, plan.claimed, sizeof(plan.claimed));
	request.taken_count = 2;
	CHECK(patch_plan(&request, &plan) == -EINVAL);
	request.site = 2;
	CHECK(patch_plan(&request, &plan) == 0 && plan.kind == PATCH_PADDING);
	CHECK(plan.claimed[0].begin >= taken[0].end || plan.claimed[0].end <= taken[0].begin);
	taken[2] = (struct patch_range){5, 15};
	request.taken_count = 3;
	CHECK(patch_plan(&request, &plan) == -ENOENT);
}

/*
 * A switch behind a system call:
 *	0 syscall ; 2 cmp $-4095, %rax ; 8 lea table(%rip), %rdx ; 15 movslq (%rdx,%rax,4), %rax
 *	19 add %rdx, %rax ; 22 notrack jmp *%rax ; 25 ret ; 26 ret
 */
static const uint8_t switch_code[] = "\x0f\x05\x48\x3d\x01\xf0\xff\xff\x48\x8d\x15\xf1\x00\x00\x00"
				     "\x48\x63\x04\x82\x48\x01\xd0\x3e\xff\xe0\xc3\xc3";

#define SWITCH_TABLE 0x100 /* what the lea names, from the code; the data begins 8 before it */
#define SWITCH_SIZE  (sizeof(switch_code) - 1)
#define LINKED	     0x401000ull

struct switch_case {
	const char *name;
	uint32_t patch_at; /* bytes of the code to replace; none at 0 */
	const char *patch;
	int32_t entries[3]; /* places in the code the table names */
	uint64_t pointer;   /* before the table */
	bool no_data;
	bool window; /* else there must be none */
};

static const struct switch_case switch_cases[] = {
	{"table", 0, "", {25, 26, -1}, 0, false, true},
	{"table without its bytes", 0, "", {25, 26, -1}, 0, true, false},
	{"table that names the site", 0, "", {0, 26, -1}, 0, false, true},
	{"table that names the inside", 0, "", {25, 2, -1}, 0, false, false},
	{"no table", 0, "", {-1, -1, -1}, 0, false, false},
	{"pointer to the inside", 0, "", {25, 26, -1}, LINKED + 2, false, false},
	{"pointer to elsewhere", 0, "", {25, 26, -1}, LINKED + 25, false, true},
	{"table at another register", 10, "\x0d", {25, 26, -1}, 0, false, false},
	{"entry of 8 bytes", 16, "\x8b", {25, 26, -1}, 0, false, false},
	{"every second entry", 18, "\xc2", {25, 26, -1}, 0, false, false},
	{"another register is added", 21, "\xc8", {25, 26, -1}, 0, false, false},
	{"something subtracted", 20, "\x29", {25, 26, -1}, 0, false, false},
	{"sum into the base", 21, "\xc2\x3e\xff\xe2", {25, 26, -1}, 0, false, true},
	{"jump to another register", 24, "\xe1", {25, 26, -1}, 0, false, false},
	{"jumped into", 25, "\xeb\xf8", {25, 26, -1}, 0, false, false},
	{"a second jump", 25, "\xff\xe1", {25, 25, -1}, 0, false, false},
};

static void run_switch_case(const struct switch_case *one)
{
	uint8_t code[SWITCH_SIZE];
	_Alignas(8) uint8_t bytes[8 + sizeof(one->entries)];
	struct code_data data = {bytes, sizeof(bytes), SWITCH_TABLE - 8};
	struct plan_case base = {.code = (const char *)code, .size = sizeof(code)};
	struct patch_request request = request_for(&base);
	struct patch_plan plan;
	int r;

	case_name = one->name;
	memcpy(code, switch_code, sizeof(code));
	if (one->patch_at)
		memcpy(code + one->patch_at, one->patch, strlen(one->patch));
	memcpy(bytes, &one->pointer, 8);
	for (unsigned i = 0; i < 3; i++) {
		int32_t entry = one->entries[i] < 0 ? 0x10000 : one->entries[i] - SWITCH_TABLE;

		memcpy(bytes + 8 + 4 * i, &entry, sizeof(entry));
	}
	request.data = &data;
	request.data_count = one->no_data ? 0 : 1;
	request.code_linked = LINKED;
	r = patch_plan(&request, &plan);
	CHECK(r == (one->window ? 0 : -ENOENT));
	CHECK(r < 0 || (plan.kind == PATCH_FORWARD && plan.tail_size == 6));
}

/* jmp *table(,%rax,8) and its form with a mov; the table is all pointers. */
static void test_pointer_table(void)
{
	static const char *const jumps[] = {"\xff\x24\xc5\x00\x11\x40\x00\xc3\x90\x90\x90",
					    "\x48\x8b\x04\xc5\x00\x11\x40\x00\xff\xe0\xc3"};
	_Alignas(8) uint64_t table[2];
	struct code_data data = {(const uint8_t *)table, sizeof(table), SWITCH_TABLE};
	uint8_t code[19];
	struct plan_case base = {.code = (const char *)code, .size = sizeof(code)};
	struct patch_plan plan;

	case_name = "pointer table";
	for (unsigned i = 0; i < 2; i++) {
		struct patch_request request = request_for(&base);

		memcpy(code, switch_code, 8);
		memcpy(code + 8, jumps[i], 11);
		request.data = &data;
		request.data_count = 1;
		request.code_linked = LINKED;
		table[0] = LINKED;
		table[1] = LINKED + 15;
		CHECK(patch_plan(&request, &plan) == 0 && plan.kind == PATCH_FORWARD);
		table[1] = LINKED + 2;
		CHECK(patch_plan(&request, &plan) == -ENOENT);
		table[1] = 0;
		code[i ? 11 : 10] = 0x85; /* scaled by 4: memory of any kind */
		CHECK(patch_plan(&request, &plan) == -ENOENT);
	}
}

/* More entries than any file has: given up, not read forever. */
static void test_endless_tables(void)
{
	enum { LEAS = 2000, ENTRIES = 4096 };
	static uint8_t code[32 + 7 * LEAS];
	static int32_t entries[ENTRIES];
	struct code_data data = {(const uint8_t *)entries, sizeof(entries), sizeof(code)};
	struct plan_case base = {.code = (const char *)code, .size = sizeof(code)};
	struct patch_request request = request_for(&base);
	struct patch_plan plan;

	case_name = "endless tables";
	memset(code, 0xc3, sizeof(code));
	memcpy(code, switch_code, 8);
	for (unsigned i = 0; i < ENTRIES; i++)
		entries[i] = -1;
	for (unsigned i = 0; i < LEAS; i++) {
		size_t at = 32 + 7 * i;
		int32_t relative = (int32_t)(sizeof(code) - (at + 7));

		memcpy(code + at, "\x48\x8d\x05", 3);
		memcpy(code + at + 3, &relative, sizeof(relative));
	}
	request.data = &data;
	CHECK(patch_plan(&request, &plan) == 0);
	request.data_count = 1;
	CHECK(patch_plan(&request, &plan) == -ENOENT);
}

static void test_limits(void)
{
	static const struct plan_case one = {
		.code = "\xb8\x27\0\0\0\x0f\x05\xc3", .size = 8, .site = 5};
	static const struct plan_case cpuid = {
		.code = "\xb8\x27\0\0\0\x0f\xa2\xc3", .size = 8, .site = 5};
	struct patch_request request = request_for(&one);
	struct patch_plan plan;

	case_name = "limits";
	request.stub_room = 39;
	CHECK(patch_plan(&request, &plan) == -ENOSPC);
	request.stub_room = 40;
	CHECK(patch_plan(&request, &plan) == 0);
	request.stub_address = CODE_ADDRESS + 0x80001000ull;
	CHECK(patch_plan(&request, &plan) == -ERANGE);
	request = request_for(&cpuid);
	request.stub_room = 39;
	CHECK(patch_plan(&request, &plan) == 0 && plan.kind == PATCH_INT3);
	CHECK(plan.write_count == 1 && plan.stub_size == 0 && plan.head_size == 0);
	CHECK(plan.resume_address == CODE_ADDRESS + 7);
	request = request_for(&one);
	request.target.slot_code = 0x80000000u;
	CHECK(patch_plan(&request, &plan) == -EINVAL);
}

/* Without known starts: padding behind the site, and one instruction before it if all agree. */
static void test_unknown_starts(void)
{
	static const uint8_t site[] = {0xb8, 0x27, 0, 0,    0,	  0x0f, 0x05,
				       0x48, 0x3d, 1, 0xf0, 0xff, 0xff, 0xc3};
	static uint8_t code[128];
	struct patch_request request = {.code = {code, sizeof(code), NULL, 0},
					.code_address = CODE_ADDRESS,
					.stub_address = STUB_ADDRESS,
					.stub_room = PATCH_PLAN_STUB_MAX,
					.site = 105,
					.target = {ENTRY, INSN_ENTRY, 32, 24, 40}};
	struct patch_plan plan;

	case_name = "unknown starts";
	memset(code, 0x90, sizeof(code));
	memcpy(code + 100, site, sizeof(site));
	CHECK(patch_plan(&request, &plan) == 0 && plan.kind == PATCH_PADDING);
	code[120] = 0xc3;
	code[117] = 0xc3;
	code[123] = 0xc3;
	CHECK(patch_plan(&request, &plan) == 0 && plan.kind == PATCH_BACKWARD);
	code[99] = 0x41; /* mov $39, %r8d */
	CHECK(patch_plan(&request, &plan) == 0 && plan.head_size == 6);
	memset(code + 100, 0x50, 5);
	CHECK(patch_plan(&request, &plan) == -ENOENT);
}

static void test_scan(void)
{
	static const uint8_t code[] = "\xb8\x0f\xa2\x00\x00"	 /* mov: cpuid inside */
				      "\x0f\xa2\x0f\x31"	 /* cpuid, rdtsc */
				      "\x48\x0f\xc7\xf2"	 /* rdrand %rdx */
				      "\x66\x41\x0f\xc7\xf9"	 /* rdseed %r9w */
				      "\xf3\x41\x0f\xc7\xf8"	 /* rdpid %r8 */
				      "\x0f\x01\xf9\x0f\x01\xd0" /* rdtscp, xgetbv */
				      "\xf3\x48\x0f\xae\xdb"	 /* wrgsbase %rbx */
				      "\x66\x0f\xae\xf1"	 /* tpause %ecx */
				      "\x0f\x03\xc1"		 /* lsl %ecx, %eax */
				      "\xc7\xf8\0\0\0\0\xcd\x80" /* xbegin, int80 */
				      "\xf3\x90\x90"		 /* pause, nop */
				      "\xf3\x41\x90"		 /* xchg %r8d, %eax */
				      "\xb8\xf3\x90\0\0";	 /* mov: pause inside */
	static const struct insn_site expected[] = {
		{5, INSN_CPUID, 0, 0, 2, true},	  {7, INSN_RDTSC, 0, 0, 2, true},
		{9, INSN_RDRAND, 2, 8, 4, true},  {13, INSN_RDSEED, 9, 2, 5, true},
		{18, INSN_RDPID, 8, 8, 5, true},  {23, INSN_RDTSCP, 0, 0, 3, true},
		{26, INSN_XGETBV, 0, 0, 3, true}, {29, INSN_WRGSBASE, 3, 8, 5, true},
		{34, INSN_TPAUSE, 1, 4, 4, true}, {38, INSN_LSL, 0, 0, 3, true},
		{41, INSN_XBEGIN, 0, 0, 6, true}, {47, INSN_INT80, 0, 0, 2, true},
		{49, INSN_PAUSE, 0, 0, 2, true},
	};
	struct code_view view = {code, sizeof(code) - 1, starts, 1};
	struct insn_site *sites;
	size_t count;

	case_name = "scan";
	CHECK(insn_scan(&view, INSN_SET_ALL, &sites, &count) == 0);
	CHECK(count == sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < count; i++) {
		case_name = insn_kind_name(expected[i].kind);
		CHECK(sites[i].offset == expected[i].offset && sites[i].kind == expected[i].kind);
		CHECK(sites[i].reg == expected[i].reg && sites[i].length == expected[i].length);
		CHECK(sites[i].operand_size == expected[i].operand_size && sites[i].confirmed);
	}
	free(sites);
	CHECK(insn_scan(&view, INSN_SET(INSN_RDTSC), &sites, &count) == 0 && count == 1);
	free(sites);
}

/* An instruction behind bytes that are none, with a start before them: reported, not proven. */
static void test_scan_unconfirmed(void)
{
	static const uint8_t site[] = {0x0f, 0xa2, 0xc3};
	uint8_t code[64];
	struct code_view view = {code, sizeof(code), starts, 1};
	struct insn_site *sites;
	size_t count;

	case_name = "scan, unconfirmed";
	memset(code, 0x90, sizeof(code));
	code[0] = 0x06;
	memcpy(code + 60, site, sizeof(site));
	CHECK(insn_scan(&view, INSN_SET_LISTED, &sites, &count) == 0);
	CHECK(count == 1 && sites[0].offset == 60 && !sites[0].confirmed);
	free(sites);
	view.start_count = 0;
	CHECK(insn_scan(&view, INSN_SET_LISTED, &sites, &count) == 0);
	CHECK(count == 1 && sites[0].confirmed);
	free(sites);
}

/* What a scan says of the one place in 64 bytes of no function, 48 before it and 16 from it on. */
struct among {
	const char *name;
	char before[16]; /* repeated up to the place */
	const char *from;
	size_t from_size;
	bool confirmed;
};

static const struct among among_data[] = {
	{"cpuid in words", "\xaf\xeb\x14\x50\0\0\0\0\xaf\xeb\x14\x50\0\0\0\0",
	 CODE("\x0f\xa2\xaf\xff\x0f\0\0\0\x4f\xa2\xaf\xff\0\0\0\0"), false},
	{"lsl in words", "\xc7\xa6\xe1\0\x10\0\0\0\xc7\xa6\xe1\0\x10\0\0\0",
	 CODE("\x0f\x03\xe2\0\x10\0\0\0\x9f\x23\x12\x50\0\0\0\0"), false},
	{"xbegin in an address behind a trap",
	 "\x90\x90\x90\x90\x90\x90\x48\x31\xc0\x74\x02\xcc\x09\x4c\x8d\x35",
	 CODE("\xc7\xf8\xff\xff\x4c\x89\x70\xfd\x48\x89\x58\x05\xc3"), false},
	{"cpuid behind a branch around a trap",
	 "\x90\x90\x90\x90\x90\x90\x90\x48\x31\xc0\x74\x02\xcc\x09\x31\xc9",
	 CODE("\x0f\xa2\x89\x07\xc3"), true},
	{"xbegin in a number, in a function behind zeros",
	 "\x26\0\0\0\0\0\0\x48\xc7\xc5\x26\0\0\0\x48\x83",
	 CODE("\xc7\xf8\x48\x83\xff\x00\x0f\x8e\xa0\0\0\0\x49\x83\x6e\x68\x01"), false},
	{"cpuid behind padding", "\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\xc3\xcc\xcc\xcc\x31\xc9",
	 CODE("\x0f\xa2\x89\x07\xc3"), true},
	{"cpuid behind one byte of padding",
	 "\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x31\xc0\xc3\xcc\x31\xc9",
	 CODE("\x0f\xa2\x89\x07\xc3"), true},
};

/* Data lies among code that a program makes itself: what is in it must not be changed. */
static void test_scan_among_data(void)
{
	for (size_t i = 0; i < sizeof(among_data) / sizeof(among_data[0]); i++) {
		const struct among *a = &among_data[i];
		uint8_t code[96];
		struct code_view view = {.bytes = code, .size = sizeof(code)};
		struct insn_site *sites;
		size_t count;
		bool found = false;

		case_name = a->name;
		memset(code, 0x90, sizeof(code));
		for (size_t at = 0; at < 64; at += sizeof(a->before))
			memcpy(code + at, a->before, sizeof(a->before));
		memcpy(code + 64, a->from, a->from_size);
		CHECK(insn_scan(&view, INSN_SET_LISTED, &sites, &count) == 0);
		for (size_t k = 0; k < count; k++)
			found |= sites[k].offset == 64 && sites[k].confirmed;
		CHECK(found == a->confirmed);
		free(sites);
	}
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Random bytes: whatever comes out, nothing is read outside (for the sanitizers) or written out. */
static void test_random_bytes(void)
{
	uint32_t state = 1;

	case_name = "random bytes";
	for (unsigned round = 0; round < 2000; round++) {
		size_t size = 1 + next_random(&state) % 200;
		uint8_t *code = malloc(size);
		struct code_view view = {code, size, starts, round % 2};
		struct insn_site *sites;
		size_t count;

		CHECK(code != NULL);
		for (size_t i = 0; i < size; i++)
			code[i] = next_random(&state) % 4 ? (uint8_t)next_random(&state) : 0x0f;
		CHECK(insn_scan(&view, INSN_SET_ALL, &sites, &count) == 0);
		for (size_t i = 0; i < count; i++) {
			struct patch_request request = {.code = view,
							.code_address = CODE_ADDRESS,
							.site = sites[i].offset,
							.stub_address = STUB_ADDRESS,
							.stub_room = PATCH_PLAN_STUB_MAX};
			struct patch_plan plan;

			CHECK(sites[i].offset + sites[i].length <= size);
			if (patch_plan(&request, &plan) == 0)
				check_jumps(&plan);
		}
		free(sites);
		free(code);
	}
}

/* An image of random bytes behind a valid head never leads outside of the file. */
static void test_hostile_image(void)
{
	uint8_t file[512];
	uint32_t state = 7;

	case_name = "hostile image";
	for (unsigned round = 0; round < 20000; round++) {
		static const uint8_t head[] = "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\x3e\0";
		size_t size = 64 + next_random(&state) % (sizeof(file) - 63);
		struct elf_image image;

		for (size_t i = 0; i < sizeof(file); i++)
			file[i] = next_random(&state) % 3 ? 0 : (uint8_t)next_random(&state);
		memcpy(file, head, sizeof(head) - 1);
		file[32] = 64; /* program headers */
		memset(file + 33, 0, 7);
		file[54] = 56;
		file[55] = 0;
		file[56] &= 7;
		file[57] = 0;
		file[64] = next_random(&state) % 2 ? 1 : 0x50;
		if (elf_image_parse(file, size, &image) < 0)
			continue;
		for (size_t i = 0; i < image.data_count; i++)
			CHECK(image.data[i].file_offset + image.data[i].file_size <= size);
		for (size_t i = 0; i < image.segment_count; i++) {
			uint32_t *found;
			size_t count;

			CHECK(image.segments[i].file_offset + image.segments[i].file_size <= size);
			CHECK(elf_image_function_starts(&image, i, &found, &count) == 0);
			free(found);
		}
	}
}

int main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run_case(&cases[i]);
	test_stub_bytes();
	test_lea();
	test_relative_memory();
	test_taken();
	for (size_t i = 0; i < sizeof(switch_cases) / sizeof(switch_cases[0]); i++)
		run_switch_case(&switch_cases[i]);
	test_pointer_table();
	test_endless_tables();
	test_limits();
	test_unknown_starts();
	test_scan();
	test_scan_unconfirmed();
	test_scan_among_data();
	test_random_bytes();
	test_hostile_image();
	return 0;
}
