/*
 * One object of the image: what the run could see of one path before it changed anything.
 */
#ifndef SHADOW_LOG_IMAGE_ENTRY_H
#define SHADOW_LOG_IMAGE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evlog_format.h"
#include "evlog_wire.h"

/* In the order of what they say: of two that can be of one object, the greater says more. */
enum image_kind {
	IMAGE_ABSENT = 1,  /* nothing was there */
	IMAGE_SYMLINK,	   /* with its target */
	IMAGE_DIR,	   /* a directory, its names not asked for */
	IMAGE_PLACEHOLDER, /* stat only; the mode tells fifo, socket, device or file */
	IMAGE_DENIED,	   /* opening failed with `error`; mode 0: stat failed, too */
	IMAGE_LISTING,	   /* a directory and all its names */
	IMAGE_FILE,	   /* a regular file with its contents */
	IMAGE_KINDS
};

/* The file was not, or did not stay, what the container had seen: an outside writer. */
#define IMAGE_FLAG_CHANGED 1u
/* Another name of a file whose first state an entry of the same (dev, ino) says: metadata and size
 * are those after the container changed it, and do not count. */
#define IMAGE_FLAG_LATE 2u

struct image_entry {
	enum image_kind kind;
	uint8_t flags;
	const char *path; /* absolute, no ".", "..", empty or symlink components */
	uint32_t mode;	  /* as st_mode, with the type */
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;
	uint64_t size_bytes;
	int64_t mtime_sec;
	uint32_t mtime_nsec;
	uint64_t rdev;
	uint64_t dev;  /* of the host: equal (dev, ino) are hard links of each other */
	uint64_t ino;  /* 0: not known */
	int32_t error; /* DENIED: the errno, positive */
	uint8_t hash[EVLOG_HASH_SIZE]; /* FILE: SHA-256 of the contents */
	const char *target;	       /* SYMLINK */
	const uint8_t *names;	       /* LISTING: see image_names_next() */
	size_t names_size;
};

/* True if the path is "/" or "/a/b": absolute, normalised, components of at most 255 bytes, at
 * most EVLOG_PATH_MAX bytes. Such a path cannot climb out of a directory it is taken below. */
bool image_path_valid(const char *path);

void image_entry_encode(struct evlog_buf *buf, const struct image_entry *entry);

/* The next entry of an IMAGE payload; its strings point into the payload. Returns NULL, or what is
 * wrong. Call while bytes are left. */
const char *image_entry_decode(struct evlog_cursor *cursor, struct image_entry *ret_entry);

/* Appends a name to a listing under construction. `type` is a DT_* value of readdir(3). Names must
 * come sorted by their bytes, each once. */
void image_names_put(struct evlog_buf *buf, const char *name, uint8_t type);

/* Walks a listing: `*at` starts at 0. False at its end. */
bool image_names_next(const struct image_entry *entry, size_t *at, const char **ret_name,
		      uint8_t *ret_type);

#endif
