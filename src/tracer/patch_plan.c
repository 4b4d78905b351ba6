/*
 * Planning patches.
 *
 *   padding    site: jmp short pad         pad: jmp stub      (dead bytes within 127)
 *   direct     site: jmp stub                                 (the instruction has 5 bytes)
 *   backward   head: jmp stub ; [site]                        (heads moved; a site that traps
 *                                                              by itself may be jumped to)
 *   forward    site: jmp stub ; [rest]                        (tails moved)
 *   int3       site: int3                                     (not if it traps by itself)
 *
 * Padding is nops and int3 directly behind an instruction that never goes on, which nothing in
 * the functions nearby jumps to (patch_near.h).  What may be moved: patch_window.h; the stub:
 * patch_stub.h.
 *
 * Owns nothing. Invariant: all decoding is of unpatched bytes, so a plan depends only on the
 * file, the ranges taken before, and the stub's address.
 */
#include "patch_plan.h"

#include <errno.h>
#include <string.h>

#include "patch_near.h"
#include "patch_stub.h"
#include "patch_window.h"

const char *patch_kind_name(enum patch_kind kind)
{
	static const char *const names[] = {"padding", "direct", "backward", "forward", "int3"};

	return (unsigned)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

/* Add a write at `begin`, claiming up to `end`; the returned emitter takes its bytes. */
static struct emitter add_write(const struct near *near, struct patch_plan *plan, size_t begin,
				size_t end)
{
	struct patch_store *write = &plan->writes[plan->write_count];

	plan->claimed[plan->write_count] = (struct patch_range){(uint32_t)begin, (uint32_t)end};
	plan->write_count++;
	write->address = near_address(near, begin);
	return (struct emitter){
		.bytes = write->bytes, .room = sizeof(write->bytes), .address = write->address};
}

/* Finish a write; all of them are jumps of a size known before. */
static int end_write(struct patch_plan *plan, const struct emitter *out)
{
	plan->writes[plan->write_count - 1].size = (uint8_t)out->size;
	return out->error;
}

static int write_jump(const struct near *near, struct patch_plan *plan, size_t begin, size_t end)
{
	struct emitter out = add_write(near, plan, begin, end);

	emit_jump(&out, near->request->stub_address);
	return end_write(plan, &out);
}

static int plan_padding(const struct near *near, struct patch_plan *plan)
{
	size_t site = near->request->site;
	size_t padding = near_padding(near);
	struct window nothing = {site, site + near->site.length, true};
	struct emitter out;
	uint8_t distance;
	int r;

	/* a direct jump is as good, and spares the padding */
	if (!padding || near->site.length >= JUMP_SIZE)
		return -ENOENT;
	plan->kind = PATCH_PADDING;
	r = patch_stub_plan(near, &nothing, plan);
	if (r == 0)
		r = write_jump(near, plan, padding, padding + JUMP_SIZE);
	if (r < 0)
		return r;
	out = add_write(near, plan, site, site + near->site.length);
	distance = (uint8_t)(padding - (site + 2));
	emit(&out, "\xeb", 1);
	emit(&out, &distance, 1);
	return end_write(plan, &out);
}

static int plan_window(struct near *near, struct patch_plan *plan)
{
	struct window window;
	int r;

	r = window_find(near, &window);
	if (r < 0)
		return r;
	r = patch_stub_plan(near, &window, plan);
	if (r < 0)
		return r;
	plan->kind = plan->tail_size   ? PATCH_FORWARD
		     : plan->head_size ? PATCH_BACKWARD
				       : PATCH_DIRECT;
	return write_jump(near, plan, window.begin, window.end);
}

static int plan_int3(const struct near *near, struct patch_plan *plan)
{
	size_t site = near->request->site;
	struct emitter out;

	if (near_traps(near))
		return -ENOENT;
	plan->kind = PATCH_INT3;
	out = add_write(near, plan, site, site + near->site.length);
	emit(&out, "\xcc", 1);
	return end_write(plan, &out);
}

static int check_request(const struct patch_request *request, struct insn_site *ret_site)
{
	const struct patch_target *target = &request->target;
	const struct code_view *code = &request->code;

	if (request->site >= code->size || code->size > UINT32_MAX ||
	    insn_classify(code->bytes + request->site, code->size - request->site, ret_site) < 0)
		return -EINVAL;
	if ((target->slot_r11 | target->slot_resume | target->slot_code) > INT32_MAX)
		return -EINVAL;
	return INSN_SET(ret_site->kind) & INSN_SET_REFUSED ? -EOPNOTSUPP : 0;
}

/* Where the app goes on after the instruction when nothing is moved. */
static uint64_t natural_resume(const struct near *near, uint64_t return_address)
{
	int32_t relative;

	if (near->site.kind != INSN_XBEGIN)
		return return_address;
	memcpy(&relative, near->request->code.bytes + near->request->site + near->site.length - 4,
	       4);
	return return_address + (uint64_t)(int64_t)relative;
}

static int plan_site(struct near *near, struct patch_plan *ret_plan)
{
	const struct patch_request *request = near->request;
	struct patch_plan plan = {0}, common;
	int r;

	near_look(near);
	for (size_t i = 0; i < near->site.length; i++)
		if (near_marked(near, request->site + i, MARK_TAKEN))
			return -EINVAL;
	plan.insn = INSN_CODE(near->site.kind, near->site.reg, near->site.operand_size,
			      near->site.length);
	plan.return_address = near_address(near, request->site + near->site.length);
	plan.resume_address = natural_resume(near, plan.return_address);
	common = plan;
	r = plan_padding(near, &plan);
	if (r == -ENOENT)
		r = plan_window(near, &plan);
	if (r < 0) {
		/* better a slow answer than the host's, also if the stubs are full or too far */
		if (plan_int3(near, &common) < 0)
			return r;
		plan = common;
	}
	*ret_plan = plan;
	return 0;
}

int patch_plan(const struct patch_request *request, struct patch_plan *ret_plan)
{
	struct code_targets own = {0};
	struct near near = {.request = request,
			    .targets = request->targets ? request->targets : &own};
	int r = check_request(request, &near.site);

	if (r == 0)
		r = plan_site(&near, ret_plan);
	code_targets_finish(&own);
	return r;
}

/* ---- yield points ---- */

/* The whole of the instruction moves, so it must be large enough, and stay what it is elsewhere. */
bool patch_can_yield(const struct insn *insn)
{
	return insn->length >= JUMP_SIZE && insn->flow == INSN_FLOW_NEXT &&
	       insn->map <= INSN_MAP_0F3A;
}

static int yield_moved(struct near *near, const struct insn *insn, struct patch_plan *plan)
{
	const struct patch_request *request = near->request;
	struct emitter out = stub_emitter(near, plan);

	plan->kind = PATCH_DIRECT;
	emit_copy(&out, near, request->site, insn);
	emit_insn(&out, plan, &request->target);
	plan->stub_size = out.size;
	plan->tail_address = near_address(near, request->site);
	plan->tail_to = request->stub_address;
	plan->tail_size = insn->length;
	if (out.error < 0)
		return out.error;
	return write_jump(near, plan, request->site, request->site + insn->length);
}

static int yield_breakpoint(struct near *near, const struct insn *insn, struct patch_plan *plan)
{
	struct emitter out =
		add_write(near, plan, near->request->site, near->request->site + insn->length);

	plan->kind = PATCH_INT3;
	emit(&out, "\xcc", 1);
	return end_write(plan, &out);
}

static int plan_yield(struct near *near, const struct insn *insn, struct patch_plan *ret_plan)
{
	struct patch_plan plan = {0}, common;
	int r = -ENOENT;

	plan.insn = INSN_CODE(INSN_YIELD, 0, 0, insn->length);
	plan.return_address = near_address(near, near->request->site + insn->length);
	plan.resume_address = plan.return_address;
	common = plan;
	if (patch_can_yield(insn))
		r = yield_moved(near, insn, &plan);
	if (r < 0) {
		r = yield_breakpoint(near, insn, &common);
		plan = common;
	}
	if (r == 0)
		*ret_plan = plan;
	return r;
}

int patch_plan_yield(const struct patch_request *request, struct patch_plan *ret_plan)
{
	const struct code_view *code = &request->code;
	struct near near = {.request = request};
	struct insn_site listed;
	struct insn insn;

	if (request->site >= code->size || code->size > UINT32_MAX ||
	    insn_classify(code->bytes + request->site, code->size - request->site, &listed) == 0 ||
	    insn_decode(code->bytes + request->site, code->size - request->site, &insn) < 0)
		return -EINVAL;
	for (size_t i = 0; i < request->taken_count; i++) {
		if (request->taken[i].begin < request->site + insn.length &&
		    request->taken[i].end > request->site)
			return -EINVAL;
	}
	return plan_yield(&near, &insn, ret_plan);
}
