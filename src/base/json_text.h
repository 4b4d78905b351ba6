/* Bytes of any kind as JSON strings: UTF-8 as it is, else "?" for each byte that is not ASCII. */
#ifndef SHADOW_JSON_TEXT_H
#define SHADOW_JSON_TEXT_H

#include <jansson.h>
#include <stddef.h>

/* NULL for NULL, or for want of memory. */
json_t *json_text(const char *text);

#endif
