/* shadow-trace pack LOG: see pack.c. */
#ifndef SHADOW_TOOLS_PACK_H
#define SHADOW_TOOLS_PACK_H

/* argv[0] is the tool's name, the rest are its arguments. The exit status. */
int pack_main(int argc, char **argv);

#endif
