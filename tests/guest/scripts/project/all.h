#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
	struct node *next;
	char *text;
};

struct node *list_push(struct node *list, const char *text);
char *text_upper(const char *text);
