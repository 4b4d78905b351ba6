/*
 * See recorder.h.  Owns the writer, the capture and the feed between the shim's announcements and
 * it.
 *
 *	create -> epoch_begin -> (event, capture_sync)* -> epoch_end -> epoch_begin ... -> finish
 *
 * Invariant: when an epoch is appended, every file that the epochs before needed is in the log, and
 * the user has seen no less than the log holds.  So nothing is appended after the first error: the
 * log ends at the last epoch for which that is true.
 */
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "../base/thread_start.h"
#include "../log/evlog_writer.h"
#include "../log/image_capture.h"
#include "../shim/rings.h"
#include "../syscall-table/vnode.h"
#include "capture_feed.h"
#include "config_pairs.h"
#include "mounts.h"
#include "needed.h"
#include "output.h"
#include "written.h"

#define HELP_FROM 64 /* outputs the list of which is worth a thread */
#define FEW	  64 /* files, each of which is read in some 5 us */

struct recorder {
	struct evlog_writer *writer;
	struct image_capture *capture;
	struct capture_feed *feed;
	struct written *written;
	const char *program, *cwd;
	bool names_only;
	bool cover_files; /* mounts do: mounts_cover_files */
	struct needed needed;
	bool finished; /* the feed and the capture have ended */
	int error;
	uint64_t last_event; /* where the last epoch of the log begins, and a replay of it ends */
	struct evlog_end end;
	cpu_set_t cpus; /* for its threads */
	/* Who writes the end, and what came of it. */
	pthread_t helper;
	bool helped;
	sem_t captured, rechecked;
	size_t list_bytes; /* of outputs */
	int end_error;
};

static void keep(struct recorder *r, int error)
{
	if (r->error == 0 && error < 0)
		r->error = error;
}

static size_t count_strings(char *const *list)
{
	size_t n = 0;

	while (list[n] != NULL)
		n++;
	return n;
}

/* The container would see a file that grows as we please. */
static int hide_log(const struct recorder *r)
{
	struct stat st;

	if (fstat(evlog_writer_fd(r->writer), &st) < 0)
		return -errno;
	HEAD->config.log_dev = st.st_dev;
	HEAD->config.log_ino = st.st_ino;
	return 0;
}

static int writer_create(struct recorder *r, const struct recorder_options *o)
{
	struct config_pairs *pairs = malloc(sizeof(*pairs));
	time_t now = time(NULL);
	char date[64] = "", *mounts = mounts_list(&r->cover_files);
	struct utsname u;
	struct tm tm;

	if (pairs == NULL || mounts == NULL) {
		free(pairs);
		free(mounts);
		return -ENOMEM;
	}
	config_pairs_make(&HEAD->config, o->seed, o->program, o->names_only, mounts, pairs);
	uname(&u);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	const char *host[] = {"date",	date,	   "hostname", u.nodename,
			      "kernel", u.release, "tool",     SHADOW_VERSION};
	struct evlog_pairs host_pairs = {host, 4};
	struct evlog_header header = {
		.argv = {(const char **)(uintptr_t)o->argv, count_strings(o->argv)},
		.env = {(const char **)(uintptr_t)o->env, count_strings(o->env)},
		.cwd = o->cwd,
		.config = {pairs->at, pairs->count},
	};
	int error = evlog_writer_create(o->log_path, &header, &host_pairs, &r->writer);

	/* A listing would ask for it, and wait. */
	HEAD->file_mounts = r->cover_files ? FILE_MOUNTS_SOME : FILE_MOUNTS_NONE;
	free(pairs);
	free(mounts);
	return error < 0 ? error : hide_log(r);
}

static int submit(struct recorder *r, const char *path, enum image_want want)
{
	struct image_request request = {.path = path, .want = want, .follow = true};

	return image_capture_submit(r->capture, &request);
}

static int threads_begin(struct recorder *r)
{
	struct image_capture_options capture = {.names_only = r->names_only,
						.inside = vnode_is_inside,
						.changed = vnode_is_changed,
						.use_stamp = vnode_stamp,
						.cpus = &r->cpus};
	int error = image_capture_create(r->writer, &capture, &r->capture);

	if (error == 0)
		error = written_create(&r->cpus, !r->cover_files, &r->written);
	if (error == 0)
		error = capture_feed_create(r->capture, r->written, &r->cpus, &r->feed);
	return error;
}

/* Whatever else the program needs, it needs its interpreter, and that its libraries. */
static void find_needed(struct recorder *r)
{
	int fd = open(r->program, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return;
	needed_find(fd, &r->needed);
	close(fd);
}

int recorder_begin(struct recorder *r, const cpu_set_t *cpus)
{
	const struct needed *n = &r->needed;
	int error;

	r->cpus = *cpus;
	error = threads_begin(r);
	if (error < 0)
		return error;
	if (r->program[0] == '/' && strlen(r->program) <= EVLOG_PATH_MAX)
		keep(r, submit(r, r->program, IMAGE_WANT_AHEAD));
	if (n->interpreter[0] != '\0')
		keep(r, submit(r, n->interpreter, IMAGE_WANT_CONTENT));
	for (size_t i = 0; i < n->count; i++)
		keep(r, submit(r, n->libraries[i], IMAGE_WANT_AHEAD));
	keep(r, submit(r, r->cwd, IMAGE_WANT_METADATA));
	for (int fd = 0; fd < 3; fd++) {
		const struct region_stdio *s = &HEAD->config.stdio[fd];

		if (s->kind == STDIO_FILE && s->path[0] != '\0')
			keep(r, submit(r, s->path, IMAGE_WANT_CONTENT));
	}
	return 0;
}

int recorder_create(const struct recorder_options *options, struct recorder **ret_recorder)
{
	struct recorder *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->names_only = options->names_only;
	r->program = options->program;
	r->cwd = options->cwd;
	find_needed(r);
	int error = writer_create(r, options);
	if (error < 0) {
		recorder_destroy(r);
		return error;
	}
	*ret_recorder = r;
	return 0;
}

void recorder_epoch_end(struct recorder *r)
{
	uint32_t count = HEAD->chain_count;

	if (r->error != 0)
		return;
	keep(r, evlog_writer_chain_append(r->writer, CHAIN, count < CHAIN_MAX ? count : CHAIN_MAX));
	HEAD->chain_count = 0; /* they are taken once, even if no epoch follows */
}

/* The inputs of the inbox.  The tracer filled it, but the program can write to it. */
static size_t inbox_read(struct evlog_input *inputs, size_t max)
{
	uint64_t at = 0, limit = INBOX_BYTES - offsetof(struct inbox, bytes);
	size_t count = 0;

	while (count < max && at + sizeof(struct epoch_input) <= limit) {
		const struct epoch_input *in = (const struct epoch_input *)(INBOX->bytes + at);
		uint32_t size = in->size_bytes;

		if (size > limit - at - sizeof(*in))
			break;
		inputs[count++] = (struct evlog_input){in->channel, (enum evlog_input_kind)in->kind,
						       in->bytes, size};
		at += sizeof(*in) + ((size + 7ull) & ~7ull);
	}
	return count;
}

/* Appends the epoch in HEAD. */
static int epoch_append(struct recorder *r)
{
	uint32_t max = INBOX->count < INBOX_BYTES / sizeof(struct epoch_input) ? INBOX->count : 0;
	struct evlog_input *inputs = calloc(max + 1, sizeof(*inputs));
	struct evlog_epoch epoch = {
		.number = HEAD->epoch_number - 1,
		.timestamp_ns = HEAD->epoch_time_ns,
		.delivered_at = HEAD->events,
		.digest = HEAD->digest,
		.inputs = inputs,
		.input_count = inputs != NULL ? inbox_read(inputs, max) : 0,
	};

	if (inputs == NULL)
		return -ENOMEM;
	memcpy(epoch.seed, HEAD->epoch_seed, sizeof(epoch.seed));
	if (HEAD->request.reason == EPOCH_EARLY)
		epoch.flags |= EVLOG_EPOCH_EARLY;
	int error = evlog_writer_epoch_append(r->writer, &epoch);
	free(inputs);
	if (error == 0)
		r->last_event = epoch.delivered_at;
	return error;
}

void recorder_epoch_begin(struct recorder *r)
{
	if (r->error != 0)
		return;
	/* The first needs no files. */
	if (HEAD->epoch_number > 1) {
		recorder_capture_sync(r, CAPTURE_SYNC_RING);
		keep(r, image_capture_flush(r->capture));
	}
	if (r->error == 0)
		keep(r, epoch_append(r));
}

int recorder_error(const struct recorder *r)
{
	return r->error;
}

uint64_t recorder_last_event(const struct recorder *r)
{
	return r->last_event;
}

void recorder_stopped(struct recorder *r)
{
	capture_feed_poke(r->feed);
}

void recorder_capture_sync(struct recorder *r, uint32_t how)
{
	if (r->error != 0)
		return;
	capture_feed_sync(r->feed, how);
	keep(r, capture_feed_error(r->feed));
}

bool recorder_is_idle(const struct recorder *r)
{
	uint64_t head = __atomic_load_n(&CAPTURE_RING->head, __ATOMIC_RELAXED);

	return CAPTURE_RING->tail - head <= FEW * sizeof(struct capture_record) &&
	       image_capture_is_idle(r->capture, FEW);
}

void recorder_event(struct recorder *r, const void *record, size_t size)
{
	if (r->error == 0)
		keep(r, evlog_writer_events_append(r->writer, record, size));
}

static void threads_end(struct recorder *r)
{
	if (r->finished)
		return;
	r->finished = true;
	if (r->feed != NULL)
		capture_feed_end(r->feed);
	if (r->capture != NULL)
		keep(r, image_capture_finish(r->capture));
	if (r->feed != NULL)
		capture_feed_destroy(r->feed);
	r->feed = NULL;
}

static void recheck(struct recorder *r)
{
	const struct image_recheck how = capture_feed_recheck();

	if (r->capture != NULL)
		keep(r, image_capture_recheck(r->capture, &how));
}

static void await(sem_t *step)
{
	while (sem_wait(step) < 0)
		continue;
}

/* From output `i` on, as far as they are known. */
static int list_append(struct recorder *r, size_t *i)
{
	const struct evlog_output *out;
	int error = 0;

	for (; error == 0 && (out = written_at(r->written, *i)) != NULL; ++*i) {
		r->list_bytes += sizeof(*out) + strlen(out->name);
		if (r->list_bytes > WRITTEN_LIST_BYTES_MAX)
			break;
		error = evlog_writer_output_append(r->writer, out);
	}
	return error;
}

/* What the container left behind.  What was removed comes behind the files, and only a whole image
 * tells. */
static int outputs_append(struct recorder *r)
{
	size_t i = 0;
	int error = list_append(r, &i);

	if (written_may_remove(r->written))
		await(&r->captured);
	if (error == 0)
		error = written_finish(r->written, r->capture);
	if (error == 0)
		error = list_append(r, &i);
	return error == 0 ? evlog_writer_outputs_end(r->writer) : error;
}

/* The end record comes behind what the recheck adds to the image. */
static void *end_write(void *arg)
{
	struct recorder *r = arg;
	int error = outputs_append(r);

	await(&r->rechecked);
	if (r->error == 0 && error == 0)
		error = evlog_writer_finish(r->writer, &r->end);
	r->end_error = error;
	return NULL;
}

void recorder_look(struct recorder *r, int32_t status, enum evlog_end_kind kind,
		   const struct recorder_output outputs[2])
{
	r->end = (struct evlog_end){
		.status = status,
		.kind = kind,
		.events = HEAD->events,
		.digest = HEAD->digest,
	};

	recorder_epoch_end(r);
	for (int i = 0; i < 2; i++) {
		struct evlog_output out = {
			EVLOG_OUTPUT_STREAM, outputs[i].name, outputs[i].size_bytes, {0}};
		memcpy(out.hash, outputs[i].hash, sizeof(out.hash));
		keep(r, evlog_writer_output_append(r->writer, &out));
	}
	/* What was written is looked at while the rest of the image is taken. */
	capture_feed_end(r->feed);
	written_look(r->written);
}

void recorder_finish(struct recorder *r)
{
	sem_init(&r->captured, 0, 0);
	sem_init(&r->rechecked, 0, 0);
	r->helped = written_at(r->written, HELP_FROM) != NULL &&
		    thread_start(&r->helper, &r->cpus, end_write, r) == 0;
	threads_end(r);
	sem_post(&r->captured);
	recheck(r);
	sem_post(&r->rechecked);
	if (!r->helped)
		end_write(r);
}

int recorder_wait(struct recorder *r)
{
	if (r->helped)
		pthread_join(r->helper, NULL);
	r->helped = false;
	sem_destroy(&r->captured);
	sem_destroy(&r->rechecked);
	keep(r, r->end_error);
	return r->error;
}

bool recorder_log_is_at(const struct recorder *r, const char *path)
{
	struct stat log, st;

	return fstat(evlog_writer_fd(r->writer), &log) == 0 && stat(path, &st) == 0 &&
	       st.st_ino == log.st_ino && st.st_dev == log.st_dev;
}

const char *recorder_changed_path(const struct recorder *r, size_t i)
{
	return image_capture_changed_path(r->capture, i);
}

uint64_t recorder_size_bytes(struct recorder *r)
{
	return evlog_writer_size_bytes(r->writer);
}

void recorder_destroy(struct recorder *r)
{
	if (r == NULL)
		return;
	threads_end(r);
	written_destroy(r->written);
	image_capture_destroy(r->capture);
	evlog_writer_destroy(r->writer);
	free(r);
}
