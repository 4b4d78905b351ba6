/*
 * Loading a program into an empty address space, as fs/binfmt_elf.c does without randomisation,
 * but from a fixed list of what the new program is told.
 *
 * Owns the request from here on.  Invariant: no address, auxiliary value or byte on the stack
 * comes from the kernel or the processor we run on.
 */
#include <asm/errno.h>
#include <linux/auxvec.h>
#include <linux/elf.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "exec_load.h"
#include "patch_table.h"
#include "syscall_nr.h"

#define LIMIT_STACK	 3	    /* RLIMIT_STACK */
#define CLOCK_TICKS	 100	    /* USER_HZ */
#define CPU_FEATURES_EDX 0x178bfbff /* AT_HWCAP: cpuid(1).edx of every x86-64 machine we run on */
#define MIN_SIGNAL_STACK 2048	    /* MINSIGSTKSZ; our largest frame with AVX is below it */
#define XSAVE_AVX_BYTES	 832
#define AUXV_MAX	 24
#define FLAGS_AT_START	 0x202

/* Where things of the new program are. */
struct load {
	struct task *t;
	struct exec_request *r;
	u64 program_bias, interp_bias;
	u64 sp; /* moves down while the stack is built */
	u64 execfn, platform, random, args, env;
};

/* ---- segments ---- */

static u32 prot_of(const struct elf64_phdr *ph)
{
	u32 prot = 0;

	if (ph->p_flags & PF_R)
		prot |= PROT_READ;
	if (ph->p_flags & PF_W)
		prot |= PROT_WRITE;
	if (ph->p_flags & PF_X)
		prot |= PROT_EXEC;
	return prot;
}

/* The rest of the segment's last file page reads as zero. */
static long clear_tail(const struct elf64_phdr *ph, u64 file_end)
{
	u64 tail = page_up(file_end) - file_end;

	if (ph->p_memsz == ph->p_filesz || tail == 0 || !(ph->p_flags & PF_W))
		return 0;
	return user_zero(file_end, tail);
}

static long map_segment(struct task *t, const struct exec_image *image, struct mm_file *file,
			const struct elf64_phdr *ph, u64 bias)
{
	u64 start = page_down(ph->p_vaddr) + bias;
	u64 file_end = ph->p_vaddr + ph->p_filesz + bias;
	u64 end = page_up(ph->p_vaddr + ph->p_memsz + bias);
	struct vma v = {.start = start, .end = start, .prot = (u8)prot_of(ph)};
	long r = 0;

	if (ph->p_memsz == 0)
		return 0;
	if (ph->p_filesz != 0) {
		v.end = page_up(file_end);
		v.kind = VMA_FILE;
		v.file = (u64)file;
		v.file_off = page_down(ph->p_offset);
		r = mm_map(t, &v, image->fd);
		if (r == 0)
			r = clear_tail(ph, file_end);
	}
	if (r < 0 || v.end >= end)
		return r;
	struct vma zero = {.start = v.end, .end = end, .prot = v.prot, .kind = VMA_ANON};
	return mm_map(t, &zero, -1);
}

static long map_image(struct task *t, const struct exec_image *image, u64 bias)
{
	const struct elf64_phdr *ph = (const struct elf64_phdr *)image->phdrs;
	struct mm_file *file = mm_file_create(image->fd, image->vnode, (const char *)image->path);
	long r = file != NULL ? 0 : -EIO;

	for (u32 i = 0; i < image->phnum && r == 0; i++) {
		if (ph[i].p_type == PT_LOAD)
			r = map_segment(t, image, file, &ph[i], bias);
	}
	mm_file_put(file);
	return r;
}

static long map_program(struct load *l)
{
	const struct exec_image *image = &l->r->program;
	struct mm *mm = mm_of(l->t);
	long r;

	if (image->is_dyn)
		l->program_bias = (APP_PIE_BASE & ~(image->align - 1)) - image->low;
	r = map_image(l->t, image, l->program_bias);
	mm->brk = mm->brk_start = page_up(image->end + l->program_bias);
	mm->entry = image->entry + l->program_bias;
	return r;
}

static long map_interp(struct load *l)
{
	const struct exec_image *image = &l->r->interp;
	long base;

	if (image->fd < 0)
		return 0;
	base = mm_place(mm_of(l->t), 0, image->high - image->low, 0);
	if (base < 0)
		return base;
	l->interp_bias = (u64)base - image->low;
	return map_image(l->t, image, l->interp_bias);
}

/* The stack is mapped whole: pages exist when touched, and no fault has to grow it. */
static long map_stack(struct load *l)
{
	u64 size = proc_of(l->t)->rlimits[LIMIT_STACK][0];
	struct vma v = {.end = APP_STACK_TOP, .kind = VMA_STACK};

	if (size < APP_STACK_SIZE)
		size = APP_STACK_SIZE;
	if (size > MM_STACK_MAX)
		size = MM_STACK_MAX;
	v.start = APP_STACK_TOP - page_up(size);
	v.prot = PROT_READ | PROT_WRITE | (l->r->stack_exec ? PROT_EXEC : 0);
	mm_of(l->t)->stack_top = APP_STACK_TOP;
	return mm_map(l->t, &v, -1);
}

/* ---- the stack's contents ---- */

static u64 push_bytes(struct load *l, const void *bytes, u64 len)
{
	l->sp -= len;
	/* a fresh mapping of ours: cannot fault */
	user_copy_out(l->sp, bytes, len);
	return l->sp;
}

static void push_strings(struct load *l)
{
	const struct exec_request *r = l->r;
	struct mm *mm = mm_of(l->t);
	u8 seed[16];

	/*
	 * A page above the strings stays empty: the lazy resolver's XSAVEC wants its whole area
	 * writable, also the part for state the baseline does not have (docs/decisions/0004).
	 */
	l->sp = APP_STACK_TOP - MM_PAGE - sizeof(u64);
	l->execfn = push_bytes(l, r->execfn, strlen(r->execfn) + 1);
	l->env = push_bytes(l, r->env.bytes, r->env.len);
	l->args = push_bytes(l, r->args.bytes, r->args.len);
	mm->env_start = l->env;
	mm->env_end = l->env + r->env.len;
	mm->arg_start = l->args;
	mm->arg_end = l->args + r->args.len;
	l->sp &= ~15ul;
	l->platform = push_bytes(l, "x86_64", sizeof("x86_64"));
	random_fill(seed, sizeof(seed));
	l->random = push_bytes(l, seed, sizeof(seed));
	l->sp &= ~15ul;
}

/* Where the program headers are in memory: in the segment that holds their place in the file. */
static u64 phdr_address(const struct exec_image *image, u64 bias)
{
	const struct elf64_phdr *ph = (const struct elf64_phdr *)image->phdrs;

	for (u32 i = 0; i < image->phnum; i++) {
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset <= image->phoff &&
		    image->phoff < ph[i].p_offset + ph[i].p_filesz)
			return image->phoff - ph[i].p_offset + ph[i].p_vaddr + bias;
	}
	return 0;
}

static u64 min_signal_stack(void)
{
	u64 xsave = HEAD->config.cpu.xsave_bytes;

	return MIN_SIGNAL_STACK + (xsave > XSAVE_AVX_BYTES ? xsave - XSAVE_AVX_BYTES : 0);
}

/* Fills pairs of type and value; how many words. */
static u32 fill_auxv(const struct load *l, u64 *words)
{
	const struct exec_image *image = &l->r->program;
	const struct proc *p = proc_of(l->t);
	const u64 pairs[][2] = {
		{AT_MINSIGSTKSZ, min_signal_stack()},
		{AT_HWCAP, CPU_FEATURES_EDX},
		{AT_PAGESZ, MM_PAGE},
		{AT_CLKTCK, CLOCK_TICKS},
		{AT_PHDR, phdr_address(image, l->program_bias)},
		{AT_PHENT, sizeof(struct elf64_phdr)},
		{AT_PHNUM, image->phnum},
		{AT_BASE, l->interp_bias},
		{AT_FLAGS, 0},
		{AT_ENTRY, image->entry + l->program_bias},
		{AT_UID, p->uid},
		{AT_EUID, p->euid},
		{AT_GID, p->gid},
		{AT_EGID, p->egid},
		{AT_SECURE, l->r->is_secure},
		{AT_RANDOM, l->random},
		{AT_HWCAP2, 0},
		{AT_EXECFN, l->execfn},
		{AT_PLATFORM, l->platform},
		{AT_NULL, 0},
	};
	_Static_assert(sizeof(pairs) / sizeof(pairs[0]) <= AUXV_MAX, "room on the stack");
	_Static_assert(2 * AUXV_MAX <= MM_AUXV_WORDS, "room in the books");

	memcpy(words, pairs, sizeof(pairs));
	return sizeof(pairs) / sizeof(u64);
}

/* Fills the addresses of n strings that lie one behind the other, and a NULL. */
static u32 fill_pointers(u64 *words, u64 addr, const struct exec_strings *s)
{
	const char *string = s->bytes;

	for (u32 i = 0; i < s->count; i++) {
		words[i] = addr + (u64)(string - s->bytes);
		string += strlen(string) + 1;
	}
	words[s->count] = 0;
	return s->count + 1;
}

static void push_vectors(struct load *l)
{
	const struct exec_request *r = l->r;
	u64 *words = heap_alloc((r->args.count + r->env.count + 3 + 2 * AUXV_MAX) * sizeof(u64));
	u32 n = 0;

	words[n++] = r->args.count;
	n += fill_pointers(words + n, l->args, &r->args);
	n += fill_pointers(words + n, l->env, &r->env);
	struct mm *mm = mm_of(l->t);
	mm->auxv_words = fill_auxv(l, words + n);
	memcpy(mm->auxv, words + n, mm->auxv_words * sizeof(u64));
	n += mm->auxv_words;
	l->sp = (l->sp - n * sizeof(u64)) & ~15ul;
	user_copy_out(l->sp, words, n * sizeof(u64));
	heap_free(words);
}

/* ---- the process's books ---- */

static void blob_replace(u64 *blob, u32 *len, struct exec_strings *s)
{
	heap_free((void *)*blob);
	*blob = (u64)s->bytes;
	*len = (u32)s->len;
	s->bytes = NULL;
}

static void set_books(struct load *l)
{
	struct proc *p = proc_of(l->t);
	struct exec_request *r = l->r;

	heap_free((void *)p->exe_path);
	p->exe_path = r->program.path;
	r->program.path = 0;
	mm_of(l->t)->exe = r->program.vnode;
	r->program.vnode = 0;
	blob_replace(&p->cmdline, &p->cmdline_len, &r->args);
	blob_replace(&p->environ_blob, &p->environ_len, &r->env);
	memcpy(l->t->comm, r->comm, sizeof(l->t->comm));
}

static void set_registers(const struct load *l, struct frame *f)
{
	const struct exec_image *interp = &l->r->interp;
	u64 nr = f->nr;

	memset(f, 0, sizeof(*f));
	f->nr = nr;
	f->rip = interp->fd >= 0 ? interp->entry + l->interp_bias : mm_of(l->t)->entry;
	f->resume = f->rip;
	f->rsp = l->sp;
	f->rflags = FLAGS_AT_START;
}

/* What the kernel mapped at its exec: stack, vdso, vvar.  Nothing of the app is there yet. */
static void empty_address_space(void)
{
	SYS2(NR_munmap, APP_MIN_ADDR, SHIM_BASE - APP_MIN_ADDR);
	SYS2(NR_munmap, SHIM_LIMIT, APP_ADDR_MAX - SHIM_LIMIT);
}

static long load(struct load *l, struct frame *f)
{
	long r;

	empty_address_space();
	r = map_program(l);
	if (r == 0)
		r = map_interp(l);
	if (r == 0)
		r = map_stack(l);
	if (r < 0)
		return r;
	push_strings(l);
	push_vectors(l);
	set_registers(l, f);
	set_books(l);
	return 0;
}

long exec_load(struct task *t, struct frame *f)
{
	struct load l = {.t = t, .r = (struct exec_request *)t->exec_request};
	long r = load(&l, f);

	SYS3(NR_dup3, l.r->program.fd, SHIM_FD_EXE, 0);
	exec_request_free(l.r);
	t->exec_request = 0;
	return r;
}

/* ---- the first program ---- */

/* Takes n strings of the tracer's block from *pos on. */
static long take_strings(u64 *pos, u32 n, struct exec_strings *s)
{
	for (u32 i = 0; i < n; i++) {
		const char *string = EXEC_FIRST->bytes + *pos;
		u64 len = strlen(string);
		long r = exec_strings_add(s, string, len);
		if (r < 0)
			return r;
		*pos += len + 1;
	}
	return 0;
}

long exec_first(struct task *t, struct frame *f)
{
	struct exec_request *r = heap_alloc(sizeof(*r));
	const char *path = EXEC_FIRST->bytes;
	u64 pos = strlen(path) + 1;
	long error;

	r->program.fd = r->interp.fd = -1;
	proc_of(t)->mm = mm_create();
	error = take_strings(&pos, EXEC_FIRST->argc, &r->args);
	if (error == 0)
		error = take_strings(&pos, EXEC_FIRST->envc, &r->env);
	if (error == 0)
		error = exec_resolve(t, AT_FDCWD, path, 0, r);
	if (error < 0) {
		exec_request_free(r);
		return error;
	}
	exec_commit_ids(t, r);
	t->exec_request = (u64)r;
	return exec_load(t, f);
}
