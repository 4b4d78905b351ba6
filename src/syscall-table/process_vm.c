/*
 * process_vm_readv and process_vm_writev: memory from task to task.
 *
 * What may be read or written is in the books of the other address space (vma.c), page by page, as
 * get_user_pages has it in Linux; the tracer moves the bytes, since no task reaches another's
 * memory.  Nobody else runs meanwhile.  Instructions that were replaced by ours are read as what
 * they were.  Code that a program has written and executed cannot be made plain memory again from
 * outside: writing there is refused.
 *
 * Bytes go through a buffer, in pieces that cross no page of the caller's memory, so that a fault
 * there ends the call behind the last byte that could be moved (mm/process_vm_access.c).
 */
#include <linux/mman.h>
#include "../shim/code_pages.h"
#include "../shim/patch_table.h"
#include "../shim/spin.h"
#include "credentials.h"
#include "io_vector.h"
#include "process_vm.h"
#include "wait.h"

struct transfer {
	struct task *t;
	struct mm *mm; /* the other's, or one's own */
	bool near;     /* it is one's own */
	bool write;
	const struct user_iov *local;
	u32 local_count, local_at; /* which of them is next, */
	u64 local_done;		   /* and from which byte on */
	u64 left;		   /* of the caller's memory */
	u64 moved;
	struct remote_copy *copy;
};

/* ---- the other's memory ---- */

static bool is_allowed(const struct transfer *x, const struct vma *v)
{
	if (v->kind == VMA_STUB)
		return false;
	return v->prot & (x->write ? PROT_WRITE : PROT_READ);
}

/* Where a page of code stands that may be executed just now; `end` if there is none. */
static u64 first_shown(const struct mm *mm, u64 addr, u64 end)
{
	for (u64 page = page_down(addr); mm->code_page_count && page < end; page += MM_PAGE) {
		if (code_page_is_shown(mm, page))
			return page > addr ? page : addr;
	}
	return end;
}

/* How many of `len` bytes from addr on may be moved. */
static u64 reachable(const struct transfer *x, u64 addr, u64 len)
{
	u64 end = addr + len, at = addr;

	if (end < addr)
		end = ~0ull;
	while (at < end) {
		const struct vma *v = vma_find(x->mm, at);
		if (!v || !is_allowed(x, v))
			break;
		at = v->end;
	}
	end = at < end ? at : end;
	if (!x->write || x->near)
		return end - addr;
	at = first_shown(x->mm, addr, end);
	if (at == addr && end > addr)
		HEAD->refused_count[NR_process_vm_writev]++;
	return at - addr;
}

/* Moves copy->size bytes; copy->moved. */
static void move(struct transfer *x)
{
	struct remote_copy *c = x->copy;
	long r;

	if (!x->near) {
		upcall(UPCALL_REMOTE, (u64)c, 0, 0);
		SHIM_ASSERT(c->moved <= c->size);
		return;
	}
	r = x->write ? user_copy_out(c->address, c->bytes, c->size)
		     : user_copy_in(c->bytes, c->address, c->size);
	c->moved = r < 0 ? 0 : c->size;
}

/* ---- the caller's memory ---- */

/* The next piece, within a page; NULL when all is done. */
static bool next_piece(struct transfer *x, u64 *ret_addr, u64 *ret_len)
{
	while (x->local_at < x->local_count && x->local_done == x->local[x->local_at].len) {
		x->local_at++;
		x->local_done = 0;
	}
	if (x->local_at == x->local_count)
		return false;
	const struct user_iov *iov = &x->local[x->local_at];
	u64 addr = iov->base + x->local_done, rest = iov->len - x->local_done;
	u64 page = MM_PAGE - (addr & (MM_PAGE - 1));
	*ret_addr = addr;
	*ret_len = rest < page ? rest : page;
	return true;
}

static bool is_app(u64 addr)
{
	return addr < SHIM_BASE || addr >= SHIM_LIMIT;
}

/* Between the caller's memory and the buffer; the bytes, up to the first that cannot be reached. */
static u64 move_local(struct transfer *x, u64 size)
{
	u64 done = 0, addr, len;

	while (done < size && next_piece(x, &addr, &len)) {
		u8 *bytes = x->copy->bytes + done;
		if (len > size - done)
			len = size - done;
		if (!is_app(addr) || (x->write ? user_copy_in(bytes, addr, len)
					       : user_copy_out(addr, bytes, len)) < 0)
			break;
		x->local_done += len;
		done += len;
	}
	return done;
}

/* ---- both ---- */

static u64 piece_of(const struct transfer *x, u64 len)
{
	u64 most = x->left < REMOTE_BYTES ? x->left : REMOTE_BYTES;

	return len < most ? len : most;
}

/* Reads, or writes, one piece of `size` bytes at addr.  -EFAULT if some could not be moved. */
static long transfer_piece(struct transfer *x, u64 addr, u64 size)
{
	struct remote_copy *c = x->copy;
	u64 done;

	c->address = addr;
	c->write = x->write;
	c->size = x->write ? move_local(x, size) : size;
	if (c->size)
		move(x);
	else
		c->moved = 0;
	if (x->write) {
		done = c->moved;
	} else {
		code_original(x->mm, addr, c->bytes, c->moved);
		done = move_local(x, c->moved);
	}
	digest_bytes(x->t, c->bytes, done);
	x->moved += done;
	x->left -= done;
	return done == size ? 0 : -EFAULT;
}

static long transfer_range(struct transfer *x, u64 addr, u64 len)
{
	long r = 0;

	while (len && x->left && !r) {
		u64 size = reachable(x, addr, piece_of(x, len));
		if (!size)
			return -EFAULT;
		r = transfer_piece(x, addr, size);
		addr += size;
		len -= size;
	}
	return r;
}

static long transfer_all(struct transfer *x, const struct user_iov *remote, u64 count)
{
	long r = 0;

	for (u64 i = 0; i < count && x->left && !r; i++) {
		u64 before = x->moved;
		r = transfer_range(x, remote[i].base, remote[i].len);
		if (x->write && x->moved != before)
			spin_memory_changes(x->mm, remote[i].base,
					    remote[i].base + x->moved - before);
	}
	return x->moved ? (long)x->moved : r;
}

/* Whose memory it is: kernel/fork.c, mm_access. */
static long find_target(struct task *t, s32 pid, u32 *ret_proc)
{
	const struct task *target = pid > 0 ? proc_find_tid(NONE, (u32)pid) : NULL;

	if (pid == 1 && !target)
		return -EPERM; /* our init */
	if (!target || proc_at(target->proc)->state != PROC_LIVE)
		return -ESRCH;
	*ret_proc = target->proc;
	return may_look_into(t, target->proc) ? 0 : -EPERM;
}

/* The other side's vector: its addresses may be any. */
static long remote_in(struct task *t, u64 user, u64 count, struct user_iov *iov, bool *ret_empty)
{
	u64 total = 0;

	if (count > FILE_IOV_MAX)
		return -EINVAL;
	if (user_copy_in(iov, user, count * sizeof(*iov)))
		return -EFAULT;
	digest_bytes(t, iov, count * sizeof(*iov));
	for (u64 i = 0; i < count; i++) {
		if ((s64)iov[i].len < 0)
			return -EINVAL;
		total |= iov[i].len;
	}
	*ret_empty = !total;
	return 0;
}

static long transfer_run(struct task *t, struct frame *f, struct user_iov *iov, bool write)
{
	struct user_iov *remote = iov + FILE_IOV_MAX;
	struct transfer x = {.t = t, .write = write, .local = iov};
	bool empty;
	u32 proc;

	long r = io_vector_in(t, f->arg[1], f->arg[2], iov, &x.left);
	if (r < 0 || !x.left)
		return r;
	r = remote_in(t, f->arg[3], f->arg[4], remote, &empty);
	if (r < 0 || empty)
		return r;
	r = find_target(t, (s32)f->arg[0], &proc);
	if (r < 0)
		return r;
	x.local_count = (u32)f->arg[2];
	x.mm = mm_at(proc_at(proc)->mm);
	x.near = x.mm == mm_of(t);
	x.copy = heap_alloc_unset(sizeof(*x.copy));
	x.copy->slot = proc_at(proc)->threads;
	r = transfer_all(&x, remote, f->arg[4]);
	heap_free(x.copy);
	return r;
}

static long transfer(struct task *t, struct frame *f, bool write)
{
	if (f->arg[5])
		return -EINVAL;
	struct user_iov *iov = heap_alloc_unset(2 * FILE_IOV_MAX * sizeof(*iov));
	long r = transfer_run(t, f, iov, write);
	heap_free(iov);
	return r;
}

long sys_process_vm_readv(struct task *t, struct frame *f)
{
	return transfer(t, f, false);
}

long sys_process_vm_writev(struct task *t, struct frame *f)
{
	return transfer(t, f, true);
}
