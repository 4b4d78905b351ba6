/*
 * Open texts of /proc, /sys and /dev: read, written, and made anew.
 *
 * A text is made when it is read from its start, or from anywhere but where the last read ended, as
 * the kernel's sequential files are (fs/seq_file.c): who keeps one open and goes back to its start
 * reads news, and nothing more of a process that is gone.  What was made is in a memfd, so that the
 * kernel keeps the position and moves the bytes.  private[0] is where the last read ended, plus 1
 * (0: nothing was read); private[1] which process it is of.
 */
#include <linux/fs.h>
#include "file_kinds.h"
#include "io_vector.h"
#include "lookup.h"
#include "position.h"
#include "synth.h"

static void memfd_fill(u32 fd, const struct synth_text *text)
{
	SHIM_ASSERT(SYS2(NR_ftruncate, fd, 0) == 0);
	for (u64 done = 0; done < text->len;) {
		long n = SYS4(NR_pwrite64, fd, text->bytes + done, text->len - done, done);
		SHIM_ASSERT(n > 0);
		done += (u64)n;
	}
}

static long text_make(struct task *t, const struct ofd *o, u32 fd)
{
	struct synth_text text = {0};

	long r = synth_text_of(t, o->path, o->private[1], &text);
	if (!r)
		memfd_fill(fd, &text);
	heap_free(text.bytes);
	return r;
}

static long text_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	s64 at = io->offset >= 0 ? io->offset : SYS3(NR_lseek, io->fd, 0, SEEK_CUR);

	if (!at || (u64)at + 1 != o->private[0]) {
		long r = text_make(t, o, io->fd);
		if (r < 0)
			return r;
	}
	long n = host_file_ops.read(t, o, io);
	if (n >= 0)
		position_moved(o, at + n);
	return n;
}

static long seek_end(struct task *t, const struct ofd *o, s64 *offset, u32 whence)
{
	struct vstat st;

	if (whence > SEEK_MAX || !synth_has_end(t, o->path))
		return -EINVAL;
	long r = synth_stat(t, o->path, true, &st);
	if (r < 0)
		return r;
	s64 size = (s64)st.size;
	if (whence == SEEK_END)
		*offset += size;
	else if (*offset < 0 || *offset >= size)
		return -ENXIO;
	else if (whence == SEEK_HOLE)
		*offset = size;
	return 0;
}

static long text_seek(struct task *t, struct ofd *o, u32 fd, s64 offset, u32 whence)
{
	long r = 0;

	if (whence > SEEK_CUR) {
		r = seek_end(t, o, &offset, whence);
		whence = SEEK_SET;
	}
	return r < 0 ? r : SYS3(NR_lseek, fd, offset, whence);
}

/* What stat says of it is synth_stat's to say. */
static long text_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	(void)fd;
	return synth_stat(t, o->path, true, ret);
}

/* What /proc takes is short: a name, a number.  Where there is no end, there are no places either.
 */
static long text_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	char bytes[64];
	u64 n = io->total < sizeof(bytes) ? io->total : sizeof(bytes);

	if (io->offset >= 0 && !synth_has_end(t, o->path))
		return -ESPIPE;
	long r = io_take(t, io, 0, bytes, n);
	if (r >= 0)
		r = synth_write(t, o->path, bytes, n);
	return r == (long)n ? (long)io->total : r;
}

const struct file_ops synth_file_ops = {
	.read = text_read,
	.write = text_write,
	.poll = file_always_ready,
	.seek = text_seek,
	.stat = text_stat,
	.splices = FILE_SPLICE_IN,
};

long file_install_text(struct task *t, const char *abs, u64 birth, u32 flags)
{
	long fd = SYS2(NR_memfd_create, "text", flags & O_CLOEXEC ? 1 : 0);

	if (fd < 0)
		return fd;
	u32 kept = O_ACCMODE | O_NONBLOCK | O_NOFOLLOW;
	long o = ofd_create(OFD_SYNTH_FILE, flags & O_PATH ? flags & (O_PATH | O_NOFOLLOW)
							   : (flags & kept) | O_LARGEFILE);
	if (o < 0) {
		SYS1(NR_close, fd);
		return o;
	}
	ofd_set_path(ofd_at((u32)o), abs);
	ofd_at((u32)o)->private[1] = birth;
	return fd_install_host(t, fd, (u32)o, flags);
}
