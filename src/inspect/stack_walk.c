/*
 * See stack_walk.h.  libunwind walks; what it asks for (memory, registers, the unwind table of the
 * object at an address) comes from the view.  The table is the binary search table of .eh_frame_hdr
 * in the task's memory; or one made for an object without, which libunwind finds at MADE_AT, where
 * nothing of the app can be.  Without any it goes by frame pointers.
 */
#include "stack_walk.h"

#include <libunwind.h>
#include <stdlib.h>
#include <string.h>

#include "unwind_table.h"

/* In libunwind's library and not in its header, for users that have a table in another process. */
extern int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t space, unw_word_t ip,
					      unw_dyn_info_t *table, unw_proc_info_t *info,
					      int need_unwind_info, void *arg);
#define search_unwind_table UNW_OBJ(dwarf_search_unwind_table)

/* The head of .eh_frame_hdr, in the one form linkers write; entries of two u32 follow. */
struct eh_frame_hdr {
	uint8_t version, eh_frame_enc, count_enc, table_enc;
	int32_t eh_frame;
	uint32_t count;
};
#define ENC_PCREL_S4   0x1b
#define ENC_U4	       0x03
#define ENC_DATAREL_S4 0x3b
#define TABLE_ENTRY    8

#define MADE_AT REGION_BASE

struct walk {
	struct task_view *view;
	uint64_t made_for; /* first address of the object that `made` is for, or of which none can
			    * be made; 0: none yet */
	struct unwind_table made;
};

static void describe(unw_dyn_info_t *table, const struct task_object *object, uint64_t base,
		     uint64_t at, uint64_t count)
{
	*table = (unw_dyn_info_t){
		.start_ip = object->first->start,
		.end_ip = object->end,
		.format = UNW_INFO_FORMAT_REMOTE_TABLE,
		.u.rti = {.segbase = base,
			  .table_data = at,
			  .table_len = count * TABLE_ENTRY / sizeof(unw_word_t)},
	};
}

static bool make_table(struct walk *w, const struct task_object *object, unw_dyn_info_t *table)
{
	_Static_assert(sizeof(struct unwind_entry) == TABLE_ENTRY, "as in .eh_frame_hdr");
	if (w->made_for != object->first->start) {
		free(w->made.entries);
		w->made = (struct unwind_table){0};
		w->made_for = object->first->start;
		unwind_table_make(w->view, object, &w->made);
	}
	describe(table, object, w->made.base, MADE_AT, w->made.count);
	return w->made.count > 0;
}

static bool find_table(struct walk *w, uint64_t ip, unw_dyn_info_t *table)
{
	const struct task_view *view = w->view;
	struct task_object object;
	struct eh_frame_hdr hdr;
	uint64_t at = 0;

	if (!task_view_object(view, ip, &object))
		return false;
	for (size_t i = 0; i < object.phdr_count; i++) {
		if (object.phdrs[i].p_type == PT_GNU_EH_FRAME)
			at = object.bias + object.phdrs[i].p_vaddr;
	}
	if (at == 0 || !task_view_read(view, at, &hdr, sizeof(hdr)) || hdr.version != 1 ||
	    hdr.eh_frame_enc != ENC_PCREL_S4 || hdr.count_enc != ENC_U4 ||
	    hdr.table_enc != ENC_DATAREL_S4)
		return make_table(w, &object, table);
	describe(table, &object, at, at + sizeof(hdr), hdr.count);
	return true;
}

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *info, int need,
			  void *arg)
{
	unw_dyn_info_t table;

	if (!find_table(arg, ip, &table))
		return -UNW_ENOINFO;
	return search_unwind_table(space, ip, &table, info, need, arg);
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *info, void *arg)
{
	(void)space, (void)info, (void)arg;
}

static int no_list(unw_addr_space_t space, unw_word_t *address, void *arg)
{
	(void)space, (void)address, (void)arg;
	return -UNW_ENOINFO;
}

static bool read_made(const struct walk *w, uint64_t offset, unw_word_t *value)
{
	uint64_t size = w->made.count * TABLE_ENTRY;

	if (offset > size || sizeof(*value) > size - offset)
		return false;
	memcpy(value, (const uint8_t *)w->made.entries + offset, sizeof(*value));
	return true;
}

static int access_mem(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int write,
		      void *arg)
{
	const struct walk *w = arg;
	bool shim = address >= SHIM_BASE && address < SHIM_LIMIT;

	(void)space;
	if (write || (shim && !read_made(w, address - MADE_AT, value)) ||
	    (!shim && !task_view_read(w->view, address, value, sizeof(*value))))
		return -UNW_EINVAL;
	return 0;
}

static int access_reg(unw_addr_space_t space, unw_regnum_t reg, unw_word_t *value, int write,
		      void *arg)
{
	const struct frame *f = &((struct walk *)arg)->view->frame;
	const uint64_t values[] = {
		[UNW_X86_64_RAX] = f->rax,    [UNW_X86_64_RDX] = f->arg[2],
		[UNW_X86_64_RCX] = f->rcx,    [UNW_X86_64_RBX] = f->rbx,
		[UNW_X86_64_RSI] = f->arg[1], [UNW_X86_64_RDI] = f->arg[0],
		[UNW_X86_64_RBP] = f->rbp,    [UNW_X86_64_RSP] = f->rsp,
		[UNW_X86_64_R8] = f->arg[4],  [UNW_X86_64_R9] = f->arg[5],
		[UNW_X86_64_R10] = f->arg[3], [UNW_X86_64_R11] = f->r11,
		[UNW_X86_64_R12] = f->r12,    [UNW_X86_64_R13] = f->r13,
		[UNW_X86_64_R14] = f->r14,    [UNW_X86_64_R15] = f->r15,
		[UNW_X86_64_RIP] = f->rip,
	};

	(void)space;
	if (write || reg < 0 || (size_t)reg >= sizeof(values) / sizeof(*values))
		return -UNW_EBADREG;
	*value = values[reg];
	return 0;
}

static int no_fpreg(unw_addr_space_t space, unw_regnum_t reg, unw_fpreg_t *value, int write,
		    void *arg)
{
	(void)space, (void)reg, (void)value, (void)write, (void)arg;
	return -UNW_EBADREG;
}

static int no_resume(unw_addr_space_t space, unw_cursor_t *cursor, void *arg)
{
	(void)space, (void)cursor, (void)arg;
	return -UNW_EINVAL;
}

static int no_name(unw_addr_space_t space, unw_word_t address, char *name, size_t size,
		   unw_word_t *offset, void *arg)
{
	(void)space, (void)address, (void)name, (void)size, (void)offset, (void)arg;
	return -UNW_ENOINFO;
}

static unw_accessors_t accessors = {
	.find_proc_info = find_proc_info,
	.put_unwind_info = put_unwind_info,
	.get_dyn_info_list_addr = no_list,
	.access_mem = access_mem,
	.access_reg = access_reg,
	.access_fpreg = no_fpreg,
	.resume = no_resume,
	.get_proc_name = no_name,
};

/*
 * The frames behind the first.  Of a cursor that has left a signal's frame libunwind says that it
 * is one: the frame before is the return into the kernel, which nobody called, and this one is
 * where the signal came.
 */
static size_t walk_on(unw_cursor_t *cursor, struct stack_frame *frames, size_t most)
{
	size_t count = 0;
	unw_word_t ip;

	while (count < most && unw_step(cursor) > 0 && unw_get_reg(cursor, UNW_REG_IP, &ip) == 0 &&
	       ip != 0) {
		bool interrupted = unw_is_signal_frame(cursor) > 0;

		if (interrupted && count > 0)
			frames[count - 1].exact = true;
		frames[count++] = (struct stack_frame){ip, interrupted};
	}
	return count;
}

size_t stack_walk(struct task_view *view, struct stack_frame ret_frames[STACK_FRAMES_MAX])
{
	unw_addr_space_t space = unw_create_addr_space(&accessors, 0);
	struct walk walk = {.view = view};
	unw_cursor_t cursor;
	size_t count = 1;

	ret_frames[0] = (struct stack_frame){view->frame.rip, false};
	if (space == NULL)
		return count;
	if (unw_init_remote(&cursor, space, &walk) == 0)
		count += walk_on(&cursor, ret_frames + 1, STACK_FRAMES_MAX - 1);
	unw_destroy_addr_space(space);
	free(walk.made.entries);
	return count;
}
