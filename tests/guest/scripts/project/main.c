#include "all.h"

int main(int argc, char **argv)
{
	struct node *list = NULL;

	for (int i = 1; i < argc; i++)
		list = list_push(list, argv[i]);
	for (; list; list = list->next)
		printf("%s built %s\n", list->text, __DATE__ " " __TIME__);
	return 0;
}
