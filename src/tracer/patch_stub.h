/*
 * The code of stubs, and the jumps to them.
 *
 *   stub:      moved heads
 *              lea after_site(%rip), %rcx ; lea resume(%rip), %r11 ; jmp *entry
 *              moved tails ; jmp end of window                (only with tails; resume is here)
 *
 * Jumps, never calls: a push would destroy the red zone. No stub touches flags or the stack.
 */
#ifndef SHADOW_TRACER_PATCH_STUB_H
#define SHADOW_TRACER_PATCH_STUB_H

#include "patch_window.h"

struct emitter {
	uint8_t *bytes;
	size_t room;
	size_t size;
	uint64_t address;
	int error; /* the first one; emitting goes on without effect */
};

/* Appends bytes; -ENOSPC in out->error if there is no room. */
void emit(struct emitter *out, const void *bytes, size_t size);

/* A jump to `target`; -ERANGE in out->error if it is too far. */
void emit_jump(struct emitter *out, uint64_t target);

/* A copy of one instruction; what it names relative to itself follows it to its new place. */
void emit_copy(struct emitter *out, const struct near *near, size_t at, const struct insn *insn);

/* What hands an instruction other than a system call to the shim. */
void emit_insn(struct emitter *out, const struct patch_plan *plan,
	       const struct patch_target *target);

/* An emitter of the plan's stub. */
static inline struct emitter stub_emitter(const struct near *near, struct patch_plan *plan)
{
	const struct patch_request *request = near->request;
	size_t room = request->stub_room;

	return (struct emitter){.bytes = plan->stub,
				.room = room < PATCH_PLAN_STUB_MAX ? room : PATCH_PLAN_STUB_MAX,
				.address = request->stub_address};
}

/* The stub, with what the window moves.  -ENOSPC, -ERANGE, or -EINVAL for what does not decode. */
int patch_stub_plan(const struct near *near, const struct window *window, struct patch_plan *plan);

#endif
