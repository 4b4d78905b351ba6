/*
 * Planning how a listed instruction is redirected into the shim.
 *
 * A plan is bytes to write and where; nothing is written here. See patch_plan.c for the shapes.
 */
#ifndef SHADOW_TRACER_PATCH_PLAN_H
#define SHADOW_TRACER_PATCH_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "code_targets.h"
#include "insn_decode.h"
#include "insn_kind.h"

#define PATCH_STORE_MAX	    8
#define PATCH_STORES_MAX    2
#define PATCH_PLAN_STUB_MAX 128

/* How the instruction is reached from its site. */
enum patch_kind {
	PATCH_PADDING,	/* short jump at the site, to a jump in dead padding; nothing is moved */
	PATCH_DIRECT,	/* the instruction itself has room for a jump */
	PATCH_BACKWARD, /* instructions before it are moved into the stub's head */
	PATCH_FORWARD,	/* instructions after it (and perhaps before it) are moved into the stub */
	PATCH_INT3,	/* a breakpoint: the tracer emulates */
};

/* A range of offsets from the beginning of the code. */
struct patch_range {
	uint32_t begin;
	uint32_t end;
};

struct patch_store {
	uint64_t address;
	uint8_t size;
	uint8_t bytes[PATCH_STORE_MAX];
};

/* What the stubs jump to and where they leave things; the same for a whole container. */
struct patch_target {
	uint64_t syscall_entry; /* rcx: address after the call; r11: where to go on */
	uint64_t insn_entry;	/* as told by the three words in the slot */
	uint32_t slot_r11;	/* offsets from GS base of 64-bit words: the app's r11, ... */
	uint32_t slot_resume;	/* ... where to go on, ... */
	uint32_t slot_code;	/* ... the INSN_CODE */
};

struct patch_request {
	/*
	 * The executable segment as its file has it, before any patch (for code without a file:
	 * with the original bytes at patched places).
	 */
	struct code_view code;
	/* The rest of the file, where jump tables are; none if it is not known. */
	const struct code_data *data;
	size_t data_count;
	struct code_targets *targets; /* kept from plan to plan for the code; or NULL */
	uint64_t code_linked;  /* address of code.bytes[0] as linked: what pointers in data hold */
	uint64_t code_address; /* of code.bytes[0] in the app */
	uint32_t site;	       /* offset of the instruction, which is known to be one */
	uint64_t stub_address;
	size_t stub_room; /* bytes left there */
	const struct patch_range *taken;
	size_t taken_count; /* all `claimed` ranges of earlier plans for this code, any order */
	struct patch_target target;
};

struct patch_plan {
	enum patch_kind kind;
	/* To be written after the stub, in this order: the last one is what takes effect. */
	struct patch_store writes[PATCH_STORES_MAX];
	unsigned write_count;
	struct patch_range claimed[PATCH_STORES_MAX]; /* one for each write */
	uint8_t stub[PATCH_PLAN_STUB_MAX];
	size_t stub_size; /* 0 for PATCH_INT3 */
	unsigned insn;	  /* INSN_CODE of the instruction */
	/* The address after the original instruction, and where the app goes on after it. */
	uint64_t return_address;
	uint64_t resume_address;
	/*
	 * Instructions moved, each as long as before (a displacement from rip is adjusted, nothing
	 * else changes): [tail_address, + tail_size) now runs at tail_to, and the
	 * head likewise; size 0 if there are none. A frame must show the original address for a
	 * place in the stub, and a return to a tail's original address must go to the stub: the
	 * original bytes are gone.
	 */
	uint64_t tail_address; /* behind the site */
	uint64_t tail_to;
	uint32_t tail_size;
	uint64_t head_address; /* before the site */
	uint64_t head_to;
	uint32_t head_size;
};

/*
 * Plan the patch of the listed instruction at request->site.
 * Returns 0 with *ret_plan filled, -EINVAL if there is no such instruction at the site, its bytes
 * are taken, or a slot offset is above 2 GiB; -ENOENT if an instruction that traps by itself (a
 * system call, rdtsc, rdtscp) has no usable window; -ERANGE if the stub is out of reach, -ENOSPC if
 * its room does not suffice; -EOPNOTSUPP for the refused kinds; -ENOMEM if the disassembler cannot
 * be set up.
 */
int patch_plan(const struct patch_request *request, struct patch_plan *ret_plan);

/*
 * The same for a yield point behind the instruction at request->site, which may be any but a listed
 * one: it is moved into the stub if that can be done, else a breakpoint stands in its place, and
 * the tracer executes it.  -EINVAL as there, and for a listed instruction; -ENOMEM.
 */
int patch_plan_yield(const struct patch_request *request, struct patch_plan *ret_plan);

/* Whether the instruction can be moved for it. */
bool patch_can_yield(const struct insn *insn);

/* Name of a kind, for --stats; "?" if out of range. */
const char *patch_kind_name(enum patch_kind kind);

#endif
