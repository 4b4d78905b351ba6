/*
 * The line discipline of a terminal: what becomes of bytes between who types and who reads, and
 * of what is written on its way to the screen.  See line.c.
 *
 * Everything happens at once: there is no other side that could be late.  Whoever calls looks at
 * `changed` afterwards and wakes (pty.c).
 */
#ifndef SHADOW_LINE_H
#define SHADOW_LINE_H

#include "byte_queue.h"
#include "tty.h"

#define LINE_SIZE   4096u /* bytes typed and not yet read; one less than it can be filled */
#define ECHO_SIZE   4096u
#define SCREEN_SIZE 20480u /* what fits of small writes between the two sides of a pty of Linux */

/* What has become possible since `changed` was last cleared. */
enum line_change {
	LINE_READABLE = 1, /* for who reads lines */
	LINE_SHOWN = 2,	   /* bytes to the screen, or a status in packet mode */
	LINE_WRITABLE = 4  /* output goes on */
};

struct line {
	struct tty *tty;
	struct byte_queue *screen;
	u32 changed;
	/* Positions grow without end; their low bits are places in `bytes`. */
	u32 head, tail;
	u32 line_end; /* behind the last complete line */
	bool literal; /* the next byte is meant as itself */
	bool erasing; /* between the slashes of ECHOPRT */
	bool stopped, stopped_by_call;
	bool packet; /* statuses are kept */
	u8 packet_status;
	u32 shown_before;	 /* bytes on the screen before the batch that is being received */
	u32 column, line_column; /* of the cursor, of the line being typed */
	u32 echo_head, echo_tail, echo_commit, echo_mark;
	u64 ends[LINE_SIZE / 64]; /* bit of a place: a line ends there */
	u8 bytes[LINE_SIZE];
	u8 echo[ECHO_SIZE];
};

void line_init(struct line *l, struct tty *tty, struct byte_queue *screen);
/* Takes bytes that are typed; how many were taken: the rest waits until some are read. */
u32 line_receive(struct line *l, const u8 *bytes, u32 n);
/* Whether a read would give something; for poll: as much as VMIN asks for. */
bool line_has_input(const struct line *l, bool poll);
/* Moves at most `size` bytes to who reads, a line at most in canonical mode; 0 may be an end of
 * file: only called if line_has_input. */
u32 line_take(struct line *l, u8 *to, u32 size);
/* Bytes that can be read, as FIONREAD counts them. */
u32 line_count(const struct line *l);
/* Takes bytes that are written; how many were taken: the rest waits for room. */
u32 line_write(struct line *l, const u8 *bytes, u32 n);
/* Bytes that could be written now; 0 while output is stopped. */
u32 line_room(const struct line *l);
/* The settings are no longer `old`. */
void line_settings_changed(struct line *l, const struct termios2 *old);
void line_flush_input(struct line *l);
void line_flush_output(struct line *l);
/* Stops output or lets it go on; by_call: TCXONC, which typing does not undo. */
void line_stop(struct line *l, bool by_call);
void line_start(struct line *l, bool by_call);

#endif
