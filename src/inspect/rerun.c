/*
 * See rerun.h.  On the pipe: { u32 kind, u32 size }, bytes.  When the other end is closed the child
 * ends its session in order, which removes the replay's folder.
 */
#include "rerun.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../syscall-table/event_decode.h"
#include "../tracer/session.h"
#include "snapshot.h"

#define MESSAGE_MOST (80u << 20)

struct message {
	uint32_t kind, size;
};

/* The child's side; the probe is first, for the session's callbacks. */
struct child {
	struct session_probe probe;
	FILE *out;
	bool snapshot, failed;
	size_t last_size;
	_Alignas(8) uint8_t last[EVENT_RECORD_MAX_BYTES]; /* the last event */
};

static bool put(struct child *c, enum rerun_kind kind, const void *bytes, size_t size)
{
	const struct message m = {kind, (uint32_t)size};

	c->failed = c->failed || fwrite(&m, sizeof(m), 1, c->out) != 1 ||
		    (size != 0 && fwrite(bytes, size, 1, c->out) != 1);
	return !c->failed;
}

static bool on_event(const struct session_probe *probe, const void *record, size_t size)
{
	struct child *c = (struct child *)probe;

	c->last_size = size <= sizeof(c->last) ? size : 0;
	memcpy(c->last, record, c->last_size);
	return put(c, RERUN_EVENT, record, size);
}

static void on_stopped(const struct session_probe *probe, pid_t tid, bool asked)
{
	struct child *c = (struct child *)probe;
	struct event_view view;

	(void)asked;
	if (!c->snapshot)
		return;
	bool known = event_decode(c->last, c->last_size, &view) == 0;
	fflush(c->out); /* or the snapshot's process would have it twice */
	json_t *shot = snapshot_take(tid, known ? &view : NULL);
	char *text = json_dumps(shot, JSON_COMPACT);
	if (text != NULL)
		put(c, RERUN_SNAPSHOT, text, strlen(text));
	free(text);
	json_decref(shot);
}

static void take_said(int fd, char said[512])
{
	ssize_t n = pread(fd, said, 511, 0);

	said[n > 0 ? n : 0] = '\0';
	while (n > 0 && said[n - 1] == '\n')
		said[--n] = '\0';
}

static _Noreturn void child(const struct rerun_options *o, int out)
{
	static struct child c;
	static struct session_result result;
	struct session_options session = {
		.tool = o->tool, .quiet = true, .mute = true, .probe = &c.probe};
	int said = memfd_create("shadow-said", MFD_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN); /* until the session handles it */
	c.probe = (struct session_probe){o->what, on_event, on_stopped};
	c.snapshot = o->snapshot;
	c.out = fdopen(out, "w");
	if (c.out == NULL || said < 0 || dup2(said, 2) < 0)
		_exit(125);
	session_replay(o->reader, &session, NULL, NULL, &result);
	struct rerun_result end = {.status = result.status,
				   .diverged = result.diverged,
				   .stopped = result.stopped,
				   .events = result.events,
				   .digest = result.digest};
	take_said(said, end.said);
	put(&c, RERUN_END, &end, sizeof(end));
	_exit(fflush(c.out) != 0 || c.failed);
}

int rerun_start(const struct rerun_options *options, struct rerun *ret_rerun)
{
	int ends[2];

	*ret_rerun = (struct rerun){0};
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fcntl(ends[0], F_SETPIPE_SZ, 0x100000); /* as far as it may: fewer switches */
	ret_rerun->in = fdopen(ends[0], "r");
	fflush(NULL);
	ret_rerun->pid = ret_rerun->in != NULL ? fork() : -1;
	if (ret_rerun->pid == 0) {
		fclose(ret_rerun->in);
		if (options->other != NULL)
			close(fileno(options->other->in));
		child(options, ends[1]);
	}
	int error = ret_rerun->pid < 0 ? -errno : 0;
	close(ends[1]);
	if (error < 0)
		rerun_finish(ret_rerun);
	return error;
}

static bool make_room(struct rerun *r, size_t size)
{
	if (size <= r->room)
		return true;
	uint8_t *more = size <= MESSAGE_MOST ? realloc(r->bytes, size) : NULL;
	if (more == NULL)
		return false;
	r->bytes = more;
	r->room = size;
	return true;
}

int rerun_next(struct rerun *rerun, enum rerun_kind *ret_kind, const void **ret_bytes,
	       size_t *ret_size)
{
	struct message m;

	if (fread(&m, sizeof(m), 1, rerun->in) != 1)
		return -EPIPE;
	if (!make_room(rerun, m.size))
		return -ENOMEM;
	if (m.size != 0 && fread(rerun->bytes, m.size, 1, rerun->in) != 1)
		return -EPIPE;
	*ret_kind = (enum rerun_kind)m.kind;
	*ret_bytes = rerun->bytes;
	*ret_size = m.size;
	return 0;
}

void rerun_finish(struct rerun *rerun)
{
	if (rerun->in != NULL)
		fclose(rerun->in);
	if (rerun->pid > 0) {
		kill(rerun->pid, SIGTERM);
		while (waitpid(rerun->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	free(rerun->bytes);
	*rerun = (struct rerun){0};
}
