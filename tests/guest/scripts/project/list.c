#include "all.h"

struct node *list_push(struct node *list, const char *text)
{
	struct node *node = malloc(sizeof(*node));

	node->next = list;
	node->text = text_upper(text);
	return node;
}
