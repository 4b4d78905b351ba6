/*
 * The table of ids: chains of members by the id's low bits.
 *
 * Owns struct id_table.  A member is a process (its index) or a task (PROCS_MAX + its slot);
 * member 0, our init, is in no chain and ends them all.  Ids grow, so neighbours fall into
 * different chains.  Nothing depends on the order within a chain: among processes and among tasks
 * an id is unique.
 */
#include "ids.h"
#include "shim.h"

#define ID_BUCKETS 8192u /* power of two */
#define ID_MEMBERS (PROCS_MAX + TASK_SLOTS_MAX)

struct id_member {
	u32 id, next;
};

struct id_table {
	u32 bucket[ID_BUCKETS];
	struct id_member members[ID_MEMBERS];
};
#define REGION_IDS_OFF (REGION_PROC_OFF + 0x8000000)
#define IDS	       REGION_AT(struct id_table, REGION_IDS_OFF)
_Static_assert(sizeof(struct proc_table) <= REGION_IDS_OFF - REGION_PROC_OFF, "fits");
_Static_assert(REGION_IDS_OFF + sizeof(struct id_table) <= REGION_MM_OFF, "fits");

static u32 *bucket_of(u32 id)
{
	return &IDS->bucket[id % ID_BUCKETS];
}

static void add(u32 member, u32 id)
{
	u32 *bucket = bucket_of(id);

	IDS->members[member] = (struct id_member){id, *bucket};
	*bucket = member;
}

static void remove(u32 member)
{
	u32 *link = bucket_of(IDS->members[member].id);

	while (*link != member) {
		SHIM_ASSERT(*link != 0);
		link = &IDS->members[*link].next;
	}
	*link = IDS->members[member].next;
}

void ids_add_proc(u32 proc)
{
	add(proc, proc_at(proc)->pid);
}

void ids_remove_proc(u32 proc)
{
	remove(proc);
}

void ids_add_task(const struct task *t)
{
	add(PROCS_MAX + t->index, t->tid);
}

void ids_remove_task(const struct task *t)
{
	remove(PROCS_MAX + t->index);
}

u32 proc_find_pid(u32 pid)
{
	if (pid == proc_at(PROC_INIT)->pid)
		return PROC_INIT;
	for (u32 i = *bucket_of(pid); i != 0; i = IDS->members[i].next) {
		if (i < PROCS_MAX && IDS->members[i].id == pid)
			return i;
	}
	return NONE;
}

struct task *proc_find_tid(u32 proc, u32 tid)
{
	for (u32 i = *bucket_of(tid); i != 0; i = IDS->members[i].next) {
		if (IDS->members[i].id != tid || i < PROCS_MAX)
			continue;
		struct task *t = task_at(i - PROCS_MAX);

		return proc == NONE || t->proc == proc ? t : NULL;
	}
	return NULL;
}
