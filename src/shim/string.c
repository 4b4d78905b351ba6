/*
 * The few string functions the compiler and the handlers need.  Freestanding, general registers
 * only, so plain loops and rep moves.
 */
#include "shim.h"
#include <stdarg.h>

#ifdef SHADOW_SHIM
#undef memcpy
#undef memset
#endif

/* Longer ones the processor moves faster than a loop. */
#define BY_WORDS_MAX 128

static void move_forward(void *to, const void *from, size_t n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static u64 load_word(const u8 *p)
{
	u64 word;

	__builtin_memcpy(&word, p, sizeof(word));
	return word;
}

static void store_word(u8 *p, u64 word)
{
	__builtin_memcpy(p, &word, sizeof(word));
}

/* Up to 7 bytes: their ends overlap. */
static void copy_short(u8 *d, const u8 *s, size_t n)
{
	u32 first, last;

	if (n >= sizeof(first)) {
		__builtin_memcpy(&first, s, sizeof(first));
		__builtin_memcpy(&last, s + n - sizeof(last), sizeof(last));
		__builtin_memcpy(d, &first, sizeof(first));
		__builtin_memcpy(d + n - sizeof(last), &last, sizeof(last));
	} else if (n) {
		u8 middle = s[n / 2], end = s[n - 1];
		d[0] = s[0];
		d[n / 2] = middle;
		d[n - 1] = end;
	}
}

/* Words, of which the last two overlap. */
static void copy_words(u8 *d, const u8 *s, size_t n)
{
	for (size_t i = 0; i + sizeof(u64) < n; i += sizeof(u64))
		store_word(d + i, load_word(s + i));
	store_word(d + n - sizeof(u64), load_word(s + n - sizeof(u64)));
}

void *memcpy(void *to, const void *from, size_t n)
{
	if (n > BY_WORDS_MAX)
		move_forward(to, from, n);
	else if (n >= sizeof(u64))
		copy_words(to, from, n);
	else
		copy_short(to, from, n);
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	u8 *d = to;
	const u8 *s = from;

	if (d <= s || d >= s + n) {
		move_forward(to, from, n);
		return to;
	}
	/* From the end on, by words: what is loaded is never what was stored. */
	for (; n >= sizeof(u64); n -= sizeof(u64))
		store_word(d + n - sizeof(u64), load_word(s + n - sizeof(u64)));
	while (n > 0) {
		n--;
		d[n] = s[n];
	}
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *ret = to;
	u8 *d = to;
	u64 word = (u8)c * 0x0101010101010101u;

	if (n > BY_WORDS_MAX || n < sizeof(word)) {
		__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
		return ret;
	}
	for (size_t i = 0; i + sizeof(word) < n; i += sizeof(word))
		store_word(d + i, word);
	store_word(d + n - sizeof(word), word);
	return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;
	size_t i = 0;

	while (i + sizeof(u64) <= n && load_word(x + i) == load_word(y + i))
		i += sizeof(u64);
	for (; i < n; i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}

#define ONES 0x0101010101010101u

/* The high bits of bytes that are zero; above the first of them, perhaps of others. */
static u64 zero_bytes(u64 word)
{
	return (word - ONES) & ~word & ONES << 7;
}

/*
 * The first byte that is `c` or the end.  By aligned words, which never reach into another page
 * than the end does; what is before the start counts as something else.
 */
static const char *find(const char *s, u8 c)
{
	const u64 *word = (const u64 *)((uintptr_t)s & ~(sizeof(u64) - 1));
	u64 before = ((uintptr_t)s & 7) * 8;
	u64 mask = ~0ull << before;
	u64 found = (zero_bytes(*word | ~mask) | zero_bytes((*word ^ c * ONES) | ~mask));

	while (!found) {
		word++;
		found = zero_bytes(*word) | zero_bytes(*word ^ c * ONES);
	}
	return (const char *)word + (__builtin_ctzll(found) >> 3);
}

size_t strlen(const char *s)
{
	return (size_t)(find(s, 0) - s);
}

int strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (a[i] != b[i] || a[i] == '\0')
			return (u8)a[i] - (u8)b[i];
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	const char *at = find(s, (u8)c);

	return *at == (char)c ? (char *)(uintptr_t)at : NULL;
}

char *strrchr(const char *s, int c)
{
	char *found = NULL;

	for (;; s++) {
		if (*s == (char)c)
			found = (char *)(uintptr_t)s;
		if (*s == '\0')
			return found;
	}
}

struct sink {
	char *out;
	size_t cap;
	size_t *len;
};

static void put_char(struct sink *s, char c)
{
	if (*s->len + 1 < s->cap) {
		s->out[(*s->len)++] = c;
		s->out[*s->len] = '\0';
	}
}

static void put_number(struct sink *s, u64 v, unsigned base, bool negative, int width, char pad)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	if (negative && pad == '0')
		put_char(s, '-');
	for (int i = n + (negative ? 1 : 0); i < width; i++)
		put_char(s, pad);
	if (negative && pad != '0')
		put_char(s, '-');
	while (n > 0)
		put_char(s, digits[--n]);
}

static const char *put_directive(struct sink *s, const char *p, va_list *ap)
{
	char pad = ' ';
	int width = 0;
	bool wide = false;

	if (*p == '0')
		pad = *p++;
	while (*p >= '0' && *p <= '9')
		width = width * 10 + (*p++ - '0');
	while (*p == 'l') {
		wide = true;
		p++;
	}
	if (*p == 's') {
		for (const char *str = va_arg(*ap, const char *); *str != '\0'; str++)
			put_char(s, *str);
	} else if (*p == 'c') {
		put_char(s, (char)va_arg(*ap, int));
	} else if (*p == 'd') {
		s64 v = wide ? va_arg(*ap, s64) : va_arg(*ap, int);
		put_number(s, v < 0 ? -(u64)v : (u64)v, 10, v < 0, width, pad);
	} else if (*p == 'u' || *p == 'x' || *p == 'o') {
		u64 v = wide ? va_arg(*ap, u64) : va_arg(*ap, unsigned);
		put_number(s, v, *p == 'u' ? 10 : *p == 'x' ? 16 : 8, false, width, pad);
	} else {
		put_char(s, *p);
	}
	return p + 1;
}

void str_format(char *out, size_t cap, size_t *len, const char *fmt, ...)
{
	struct sink s = {out, cap, len};
	va_list ap;

	va_start(ap, fmt);
	while (*fmt != '\0') {
		if (*fmt == '%')
			fmt = put_directive(&s, fmt + 1, &ap);
		else
			put_char(&s, *fmt++);
	}
	va_end(ap);
}
