/*
 * The few string functions the compiler and the handlers need.  Freestanding, general registers
 * only, so plain loops and rep moves.
 */
#include "shim.h"
#include <stdarg.h>

void *memcpy(void *to, const void *from, size_t n)
{
	void *ret = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return ret;
}

void *memmove(void *to, const void *from, size_t n)
{
	u8 *d = to;
	const u8 *s = from;

	if (d <= s || d >= s + n)
		return memcpy(to, from, n);
	/* From the end on, by words: what is loaded is never what was stored. */
	for (; n >= sizeof(u64); n -= sizeof(u64)) {
		u64 word;

		__builtin_memcpy(&word, s + n - sizeof(word), sizeof(word));
		__builtin_memcpy(d + n - sizeof(word), &word, sizeof(word));
	}
	while (n > 0) {
		n--;
		d[n] = s[n];
	}
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *ret = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (size_t i = 0; i < n; i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return n;
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
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (*s == '\0')
			return NULL;
	}
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
