/*
 * execve, execveat: everything up to the kernel's exec of the shim.
 *
 * Everything that can fail is checked first: strings, program, `#!` lines, interpreter.  After the
 * point of no return the books are those of the new program and the kernel execs the shim, whose
 * start code loads it (exec_load.c).  The event is folded here, because on success the handler
 * does not return.
 */
#include <linux/elf.h>

#include "credentials.h"
#include "event.h"
#include "exec_load.h"
#include "files.h"
#include "process.h"
#include "signal.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"

#define HEAD_BYTES 256 /* BINPRM_BUF_SIZE: what Linux looks at to tell what a file is */
#define KILLED	   9   /* wait status of SIGKILL */

/* ---- strings ---- */

static void strings_reserve(struct exec_strings *s, u64 capacity)
{
	u64 want = s->capacity != 0 ? s->capacity : 8192;
	char *bigger;

	if (capacity <= s->capacity)
		return;
	while (want < capacity)
		want *= 2;
	bigger = heap_alloc(want - 64); /* a whole block with its head */
	if (s->len != 0)
		memcpy(bigger, s->bytes, s->len);
	heap_free(s->bytes);
	s->bytes = bigger;
	s->capacity = want - 64;
}

static bool is_too_big(const struct exec_strings *s, u64 more)
{
	return s->len + more + (s->count + 1) * sizeof(u64) > EXEC_STRINGS_MAX;
}

long exec_strings_add(struct exec_strings *s, const char *string, u64 len)
{
	if (len + 1 > EXEC_STRING_MAX || is_too_big(s, len + 1))
		return -E2BIG;
	strings_reserve(s, s->len + len + 1);
	memcpy(s->bytes + s->len, string, len);
	s->bytes[s->len + len] = 0;
	s->len += len + 1;
	s->count++;
	return 0;
}

/* Appends a string of the app. */
static long add_user(struct exec_strings *s, u64 addr)
{
	for (u64 room = 4096;; room *= 2) {
		u64 most = room < EXEC_STRING_MAX ? room : EXEC_STRING_MAX;
		strings_reserve(s, s->len + most);
		long n = user_string_in(s->bytes + s->len, addr, most);
		if (n >= 0) {
			s->len += (u64)n + 1;
			s->count++;
			return is_too_big(s, 0) ? -E2BIG : 0;
		}
		if (n != -ENAMETOOLONG)
			return n;
		if (most == EXEC_STRING_MAX || is_too_big(s, most))
			return -E2BIG;
	}
}

/* Copies argv or envp; a NULL array is an empty one. */
static long copy_strings(struct task *t, u64 array, struct exec_strings *s)
{
	for (; array != 0; array += sizeof(u64)) {
		u64 addr;
		if (user_get(addr, array) < 0)
			return -EFAULT;
		if (addr == 0)
			break;
		long r = add_user(s, addr);
		if (r < 0)
			return r;
	}
	digest_bytes(t, s->bytes, s->len);
	return 0;
}

/* Drops argv[0] and puts strings in front, given from the last to the first. */
static void drop_first(struct exec_strings *s)
{
	u64 n = strlen(s->bytes) + 1;

	memmove(s->bytes, s->bytes + n, s->len - n);
	s->len -= n;
	s->count--;
}

static long put_in_front(struct exec_strings *s, const char *string)
{
	u64 n = strlen(string) + 1;

	if (is_too_big(s, n))
		return -E2BIG;
	strings_reserve(s, s->len + n);
	memmove(s->bytes + n, s->bytes, s->len);
	memcpy(s->bytes, string, n);
	s->len += n;
	s->count++;
	return 0;
}

static void image_free(struct exec_image *image)
{
	if (image->fd > 0)
		SYS1(NR_close, image->fd);
	vnode_run_end(image->vnode);
	heap_free((void *)image->phdrs);
	heap_free((void *)image->path);
}

void exec_request_free(struct exec_request *r)
{
	if (r == NULL)
		return;
	image_free(&r->program);
	image_free(&r->interp);
	heap_free(r->args.bytes);
	heap_free(r->env.bytes);
	heap_free(r->execfn);
	heap_free(r);
}

/* ---- scripts ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * Splits a `#!` line into interpreter and one optional argument, in place, as fs/binfmt_script.c:
 * the line may be cut at the end of the head, the interpreter's name may not.
 */
static long split_line(char *head, char **ret_interp, char **ret_arg)
{
	char *p = head + 2, *end = p;

	while (*end != 0 && *end != '\n')
		end++;
	bool is_cut = end == head + HEAD_BYTES;
	while (end > p && is_blank(end[-1]))
		end--;
	*end = 0;
	while (is_blank(*p))
		p++;
	if (*p == 0)
		return -ENOEXEC;
	*ret_interp = p;
	*ret_arg = NULL;
	while (*p != 0 && !is_blank(*p))
		p++;
	if (*p == 0)
		return is_cut ? -ENOEXEC : 0;
	*p++ = 0;
	while (is_blank(*p))
		p++;
	if (*p != 0)
		*ret_arg = p;
	return 0;
}

/* argv becomes: interpreter, argument, script, the old ones without the first. */
static long script_args(struct exec_strings *args, const char *interp, const char *arg,
			const char *script)
{
	long r;

	if (args->count != 0)
		drop_first(args);
	r = put_in_front(args, script);
	if (r == 0 && arg != NULL)
		r = put_in_front(args, arg);
	return r == 0 ? put_in_front(args, interp) : r;
}

/* ---- ELF ---- */

static bool is_elf64(const struct elf64_hdr *h)
{
	return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_machine == EM_X86_64 &&
	       (h->e_type == ET_EXEC || h->e_type == ET_DYN) &&
	       h->e_phentsize == sizeof(struct elf64_phdr) && h->e_phnum != 0 &&
	       h->e_phnum <= EXEC_PHDRS_MAX;
}

/* Takes a segment into the image's bounds. */
static long add_segment(struct exec_image *image, const struct elf64_phdr *ph)
{
	u64 start = page_down(ph->p_vaddr), end = page_up(ph->p_vaddr + ph->p_memsz);

	if (ph->p_memsz == 0)
		return 0;
	if (ph->p_filesz > ph->p_memsz || ph->p_memsz > APP_ADDR_MAX ||
	    ph->p_vaddr > APP_ADDR_MAX || end > APP_ADDR_MAX ||
	    ((ph->p_vaddr ^ ph->p_offset) & (MM_PAGE - 1) && ph->p_filesz != 0))
		return -ENOEXEC;
	if (!image->is_dyn && !mm_is_app_range(start, end))
		return -ENOEXEC;
	if (image->high == 0 || start < image->low)
		image->low = start;
	if (end > image->high)
		image->high = end;
	if (ph->p_vaddr + ph->p_memsz > image->end)
		image->end = ph->p_vaddr + ph->p_memsz;
	if ((ph->p_align & (ph->p_align - 1)) == 0 && ph->p_align > image->align &&
	    ph->p_align <= MM_HUGE_PAGE)
		image->align = ph->p_align;
	return 0;
}

/* Reads and checks the program headers of an ELF file. */
static long parse_image(struct exec_image *image, const struct elf64_hdr *h)
{
	u64 bytes = h->e_phnum * sizeof(struct elf64_phdr);
	struct elf64_phdr *ph = heap_alloc(bytes);

	image->phdrs = (u64)ph;
	image->phnum = h->e_phnum;
	image->phoff = h->e_phoff;
	image->entry = h->e_entry;
	image->is_dyn = h->e_type == ET_DYN;
	image->align = MM_PAGE;
	if (SYS4(NR_pread64, image->fd, ph, bytes, h->e_phoff) != (long)bytes)
		return -ENOEXEC;
	for (u32 i = 0; i < image->phnum; i++) {
		if (ph[i].p_type == PT_LOAD && add_segment(image, &ph[i]) < 0)
			return -ENOEXEC;
	}
	return image->high != 0 ? 0 : -ENOEXEC;
}

/* ---- opening ---- */

/* Opens a file and reads its head, zero-filled, into HEAD_BYTES + 1 bytes; the bytes read. */
static long open_image(struct task *t, int dirfd, const char *path, int at_flags,
		       struct exec_image *image, char *head)
{
	struct exec_file *file = heap_alloc(sizeof(*file));
	long r = file_open_exec(t, dirfd, path, at_flags, file);

	if (r >= 0) {
		image->fd = file->fd;
		image->vnode = file->vnode;
		image->mode = file->mode;
		image->uid = file->uid;
		image->gid = file->gid;
		image->is_hidden = vnode_permission(t, vnode_at(file->vnode), 4, false) < 0;
		image->path = (u64)heap_strdup(file->path);
		memset(head, 0, HEAD_BYTES + 1);
		r = SYS4(NR_pread64, image->fd, head, HEAD_BYTES, 0);
	}
	heap_free(file);
	return r;
}

/* The interpreter's name from PT_INTERP, to be freed; NULL in *ret if the program has none. */
static long interp_name(const struct exec_image *program, char **ret)
{
	const struct elf64_phdr *ph = (const struct elf64_phdr *)program->phdrs;

	*ret = NULL;
	for (u32 i = 0; i < program->phnum; i++) {
		if (ph[i].p_type != PT_INTERP)
			continue;
		u64 n = ph[i].p_filesz;
		if (n < 2 || n > EXEC_PATH_MAX)
			return -ENOEXEC;
		char *name = heap_alloc(n);
		if (SYS4(NR_pread64, program->fd, name, n, ph[i].p_offset) != (long)n ||
		    name[n - 1] != 0) {
			heap_free(name);
			return -ENOEXEC;
		}
		*ret = name;
		return 0;
	}
	return 0;
}

static long open_interp(struct task *t, struct exec_request *r, char *head)
{
	struct elf64_hdr *h = (struct elf64_hdr *)head;
	char *name;
	long error = interp_name(&r->program, &name);

	if (error < 0 || name == NULL)
		return error;
	error = open_image(t, AT_FDCWD, name, 0, &r->interp, head);
	heap_free(name);
	if (error < (long)sizeof(*h))
		return error < 0 ? error : -EIO;
	if (!is_elf64(h) || h->e_type != ET_DYN || parse_image(&r->interp, h) < 0)
		return -ELIBBAD;
	return 0;
}

static bool wants_exec_stack(const struct exec_image *program)
{
	const struct elf64_phdr *ph = (const struct elf64_phdr *)program->phdrs;

	for (u32 i = 0; i < program->phnum; i++) {
		if (ph[i].p_type == PT_GNU_STACK)
			return ph[i].p_flags & PF_X;
	}
	return false;
}

static void set_comm(struct exec_request *r)
{
	const char *slash = strrchr(r->execfn, '/');
	const char *name = slash != NULL ? slash + 1 : r->execfn;
	size_t n = strlen(name);

	memset(r->comm, 0, sizeof(r->comm));
	memcpy(r->comm, name, n < sizeof(r->comm) - 1 ? n : sizeof(r->comm) - 1);
}

/* The name under which a program sees itself when it was named by a descriptor. */
static char *name_of(int dirfd, const char *path)
{
	char *name;
	size_t len = 0;

	if (path[0] == '/' || dirfd == AT_FDCWD)
		return heap_strdup(path);
	name = heap_alloc(strlen(path) + 32);
	str_format(name, strlen(path) + 32, &len, path[0] ? "/dev/fd/%d/%s" : "/dev/fd/%d%s", dirfd,
		   path);
	return name;
}

/* A script: its interpreter takes its place.  `name` is replaced by the interpreter's. */
static long follow_script(struct task *t, struct exec_request *r, char *head, char **name)
{
	char *interp, *arg;
	long error = split_line(head, &interp, &arg);

	if (error == 0)
		error = script_args(&r->args, interp, arg, *name);
	if (error < 0)
		return error;
	heap_free(*name);
	*name = heap_strdup(interp);
	image_free(&r->program);
	r->program = (struct exec_image){.fd = -1};
	return open_image(t, AT_FDCWD, *name, 0, &r->program, head);
}

static long resolve(struct task *t, struct exec_request *r, char *head, char **name)
{
	struct elf64_hdr *h = (struct elf64_hdr *)head;

	for (int level = 0; head[0] == '#' && head[1] == '!'; level++) {
		if (level == EXEC_SCRIPT_LEVELS)
			return -ELOOP;
		long error = follow_script(t, r, head, name);
		if (error < 0)
			return error;
	}
	if (!is_elf64(h) || parse_image(&r->program, h) < 0)
		return -ENOEXEC;
	r->stack_exec = wants_exec_stack(&r->program);
	return open_interp(t, r, head);
}

/* A script's interpreter opens it by the name name_of gives, which is gone with a descriptor that
 * closes. */
static bool is_out_of_reach(struct task *t, int dirfd, const char *path, const char *head)
{
	if (head[0] != '#' || head[1] != '!' || path[0] == '/' || dirfd < 0)
		return false;
	return (u32)dirfd < APP_FD_MAX &&
	       FILES->tables[proc_of(t)->files].fd[dirfd] & FD_CLOEXEC_BIT;
}

long exec_resolve(struct task *t, int dirfd, const char *path, int at_flags, struct exec_request *r)
{
	_Alignas(8) char head[HEAD_BYTES + 8];
	char *name;
	long error;

	r->program.fd = r->interp.fd = -1;
	error = open_image(t, dirfd, path, at_flags, &r->program, head);
	if (error < 0)
		return error;
	if (is_out_of_reach(t, dirfd, path, head))
		return -ENOENT;
	r->execfn = name_of(dirfd, path);
	set_comm(r);
	name = heap_strdup(r->execfn);
	error = resolve(t, r, head, &name);
	heap_free(name);
	return error;
}

/* ---- the call ---- */

/* The event's end: nothing of this program runs any more.  May hand the turn over. */
static void fold_exec(struct task *t, struct frame *f)
{
	bool slice_over;

	event_fold(t, f->nr * DIGEST_P1, &slice_over);
	if (HEAD->config.trace_events)
		event_trace(t, f, (s64)f->nr, 0);
	event_slow(t, slice_over);
}

void exec_commit_ids(struct task *t, struct exec_request *r)
{
	bool is_hidden = r->program.is_hidden || r->interp.is_hidden;

	r->is_secure = credentials_exec(t, &r->program, is_hidden);
}

/* The books of the process as those of a new program. */
static void exchange_books(struct task *t, struct exec_request *r)
{
	struct proc *p = proc_of(t);
	u32 old = p->mm;

	proc_kill_other_threads(t);
	task_leave_memory(t);
	files_exec(t);
	signal_exec(t);
	p->mm = mm_create();
	mm_put(old);
	exec_commit_ids(t, r);
	proc_release_vfork(t);
	p->exec_count++;
	t->gs_app = 0;
}

/* Makes the kernel exec the shim.  Returns only if it could not. */
static void exec_shim(struct task *t)
{
	char slot[16];
	size_t len = 0;
	const char *argv[2] = {slot, NULL}, *envp[1] = {NULL};

	str_format(slot, sizeof(slot), &len, "%lu", task_offset(t->index));
	SYS5(NR_execveat, SHIM_FD_SHIM, "", argv, envp, AT_EMPTY_PATH);
}

/* Opens and checks everything; *ret is to be freed by whoever takes it. */
static long request_make(struct task *t, int dirfd, const char *path, int at_flags, u64 argv,
			 u64 envp, struct exec_request **ret)
{
	struct exec_request *r = heap_alloc(sizeof(*r));
	long error = copy_strings(t, argv, &r->args);

	r->program.fd = r->interp.fd = -1;
	if (error == 0)
		error = copy_strings(t, envp, &r->env);
	if (error == 0 && r->args.count == 0) /* as Linux since 5.18 */
		error = exec_strings_add(&r->args, "", 0);
	if (error == 0)
		error = exec_resolve(t, dirfd, path, at_flags, r);
	if (error < 0)
		exec_request_free(r);
	else
		*ret = r;
	return error;
}

static long do_exec(struct task *t, struct frame *f, int dirfd, u64 name, u64 argv, u64 envp,
		    int at_flags)
{
	struct exec_request *request;
	char *path;
	long r;

	if (at_flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	path = heap_alloc(EXEC_PATH_MAX);
	r = user_string_in(path, name, EXEC_PATH_MAX);
	if (r == 0 && !(at_flags & AT_EMPTY_PATH))
		r = -ENOENT;
	if (r >= 0) {
		digest_bytes(t, path, (u64)r);
		r = request_make(t, dirfd, path, at_flags, argv, envp, &request);
	}
	heap_free(path);
	if (r < 0)
		return r;
	t->exec_request = (u64)request; /* the task's, should it end before */
	fold_exec(t, f);
	exchange_books(t, request);
	exec_shim(t);
	proc_terminate(t->proc, KILLED);
	turn_exit(t, true);
}

long sys_execve(struct task *t, struct frame *f)
{
	return do_exec(t, f, AT_FDCWD, f->arg[0], f->arg[1], f->arg[2], 0);
}

long sys_execveat(struct task *t, struct frame *f)
{
	return do_exec(t, f, (int)f->arg[0], f->arg[1], f->arg[2], f->arg[3], (int)f->arg[4]);
}
