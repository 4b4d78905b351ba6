/* See file_place.h.  The file is a program's: whoever calls this does it in a process of its own.
 */
#include "file_place.h"

#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int print(Dwfl_Module *module, uint64_t address, FILE *out)
{
	const char *function = dwfl_module_addrname(module, address), *file = NULL;
	Dwfl_Line *line = dwfl_module_getsrc(module, address);
	int number;

	if (line != NULL)
		file = dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL);
	if (function == NULL && file == NULL)
		return 1;
	if (function != NULL)
		fprintf(out, "%s%s", function, file != NULL ? " (" : "");
	if (file != NULL)
		fprintf(out, "%s:%d%s", strrchr(file, '/') != NULL ? strrchr(file, '/') + 1 : file,
			number, function != NULL ? ")" : "");
	return 0;
}

int file_place_print(const char *path, uint64_t address, FILE *out)
{
	static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
						 .find_debuginfo = dwfl_standard_find_debuginfo,
						 .section_address = dwfl_offline_section_address};
	Dwfl *dwfl = dwfl_begin(&callbacks);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), result = 1;

	if (dwfl != NULL && fd >= 0) {
		dwfl_report_begin(dwfl);
		Dwfl_Module *module = dwfl_report_elf(dwfl, path, path, fd, 0, true);

		dwfl_report_end(dwfl, NULL, NULL);
		fd = module != NULL ? -1 : fd; /* else libdw's */
		result = module != NULL ? print(module, address, out) : 1;
	}
	if (fd >= 0)
		close(fd);
	if (dwfl != NULL)
		dwfl_end(dwfl);
	return result;
}
