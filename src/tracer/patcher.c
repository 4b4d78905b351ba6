/*
 * Patches code of stopped tasks; see patcher.h.
 *
 * Owns, per patch file, its original code and what is known of it.  What is learnt goes into the
 * user's cache at the end, and comes from there the next time.  All indices and addresses from the
 * region are checked before use.
 */
#include "patcher.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/code_pages.h"
#include "../shim/mm.h"
#include "../shim/patch_table.h"
#include "code_file.h"
#include "insn_scan.h"
#include "patch_cache.h"
#include "patch_plan.h"
#include "tracee.h"
#include "yield_point.h"

#define CODE_MAX (1u << 30) /* a larger mapping is not scanned: its sites stay trapped */

/* What is known of one patch file. */
struct known_file {
	struct code_file *code;
	bool learnt;	      /* what is known is more than the cache's */
	char name[64];	      /* in the cache; "" if it is not cached */
	uint32_t *dead_sites; /* offsets that cannot be patched */
	size_t dead_count;
};

struct patcher {
	struct shim_symbols shim;
	struct patch_cache *cache; /* or NULL */
	struct known_file **files; /* by index; NULL: not known */
	uint32_t file_end;	   /* so many */
	int error;		   /* see patcher_error */
	struct region_yield yields[YIELD_POINTS_MAX];
	enum yield_state yield_states[YIELD_POINTS_MAX];
	size_t yield_count;
};

/*
 * What is not found, or half written, would show: unlike a site that merely stays trapped.  A task
 * that was killed meanwhile, and memory that is not there, are no errors.
 */
static void keep(struct patcher *p, int error)
{
	if (p->error == 0 && error < 0 && error != -ESRCH && error != -EFAULT)
		p->error = error;
}

int patcher_error(const struct patcher *p)
{
	return p->error;
}

void patcher_yields_set(struct patcher *p, const struct region_config *config)
{
	uint64_t count = config->yield_count;

	p->yield_count = count < YIELD_POINTS_MAX ? count : YIELD_POINTS_MAX;
	memcpy(p->yields, config->yields, sizeof(p->yields));
	for (size_t i = 0; i < p->yield_count; i++)
		p->yields[i].object[YIELD_OBJECT_MAX - 1] = '\0';
}

const struct region_yield *patcher_yield_in(const struct patcher *p, enum yield_state state)
{
	for (size_t i = 0; i < p->yield_count; i++) {
		if (p->yield_states[i] == state)
			return &p->yields[i];
	}
	return NULL;
}

int patcher_create(const struct shim_symbols *shim, struct patcher **ret_patcher)
{
	struct patcher *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->shim = *shim;
	/* Without it everything is learnt anew. */
	if (patch_cache_open(&p->cache) < 0)
		p->cache = NULL;
	*ret_patcher = p;
	return 0;
}

/* Stale: some mapping had other bytes than the file. */
static void remember(struct patcher *p, uint32_t index)
{
	const struct patch_file *pf = patch_file_at(PATCHES, index);
	const struct known_file *f = p->files[index];

	if (p->cache != NULL && pf != NULL && !pf->stale && f->learnt && f->name[0] != '\0')
		patch_cache_store(p->cache, f->name, pf, f->dead_sites, f->dead_count);
}

void patcher_destroy(struct patcher *p)
{
	for (uint32_t i = 0; i < p->file_end; i++) {
		if (p->files[i] == NULL)
			continue;
		remember(p, i);
		code_file_destroy(p->files[i]->code);
		free(p->files[i]->dead_sites);
		free(p->files[i]);
	}
	free(p->files);
	patch_cache_close(p->cache);
	free(p);
}

static bool room_for(struct patcher *p, uint32_t index)
{
	uint32_t count = index + 32;

	if (index < p->file_end)
		return true;
	struct known_file **more = realloc(p->files, count * sizeof(struct known_file *));
	if (more == NULL)
		return false;
	memset(more + p->file_end, 0, (count - p->file_end) * sizeof(struct known_file *));
	p->files = more;
	p->file_end = count;
	return true;
}

static struct known_file *known_file_at(struct patcher *p, uint32_t index)
{
	return index < p->file_end ? p->files[index] : NULL;
}

/* What earlier patches of the file claimed. */
static size_t taken_ranges(const struct patch_file *pf, struct patch_range **ret)
{
	uint32_t left = patch_count_of(pf);
	size_t n = 0, max = (size_t)left * PATCH_WRITES;
	struct patch_range *taken = calloc(max + 1, sizeof(*taken));
	const struct patch *patch = patch_at(PATCHES, pf->first);

	for (; taken != NULL && patch != NULL && left != 0; left--) {
		for (unsigned i = 0; i < patch->nwrites && i < PATCH_WRITES; i++)
			taken[n++] = (struct patch_range){
				patch->writes[i].off, patch->writes[i].off + patch->writes[i].len};
		patch = patch_at(PATCHES, patch->next);
	}
	*ret = taken;
	return taken != NULL ? n : 0;
}

typedef int (*plan_fn)(const struct patch_request *request, struct patch_plan *ret_plan);

static int make_plan(struct patcher *p, plan_fn plan, struct code_file *f,
		     const struct patch_file *pf, uint64_t base, uint64_t stub, uint32_t site,
		     struct patch_plan *ret)
{
	struct patch_range *taken;
	size_t count = taken_ranges(pf, &taken);

	uint32_t used = __atomic_load_n(&pf->stub_used, __ATOMIC_RELAXED);
	if (taken == NULL)
		return -ENOMEM;
	keep(p, code_file_parse(f));
	if (used > PATCH_STUB_SIZE) {
		free(taken);
		return -ENOSPC;
	}
	struct patch_request r = {
		.code = f->view,
		.data = f->data,
		.data_count = f->data_count,
		.targets = &f->targets,
		.code_linked = f->linked,
		.code_address = base,
		.site = site,
		.stub_address = stub + used,
		.stub_room = PATCH_STUB_SIZE - used,
		.taken = taken,
		.taken_count = count,
		.target = {p->shim.entry, p->shim.insn_entry, TASK_R11, TASK_RESUME, TASK_CODE},
	};
	int error = plan(&r, ret);
	free(taken);
	return error;
}

/* The plan as an entry of the table: offsets instead of addresses, with the bytes replaced. */
static void table_entry(const struct code_file *f, const struct patch_file *pf, uint64_t base,
			uint64_t stub, uint32_t site, const struct patch_plan *plan,
			struct patch *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->site_off = site;
	ret->stub_off = pf->stub_used;
	ret->stub_len = (uint8_t)plan->stub_size;
	ret->is_pause = INSN_CODE_KIND(plan->insn) == INSN_PAUSE;
	memcpy(ret->stub, plan->stub, plan->stub_size);
	ret->nwrites = (uint8_t)plan->write_count;
	for (unsigned i = 0; i < plan->write_count; i++) {
		struct patch_write *w = &ret->writes[i];

		w->off = (uint32_t)(plan->writes[i].address - base);
		w->len = plan->writes[i].size;
		memcpy(w->bytes, plan->writes[i].bytes, w->len);
		memcpy(w->orig, f->view.bytes + w->off, w->len);
	}
	if (plan->tail_size != 0) {
		ret->window_start = (uint32_t)(plan->tail_address - base);
		ret->window_end = ret->window_start + plan->tail_size;
		ret->window_stub = (uint16_t)(plan->tail_to - stub);
	}
}

/* 0 and the stopped task, or the error of asking for it. */
static int task_of(pid_t tid, const struct task **ret_task)
{
	struct user_regs_struct regs;
	int error = tracee_regs_get(tid, &regs);

	if (error < 0)
		return error;
	uint32_t slot = task_slot_of(regs.gs_base);
	if (slot == NONE)
		return -EBADMSG;
	*ret_task = task_at(slot);
	return 0;
}

static void scan(struct patcher *p, struct known_file *f, struct patch_file *pf, uint64_t address)
{
	uint64_t stub = address + (uint64_t)pf->key.distance;
	struct insn_site *sites;
	size_t count;

	f->learnt = true;
	keep(p, code_file_parse(f->code));
	int error = insn_scan(&f->code->view, INSN_SET_LISTED, &sites, &count);
	if (error < 0) {
		keep(p, error);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct patch_plan plan;
		struct patch entry;

		if (!sites[i].confirmed || !code_file_is_code(f->code, sites[i].offset))
			continue;
		error = make_plan(p, patch_plan, f->code, pf, address, stub, sites[i].offset,
				  &plan);
		if (error == -ENOMEM)
			keep(p, error);
		if (error < 0)
			continue;
		table_entry(f->code, pf, address, stub + pf->stub_used, sites[i].offset, &plan,
			    &entry);
		if (patch_append(PATCHES, pf, &entry) == NULL)
			break;
		pf->stub_used += ((uint32_t)plan.stub_size + 15) & ~15u;
	}
	free(sites);
}

/* ---- yield points ---- */

static bool has_yields(const struct patcher *p, const struct code_file *f)
{
	for (size_t i = 0; i < p->yield_count && f->path != NULL; i++) {
		if (yield_point_is_in(&p->yields[i], f->path))
			return true;
	}
	return false;
}

/* Whether an instruction starts at the offset, as far as the starts of functions tell. */
static bool is_start(const struct code_view *code, size_t offset)
{
	size_t at, end;
	struct insn insn;

	if (code_view_function(code, offset, &at, &end) < 0)
		return true;
	while (at < offset && insn_decode(code->bytes + at, code->size - at, &insn) == 0)
		at += insn.length;
	return at >= offset ? at == offset : true;
}

static int add_yield(struct patcher *p, struct known_file *f, struct patch_file *pf,
		     uint64_t address, uint32_t offset)
{
	uint64_t stub = address + (uint64_t)pf->key.distance;
	struct patch_plan plan;
	struct patch entry;
	int error = make_plan(p, patch_plan_yield, f->code, pf, address, stub, offset, &plan);

	if (error < 0)
		return error;
	table_entry(f->code, pf, address, stub + pf->stub_used, offset, &plan, &entry);
	entry.is_yield = 1;
	if (patch_append(PATCHES, pf, &entry) == NULL)
		return -ENOSPC;
	pf->stub_used += ((uint32_t)plan.stub_size + 15) & ~15u;
	return 0;
}

/* Before anything else is patched, so that no window takes their place. */
static void add_yields(struct patcher *p, struct known_file *f, struct patch_file *pf,
		       uint64_t address)
{
	keep(p, code_file_parse(f->code));
	for (size_t i = 0; i < p->yield_count; i++) {
		const struct region_yield *y = &p->yields[i];
		uint64_t offset = y->address - f->code->linked;

		if (!yield_point_is_in(y, f->code->path) || offset >= f->code->view.size)
			continue;
		bool right = is_start(&f->code->view, offset) &&
			     add_yield(p, f, pf, address, (uint32_t)offset) == 0;
		p->yield_states[i] = right ? YIELD_PLACED : YIELD_IMPOSSIBLE;
		if (!right)
			keep(p, -ENOEXEC);
	}
}

/* ---- the cache ---- */

static bool load(struct patcher *p, struct known_file *f, struct patch_file *pf)
{
	return patch_cache_load(p->cache, f->name, pf, &f->dead_sites, &f->dead_count);
}

/* By the state of the file, as long as that is known to go with its bytes; else by its bytes. */
static bool recall(struct patcher *p, struct known_file *f, struct patch_file *pf, pid_t tid)
{
	if (p->cache == NULL)
		return false;
	if (patch_cache_alias(p->cache, &pf->key, f->name) && load(p, f, pf))
		return true;
	f->name[0] = '\0';
	if (!code_file_open(f->code, tid))
		return false;
	patch_cache_name(f->code->map, &pf->key, f->name);
	patch_cache_alias_store(p->cache, &pf->key, f->name);
	return load(p, f, pf);
}

void patcher_scan(struct patcher *p, pid_t tid, uint32_t index, uint64_t address, uint64_t length)
{
	struct patch_file *pf = patch_file_at(PATCHES, index);
	const struct task *t;

	if (pf == NULL || known_file_at(p, index) != NULL || length == 0 || length > CODE_MAX ||
	    pf->key.file_off >= pf->key.size || pf->count != 0)
		return;
	int error = task_of(tid, &t);
	if (error < 0) {
		keep(p, error);
		return;
	}
	struct known_file *f = room_for(p, index) ? calloc(1, sizeof(*f)) : NULL;
	if (f != NULL)
		f->code = code_file_create(t, &pf->key, address);
	if (f == NULL || f->code == NULL) {
		keep(p, -ENOMEM);
		free(f);
		return;
	}
	p->files[index] = f;
	/* The cache knows nothing of yield points, and is not to learn of them. */
	bool yields = has_yields(p, f->code);
	if (!yields && recall(p, f, pf, tid))
		return;
	error = code_file_open(f->code, tid) ? 0 : code_file_copy(f->code, tid, address, length);
	keep(p, error);
	if (error == 0 && yields)
		add_yields(p, f, pf, address);
	if (error == 0)
		scan(p, f, pf, address);
}

/* ---- code that is no file's ---- */

/* Decoding needs some bytes before a page, and some behind an instruction that may end in the next.
 */
#define PAGE_BEFORE 128u
#define PAGE_BEHIND 48u
/* Time stamps trap by themselves. */
#define PAGE_KINDS (INSN_SET_LISTED & ~(INSN_SET(INSN_RDTSC) | INSN_SET(INSN_RDTSCP)))

struct page_bytes {
	uint8_t bytes[PAGE_BEFORE + MM_PAGE + PAGE_BEHIND];
	size_t begin, end; /* what of it could be read */
	uint64_t address;  /* of bytes[0] */
};

/* The page and what there is around it, without our breakpoints. */
static bool page_read(pid_t tid, const struct mm *mm, uint64_t page, struct page_bytes *ret)
{
	uint8_t *middle = ret->bytes + PAGE_BEFORE;

	ret->address = page - PAGE_BEFORE;
	ret->begin = PAGE_BEFORE;
	ret->end = PAGE_BEFORE + MM_PAGE;
	if (tracee_read(tid, tracee_address(page), middle, MM_PAGE) < 0)
		return false;
	if (tracee_read(tid, tracee_address(ret->address), ret->bytes, PAGE_BEFORE) == 0)
		ret->begin = 0;
	if (tracee_read(tid, tracee_address(page + MM_PAGE), middle + MM_PAGE, PAGE_BEHIND) == 0)
		ret->end = sizeof(ret->bytes);
	for (size_t i = ret->begin; i < ret->end; i++) {
		const struct code_site *site =
			ret->bytes[i] == 0xcc ? code_site_find(mm, ret->address + i) : NULL;

		if (site != NULL)
			ret->bytes[i] = (uint8_t)site->original;
	}
	return true;
}

/* A pause may be left as it is, so those of one page never take all the room. */
static bool has_room(const struct insn_site *site)
{
	return CODE_SCAN->count < (site->kind == INSN_PAUSE ? CODE_SCAN_MAX / 2 : CODE_SCAN_MAX);
}

static void page_report(const struct page_bytes *p, uint64_t page, const struct insn_site *site)
{
	uint64_t address = p->address + p->begin + site->offset;

	if (!site->confirmed || address + site->length <= page || address >= page + MM_PAGE)
		return;
	if (!has_room(site)) {
		CODE_SCAN->failed |= site->kind != INSN_PAUSE;
		return;
	}
	CODE_SCAN->sites[CODE_SCAN->count++] = (struct code_site){
		.addr = address,
		.code = INSN_CODE(site->kind, site->reg, site->operand_size, site->length),
	};
}

void patcher_scan_page(pid_t tid, uint64_t page)
{
	const struct task *t;
	const struct mm *mm = NULL;
	struct page_bytes p;
	struct insn_site *sites;
	size_t count;

	CODE_SCAN->failed = 1;
	if (task_of(tid, &t) == 0 && t->proc < PROCS_MAX)
		mm = mm_at(proc_at(t->proc)->mm);
	if (mm == NULL || !page_read(tid, mm, page, &p))
		return;
	struct code_view view = {.bytes = p.bytes + p.begin, .size = p.end - p.begin};
	if (insn_scan(&view, PAGE_KINDS, &sites, &count) < 0)
		return;
	CODE_SCAN->count = CODE_SCAN->failed = 0;
	for (size_t i = 0; i < count; i++)
		page_report(&p, page, &sites[i]);
	free(sites);
}

/* ---- trapped sites ---- */

static struct mm_exec *exec_of(const struct task *t, uint64_t address)
{
	if (t->proc >= PROCS_MAX)
		return NULL;
	struct mm *mm = mm_at(proc_at(t->proc)->mm);
	return mm != NULL ? mm_exec_find(mm, address) : NULL;
}

static bool is_dead(const struct known_file *f, uint32_t site)
{
	for (size_t i = 0; i < f->dead_count; i++) {
		if (f->dead_sites[i] == site)
			return true;
	}
	return false;
}

static void mark_dead(struct known_file *f, uint32_t site)
{
	uint32_t *more = realloc(f->dead_sites, (f->dead_count + 1) * sizeof(*more));

	if (more == NULL)
		return;
	f->dead_sites = more;
	f->dead_sites[f->dead_count++] = site;
	f->learnt = true;
}

/* Whether the process has the file's bytes where a plan writes: it may have changed its code. */
static bool is_original(pid_t tid, const struct code_file *f, uint64_t base,
			const struct patch_plan *plan)
{
	uint8_t now[PATCH_STORE_MAX];

	for (unsigned i = 0; i < plan->write_count; i++) {
		const struct patch_store *w = &plan->writes[i];

		if (tracee_read(tid, tracee_address(w->address), now, w->size) < 0 ||
		    memcmp(now, f->view.bytes + (w->address - base), w->size) != 0)
			return false;
	}
	return true;
}

/* Stub first, then the writes in order: the last one is what takes effect. */
static int write_plan(pid_t tid, uint64_t stub, const struct patch_plan *plan)
{
	int error = tracee_write(tid, tracee_address(stub), plan->stub, plan->stub_size);

	for (unsigned i = 0; error == 0 && i < plan->write_count; i++)
		error = tracee_write(tid, tracee_address(plan->writes[i].address),
				     plan->writes[i].bytes, plan->writes[i].size);
	return error;
}

/* A patch made since this process mapped the file: by the process it was forked from, or a peer. */
static uint64_t write_known(struct patcher *p, pid_t tid, const struct mm_exec *exec,
			    const struct patch *known, uint64_t after)
{
	/* A copy: what is checked must not change. */
	const struct patch copy = *known, *patch = &copy;
	int error = 0;

	if (patch->stub_len > PATCH_STUB_MAX || patch->stub_off > PATCH_STUB_SIZE - PATCH_STUB_MAX)
		return after;
	error = tracee_write(tid, tracee_address(exec->stub + patch->stub_off), patch->stub,
			     patch->stub_len);
	for (unsigned i = 0; error == 0 && i < patch->nwrites && i < PATCH_WRITES; i++) {
		const struct patch_write *w = &patch->writes[i];

		if (w->len <= PATCH_WRITE_MAX && w->off < exec->end - exec->base)
			error = tracee_write(tid, tracee_address(exec->base + w->off), w->bytes,
					     w->len);
	}
	keep(p, error);
	uint64_t off = after - exec->base;
	if (error == 0 && off >= patch->window_start && off < patch->window_end)
		return exec->stub + patch->stub_off + patch->window_stub;
	return after;
}

uint64_t patcher_site(struct patcher *p, pid_t tid, const struct task *t, uint64_t site)
{
	const struct mm_exec *exec = exec_of(t, site);
	struct patch_plan plan;
	struct patch entry;

	if (exec == NULL || site - exec->base > UINT32_MAX)
		return site + 2;
	struct patch_file *pf = patch_file_at(PATCHES, exec->patch_file);
	struct known_file *f = known_file_at(p, exec->patch_file);
	uint32_t off = (uint32_t)(site - exec->base);
	if (pf == NULL || f == NULL || pf->stale || is_dead(f, off))
		return site + 2;
	const struct patch *known = patch_find(PATCHES, pf, off);
	if (known != NULL)
		return write_known(p, tid, exec, known, site + 2);
	if (!code_file_open(f->code, tid) || off + 2 > f->code->view.size)
		return site + 2;
	int failed = make_plan(p, patch_plan, f->code, pf, exec->base, exec->stub, off, &plan);
	if (failed < 0) {
		if (failed != -ENOMEM)
			mark_dead(f, off);
		return site + 2;
	}
	if (!is_original(tid, f->code, exec->base, &plan))
		return site + 2;
	uint64_t stub = exec->stub + pf->stub_used;
	table_entry(f->code, pf, exec->base, stub, off, &plan, &entry);
	if (patch_append(PATCHES, pf, &entry) == NULL)
		return site + 2;
	pf->stub_used += ((uint32_t)plan.stub_size + 15) & ~15u;
	f->learnt = true;
	int error = write_plan(tid, stub, &plan);
	keep(p, error);
	return error < 0 ? site + 2 : plan.resume_address;
}

/* The executable mapping of the task whose stub area holds the address. */
static const struct mm_exec *exec_of_stub(const struct task *t, uint64_t address)
{
	const struct mm *mm = t->proc < PROCS_MAX ? mm_at(proc_at(t->proc)->mm) : NULL;
	uint32_t count = mm == NULL ? 0 : mm->nexec < MM_EXEC_MAX ? mm->nexec : MM_EXEC_MAX;

	for (uint32_t i = 0; i < count; i++) {
		if (address - mm->exec[i].stub < PATCH_STUB_SIZE)
			return &mm->exec[i];
	}
	return NULL;
}

uint64_t patcher_original(const struct task *t, uint64_t address)
{
	const struct mm_exec *exec = exec_of_stub(t, address);
	const struct patch_file *pf =
		exec != NULL ? patch_file_at(PATCHES, exec->patch_file) : NULL;
	const struct patch *patch = pf != NULL ? patch_at(PATCHES, pf->first) : NULL;

	for (uint32_t left = pf != NULL ? patch_count_of(pf) : 0; patch != NULL && left != 0;
	     left--) {
		uint64_t in_tail = address - exec->stub - patch->stub_off - patch->window_stub;

		if (in_tail < (uint64_t)patch->window_end - patch->window_start)
			return exec->base + patch->window_start + in_tail;
		patch = patch_at(PATCHES, patch->next);
	}
	return address;
}

bool patcher_in_stub(const struct task *t, uint64_t address)
{
	return exec_of_stub(t, address) != NULL;
}

/* ---- pauses as they were ---- */

/* The last write of a patch is the one that takes effect. */
static bool covers(const struct mm_exec *exec, const struct patch *patch, uint64_t address)
{
	const struct patch_write *w = &patch->writes[(patch->nwrites - 1u) % PATCH_WRITES];

	return patch->is_pause && w->len <= PATCH_WRITE_MAX &&
	       address - exec->base - w->off < w->len;
}

static void describe(const struct mm_exec *exec, const struct patch *patch,
		     struct patched_pause *ret)
{
	const struct patch_write *w = &patch->writes[(patch->nwrites - 1u) % PATCH_WRITES];

	ret->begin = exec->base + w->off;
	ret->size = w->len;
	memcpy(ret->original, w->orig, w->len);
	memcpy(ret->patched, w->bytes, w->len);
	ret->stub = exec->stub + patch->stub_off;
	ret->tail = exec->base + patch->window_start;
	ret->tail_end = exec->base + patch->window_end;
	ret->tail_to = ret->stub + patch->window_stub;
}

static bool made_pause(const struct task *t, uint64_t address, struct patched_pause *ret)
{
	const struct mm *mm = t->proc < PROCS_MAX ? mm_at(proc_at(t->proc)->mm) : NULL;
	const struct code_site *site = mm != NULL ? code_site_find(mm, address) : NULL;

	if (site == NULL || INSN_CODE_KIND(site->code) != INSN_PAUSE)
		return false;
	*ret = (struct patched_pause){.begin = address,
				      .size = 1,
				      .original = {(uint8_t)site->original},
				      .patched = {0xcc}};
	return true;
}

bool patcher_pause_at(const struct task *t, uint64_t address, struct patched_pause *ret)
{
	const struct mm_exec *exec = exec_of(t, address);
	const struct patch_file *pf =
		exec != NULL ? patch_file_at(PATCHES, exec->patch_file) : NULL;
	const struct patch *patch = pf != NULL ? patch_at(PATCHES, pf->first) : NULL;
	uint32_t left = pf != NULL ? patch_count_of(pf) : 0;

	for (; patch != NULL && left != 0; left--) {
		if (covers(exec, patch, address)) {
			describe(exec, patch, ret);
			return true;
		}
		patch = patch_at(PATCHES, patch->next);
	}
	return made_pause(t, address, ret);
}

/* Takes what a patch of this very instruction replaced into a copy of the process's bytes. */
static void restore_original(const struct mm_exec *exec, uint32_t off, uint8_t *bytes, size_t size)
{
	const struct patch_file *pf = patch_file_at(PATCHES, exec->patch_file);
	const struct patch *patch = pf != NULL ? patch_find(PATCHES, pf, off) : NULL;

	for (unsigned i = 0; patch != NULL && i < patch->nwrites && i < PATCH_WRITES; i++) {
		const struct patch_write *w = &patch->writes[i];

		if (w->off == off && w->len <= PATCH_WRITE_MAX && w->len <= size)
			memcpy(bytes, w->orig, w->len);
	}
}

bool patcher_yield_at(const struct task *t, uint64_t address, uint8_t *ret_byte)
{
	const struct mm_exec *exec = exec_of(t, address);
	const struct patch_file *pf =
		exec != NULL ? patch_file_at(PATCHES, exec->patch_file) : NULL;
	const struct patch *patch =
		pf != NULL ? patch_find(PATCHES, pf, (uint32_t)(address - exec->base)) : NULL;

	if (patch == NULL || !patch->is_yield || patch->stub_len != 0)
		return false;
	*ret_byte = patch->writes[0].orig[0];
	return true;
}

bool patcher_place(struct patcher *p, pid_t tid, const struct task *t, uint64_t address,
		   const char **ret_path, uint64_t *ret_linked)
{
	const struct mm_exec *exec = exec_of(t, address);
	struct known_file *f = exec != NULL ? known_file_at(p, exec->patch_file) : NULL;

	if (f == NULL || f->code->path == NULL || !code_file_open(f->code, tid))
		return false;
	keep(p, code_file_parse(f->code));
	*ret_path = f->code->path;
	*ret_linked = f->code->linked + (address - exec->base);
	return true;
}

int patcher_classify(pid_t tid, const struct task *t, uint64_t address)
{
	const struct mm_exec *exec = exec_of(t, address);
	const struct mm *mm = t->proc < PROCS_MAX ? mm_at(proc_at(t->proc)->mm) : NULL;
	const struct code_site *site = mm != NULL ? code_site_find(mm, address) : NULL;
	struct insn_site found;
	uint8_t bytes[16];
	size_t n = sizeof(bytes);

	if (site != NULL)
		return (int)site->code;
	while (n > 1 && tracee_read(tid, tracee_address(address), bytes, n) < 0)
		n--;
	if (exec != NULL)
		restore_original(exec, (uint32_t)(address - exec->base), bytes, n);
	if (insn_classify(bytes, n, &found) < 0)
		return -ENOENT;
	return (int)INSN_CODE(found.kind, found.reg, found.operand_size, found.length);
}
