/* See image_watch.h.  Owns the list, one record after another: struct watched, path, NUL. */
#include "image_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "image_entry.h"
#include "image_walk.h"

/* Files that the container did not use after they were taken are in the image as it saw them,
 * whatever happened since.  So many are looked at all the same, as news for the user. */
#define UNUSED_MAX 200

struct watched {
	uint64_t dev, ino, size_bytes, stamp;
	int64_t mtime_sec, mtime_nsec;
	uint8_t hash[EVLOG_HASH_SIZE];
};

int image_watch_add(struct image_watch *watch, const char *path, const struct stat *st,
		    const uint8_t hash[EVLOG_HASH_SIZE], uint64_t stamp)
{
	struct watched w = {st->st_dev, st->st_ino,	    (uint64_t)st->st_size,
			    stamp,	st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
			    {0}};

	memcpy(w.hash, hash, sizeof(w.hash));
	evlog_put(&watch->files, &w, sizeof(w));
	evlog_put(&watch->files, path, strlen(path) + 1);
	return watch->files.error;
}

static bool is_same(const struct watched *w, const struct stat *st)
{
	return w->dev == st->st_dev && w->ino == st->st_ino &&
	       w->size_bytes == (uint64_t)st->st_size && w->mtime_sec == st->st_mtim.tv_sec &&
	       w->mtime_nsec == st->st_mtim.tv_nsec;
}

/* The entry says again what was taken, and that it does not hold. */
static int note(const struct watched *w, const char *path, struct image_sink *sink,
		struct image_changed *changed)
{
	struct image_entry entry = {.kind = IMAGE_FILE,
				    .flags = IMAGE_FLAG_CHANGED,
				    .path = path,
				    .mode = S_IFREG,
				    .nlink = 1,
				    .size_bytes = w->size_bytes};

	memcpy(entry.hash, w->hash, sizeof(entry.hash));
	image_changed_note(changed, path);
	return image_sink_entry(sink, &entry);
}

/* The container used it after it was taken, so that it may have seen another state. */
static bool is_used(const struct watched *w, const struct image_recheck *recheck)
{
	return w->stamp == 0 || recheck->unused_since == NULL || !recheck->unused_since(w->stamp);
}

static bool has_changed(const struct watched *w, const char *path,
			const struct image_recheck *recheck)
{
	struct stat st;
	bool changed;

	if (lstat(path, &st) < 0)
		changed = !recheck->names_moved;
	else if (recheck->names_moved && (st.st_dev != w->dev || st.st_ino != w->ino))
		changed = false;
	else
		changed = !is_same(w, &st);
	return changed && !recheck->inside(recheck->arg, w->dev, w->ino);
}

int image_watch_check(const struct image_watch *watch, const struct image_recheck *recheck,
		      struct image_sink *sink, struct image_changed *changed)
{
	int error = watch->files.error;
	unsigned int unused = 0;

	for (size_t at = 0; error == 0 && at < watch->files.len;) {
		const char *path = (const char *)watch->files.data + at + sizeof(struct watched);
		struct watched w;

		memcpy(&w, watch->files.data + at, sizeof(w));
		at += sizeof(w) + strlen(path) + 1;
		if (!is_used(&w, recheck) && ++unused > UNUSED_MAX)
			continue;
		if (has_changed(&w, path, recheck))
			error = note(&w, path, sink, changed);
	}
	return error;
}

void image_watch_finish(struct image_watch *watch)
{
	evlog_buf_finish(&watch->files);
}
