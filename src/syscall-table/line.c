/*
 * The line discipline: N_TTY's rules (termios(3), drivers/tty/n_tty.c of Linux 6.x), on bytes in
 * the region.
 *
 *   typed --line_receive--> bytes[] --line_take--> who reads
 *                  \--> echo[] --> screen <-- line_write <-- who writes
 *
 * Echoes are kept as operations until a batch of typed bytes is over, because a signal key drops
 * those of its batch, and because a stopped screen takes none.  Invariants: tail <= line_end <=
 * head in canonical mode, head - tail <= LINE_SIZE.
 */
#include <asm/termios.h>
#include <asm/ioctls.h>
#include "../shim/signal.h"
#include "line.h"

#define BIT_I(l, flag) ((l)->tty->termios.c_iflag & (flag))
#define BIT_O(l, flag) ((l)->tty->termios.c_oflag & (flag))
#define BIT_L(l, flag) ((l)->tty->termios.c_lflag & (flag))
#define KEY(l, name)   ((l)->tty->termios.c_cc[name])

#define NO_KEY	    0 /* _POSIX_VDISABLE: a key that is not set; in bytes[]: an end of file */
#define ECHO_BATCH  256u
#define ECHO_FULL   (ECHO_SIZE - 288)
#define SCREEN_KEPT 4095u /* of the screen's bytes a flush leaves: the other side has them */
#define TAB_COLUMNS 8
#define PIECE	    64u /* the kernel reads raw bytes in such pieces */

/* Operations in echo[]: ECHO_OP and one of these, a control character to be shown as ^X, or
 * ECHO_OP itself for that byte; other bytes are meant as they are. */
enum echo_op { ECHO_OP = 0xff, ECHO_BACK = 0x80, ECHO_MARK_COLUMN = 0x81, ECHO_ERASE_TAB = 0x82 };
#define AFTER_TAB 0x80u /* in the argument of ECHO_ERASE_TAB */

/* ---- characters, as the kernel classes them: Latin-1 ---- */

static bool is_control(u8 c)
{
	return c < 0x20 || c == 0x7f;
}

static bool is_upper(u8 c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7);
}

static bool is_lower(u8 c)
{
	return (c >= 'a' && c <= 'z') || (c >= 0xdf && c != 0xf7);
}

static bool is_word(u8 c)
{
	return is_upper(c) || is_lower(c) || (c >= '0' && c <= '9') || c == '_';
}

/* A byte of a UTF-8 character but for its first. */
static bool is_continuation(const struct line *l, u8 c)
{
	return BIT_I(l, IUTF8) && (c & 0xc0) == 0x80;
}

/* ---- the screen ---- */

u32 line_room(const struct line *l)
{
	return l->stopped ? 0 : (u32)(SCREEN_SIZE - l->screen->used);
}

static void show(struct line *l, const void *bytes, u32 n)
{
	byte_queue_append(l->screen, bytes, n);
	l->changed |= LINE_SHOWN;
}

static bool show_newline(struct line *l, u32 room)
{
	if (BIT_O(l, ONLRET))
		l->column = 0;
	if (!BIT_O(l, ONLCR)) {
		l->line_column = l->column;
		show(l, "\n", 1);
		return true;
	}
	if (room < 2)
		return false;
	l->line_column = l->column = 0;
	show(l, "\r\n", 2);
	return true;
}

static bool show_return(struct line *l)
{
	bool as_newline = BIT_O(l, OCRNL);

	if (BIT_O(l, ONOCR) && l->column == 0)
		return true;
	if (!as_newline || BIT_O(l, ONLRET))
		l->line_column = l->column = 0;
	show(l, as_newline ? "\n" : "\r", 1);
	return true;
}

static bool show_tab(struct line *l, u32 room)
{
	u32 spaces = TAB_COLUMNS - l->column % TAB_COLUMNS;
	bool expand = BIT_O(l, TABDLY) == XTABS;

	if (expand && room < spaces)
		return false;
	l->column += spaces;
	show(l, expand ? "        " : "\t", expand ? spaces : 1);
	return true;
}

/* One byte by the rules of OPOST; false if there is no room for what it becomes. */
static bool show_processed(struct line *l, u8 c)
{
	u32 room = line_room(l);

	if (!room)
		return false;
	switch (c) {
	case '\n':
		return show_newline(l, room);
	case '\r':
		return show_return(l);
	case '\t':
		return show_tab(l, room);
	case '\b':
		l->column -= l->column > 0;
		break;
	default:
		if (is_control(c))
			break;
		if (BIT_O(l, OLCUC) && is_lower(c))
			c -= 0x20;
		l->column += !is_continuation(l, c);
	}
	show(l, &c, 1);
	return true;
}

static void echo_process_marked(struct line *l);

u32 line_write(struct line *l, const u8 *bytes, u32 n)
{
	u32 done = 0;

	echo_process_marked(l);
	if (!BIT_O(l, OPOST)) {
		done = line_room(l) < n ? line_room(l) : n;
		if (done)
			show(l, bytes, done);
		return done;
	}
	while (done < n && show_processed(l, bytes[done]))
		done++;
	return done;
}

/* ---- echo ---- */

static void echo_add(struct line *l, u8 byte)
{
	l->echo[l->echo_head++ % ECHO_SIZE] = byte;
}

static void echo_op(struct line *l, u8 op)
{
	echo_add(l, ECHO_OP);
	echo_add(l, op);
}

/* A byte as it is. */
static void echo_raw(struct line *l, u8 c)
{
	if (c == ECHO_OP)
		echo_op(l, ECHO_OP);
	else
		echo_add(l, c);
}

/* A byte as ECHOCTL has it. */
static void echo_char(struct line *l, u8 c)
{
	if (BIT_L(l, ECHOCTL) && is_control(c) && c != '\t')
		echo_op(l, c);
	else
		echo_raw(l, c);
}

static u8 echo_at(const struct line *l, u32 at)
{
	return l->echo[at % ECHO_SIZE];
}

/* Length of the operation at the tail. */
static u32 echo_length(const struct line *l)
{
	if (echo_at(l, l->echo_tail) != ECHO_OP)
		return 1;
	return echo_at(l, l->echo_tail + 1) == ECHO_ERASE_TAB ? 3 : 2;
}

/* Moves the cursor back over a tab: to the column where it began. */
static bool echo_erase_tab(struct line *l, u32 columns)
{
	if (!(columns & AFTER_TAB))
		columns += l->line_column;
	u32 back = TAB_COLUMNS - columns % TAB_COLUMNS;
	if (line_room(l) < back)
		return false;
	l->column -= l->column < back ? l->column : back;
	show(l, "\b\b\b\b\b\b\b\b", back);
	return true;
}

static bool echo_control(struct line *l, u8 c)
{
	u8 shown[2] = {'^', c ^ 0x40};

	if (line_room(l) < sizeof(shown))
		return false;
	show(l, shown, sizeof(shown));
	l->column += 2;
	return true;
}

static bool echo_show(struct line *l, u8 c)
{
	if (BIT_O(l, OPOST))
		return show_processed(l, c);
	if (!line_room(l))
		return false;
	show(l, &c, 1);
	return true;
}

/* Whether position `at` of echo[] is where those that are committed end.  Who echoes more at once
 * than there is place overwrites operations: then the tail may pass that end, and Linux stops a
 * round later, by the place. */
static bool echo_ends(const struct line *l, u32 at)
{
	return (l->echo_commit - at) % ECHO_SIZE == 0;
}

/* Carries out the operation at the tail; false if there is no room, or it is not there in whole. */
static bool echo_step(struct line *l)
{
	u8 c = echo_at(l, l->echo_tail), op = echo_at(l, l->echo_tail + 1);

	if (c != ECHO_OP)
		return echo_show(l, c);
	if (echo_ends(l, l->echo_tail + 1))
		return false;
	switch (op) {
	case ECHO_BACK:
		l->column -= l->column > 0;
		return true;
	case ECHO_MARK_COLUMN:
		l->line_column = l->column;
		return true;
	case ECHO_ERASE_TAB:
		return !echo_ends(l, l->echo_tail + 2) &&
		       echo_erase_tab(l, echo_at(l, l->echo_tail + 2));
	case ECHO_OP:
		if (!line_room(l))
			return false;
		l->column++;
		show(l, &op, 1);
		return true;
	default:
		return echo_control(l, op);
	}
}

static void echo_process(struct line *l)
{
	while (!echo_ends(l, l->echo_tail)) {
		u32 length = echo_length(l);
		if (!echo_step(l))
			break;
		l->echo_tail += length;
	}
	while ((s32)(l->echo_commit - l->echo_tail) >= (s32)ECHO_FULL)
		l->echo_tail += echo_length(l);
}

/* Those of keys that are done with, as soon as they are many. */
static void echo_commit(struct line *l)
{
	u32 old = l->echo_commit - l->echo_tail, used = l->echo_head - l->echo_tail;

	l->echo_mark = l->echo_head;
	if (used < ECHO_BATCH || used % ECHO_BATCH > old % ECHO_BATCH)
		return;
	l->echo_commit = l->echo_head;
	echo_process(l);
}

static void echo_process_marked(struct line *l)
{
	if (l->echo_mark == l->echo_tail)
		return;
	l->echo_commit = l->echo_mark;
	echo_process(l);
}

static void echo_flush(struct line *l)
{
	if (!BIT_L(l, ECHO | ECHONL) || l->echo_commit == l->echo_head)
		return;
	l->echo_commit = l->echo_head;
	echo_process(l);
}

static void echo_finish_erasing(struct line *l)
{
	if (!l->erasing)
		return;
	echo_raw(l, '/');
	l->erasing = false;
}

/* The echo of a byte that becomes part of the line. */
static void echo_typed(struct line *l, u8 c)
{
	if (l->line_end == l->head)
		echo_op(l, ECHO_MARK_COLUMN);
	echo_char(l, c);
	echo_commit(l);
}

/* ---- what is typed and not yet read ---- */

static u8 byte_at(const struct line *l, u32 at)
{
	return l->bytes[at % LINE_SIZE];
}

static bool ends_at(const struct line *l, u32 at)
{
	return l->ends[at % LINE_SIZE / 64] >> at % 64 & 1;
}

static void end_set(struct line *l, u32 at, bool on)
{
	u64 bit = 1ull << at % 64, *word = &l->ends[at % LINE_SIZE / 64];

	*word = on ? *word | bit : *word & ~bit;
}

static void put(struct line *l, u8 c)
{
	l->bytes[l->head++ % LINE_SIZE] = c;
}

/* PARMRK: a byte 0xff is told from the mark of a bad one by being two. */
static void put_marked(struct line *l, u8 c)
{
	if (c == 0xff && BIT_I(l, PARMRK))
		put(l, c);
	put(l, c);
}

static void put_line_end(struct line *l, u8 c)
{
	end_set(l, l->head, true);
	put(l, c);
	l->line_end = l->head;
	l->changed |= LINE_READABLE;
}

void line_flush_input(struct line *l)
{
	l->head = l->tail = l->line_end = 0;
	l->erasing = false;
	memset(l->ends, 0, sizeof(l->ends));
	if (l->packet) {
		l->packet_status |= TIOCPKT_FLUSHREAD;
		l->changed |= LINE_SHOWN;
	}
}

/* What the other side has already got is not taken back. */
static void flush_output(struct line *l, u32 kept)
{
	if (l->screen->used > kept)
		l->screen->used = kept;
	l->changed |= LINE_WRITABLE;
	if (l->packet) {
		l->packet_status |= TIOCPKT_FLUSHWRITE;
		l->changed |= LINE_SHOWN;
	}
}

void line_flush_output(struct line *l)
{
	flush_output(l, SCREEN_KEPT);
}

/* ---- flow ---- */

static void tell_flow(struct line *l, u8 now, u8 before)
{
	if (!l->packet)
		return;
	l->packet_status = (u8)((l->packet_status & ~before) | now);
	l->changed |= LINE_SHOWN;
}

void line_stop(struct line *l, bool by_call)
{
	l->stopped_by_call |= by_call;
	if (l->stopped)
		return;
	l->stopped = true;
	tell_flow(l, TIOCPKT_STOP, TIOCPKT_START);
}

void line_start(struct line *l, bool by_call)
{
	if (by_call)
		l->stopped_by_call = false;
	if (!l->stopped || l->stopped_by_call)
		return;
	l->stopped = false;
	l->changed |= LINE_WRITABLE;
	tell_flow(l, TIOCPKT_START, TIOCPKT_STOP);
}

static void start_by_any(struct line *l)
{
	if (!l->stopped || l->stopped_by_call || !BIT_I(l, IXON) || !BIT_I(l, IXANY))
		return;
	line_start(l, false);
	echo_process_marked(l);
}

/* ---- editing ---- */

/* Erases nothing from the screen: the line begins anew. */
static void kill_plainly(struct line *l)
{
	l->head = l->line_end;
	if (!BIT_L(l, ECHO))
		return;
	echo_finish_erasing(l);
	echo_char(l, KEY(l, VKILL));
	if (BIT_L(l, ECHOK))
		echo_raw(l, '\n');
}

/* Columns from the last tab before `head`, or from the start of the line. */
static void erase_tab(struct line *l)
{
	u32 columns = 0, after = 0;

	for (u32 at = l->head; at != l->line_end && !after;) {
		u8 c = byte_at(l, --at);
		if (c == '\t')
			after = AFTER_TAB;
		else if (is_control(c))
			columns += BIT_L(l, ECHOCTL) ? 2 : 0;
		else
			columns += !is_continuation(l, c);
	}
	echo_op(l, ECHO_ERASE_TAB);
	echo_add(l, (u8)(columns % TAB_COLUMNS | after));
}

static void erase_column(struct line *l)
{
	echo_raw(l, '\b');
	echo_raw(l, ' ');
	echo_raw(l, '\b');
}

/* On paper: the erased bytes once more, between slashes. */
static void erase_printing(struct line *l, u32 bytes)
{
	if (!l->erasing)
		echo_raw(l, '\\');
	l->erasing = true;
	echo_char(l, byte_at(l, l->head));
	for (u32 i = 1; i < bytes; i++) {
		echo_raw(l, byte_at(l, l->head + i));
		echo_op(l, ECHO_BACK);
	}
}

/* The echo of erasing the character of `bytes` bytes that now begins at head. */
static void echo_erased(struct line *l, u32 bytes, bool one)
{
	u8 c = byte_at(l, l->head);

	if (!BIT_L(l, ECHO))
		return;
	if (BIT_L(l, ECHOPRT)) {
		erase_printing(l, bytes);
	} else if (one && !BIT_L(l, ECHOE)) {
		echo_char(l, KEY(l, VERASE));
	} else if (c == '\t') {
		erase_tab(l);
	} else {
		if (is_control(c) && BIT_L(l, ECHOCTL))
			erase_column(l);
		if (!is_control(c) || BIT_L(l, ECHOCTL))
			erase_column(l);
	}
}

/* Where the last character begins; *ret_whole: it has a first byte. */
static u32 last_character(const struct line *l, bool *ret_whole)
{
	u32 at = l->head - 1;

	while (is_continuation(l, byte_at(l, at)) && at != l->line_end)
		at--;
	*ret_whole = !is_continuation(l, byte_at(l, at));
	return at;
}

static void erase(struct line *l, bool one, bool word)
{
	bool whole, seen = false;

	while (l->head != l->line_end) {
		u32 at = last_character(l, &whole);
		if (!whole)
			break;
		if (word && is_word(byte_at(l, at)))
			seen = true;
		else if (word && seen)
			break;
		u32 bytes = l->head - at;
		l->head = at;
		echo_erased(l, bytes, one);
		if (one)
			break;
	}
	if (l->head == l->line_end && BIT_L(l, ECHO))
		echo_finish_erasing(l);
}

static void edit(struct line *l, u8 c)
{
	bool one = c == KEY(l, VERASE), word = !one && c == KEY(l, VWERASE);
	u32 all = ECHOK | ECHOKE | ECHOE;

	if (l->head != l->line_end) {
		if (!one && !word && (!BIT_L(l, ECHO) || BIT_L(l, all) != all))
			kill_plainly(l);
		else
			erase(l, one, word);
	}
	echo_commit(l);
}

static void literal_next(struct line *l)
{
	l->literal = true;
	if (!BIT_L(l, ECHO))
		return;
	echo_finish_erasing(l);
	if (!BIT_L(l, ECHOCTL))
		return;
	echo_raw(l, '^');
	echo_raw(l, '\b');
	echo_commit(l);
}

static void reprint(struct line *l, u8 c)
{
	echo_finish_erasing(l);
	echo_char(l, c);
	echo_raw(l, '\n');
	for (u32 at = l->line_end; at != l->head; at++)
		echo_char(l, byte_at(l, at));
	echo_commit(l);
}

static bool is_key(const struct line *l, u8 c, u32 key, u32 needs)
{
	return c == KEY(l, key) && (!needs || BIT_L(l, needs) == needs);
}

/* Ends of lines; true if it was one. */
static bool receive_end(struct line *l, u8 c)
{
	if (c == '\n') {
		if (BIT_L(l, ECHO | ECHONL)) {
			echo_raw(l, '\n');
			echo_commit(l);
		}
		put_line_end(l, c);
		return true;
	}
	if (is_key(l, c, VEOF, 0)) {
		put_line_end(l, NO_KEY);
		return true;
	}
	if (!is_key(l, c, VEOL, 0) && !is_key(l, c, VEOL2, IEXTEN))
		return false;
	if (BIT_L(l, ECHO))
		echo_typed(l, c);
	if (c == 0xff && BIT_I(l, PARMRK))
		put(l, c);
	put_line_end(l, c);
	return true;
}

/* Keys of canonical mode; true if it was one. */
static bool receive_canonical(struct line *l, u8 c)
{
	if (is_key(l, c, VERASE, 0) || is_key(l, c, VKILL, 0) || is_key(l, c, VWERASE, IEXTEN))
		edit(l, c);
	else if (is_key(l, c, VLNEXT, IEXTEN))
		literal_next(l);
	else if (is_key(l, c, VREPRINT, ECHO | IEXTEN))
		reprint(l, c);
	else
		return receive_end(l, c);
	return true;
}

/* ---- typed bytes ---- */

static void signal_key(struct line *l, int sig)
{
	if (l->tty->pgrp)
		signal_send_group(l->tty->pgrp, sig);
	if (BIT_L(l, NOFLSH))
		return;
	l->echo_head = l->echo_tail = l->echo_commit = l->echo_mark = 0;
	flush_output(l, l->shown_before < SCREEN_KEPT ? l->shown_before : SCREEN_KEPT);
	line_flush_input(l);
}

static bool receive_signal(struct line *l, u8 c)
{
	static const struct {
		u32 key;
		int sig;
	} keys[] = {{VINTR, SIG_INT}, {VQUIT, SIG_QUIT}, {VSUSP, SIG_TSTP}};
	u32 i = 0;

	while (i < 3 && c != KEY(l, keys[i].key))
		i++;
	if (i == 3)
		return false;
	signal_key(l, keys[i].sig);
	if (BIT_I(l, IXON))
		line_start(l, false);
	if (BIT_L(l, ECHO)) {
		echo_char(l, c);
		echo_commit(l);
	} else {
		echo_process_marked(l);
	}
	return true;
}

static bool receive_flow(struct line *l, u8 c)
{
	if (c == KEY(l, VSTART)) {
		line_start(l, false);
		echo_process_marked(l);
		return true;
	}
	if (c != KEY(l, VSTOP))
		return false;
	line_stop(l, false);
	return true;
}

/* A byte without a meaning of its own. */
static void receive_plain(struct line *l, u8 c)
{
	start_by_any(l);
	if (BIT_L(l, ECHO)) {
		echo_finish_erasing(l);
		echo_typed(l, c);
	}
	put_marked(l, c);
}

/* What a byte that means something is put as, if it ends no line and is no key. */
static void receive_mapped(struct line *l, u8 c)
{
	if (BIT_L(l, ECHO)) {
		echo_finish_erasing(l);
		if (c == '\n') {
			echo_raw(l, '\n');
			echo_commit(l);
		} else {
			echo_typed(l, c);
		}
	}
	put_marked(l, c);
}

static void receive_special(struct line *l, u8 c)
{
	if (BIT_I(l, IXON) && receive_flow(l, c))
		return;
	if (BIT_L(l, ISIG) && receive_signal(l, c))
		return;
	start_by_any(l);
	if (c == '\r' && BIT_I(l, IGNCR))
		return;
	if (c == '\r' && BIT_I(l, ICRNL))
		c = '\n';
	else if (c == '\n' && BIT_I(l, INLCR))
		c = '\r';
	if (!BIT_L(l, ICANON) || !receive_canonical(l, c))
		receive_mapped(l, c);
}

/* Whether any setting gives the byte a meaning. */
static bool is_special(const struct line *l, u8 c)
{
	const struct {
		u32 holds;
		u8 keys[5];
		u8 count;
	} sets[] = {
		{BIT_I(l, IGNCR | ICRNL), {'\r'}, 1},
		{BIT_I(l, INLCR), {'\n'}, 1},
		{BIT_L(l, ICANON),
		 {KEY(l, VERASE), KEY(l, VKILL), KEY(l, VEOF), '\n', KEY(l, VEOL)},
		 5},
		{BIT_L(l, ICANON) && BIT_L(l, IEXTEN),
		 {KEY(l, VWERASE), KEY(l, VLNEXT), KEY(l, VEOL2)},
		 3},
		{BIT_L(l, ICANON) && BIT_L(l, IEXTEN) && BIT_L(l, ECHO), {KEY(l, VREPRINT)}, 1},
		{BIT_I(l, IXON), {KEY(l, VSTART), KEY(l, VSTOP)}, 2},
		{BIT_L(l, ISIG), {KEY(l, VINTR), KEY(l, VQUIT), KEY(l, VSUSP)}, 3},
	};

	for (u32 i = 0; c != NO_KEY && i < sizeof(sets) / sizeof(sets[0]); i++) {
		for (u32 k = 0; sets[i].holds && k < sets[i].count; k++) {
			if (sets[i].keys[k] == c)
				return true;
		}
	}
	return false;
}

static void receive(struct line *l, u8 c)
{
	bool literal = l->literal;

	l->literal = false;
	if (BIT_I(l, ISTRIP))
		c &= 0x7f;
	if (BIT_I(l, IUCLC) && BIT_L(l, IEXTEN) && is_upper(c))
		c += 0x20;
	if (BIT_L(l, EXTPROC) && !literal)
		put(l, c);
	else if (!literal && is_special(l, c))
		receive_special(l, c);
	else
		receive_plain(l, c);
}

static bool is_raw(const struct line *l)
{
	bool changes = BIT_I(l, ISTRIP) || (BIT_I(l, IUCLC) && BIT_L(l, IEXTEN));

	if (BIT_L(l, EXTPROC) && !changes)
		return true;
	return !BIT_I(l, ISTRIP | IUCLC | IGNCR | ICRNL | INLCR | IXON | PARMRK) &&
	       !BIT_L(l, ICANON | ISIG | ECHO);
}

static bool reads_lines(const struct line *l)
{
	return BIT_L(l, ICANON) && !BIT_L(l, EXTPROC);
}

/* Bytes that may be received at once.  A line that is too long loses its bytes, but for the last,
 * until it ends. */
static u32 receive_room(struct line *l)
{
	s32 room = (s32)(LINE_SIZE - (l->head - l->tail));

	if (BIT_I(l, PARMRK))
		room = (room + 2) / 3;
	if (--room > 0)
		return (u32)room;
	bool overflow = BIT_L(l, ICANON) && l->line_end == l->tail;
	if (overflow && room < 0)
		l->head--;
	return overflow;
}

static void receive_batch(struct line *l, const u8 *bytes, u32 n)
{
	bool raw = is_raw(l);

	l->shown_before = (u32)l->screen->used;
	for (u32 i = 0; i < n; i++) {
		if (raw)
			put(l, bytes[i]);
		else
			receive(l, bytes[i]);
	}
	if (!raw)
		echo_flush(l);
	if (!reads_lines(l) && l->head != l->tail)
		l->changed |= LINE_READABLE;
}

u32 line_receive(struct line *l, const u8 *bytes, u32 n)
{
	u32 done = 0, room;

	while (done < n && (room = receive_room(l))) {
		u32 now = n - done < room ? n - done : room;
		receive_batch(l, bytes + done, now);
		done += now;
	}
	return done;
}

/* ---- reading ---- */

bool line_has_input(const struct line *l, bool poll)
{
	u32 least = poll && !KEY(l, VTIME) && KEY(l, VMIN) ? KEY(l, VMIN) : 1;

	if (reads_lines(l))
		return l->line_end != l->tail;
	return l->head - l->tail >= least;
}

static bool is_end_of_file(const struct line *l, u32 at)
{
	return ends_at(l, at) && byte_at(l, at) == NO_KEY;
}

static u32 take_line(struct line *l, u8 *to, u32 size)
{
	u32 n = 0;

	while (n < size && l->tail != l->line_end) {
		bool end = ends_at(l, l->tail), eof = is_end_of_file(l, l->tail);
		u8 c = byte_at(l, l->tail);
		end_set(l, l->tail++, false);
		if (!eof)
			to[n++] = c;
		if (end)
			return n;
	}
	/* An end of file behind what was read in full is not another one. */
	if (l->tail != l->line_end && is_end_of_file(l, l->tail))
		end_set(l, l->tail++, false);
	return n;
}

u32 line_take(struct line *l, u8 *to, u32 size)
{
	u32 n = 0;

	if (reads_lines(l))
		return take_line(l, to, size);
	while (n < size && l->tail != l->head)
		to[n++] = byte_at(l, l->tail++);
	bool last = n && l->tail == l->head && to[n - 1] == KEY(l, VEOF);
	/* EXTPROC: the end of file is typed by who edits the lines. */
	if (BIT_L(l, ICANON) && last && (n % PIECE == 1 || (l->tail - 1) % LINE_SIZE == 0))
		n--;
	return n;
}

u32 line_count(const struct line *l)
{
	u32 n = l->head - l->tail;

	if (!reads_lines(l))
		return n;
	n = l->line_end - l->tail;
	for (u32 at = l->tail; at != l->line_end; at++)
		n -= is_end_of_file(l, at);
	return n;
}

/* ---- settings ---- */

/* What was typed so far is one line, or no line at all. */
static void change_mode(struct line *l)
{
	memset(l->ends, 0, sizeof(l->ends));
	l->line_end = l->tail;
	if (BIT_L(l, ICANON) && l->head != l->tail) {
		end_set(l, l->head - 1, true);
		l->line_end = l->head;
	}
	l->erasing = false;
	l->literal = false;
}

static bool has_flow_keys(const struct termios2 *s)
{
	return s->c_iflag & IXON && s->c_cc[VSTOP] == 'S' - '@' && s->c_cc[VSTART] == 'Q' - '@';
}

static void tell_settings(struct line *l, const struct termios2 *old)
{
	bool flow = has_flow_keys(&l->tty->termios);

	if (flow != has_flow_keys(old))
		tell_flow(l, flow ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP,
			  TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
	if (BIT_L(l, EXTPROC) || old->c_lflag & EXTPROC)
		tell_flow(l, TIOCPKT_IOCTL, 0);
}

void line_settings_changed(struct line *l, const struct termios2 *old)
{
	tell_settings(l, old);
	if ((old->c_lflag ^ l->tty->termios.c_lflag) & (ICANON | EXTPROC))
		change_mode(l);
	if (!BIT_I(l, IXON) && old->c_iflag & IXON && !l->stopped_by_call) {
		line_start(l, false);
		echo_process_marked(l);
	}
	l->changed |= LINE_READABLE | LINE_WRITABLE;
}

void line_init(struct line *l, struct tty *tty, struct byte_queue *screen)
{
	l->tty = tty;
	l->screen = screen;
}
