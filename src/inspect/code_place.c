/*
 * See code_place.h.  libdw reads the objects from the task's own root, that is from the log's
 * image.  Separate debug information is found by its build id, which names exactly one build: below
 * /usr/lib/debug in the image, else on this machine.
 */
#include "code_place.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct code_places {
	const struct task_view *view;
	Dwfl *dwfl;
	Dwfl_Callbacks callbacks;
};

#define BUILD_ID_MOST 64

static int open_debug(const struct task_view *view, const unsigned char *id, int size)
{
	char path[64 + 2 * BUILD_ID_MOST];
	int n = snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%02x/", id[0]);

	for (int i = 1; i < size; i++)
		n += snprintf(path + n, sizeof(path) - (size_t)n, "%02x", id[i]);
	snprintf(path + n, sizeof(path) - (size_t)n, ".debug");
	int fd = task_view_path(view, path);
	return fd >= 0 ? fd : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

static int find_debuginfo(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
			  const char *file, const char *link, GElf_Word crc, char **ret_name)
{
	const unsigned char *id;
	GElf_Addr at;
	int size = dwfl_module_build_id(module, &id, &at);

	(void)name, (void)base, (void)file, (void)link, (void)crc, (void)ret_name;
	return size > 1 && size <= BUILD_ID_MOST ? open_debug(*data, id, size) : -1;
}

static int find_elf(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
		    char **ret_name, Elf **ret_elf)
{
	(void)module, (void)data, (void)name, (void)base, (void)ret_name, (void)ret_elf;
	return -1; /* all that can be had is reported with its file */
}

int code_places_create(const struct task_view *view, struct code_places **ret_places)
{
	struct code_places *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->view = view;
	p->callbacks = (Dwfl_Callbacks){.find_elf = find_elf,
					.find_debuginfo = find_debuginfo,
					.section_address = dwfl_offline_section_address};
	p->dwfl = dwfl_begin(&p->callbacks);
	if (p->dwfl == NULL) {
		free(p);
		return -ENOMEM;
	}
	*ret_places = p;
	return 0;
}

void code_places_destroy(struct code_places *places)
{
	if (places == NULL)
		return;
	dwfl_end(places->dwfl);
	free(places);
}

/* Makes the object known to libdw, unless it is. */
static Dwfl_Module *module_of(struct code_places *p, const struct task_object *object,
			      uint64_t address)
{
	Dwfl_Module *module = dwfl_addrmodule(p->dwfl, address);
	void **data;

	if (module != NULL)
		return module;
	int fd = task_view_file(p->view, object->first);
	if (fd < 0)
		return NULL;
	dwfl_report_begin_add(p->dwfl);
	module = dwfl_report_elf(p->dwfl, object->first->path, object->first->path, fd,
				 object->bias, true);
	dwfl_report_end(p->dwfl, NULL, NULL);
	if (module == NULL) {
		close(fd);
		return NULL;
	}
	dwfl_module_info(module, &data, NULL, NULL, NULL, NULL, NULL, NULL);
	*data = (void *)p->view;
	return module;
}

static void find_line(Dwfl_Module *module, uint64_t address, struct code_place *place)
{
	Dwfl_Line *line = dwfl_module_getsrc(module, address);

	if (line != NULL)
		place->file = dwfl_lineinfo(line, NULL, &place->line, NULL, NULL, NULL);
}

static void find_function(Dwfl_Module *module, uint64_t address, struct code_place *place)
{
	GElf_Off offset;
	GElf_Sym symbol;
	const char *name =
		dwfl_module_addrinfo(module, address, &offset, &symbol, NULL, NULL, NULL);

	/* Without debug information only exported names are there: the nearest may be far off. */
	if (name == NULL || (symbol.st_size != 0 && offset >= symbol.st_size))
		return;
	place->function = name;
	place->function_start = address - offset;
}

void code_place_find(struct code_places *places, uint64_t address, struct code_place *ret_place)
{
	const struct task_mapping *map = task_view_mapping(places->view, address);
	struct task_object object;
	Dwfl_Module *module;

	*ret_place = (struct code_place){.object = map != NULL ? map->path : NULL};
	if (!task_view_object(places->view, address, &object))
		return;
	ret_place->object_off = address - object.bias;
	module = module_of(places, &object, address);
	if (module == NULL)
		return;
	find_function(module, address, ret_place);
	find_line(module, address, ret_place);
}
