/*
 * See log_files.h.  A path of a log may hold any byte but NUL: in text it is shown with those that
 * could be taken for another line or column escaped.
 */
#include "log_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_text.h"
#include "base/path_below.h"
#include "log/image_tree.h"
#include "log_show.h"

#define HASH_TEXT_SIZE (2 * EVLOG_HASH_SIZE + 1)

/* "-" for none. */
static void hash_text(const uint8_t hash[EVLOG_HASH_SIZE], char out[HASH_TEXT_SIZE])
{
	uint8_t any = 0;

	for (size_t i = 0; i < EVLOG_HASH_SIZE; i++) {
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
		any |= hash[i];
	}
	if (any == 0)
		strcpy(out, "-");
}

static void print_path(const char *path, FILE *out)
{
	for (const unsigned char *at = (const unsigned char *)path; *at != '\0'; at++) {
		if (*at < 0x20 || *at == 0x7f || *at == '\\')
			fprintf(out, "\\%03o", *at);
		else
			fputc(*at, out);
	}
	fputc('\n', out);
}

static void print_json(json_t *object, FILE *out)
{
	json_dumpf(object, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(object);
}

static const char *kind_name(const struct image_entry *entry)
{
	static const char *const names[IMAGE_KINDS] = {
		"", "absent", "symlink", "directory", "placeholder", "denied", "directory", "file"};

	return entry->kind < IMAGE_KINDS ? names[entry->kind] : "";
}

static void show_entry(const struct image_entry *entry, bool json, FILE *out)
{
	static const uint8_t none[EVLOG_HASH_SIZE];
	char hash[HASH_TEXT_SIZE];
	bool file = entry->kind == IMAGE_FILE;

	hash_text(file ? entry->hash : none, hash);
	if (!json) {
		fprintf(out, "%-11s %06o %10" PRIu64 " %-64s ", kind_name(entry), entry->mode,
			entry->size_bytes, hash);
		print_path(entry->path, out);
		return;
	}
	json_t *o = json_pack("{s:s, s:o, s:o, s:o}", "kind", kind_name(entry), "mode",
			      json_sprintf("%06o", entry->mode), "bytes",
			      json_integer((json_int_t)entry->size_bytes), "path",
			      json_text(entry->path));
	if (file)
		json_object_set_new(o, "sha256", json_string(hash));
	if (entry->kind == IMAGE_SYMLINK)
		json_object_set_new(o, "target", json_text(entry->target));
	if (entry->kind == IMAGE_DENIED)
		json_object_set_new(o, "error", json_integer(entry->error));
	print_json(o, out);
}

int log_files_list(struct evlog_reader *reader, bool json, FILE *out)
{
	struct image_tree *tree;
	int error = image_tree_load(reader, &tree);

	if (error < 0)
		return error;
	for (size_t i = 0; i < image_tree_count(tree); i++)
		show_entry(image_tree_at(tree, i), json, out);
	image_tree_destroy(tree);
	return ferror(out) ? -EIO : 0;
}

int log_outputs_list(struct evlog_reader *reader, bool json, FILE *out)
{
	static const char *const kinds[EVLOG_OUTPUT_KINDS] = {"", "stream", "file", "removed"};
	char hash[HASH_TEXT_SIZE];
	size_t count;
	const struct evlog_output *outputs = evlog_reader_outputs(reader, &count);

	for (size_t i = 0; i < count; i++) {
		const struct evlog_output *o = &outputs[i];

		hash_text(o->hash, hash);
		if (json) {
			print_json(log_show_output(o), out);
			continue;
		}
		fprintf(out, "%-8s %10" PRIu64 " %-64s ", kinds[o->kind], o->size_bytes, hash);
		print_path(o->name, out);
	}
	return ferror(out) ? -EIO : 0;
}

/* ---- extracting ---- */

static int make_folder(int to_fd, const struct image_entry *entry)
{
	char last[PATH_BELOW_NAME_MAX];
	int dir = path_below_open(to_fd, entry->path, true, last), error = 0;

	if (dir < 0)
		return dir;
	if (mkdirat(dir, last, 0755) < 0 && errno != EEXIST)
		error = -errno;
	/* What was there must be a folder, no link to one. */
	int fd = error == 0 ? openat(dir, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
			    : error;
	if (fd < 0 && error == 0)
		error = -errno;
	if (error == 0 && strcmp(last, ".") != 0 && fchmod(fd, (entry->mode & 0777) | 0700) < 0)
		error = -errno;
	if (fd >= 0)
		close(fd);
	close(dir);
	return error;
}

static int make_file(struct evlog_reader *reader, int to_fd, const struct image_entry *entry)
{
	int fd = path_below_create(to_fd, entry->path, entry->mode & 0777);

	if (fd < 0)
		return fd;
	int error = evlog_reader_blob_copy(reader, entry->hash, fd);
	if (close(fd) < 0 && error == 0)
		error = -errno;
	return error;
}

static int make_link(int to_fd, const struct image_entry *entry)
{
	char last[PATH_BELOW_NAME_MAX];
	int dir = path_below_open(to_fd, entry->path, true, last), error = 0;

	if (dir < 0)
		return dir;
	if ((unlinkat(dir, last, 0) < 0 && errno != ENOENT) ||
	    symlinkat(entry->target, dir, last) < 0)
		error = -errno;
	close(dir);
	return error;
}

static int make_entry(struct evlog_reader *reader, int to_fd, const struct image_entry *entry,
		      struct log_extract *ret)
{
	ret->made++;
	switch (entry->kind) {
	case IMAGE_DIR:
	case IMAGE_LISTING:
		return make_folder(to_fd, entry);
	case IMAGE_FILE:
		return make_file(reader, to_fd, entry);
	case IMAGE_SYMLINK:
		return make_link(to_fd, entry);
	default:
		ret->made--;
		ret->without += entry->kind != IMAGE_ABSENT;
		return 0;
	}
}

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return n == 0 || (strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

static int make_all(struct evlog_reader *reader, const struct image_tree *tree, const char *what,
		    int to_fd, struct log_extract *ret)
{
	size_t matched = 0;
	int error = 0;

	for (size_t i = 0; error == 0 && i < image_tree_count(tree); i++) {
		const struct image_entry *entry = image_tree_at(tree, i);

		if (!is_below(entry->path, what))
			continue;
		matched += entry->kind != IMAGE_ABSENT;
		snprintf(ret->path, sizeof(ret->path), "%s", entry->path);
		error = make_entry(reader, to_fd, entry, ret);
	}
	return error == 0 && matched == 0 ? -ENOENT : error;
}

/* The path without slashes at its end, "" for everything. */
static int what_parse(const char *what, char out[EVLOG_PATH_MAX + 1])
{
	size_t n = strlen(what);

	out[0] = '\0';
	if (strcmp(what, "all") == 0)
		return 0;
	while (n > 0 && what[n - 1] == '/')
		n--;
	if (what[0] != '/' || n > EVLOG_PATH_MAX)
		return -EINVAL;
	memcpy(out, what, n);
	out[n] = '\0';
	return n == 0 || image_path_valid(out) ? 0 : -EINVAL;
}

static int open_to(const char *to)
{
	if (mkdir(to, 0777) < 0 && errno != EEXIST)
		return -errno;
	int fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int log_files_extract(struct evlog_reader *reader, const char *what, const char *to,
		      struct log_extract *ret)
{
	char path[EVLOG_PATH_MAX + 1];
	struct image_tree *tree = NULL;

	*ret = (struct log_extract){0};
	snprintf(ret->path, sizeof(ret->path), "%s", what);
	int error = what_parse(what, path);
	if (error == 0)
		error = image_tree_load(reader, &tree);
	if (error < 0)
		return error;
	int fd = open_to(to);
	if (fd >= 0) {
		error = make_all(reader, tree, path, fd, ret);
		close(fd);
	} else {
		snprintf(ret->path, sizeof(ret->path), "%s", to);
		error = fd;
	}
	image_tree_destroy(tree);
	return error;
}
