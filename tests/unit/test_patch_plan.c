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
	{"memory is not moved", CODE("\x0f\x05\x48\x89\x07\x48\x89\x07\xc3"), 0, -ENOENT, 0, 0, 0,
	 0},
	{"rip-relative is not moved", CODE("\x0f\x05\x48\x8b\x05\0\0\0\0\xc3"), 0, -ENOENT, 0, 0, 0,
	 0},
	{"lea is adjusted", CODE("\x48\x8d\x05\0\0\0\0\x0f\x05\xc3"), 7, 0, PATCH_BACKWARD, 0, 7,
	 0},
	{"lea of the inside", CODE("\x0f\x05\x48\x89\xc7\x50\x48\x8d\x15\xf5\xff\xff\xff\xc3"), 0,
	 -ENOENT, 0, 0, 0, 0},
	{"stack is not moved", CODE("\x0f\x05\x50\x50\x50\x50\xc3"), 0, -ENOENT, 0, 0, 0, 0},
	{"both sides", CODE("\x89\xd0\x0f\x05\x89\xc3\xc3"), 2, 0, PATCH_FORWARD, 0, 2, 2},
	{"cpuid, compare after", CODE("\x0f\xa2\x3d\x01\0\0\0\xc3"), 0, 0, PATCH_FORWARD, 0, 0, 5},
	{"cpuid, nothing around", CODE("\x50\x0f\xa2\x50\xc3"), 1, 0, PATCH_INT3, 1, 0, 0},
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
		0xff, 0x25, 0,	  0,	0,    0,	  /* jmp *0(%rip) */
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

static void test_limits(void)
{
	static const struct plan_case one = {
		.code = "\xb8\x27\0\0\0\x0f\x05\xc3", .size = 8, .site = 5};
	struct patch_request request = request_for(&one);
	struct patch_plan plan;

	case_name = "limits";
	request.stub_room = 32;
	CHECK(patch_plan(&request, &plan) == -ENOSPC);
	request.stub_room = 33;
	CHECK(patch_plan(&request, &plan) == 0);
	request.stub_address = CODE_ADDRESS + 0x80001000ull;
	CHECK(patch_plan(&request, &plan) == -ERANGE);
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
	static const uint8_t code[] = "\xb8\x0f\xa2\x00\x00"	  /* mov: cpuid inside */
				      "\x0f\xa2\x0f\x31"	  /* cpuid, rdtsc */
				      "\x48\x0f\xc7\xf2"	  /* rdrand %rdx */
				      "\x66\x41\x0f\xc7\xf9"	  /* rdseed %r9w */
				      "\xf3\x41\x0f\xc7\xf8"	  /* rdpid %r8 */
				      "\x0f\x01\xf9\x0f\x01\xd0"  /* rdtscp, xgetbv */
				      "\xf3\x48\x0f\xae\xdb"	  /* wrgsbase %rbx */
				      "\x66\x0f\xae\xf1"	  /* tpause %ecx */
				      "\xc7\xf8\0\0\0\0\xcd\x80"; /* xbegin, int80 */
	static const struct insn_site expected[] = {
		{5, INSN_CPUID, 0, 0, 2, true},	  {7, INSN_RDTSC, 0, 0, 2, true},
		{9, INSN_RDRAND, 2, 8, 4, true},  {13, INSN_RDSEED, 9, 2, 5, true},
		{18, INSN_RDPID, 8, 8, 5, true},  {23, INSN_RDTSCP, 0, 0, 3, true},
		{26, INSN_XGETBV, 0, 0, 3, true}, {29, INSN_WRGSBASE, 3, 8, 5, true},
		{34, INSN_TPAUSE, 1, 4, 4, true}, {38, INSN_XBEGIN, 0, 0, 6, true},
		{44, INSN_INT80, 0, 0, 2, true},
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
	test_taken();
	test_limits();
	test_unknown_starts();
	test_scan();
	test_scan_unconfirmed();
	test_random_bytes();
	test_hostile_image();
	return 0;
}
