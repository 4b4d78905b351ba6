/*
 * Purpose: image entries to bytes and back, and the rule what a path in a log may be.
 * Owns: nothing.
 * Invariant: an entry that was decoded has a valid path, a known kind, and a listing whose names
 * are single components in strict order.
 */
#include "image_entry.h"

#include <string.h>
#include <sys/stat.h>

#define NAME_LONGEST 255

bool image_path_valid(const char *path)
{
	const char *at = path;

	if (path[0] != '/' || strlen(path) > EVLOG_PATH_MAX)
		return false;
	if (!path[1])
		return true;
	while (*at++) {
		size_t len = (size_t)(strchrnul(at, '/') - at);

		if (!len || len > NAME_LONGEST)
			return false;
		if (at[0] == '.' && (len == 1 || (len == 2 && at[1] == '.')))
			return false;
		at += len;
	}
	return true;
}

static bool name_valid(const char *name, size_t len)
{
	return len && len <= NAME_LONGEST && !memchr(name, '/', len) && strcmp(name, ".") &&
	       strcmp(name, "..");
}

void image_names_put(struct evlog_buf *buf, const char *name, uint8_t type)
{
	evlog_put_u8(buf, type);
	evlog_put(buf, name, strlen(name) + 1);
}

bool image_names_next(const struct image_entry *entry, size_t *at, const char **ret_name,
		      uint8_t *ret_type)
{
	if (*at >= entry->names_size)
		return false;
	*ret_type = entry->names[*at];
	*ret_name = (const char *)entry->names + *at + 1;
	*at += strlen(*ret_name) + 2;
	return true;
}

/* Before anyone walks a listing by strlen: every name is ended inside it. */
static bool names_valid(const uint8_t *names, size_t size)
{
	const char *before = "";

	for (size_t at = 0; at < size;) {
		const char *name = (const char *)names + at + 1;
		const char *end = memchr(name, 0, size - at - 1);

		if (!end || !name_valid(name, (size_t)(end - name)) || strcmp(before, name) >= 0)
			return false;
		before = name;
		at = (size_t)((const uint8_t *)end - names) + 1;
	}
	return true;
}

void image_entry_encode(struct evlog_buf *buf, const struct image_entry *entry)
{
	evlog_put_u8(buf, (uint8_t)entry->kind);
	evlog_put_u8(buf, entry->flags);
	evlog_put_u32(buf, entry->mode);
	evlog_put_u32(buf, entry->uid);
	evlog_put_u32(buf, entry->gid);
	evlog_put_u32(buf, entry->nlink);
	evlog_put_u64(buf, entry->size_bytes);
	evlog_put_u64(buf, (uint64_t)entry->mtime_sec);
	evlog_put_u32(buf, entry->mtime_nsec);
	evlog_put_u64(buf, entry->rdev);
	evlog_put_u64(buf, entry->dev);
	evlog_put_u64(buf, entry->ino);
	evlog_put_u32(buf, (uint32_t)entry->error);
	evlog_put_string(buf, entry->path);
	if (entry->kind == IMAGE_FILE)
		evlog_put(buf, entry->hash, EVLOG_HASH_SIZE);
	if (entry->kind == IMAGE_SYMLINK)
		evlog_put_string(buf, entry->target);
	if (entry->kind == IMAGE_LISTING) {
		evlog_put_u32(buf, (uint32_t)entry->names_size);
		evlog_put(buf, entry->names, entry->names_size);
	}
}

static void decode_extra(struct evlog_cursor *cursor, struct image_entry *entry)
{
	if (entry->kind == IMAGE_FILE)
		evlog_get_copy(cursor, entry->hash, EVLOG_HASH_SIZE);
	if (entry->kind == IMAGE_SYMLINK)
		entry->target = evlog_get_string(cursor);
	if (entry->kind == IMAGE_LISTING) {
		entry->names_size = evlog_get_u32(cursor);
		entry->names = evlog_get(cursor, entry->names_size);
	}
}

static const char *entry_check(const struct image_entry *entry)
{
	bool dir = S_ISDIR(entry->mode);

	if (entry->kind < IMAGE_ABSENT || entry->kind >= IMAGE_KINDS)
		return "unknown kind of image entry";
	if (!image_path_valid(entry->path))
		return "a path is not absolute and normalised";
	if (entry->mtime_nsec >= 1000000000 || entry->size_bytes > INT64_MAX)
		return "a size or time is out of range";
	if ((entry->kind == IMAGE_DIR || entry->kind == IMAGE_LISTING) && !dir)
		return "kind and mode of an image entry do not agree";
	if (entry->kind == IMAGE_FILE && !S_ISREG(entry->mode))
		return "kind and mode of an image entry do not agree";
	if (entry->kind == IMAGE_PLACEHOLDER && dir)
		return "kind and mode of an image entry do not agree";
	if (entry->kind == IMAGE_SYMLINK &&
	    (!entry->target[0] || strlen(entry->target) > EVLOG_PATH_MAX))
		return "bad target of a symbolic link";
	if (entry->kind == IMAGE_LISTING && !names_valid(entry->names, entry->names_size))
		return "bad name in a listing";
	return NULL;
}

const char *image_entry_decode(struct evlog_cursor *cursor, struct image_entry *ret_entry)
{
	struct image_entry entry = {.kind = evlog_get_u8(cursor)};
	const char *what;

	entry.flags = evlog_get_u8(cursor);
	entry.mode = evlog_get_u32(cursor);
	entry.uid = evlog_get_u32(cursor);
	entry.gid = evlog_get_u32(cursor);
	entry.nlink = evlog_get_u32(cursor);
	entry.size_bytes = evlog_get_u64(cursor);
	entry.mtime_sec = (int64_t)evlog_get_u64(cursor);
	entry.mtime_nsec = evlog_get_u32(cursor);
	entry.rdev = evlog_get_u64(cursor);
	entry.dev = evlog_get_u64(cursor);
	entry.ino = evlog_get_u64(cursor);
	entry.error = (int32_t)evlog_get_u32(cursor);
	entry.path = evlog_get_string(cursor);
	decode_extra(cursor, &entry);
	if (cursor->failed)
		return "malformed contents";
	what = entry_check(&entry);
	if (!what)
		*ret_entry = entry;
	return what;
}
