/*
 * Rings between the shim and threads of the tracer: output and capture.
 *
 * One producer (the holder of the turn), one consumer (a thread of the tracer).  A record is
 * {u32 size, u32 what} and bytes, padded to 8; it never wraps: RING_SKIP says that the rest of the
 * buffer is unused, and is published with the record behind it.  Positions only grow; position
 * modulo size is the offset.
 *
 * The consumer treats everything as hostile: ring_peek checks a record against the buffer and the
 * published tail; what a record holds is for the reader to check.
 */
#ifndef SHADOW_RINGS_H
#define SHADOW_RINGS_H

#include "shim_abi.h"

#define RING_OUTPUT_OFF	  (REGION_RING_OFF + 0x0000000)
#define RING_CAPTURE_OFF  (REGION_RING_OFF + 0x1000000)
#define RING_EVENTS_OFF	  (REGION_RING_OFF + 0x4000000) /* of the event part */
#define RING_OUTPUT_SIZE  0x100000u
#define RING_CAPTURE_SIZE 0x80000u
#define RING_EVENTS_SIZE  0x1000000u
#define RING_SKIP	  0xffffffffu
#define RING_RECORD_MAX	  0x10000u /* bytes of one record with its head */

/* The bytes are in the stream's own file already: for hashes, and for a replay to show. */
#define STREAM_COPY 0x100u

/* Which ring an UPCALL_DRAIN means. */
enum ring_id { RING_OUTPUT = 1, RING_CAPTURE = 2, RING_EVENTS = 3 };

/* RING_PAUSES: it looks again soon by itself.  RING_NOBODY: there is none yet, the tracer is told.
 */
enum ring_waiting { RING_AWAKE, RING_PAUSES, RING_SLEEPS, RING_NOBODY };

/* A cache line for what each side writes: the other one waits 100 ns for a line that was written.
 */
struct ring {
	u64 tail;      /* written by the producer: bytes ever put */
	u64 head_seen; /* of the producer: the head when it looked last */
	u64 held;    /* 0, or the tail when the record behind it, which is put, is published too */
	u64 skipped; /* of the producer: unused bytes before the record that is reserved */
	u64 pad0[4];
	u64 head; /* written by the consumer: bytes ever taken */
	u64 pad1[7];
	u32 waiting; /* futex word: enum ring_waiting of the consumer */
	u32 pad2[15];
	u8 bytes[];
};

#define OUTPUT_RING  REGION_AT(struct ring, RING_OUTPUT_OFF)
#define CAPTURE_RING REGION_AT(struct ring, RING_CAPTURE_OFF)
#define EVENTS_RING  REGION_AT(struct ring, RING_EVENTS_OFF) /* records: struct event_record */

struct ring_record {
	u32 size; /* of `bytes`, or RING_SKIP */
	u32 what; /* output: the stream, 1 or 2, perhaps STREAM_COPY; capture: enum capture_kind */
	u8 bytes[];
};

static inline bool ring_is_empty(const struct ring *r)
{
	return __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) ==
	       __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
}

#ifdef SHADOW_SHIM
/* Producer, after a record: wakes a consumer that sleeps. */
void ring_wake(struct ring *r);
#endif

static inline u64 ring_need(u64 size)
{
	return (sizeof(struct ring_record) + size + 7) & ~7ull;
}

/*
 * So many bytes are used over and over while the consumer keeps up: each further page would cost
 * both sides a fault.
 */
#define RING_LAP 0x10000u

/* Producer: whether it goes back to the start for the record, which would touch another page. */
static inline bool ring_goes_back(struct ring *r, u64 at, u64 need)
{
	if (at < RING_LAP || (at % 4096 && at % 4096 + need <= 4096))
		return false;
	r->head_seen = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
	return r->tail - r->head_seen + need <= at;
}

/* Producer: room for a record of `size` bytes, or NULL when the ring is too full. */
static inline struct ring_record *ring_reserve(struct ring *r, u64 ring_size, u32 size)
{
	u64 at = r->tail % ring_size, need = ring_need(size);
	u64 skip = ring_size - at < need || ring_goes_back(r, at, need) ? ring_size - at : 0;

	if (r->tail - r->head_seen + skip + need > ring_size) {
		r->head_seen = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
		if (r->tail - r->head_seen + skip + need > ring_size)
			return NULL;
	}
	if (skip) {
		((struct ring_record *)(r->bytes + at))->size = RING_SKIP;
		at = 0;
	}
	r->skipped = skip;
	struct ring_record *rec = (struct ring_record *)(r->bytes + at);
	rec->size = size;
	return rec;
}

/* Producer: the tail when the record that was reserved and filled is published. */
static inline u64 ring_behind(const struct ring *r, const struct ring_record *rec)
{
	return r->tail + r->skipped + ring_need(rec->size);
}

/* Producer: publishes the record that was reserved and filled. */
static inline void ring_publish(struct ring *r, const struct ring_record *rec)
{
	__atomic_store_n(&r->tail, ring_behind(r, rec), __ATOMIC_RELEASE);
}

/* Producer: the record that was reserved and filled is not published before the next one, or before
 * the consumer looks while the producer stands still. */
static inline void ring_hold(struct ring *r, const struct ring_record *rec)
{
	r->held = ring_behind(r, rec);
}

/* Either side, with the producer standing still. */
static inline void ring_publish_held(struct ring *r)
{
	if (r->held)
		__atomic_store_n(&r->tail, r->held, __ATOMIC_RELEASE);
	r->held = 0;
}

/*
 * Consumer: the record at `head`, or NULL when there is none (or it is malformed: then *ret_bad).
 * Its bytes may be changed by the program at any time: copy what is checked.  ret_next is the new
 * head, to be stored when the record is done with.
 */
static inline const struct ring_record *ring_peek(const struct ring *r, u64 ring_size, u64 head,
						  u32 *ret_size, u64 *ret_next, bool *ret_bad)
{
	/* At most one skip: what is behind it begins at the start of the buffer. */
	for (int skips = 0; skips < 2; skips++) {
		u64 tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE), at = head % ring_size;

		if (tail == head)
			return NULL;
		if (tail - head > ring_size || (at & 7))
			break;
		const struct ring_record *rec = (const struct ring_record *)(r->bytes + at);
		u32 size = __atomic_load_n(&rec->size, __ATOMIC_RELAXED);
		if (size == RING_SKIP && tail - head > ring_size - at) {
			head += ring_size - at;
			continue;
		}
		if (ring_need(size) > ring_size - at || ring_need(size) > tail - head)
			break;
		*ret_size = size;
		*ret_next = head + ring_need(size);
		return rec;
	}
	*ret_bad = true;
	return NULL;
}

/*
 * What a capture record announces.  The path is absolute, and leads where the program was: it may
 * have ".." and symbolic links in it, if the container cannot have changed where those lead
 * (capture_name.h).  The tracer resolves it, and takes links and directories it passes through into
 * the image too; but for what the container has made or moved, and what is in that
 * (vnode_is_inside).
 *
 * The first metadata of a path win, those of the record (not of a later lstat): what comes later
 * may be the container's own doing.  Bytes or a listing may be added to a path announced before.  A
 * path that is gone by the time it is looked at needs no notice: what a change destroys is
 * announced and waited for (UPCALL_CAPTURE_SYNC) before.
 */
enum capture_kind {
	CAPTURE_CONTENT = 1, /* the bytes of a regular file: metadata as below */
	CAPTURE_METADATA,    /* existence, type, mode, owner, times, size */
	CAPTURE_LISTING,     /* a directory and the names in it */
	CAPTURE_ABSENT,	     /* `path` does not exist; its parent does */
	CAPTURE_LINK,	     /* a symbolic link looked at itself: with its target */
	CAPTURE_WALK,	/* looking it up failed otherwise (ENOTDIR, EACCES): what leads there */
	CAPTURE_DENIED, /* exists, but opening it gave `error` */
	CAPTURE_TREE,	/* the directory is about to be renamed: everything in it */
	CAPTURE_FOLDER, /* a directory whose names are about to change: what each of them is */
	CAPTURE_UNREAD, /* as CONTENT, of a file about to change; if it may not be read, METADATA */
	CAPTURE_LATE, /* as METADATA; of a file that was captured under another name and changed */
	/* What came out of the run, for a walk at its end; nothing of it is taken into the image.
	 */
	CAPTURE_OUT_FILE = 32, /* the file is about to be changed, or to lose this name */
	CAPTURE_OUT_FOLDER,    /* names in the directory are about to change */
	CAPTURE_OUT_TREE,      /* the directory has got this name */
	CAPTURE_OUT_GROWS,     /* much was written to the file: see VNODE_GROWS */
};

/* Bytes of a capture record.  Identity and times are the host's; 0 where not known. */
struct capture_record {
	u64 dev, ino, size_bytes, rdev;
	s64 mtime_ns, ctime_ns;
	u32 mode, uid, gid, nlink;
	u32 error;
	u32 path_bytes; /* with its NUL */
	char path[];
};

#endif
