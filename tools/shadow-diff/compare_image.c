/*
 * The images: see compare.h.  Compared is what a run can see, so neither the host's device and
 * inode numbers nor a directory's size and times, which the container hides.  A path that one run
 * alone looked at is no difference of what the runs were given.
 */
#include "compare.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_text.h"
#include "inspect/event_compare.h"
#include "log/image_tree.h"

struct images {
	const struct log_pair *logs;
	struct image_tree *tree[2];
	json_t *list;
	int error;
};

static json_t *describe(const struct image_entry *e)
{
	static const char *const kinds[IMAGE_KINDS] = {
		[IMAGE_ABSENT] = "absent", [IMAGE_SYMLINK] = "symbolic link",
		[IMAGE_DIR] = "directory", [IMAGE_PLACEHOLDER] = "present",
		[IMAGE_DENIED] = "denied", [IMAGE_LISTING] = "directory",
		[IMAGE_FILE] = "file",
	};

	if (e->kind == IMAGE_FILE)
		return json_sprintf("file of %llu bytes", (unsigned long long)e->size_bytes);
	return json_string(e->kind < IMAGE_KINDS ? kinds[e->kind] : "?");
}

/* Takes the references over. */
static json_t *add(struct images *im, const char *path, const char *what, json_t *a, json_t *b)
{
	json_t *item = json_pack("{s:o, s:s, s:o, s:o}", "path", json_text(path), "what", what, "a",
				 a, "b", b);

	json_array_append_new(im->list, item);
	return item;
}

static void add_number(struct images *im, const char *path, const char *what, uint64_t a,
		       uint64_t b)
{
	if (a != b)
		add(im, path, what, json_integer((json_int_t)a), json_integer((json_int_t)b));
}

/* ---- contents ---- */

/* The blob mapped, or NULL; an empty one is a mapping of one zero byte. */
static const uint8_t *map_blob(struct evlog_reader *reader, const struct image_entry *e,
			       int *ret_error)
{
	int fd = memfd_create("shadow-diff", MFD_CLOEXEC);
	void *at = MAP_FAILED;

	if (fd < 0) {
		*ret_error = -errno;
		return NULL;
	}
	*ret_error = evlog_reader_blob_copy(reader, e->hash, fd);
	if (*ret_error == 0 && e->size_bytes == 0 && ftruncate(fd, 1) < 0)
		*ret_error = -errno;
	if (*ret_error == 0) {
		at = mmap(NULL, e->size_bytes + (e->size_bytes == 0), PROT_READ, MAP_PRIVATE, fd,
			  0);
		*ret_error = at == MAP_FAILED ? -errno : 0;
	}
	close(fd);
	return at != MAP_FAILED ? at : NULL;
}

static json_t *byte_at(const uint8_t *bytes, uint64_t size, uint64_t at)
{
	return at < size ? json_integer(bytes[at]) : json_null();
}

static void add_offset(struct images *im, json_t *item, const struct image_entry *a,
		       const struct image_entry *b)
{
	int errors[2];
	const uint8_t *x = map_blob(im->logs->reader[0], a, &errors[0]);
	const uint8_t *y = map_blob(im->logs->reader[1], b, &errors[1]);

	if (x != NULL && y != NULL) {
		uint64_t at = bytes_differ_at(x, a->size_bytes, y, b->size_bytes);

		json_object_set_new(item, "offset", json_integer((json_int_t)at));
		json_object_set_new(item, "byte_a", byte_at(x, a->size_bytes, at));
		json_object_set_new(item, "byte_b", byte_at(y, b->size_bytes, at));
	}
	if (x != NULL)
		munmap((void *)x, a->size_bytes + (a->size_bytes == 0));
	if (y != NULL)
		munmap((void *)y, b->size_bytes + (b->size_bytes == 0));
	if (im->error == 0)
		im->error = errors[0] < 0 ? errors[0] : errors[1];
}

static json_t *contents(const struct image_entry *e)
{
	return json_pack("{s:I, s:o}", "bytes", (json_int_t)e->size_bytes, "sha256",
			 compare_hash(e->hash));
}

static void compare_contents(struct images *im, const struct image_entry *a,
			     const struct image_entry *b)
{
	if (memcmp(a->hash, b->hash, sizeof(a->hash)) == 0)
		return;
	json_t *item = add(im, a->path, "contents", contents(a), contents(b));
	/* Where they differ is known of contents that are in the logs. */
	if (!evlog_reader_by_name(im->logs->reader[0]) &&
	    !evlog_reader_by_name(im->logs->reader[1]))
		add_offset(im, item, a, b);
}

/* ---- the rest ---- */

static void compare_listings(struct images *im, const struct image_entry *a,
			     const struct image_entry *b)
{
	const char *x = NULL, *y = NULL;
	size_t at_a = 0, at_b = 0;
	uint8_t type_a, type_b;

	for (;;) {
		bool more_a = image_names_next(a, &at_a, &x, &type_a);
		bool more_b = image_names_next(b, &at_b, &y, &type_b);

		if (!more_a && !more_b)
			return;
		if (more_a && more_b && strcmp(x, y) == 0 && type_a == type_b)
			continue;
		/* Sorted, so the smaller one is missing on the other side. */
		int order = !more_a ? 1 : !more_b ? -1 : strcmp(x, y);
		add(im, a->path, "listing", order <= 0 ? json_text(x) : json_null(),
		    order >= 0 ? json_text(y) : json_null());
		return;
	}
}

/* A file that is stdout or stderr shows the container the time of the start, not its own. */
static bool is_stream(const struct images *im, const char *path)
{
	for (int side = 0; side < 2; side++) {
		const char *out = evlog_reader_config(im->logs->reader[side], "stdout-path");
		const char *err = evlog_reader_config(im->logs->reader[side], "stderr-path");

		if ((out != NULL && strcmp(out, path) == 0) ||
		    (err != NULL && strcmp(err, path) == 0))
			return true;
	}
	return false;
}

static void compare_metadata(struct images *im, const struct image_entry *a,
			     const struct image_entry *b)
{
	add_number(im, a->path, "mode", a->mode, b->mode);
	add_number(im, a->path, "owner", a->uid, b->uid);
	add_number(im, a->path, "group", a->gid, b->gid);
	if (S_ISDIR(a->mode))
		return;
	add_number(im, a->path, "links", a->nlink, b->nlink);
	add_number(im, a->path, "device", a->rdev, b->rdev);
	if (a->kind != IMAGE_FILE || b->kind != IMAGE_FILE)
		add_number(im, a->path, "size", a->size_bytes, b->size_bytes);
	if (is_stream(im, a->path))
		return;
	add_number(im, a->path, "mtime", (uint64_t)a->mtime_sec * 1000000000 + a->mtime_nsec,
		   (uint64_t)b->mtime_sec * 1000000000 + b->mtime_nsec);
}

static bool is_dir(const struct image_entry *e)
{
	return e->kind == IMAGE_DIR || e->kind == IMAGE_LISTING;
}

static bool other_kind(const struct image_entry *a, const struct image_entry *b)
{
	return (a->kind == IMAGE_ABSENT) != (b->kind == IMAGE_ABSENT) ||
	       (a->kind == IMAGE_SYMLINK) != (b->kind == IMAGE_SYMLINK) || is_dir(a) != is_dir(b) ||
	       ((a->kind == IMAGE_DENIED) != (b->kind == IMAGE_DENIED) &&
		(a->kind == IMAGE_FILE || b->kind == IMAGE_FILE));
}

static void compare_entries(struct images *im, const struct image_entry *a,
			    const struct image_entry *b)
{
	if (other_kind(a, b)) {
		add(im, a->path, "kind", describe(a), describe(b));
		return;
	}
	if (a->kind == IMAGE_ABSENT)
		return;
	if (a->kind == IMAGE_FILE && b->kind == IMAGE_FILE)
		compare_contents(im, a, b);
	if (a->kind == IMAGE_LISTING && b->kind == IMAGE_LISTING)
		compare_listings(im, a, b);
	if (a->kind == IMAGE_DENIED && b->kind == IMAGE_DENIED)
		add_number(im, a->path, "error", (uint64_t)a->error, (uint64_t)b->error);
	if (a->kind == IMAGE_SYMLINK && strcmp(a->target, b->target) != 0)
		add(im, a->path, "target", json_text(a->target), json_text(b->target));
	compare_metadata(im, a, b);
}

/* Paths of one image that the other has not; none if the other log is incomplete: what its run
 * looked at is not known to the end. */
static json_t *only_in(const struct images *im, int side)
{
	const struct image_tree *x = im->tree[side], *y = im->tree[!side];
	bool known = evlog_reader_state(im->logs->reader[!side]) == EVLOG_WHOLE;
	json_t *paths = json_array();

	for (size_t i = 0; known && i < image_tree_count(x); i++) {
		const char *path = image_tree_at(x, i)->path;

		if (image_tree_find(y, path) == NULL)
			json_array_append_new(paths, json_text(path));
	}
	return paths;
}

static void compare_trees(struct images *im, json_t *report)
{
	json_t *only[2] = {only_in(im, 0), only_in(im, 1)};

	for (size_t i = 0; i < image_tree_count(im->tree[0]) && im->error == 0; i++) {
		const struct image_entry *a = image_tree_at(im->tree[0], i);
		const struct image_entry *b = image_tree_find(im->tree[1], a->path);

		if (b != NULL)
			compare_entries(im, a, b);
	}
	if (json_array_size(im->list) > 0)
		json_object_set(report, "image", im->list);
	if (json_array_size(only[0]) + json_array_size(only[1]) > 0)
		json_object_set_new(report, "looked_at",
				    json_pack("{s:O, s:O}", "a", only[0], "b", only[1]));
	json_decref(only[0]);
	json_decref(only[1]);
}

int compare_image(const struct log_pair *logs, json_t *report)
{
	struct images im = {.logs = logs, .list = json_array()};

	for (int i = 0; i < 2 && im.error == 0; i++)
		im.error = image_tree_load(logs->reader[i], &im.tree[i]);
	if (im.error == 0)
		compare_trees(&im, report);
	image_tree_destroy(im.tree[0]);
	image_tree_destroy(im.tree[1]);
	json_decref(im.list);
	return im.error;
}
