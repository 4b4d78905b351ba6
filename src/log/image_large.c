/*
 * See image_large.h.  Owns the queue of open files and, used by its thread alone, a sink and a
 * taker of contents of its own.
 *
 * Invariant: only this thread makes blobs of chunks, so they follow each other in the log.
 */
#include "image_large.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/work_queue.h"
#include "image_changed.h"
#include "image_content.h"
#include "image_sink.h"
#include "image_walk.h"
#include "image_watch.h"

#define OPEN_MAX_FILES 128

/* fd -1: hand everything to the writer.  Without a path: see image_large_ahead. */
struct job {
	struct work_item item;
	int fd;
	bool changed;
	struct stat st;
	const char *path;
	char place[];
};

struct image_large {
	struct work_queue *queue;
	struct image_sink *sink;
	struct image_content *content;
	struct image_changed changed;
	struct image_watch watch;
};

static int take(struct image_large *large, const struct job *job)
{
	struct image_entry entry = {.kind = IMAGE_FILE, .path = job->place};
	bool moved = false;
	int ret;

	image_entry_from_stat(&entry, &job->st);
	ret = image_content_take(large->content, job->fd, &job->st, &entry.size_bytes, entry.hash,
				 &moved);
	if (image_walk_error_is_of_path(ret) || ret == -EIO) {
		entry.kind = IMAGE_DENIED;
		entry.error = -ret;
		ret = 0;
	} else if (ret) {
		return ret;
	}
	if (job->changed || moved) {
		entry.flags = IMAGE_FLAG_CHANGED;
		image_changed_note(&large->changed, job->path);
	} else if (entry.kind == IMAGE_FILE) {
		ret = image_watch_add(&large->watch, job->place, &job->st, entry.hash, 0);
	}
	return ret ? ret : image_sink_entry(large->sink, &entry);
}

static int work(void *arg, struct work_item *item)
{
	struct image_large *large = arg;
	const struct job *job = (const struct job *)item;

	if (job->fd < 0)
		return image_sink_flush(large->sink);
	return job->path ? take(large, job) : image_content_ahead(large->content, &job->st);
}

static void dispose(struct work_item *item)
{
	struct job *job = (struct job *)item;

	if (job->fd >= 0)
		close(job->fd);
	free(job);
}

int image_large_create(struct evlog_writer *writer, const struct image_capture_options *options,
		       struct image_large **ret_large)
{
	struct image_large *large = calloc(1, sizeof(*large));
	struct work_queue_options queue = {.work = work,
					   .dispose = dispose,
					   .arg = large,
					   .cost_max = OPEN_MAX_FILES,
					   .cpus = options->cpus};
	int ret;

	if (!large)
		return -ENOMEM;
	ret = image_sink_create(writer, &large->sink);
	if (!ret)
		ret = image_content_create(large->sink, options->no_cache, options->cache_folder,
					   &large->content);
	if (!ret && options->names_only)
		image_content_names_only(large->content);
	if (!ret)
		ret = work_queue_create(&queue, &large->queue);
	if (ret) {
		image_large_destroy(large);
		return ret;
	}
	*ret_large = large;
	return 0;
}

int image_large_ahead(struct image_large *large, int fd, const struct stat *st)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job) {
		close(fd);
		return -ENOMEM;
	}
	job->item.cost = 1;
	job->fd = fd;
	job->st = *st;
	return work_queue_put(large->queue, &job->item);
}

int image_large_submit(struct image_large *large, int fd, const struct stat *st, const char *place,
		       const char *path, bool changed)
{
	size_t place_size = strlen(place) + 1, path_size = strlen(path) + 1;
	struct job *job = malloc(sizeof(*job) + place_size + path_size);

	if (!job) {
		close(fd);
		return -ENOMEM;
	}
	job->item.cost = 1;
	job->fd = fd;
	job->changed = changed;
	job->st = *st;
	job->path = job->place + place_size;
	memcpy(job->place, place, place_size);
	memcpy(job->place + place_size, path, path_size);
	return work_queue_put(large->queue, &job->item);
}

bool image_large_is_idle(const struct image_large *large)
{
	return work_queue_is_idle(large->queue, 0);
}

int image_large_wait(struct image_large *large, bool flush)
{
	struct job *job;

	if (flush) {
		job = calloc(1, sizeof(*job));
		if (!job)
			return -ENOMEM;
		job->fd = -1;
		work_queue_put(large->queue, &job->item);
	}
	return work_queue_wait(large->queue);
}

int image_large_finish(struct image_large *large)
{
	int ret = work_queue_end(large->queue);
	int end = image_sink_flush(large->sink);

	return ret ? ret : end;
}

void image_large_destroy(struct image_large *large)
{
	if (!large)
		return;
	work_queue_destroy(large->queue);
	image_content_destroy(large->content);
	image_sink_destroy(large->sink);
	image_changed_finish(&large->changed);
	image_watch_finish(&large->watch);
	free(large);
}

void image_large_stats(const struct image_large *large, struct image_capture_stats *stats)
{
	image_content_stats(large->content, stats);
	stats->changed += large->changed.count;
}

const char *image_large_changed_path(const struct image_large *large, size_t i)
{
	return i < large->changed.kept ? large->changed.paths[i] : NULL;
}

int image_large_recheck(struct image_large *large, const struct image_recheck *recheck,
			struct image_sink *sink)
{
	return image_watch_check(&large->watch, recheck, sink, &large->changed);
}
