/* See patch_stub.h.  Owns nothing: what is emitted goes into the plan. */
#include "patch_stub.h"

#include <errno.h>
#include <string.h>

void emit(struct emitter *out, const void *bytes, size_t size)
{
	if (!out->error && size > out->room - out->size)
		out->error = -ENOSPC;
	if (out->error)
		return;
	memcpy(out->bytes + out->size, bytes, size);
	out->size += size;
}

/* A 32-bit displacement to `target` that ends the instruction. */
static void emit_relative(struct emitter *out, uint64_t target)
{
	int64_t distance = (int64_t)(target - (out->address + out->size + 4));
	int32_t relative = (int32_t)distance;

	if (!out->error && relative != distance)
		out->error = -ERANGE;
	emit(out, &relative, sizeof(relative));
}

void emit_jump(struct emitter *out, uint64_t target)
{
	emit(out, "\xe9", 1);
	emit_relative(out, target);
}

/* How far the address of an absolute jump is moved on to lie aligned: the app may have asked for
 * faults where one does not (EFLAGS.AC). */
static uint32_t jump_padding(uint64_t at)
{
	return (uint32_t)(-at % sizeof(uint64_t));
}

static void emit_jump_absolute(struct emitter *out, uint64_t target)
{
	uint32_t before = jump_padding(out->address + out->size + 6);

	emit(out, "\xff\x25", 2); /* jmp *before(%rip) */
	emit(out, &before, sizeof(before));
	emit(out, "\xcc\xcc\xcc\xcc\xcc\xcc\xcc", before);
	emit(out, &target, sizeof(target));
}

static void emit_syscall(struct emitter *out, const struct patch_plan *plan,
			 const struct patch_target *target)
{
	emit(out, "\x48\x8d\x0d", 3); /* lea after(%rip), %rcx */
	emit_relative(out, plan->return_address);
	emit(out, "\x4c\x8d\x1d", 3); /* lea resume(%rip), %r11 */
	emit_relative(out, plan->resume_address);
	emit_jump_absolute(out, target->syscall_entry);
}

void emit_insn(struct emitter *out, const struct patch_plan *plan,
	       const struct patch_target *target)
{
	emit(out, "\x65\x4c\x89\x1c\x25", 5); /* mov %r11, %gs:slot */
	emit(out, &target->slot_r11, 4);
	emit(out, "\x4c\x8d\x1d", 3); /* lea resume(%rip), %r11 */
	emit_relative(out, plan->resume_address);
	emit(out, "\x65\x4c\x89\x1c\x25", 5);
	emit(out, &target->slot_resume, 4);
	emit(out, "\x65\x48\xc7\x04\x25", 5); /* movq $code, %gs:slot */
	emit(out, &target->slot_code, 4);
	emit(out, &plan->insn, 4);
	emit_jump_absolute(out, target->insn_entry);
}

/* A transaction that always aborts, and says that retrying is no use. */
static void emit_xbegin(struct emitter *out, const struct patch_plan *plan)
{
	emit(out, "\xb8\0\0\0\0", 5); /* mov $0, %eax */
	emit_jump(out, plan->resume_address);
}

/* Size of what the three functions above emit at `start`: the tail comes after it. */
static size_t core_size(unsigned kind, uint64_t start)
{
	size_t size = kind == INSN_SYSCALL ? 28 : 52;

	if (kind == INSN_XBEGIN)
		return 10;
	return size + jump_padding(start + size - sizeof(uint64_t));
}

static void plan_moves(const struct near *near, const struct window *window,
		       struct patch_plan *plan)
{
	uint64_t site_end = near_address(near, near->request->site + near->site.length);

	plan->head_size = (uint32_t)(near->request->site - window->begin);
	plan->head_address = near_address(near, window->begin);
	plan->head_to = near->request->stub_address;
	plan->tail_address = site_end;
	plan->tail_to = plan->head_to + plan->head_size;
	plan->tail_to += core_size(near->site.kind, plan->tail_to);
	if (window->covers_site)
		plan->tail_size = (uint32_t)(near_address(near, window->end) - site_end);
	if (plan->tail_size)
		plan->resume_address = plan->tail_to;
}

/* Where in the instruction a displacement from rip is, or 0 if it has none. */
static size_t relative_place(const struct insn *insn)
{
	static const uint8_t opcode_sizes[] = {
		[INSN_MAP_ONE] = 1, [INSN_MAP_0F] = 2, [INSN_MAP_0F38] = 3, [INSN_MAP_0F3A] = 3};

	if (!insn->has_modrm || (insn->modrm & 0xc7) != 0x05 || insn->map > INSN_MAP_0F3A)
		return 0;
	return insn->opcode_offset + opcode_sizes[insn->map] + 1u;
}

void emit_copy(struct emitter *out, const struct near *near, size_t at, const struct insn *insn)
{
	const uint8_t *bytes = near->request->code.bytes + at;
	size_t place = relative_place(insn);
	size_t rest = insn->length - (place + 4);
	int32_t relative;

	if (!place) {
		emit(out, bytes, insn->length);
		return;
	}
	memcpy(&relative, bytes + place, sizeof(relative));
	emit(out, bytes, place);
	/* counted from the end of the instruction, which an immediate may still come before */
	emit_relative(out,
		      near_address(near, at + insn->length) + (uint64_t)(int64_t)relative - rest);
	emit(out, bytes + place + 4, rest);
}

/* Copies of the instructions in [begin, end), which were found movable. */
static void emit_moved(struct emitter *out, const struct near *near, size_t begin, size_t end)
{
	const uint8_t *bytes = near->request->code.bytes;

	while (begin < end) {
		struct insn insn;

		if (insn_decode(bytes + begin, end - begin, &insn) < 0) {
			out->error = -EINVAL;
			return;
		}
		emit_copy(out, near, begin, &insn);
		begin += insn.length;
	}
}

int patch_stub_plan(const struct near *near, const struct window *window, struct patch_plan *plan)
{
	const struct patch_request *request = near->request;
	size_t site_end = request->site + near->site.length;
	struct emitter out = stub_emitter(near, plan);

	plan_moves(near, window, plan);
	emit_moved(&out, near, window->begin, request->site);
	if (near->site.kind == INSN_SYSCALL)
		emit_syscall(&out, plan, &request->target);
	else if (near->site.kind == INSN_XBEGIN)
		emit_xbegin(&out, plan);
	else
		emit_insn(&out, plan, &request->target);
	emit_moved(&out, near, site_end, site_end + plan->tail_size);
	if (plan->tail_size)
		emit_jump(&out, near_address(near, window->end));
	plan->stub_size = out.size;
	return out.error;
}
