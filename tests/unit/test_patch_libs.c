/*
 * Scanning and planning on the real libraries this program is linked with (or on the files named
 * as arguments): lengths agree with capstone, every plan decodes back to what it should be, and
 * nearly all system calls get a window. Prints how many get which, and the times.
 */
#include <capstone/capstone.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tracer/elf_image.h"
#include "tracer/insn_scan.h"
#include "tracer/patch_plan.h"

#define CODE_ADDRESS 0x7f0000000000ull
#define STUB_ADDRESS (CODE_ADDRESS - 0x400000)
#define ENTRY	     0x7fff00001000ull
#define INSN_ENTRY   0x7fff00002000ull
#define SLOT_R11     32
#define SLOT_RESUME  24
#define SLOT_CODE    40

#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                                        \
		}                                                                       \
	} while (0)

struct file {
	uint8_t *bytes;
	size_t size;
	struct elf_image image;
};

/* The segments around the code, as patcher.c gives them. */
struct surroundings {
	struct code_data data[ELF_IMAGE_SEGMENTS_MAX];
	size_t count;
	uint64_t linked;
	struct code_targets targets;
};

struct tally {
	unsigned sites;
	unsigned kinds[PATCH_INT3 + 1];
	unsigned none;
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void file_open(struct file *file, const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0 && fstat(fd, &status) == 0);
	file->size = (size_t)status.st_size;
	file->bytes = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	close(fd);
	CHECK(file->bytes != MAP_FAILED);
	CHECK(elf_image_parse(file->bytes, file->size, &file->image) == 0);
}

static bool same_flow(const cs_insn *theirs, const struct insn *ours)
{
	uint64_t target = theirs->address + ours->length + (uint64_t)(int64_t)ours->relative;

	if (!insn_has_target(ours) || theirs->id == X86_INS_XBEGIN)
		return true;
	return theirs->detail->x86.operands[0].type == X86_OP_IMM &&
	       (uint64_t)theirs->detail->x86.operands[0].imm == target;
}

/* Compare lengths and targets; returns the number of instructions where they differ. */
static unsigned compare_decoders(const struct code_view *code, unsigned *ret_count)
{
	csh capstone;
	cs_insn *theirs;
	unsigned differing = 0;
	unsigned count = 0;
	size_t at = 0;

	CHECK(cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) == CS_ERR_OK);
	cs_option(capstone, CS_OPT_DETAIL, CS_OPT_ON);
	theirs = cs_malloc(capstone);
	while (at < code->size) {
		const uint8_t *bytes = code->bytes + at;
		size_t left = code->size - at;
		uint64_t address = at;
		struct insn ours;

		if (insn_decode(code->bytes + at, code->size - at, &ours) < 0) {
			at++;
			continue;
		}
		/* what capstone 4 does not know is no difference */
		if (!(ours.map & INSN_MAP_VECTOR) &&
		    cs_disasm_iter(capstone, &bytes, &left, &address, theirs)) {
			count++;
			if (theirs->size != ours.length || !same_flow(theirs, &ours))
				differing++;
		}
		at += ours.length;
	}
	cs_free(theirs, 1);
	cs_close(&capstone);
	*ret_count = count;
	return differing;
}

static uint64_t jump_target(const uint8_t *bytes, size_t size, uint64_t address)
{
	struct insn insn;

	CHECK(insn_decode(bytes, size, &insn) == 0 && insn.flow == INSN_FLOW_JUMP);
	return address + insn.length + (uint64_t)(int64_t)insn.relative;
}

static void check_writes(const struct patch_plan *plan, const struct patch_request *request)
{
	const struct patch_store *last = &plan->writes[plan->write_count - 1];
	uint64_t site = request->code_address + request->site;

	for (unsigned i = 0; i < plan->write_count; i++) {
		uint64_t offset = plan->writes[i].address - request->code_address;

		CHECK(offset + plan->writes[i].size <= request->code.size);
		CHECK(plan->claimed[i].begin == offset);
		CHECK(plan->claimed[i].end >= offset + plan->writes[i].size ||
		      plan->kind == PATCH_INT3);
	}
	if (plan->kind == PATCH_INT3) {
		CHECK(last->bytes[0] == 0xcc && last->address == site);
		return;
	}
	CHECK(jump_target(plan->writes[0].bytes, plan->writes[0].size, plan->writes[0].address) ==
	      request->stub_address);
	if (plan->kind == PATCH_PADDING)
		CHECK(last->address == site &&
		      jump_target(last->bytes, last->size, last->address) ==
			      plan->writes[0].address);
}

/* Address a `lea x(%rip), reg` in the stub computes. */
static uint64_t lea_value(const struct patch_plan *plan, size_t at)
{
	int32_t relative;

	memcpy(&relative, plan->stub + at + 3, sizeof(relative));
	return STUB_ADDRESS + at + 7 + (uint64_t)(int64_t)relative;
}

/* A jump to `entry`, whose address lies aligned; where it ends. */
static size_t check_jump(const struct patch_plan *plan, size_t at, uint64_t entry)
{
	uint64_t target;
	uint32_t padding;

	CHECK(!memcmp(plan->stub + at, "\xff\x25", 2));
	memcpy(&padding, plan->stub + at + 2, sizeof(padding));
	at += 6 + padding;
	CHECK(padding < 8 && (STUB_ADDRESS + at) % 8 == 0);
	memcpy(&target, plan->stub + at, sizeof(target));
	CHECK(target == entry);
	return at + 8;
}

static size_t check_core_syscall(const struct patch_plan *plan, size_t at)
{
	CHECK(!memcmp(plan->stub + at, "\x48\x8d\x0d", 3));
	CHECK(lea_value(plan, at) == plan->return_address);
	CHECK(!memcmp(plan->stub + at + 7, "\x4c\x8d\x1d", 3));
	CHECK(lea_value(plan, at + 7) == plan->resume_address);
	return check_jump(plan, at + 14, ENTRY);
}

static size_t check_core_insn(const struct patch_plan *plan, size_t at)
{
	unsigned code;

	CHECK(!memcmp(plan->stub + at, "\x65\x4c\x89\x1c\x25\x20\0\0\0\x4c\x8d\x1d", 12));
	CHECK(lea_value(plan, at + 9) == plan->resume_address);
	CHECK(!memcmp(plan->stub + at + 16, "\x65\x4c\x89\x1c\x25\x18\0\0\0", 9));
	CHECK(!memcmp(plan->stub + at + 25, "\x65\x48\xc7\x04\x25\x28\0\0\0", 9));
	memcpy(&code, plan->stub + at + 34, sizeof(code));
	CHECK(code == plan->insn);
	return check_jump(plan, at + 38, INSN_ENTRY);
}

/* What a displacement at `place` of an instruction of `length` bytes at `address` names. */
static uint64_t named(const uint8_t *bytes, size_t place, size_t length, uint64_t address)
{
	int32_t relative;

	memcpy(&relative, bytes + place, sizeof(relative));
	return address + length + (uint64_t)(int64_t)relative;
}

/* Moved instructions are the same, but for a displacement from rip, which names the same. */
static void check_moved(const struct patch_plan *plan, size_t at, uint64_t address,
			const uint8_t *original, size_t size)
{
	for (size_t done = 0; done < size;) {
		const uint8_t *moved = plan->stub + at + done;
		const uint8_t *before = original + done;
		struct insn ours, theirs;
		size_t place;

		CHECK(insn_decode(moved, size - done, &ours) == 0);
		CHECK(insn_decode(before, size - done, &theirs) == 0);
		CHECK(ours.length == theirs.length);
		if (ours.has_modrm && (ours.modrm & 0xc7) == 5) {
			place = ours.opcode_offset + (ours.map == INSN_MAP_ONE ? 2u : 3u);
			CHECK(named(moved, place, ours.length, STUB_ADDRESS + at + done) ==
			      named(before, place, ours.length, address + done));
			CHECK(!memcmp(moved, before, place));
			CHECK(!memcmp(moved + place + 4, before + place + 4,
				      ours.length - place - 4));
		} else {
			CHECK(!memcmp(moved, before, ours.length));
		}
		done += ours.length;
	}
}

static void check_stub(const struct patch_plan *plan, const struct patch_request *request)
{
	const uint8_t *site = request->code.bytes + request->site;
	unsigned kind = INSN_CODE_KIND(plan->insn);
	size_t at = plan->head_size;

	check_moved(plan, 0, plan->head_address, site - plan->head_size, plan->head_size);
	if (kind == INSN_XBEGIN)
		return;
	at = kind == INSN_SYSCALL ? check_core_syscall(plan, at) : check_core_insn(plan, at);
	CHECK(plan->return_address ==
	      request->code_address + request->site + INSN_CODE_LENGTH(plan->insn));
	if (!plan->tail_size) {
		CHECK(plan->resume_address == plan->return_address && at == plan->stub_size);
		return;
	}
	CHECK(plan->tail_to == STUB_ADDRESS + at && plan->resume_address == plan->tail_to);
	check_moved(plan, at, plan->tail_address, site + INSN_CODE_LENGTH(plan->insn),
		    plan->tail_size);
	at += plan->tail_size;
	CHECK(at + 5 == plan->stub_size);
	CHECK(jump_target(plan->stub + at, 5, STUB_ADDRESS + at) ==
	      plan->tail_address + plan->tail_size);
}

static bool traps_by_itself(unsigned kind)
{
	return kind == INSN_SYSCALL || kind == INSN_RDTSC || kind == INSN_RDTSCP;
}

static void plan_sites(const struct code_view *code, struct surroundings *around,
		       const struct insn_site *sites, size_t count, struct tally *tally)
{
	struct patch_range *taken = calloc(2 * count + 1, sizeof(*taken));
	struct patch_request request = {
		.code = *code,
		.data = around->data,
		.data_count = around->count,
		.targets = &around->targets,
		.code_linked = around->linked,
		.code_address = CODE_ADDRESS,
		.stub_address = STUB_ADDRESS,
		.stub_room = PATCH_PLAN_STUB_MAX,
		.taken = taken,
		.target = {ENTRY, INSN_ENTRY, SLOT_R11, SLOT_RESUME, SLOT_CODE}};

	CHECK(taken != NULL);
	for (size_t i = 0; i < count; i++) {
		struct patch_plan plan;
		int r;

		if (!sites[i].confirmed || (INSN_SET(sites[i].kind) & INSN_SET_REFUSED))
			continue;
		tally->sites++;
		request.site = sites[i].offset;
		r = patch_plan(&request, &plan);
		CHECK(r == 0 || (r == -ENOENT && traps_by_itself(sites[i].kind)));
		if (r < 0) {
			if (getenv("PATCH_VERBOSE"))
				printf("  no window for %s at %#x\n", insn_kind_name(sites[i].kind),
				       sites[i].offset);
			tally->none++;
			continue;
		}
		tally->kinds[plan.kind]++;
		check_writes(&plan, &request);
		if (plan.kind != PATCH_INT3)
			check_stub(&plan, &request);
		for (unsigned j = 0; j < plan.write_count; j++)
			taken[request.taken_count++] = plan.claimed[j];
	}
	free(taken);
}

static void print_tally(const char *what, const struct tally *tally, double ms)
{
	printf("  %-8s %4u sites:", what, tally->sites);
	for (unsigned i = 0; i <= PATCH_INT3; i++)
		printf(" %s %u", patch_kind_name(i), tally->kinds[i]);
	printf(", none %u; %.2f ms\n", tally->none, ms);
}

static void print_sites(const struct insn_site *sites, size_t count)
{
	unsigned confirmed[INSN_KIND_COUNT] = {0};
	unsigned unconfirmed[INSN_KIND_COUNT] = {0};

	for (size_t i = 0; i < count; i++)
		(sites[i].confirmed ? confirmed : unconfirmed)[sites[i].kind]++;
	printf("  found:");
	for (unsigned i = 0; i < INSN_KIND_COUNT; i++)
		if (confirmed[i] || unconfirmed[i])
			printf(" %s %u+%u", insn_kind_name(i), confirmed[i], unconfirmed[i]);
	printf("\n");
}

static struct tally test_plans(const struct code_view *code, struct surroundings *around,
			       uint32_t kinds, const char *what)
{
	struct tally tally = {0};
	struct insn_site *sites;
	size_t count;
	double begin;

	CHECK(insn_scan(code, kinds, &sites, &count) == 0);
	begin = now_ms();
	plan_sites(code, around, sites, count, &tally);
	print_tally(what, &tally, now_ms() - begin);
	free(sites);
	return tally;
}

static void test_scan(const struct code_view *code)
{
	struct insn_site *sites;
	size_t count;
	double begin = now_ms();

	CHECK(insn_scan(code, INSN_SET_LISTED, &sites, &count) == 0);
	printf("  scan of %zu KiB: %.2f ms", code->size / 1024, now_ms() - begin);
	free(sites);
	begin = now_ms();
	CHECK(insn_scan(code, INSN_SET_ALL, &sites, &count) == 0);
	printf(", with syscall and refused %.2f ms\n", now_ms() - begin);
	print_sites(sites, count);
	free(sites);
}

static struct surroundings surroundings_of(const struct elf_image *image, size_t index)
{
	struct surroundings around = {.count = image->data_count,
				      .linked = image->segments[index].address};

	for (size_t i = 0; i < image->data_count; i++)
		around.data[i] = (struct code_data){
			image->bytes + image->data[i].file_offset, image->data[i].file_size,
			(int64_t)(image->data[i].address - around.linked)};
	return around;
}

static void test_segment(const struct file *file, size_t index, struct tally *ret_syscalls)
{
	struct surroundings around = surroundings_of(&file->image, index);
	const struct elf_segment *segment = &file->image.segments[index];
	struct code_view code = {file->bytes + segment->file_offset, segment->file_size, NULL, 0};
	unsigned differing, compared;
	struct tally rdtsc;
	uint32_t *starts;
	double begin = now_ms();

	CHECK(elf_image_function_starts(&file->image, index, &starts, &code.start_count) == 0);
	code.starts = starts;
	printf("  %zu function starts: %.2f ms\n", code.start_count, now_ms() - begin);
	test_scan(&code);
	differing = compare_decoders(&code, &compared);
	printf("  %u instructions compared, %u differ\n", compared, differing);
	/* data among code decodes to anything; a real fault would show up everywhere */
	CHECK(differing <= compared / 10000);
	rdtsc = test_plans(&code, &around, INSN_SET(INSN_RDTSC) | INSN_SET(INSN_RDTSCP), "rdtsc");
	/* the dynamic linker times itself a dozen times in each process, in one function */
	CHECK(rdtsc.sites < 16 || rdtsc.none * 10 <= rdtsc.sites);
	test_plans(&code, &around, INSN_SET_LISTED, "listed");
	*ret_syscalls = test_plans(&code, &around, INSN_SET(INSN_SYSCALL), "syscall");
	code_targets_finish(&around.targets);
	free(starts);
}

static void test_file(const char *path)
{
	struct tally syscalls = {0};
	struct file file;

	printf("%s\n", path);
	file_open(&file, path);
	for (size_t i = 0; i < file.image.segment_count; i++)
		test_segment(&file, i, &syscalls);
	/* the C library: what the speed of everything hangs on */
	if (syscalls.sites > 400) {
		CHECK(syscalls.kinds[PATCH_PADDING] * 526 >= syscalls.sites * 460);
		CHECK(syscalls.none * 50 <= syscalls.sites);
	}
	munmap(file.bytes, file.size);
}

static int test_loaded(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	if (info->dlpi_name[0] == '/')
		test_file(info->dlpi_name);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		test_file(argv[i]);
	if (argc < 2)
		dl_iterate_phdr(test_loaded, NULL);
	return 0;
}
