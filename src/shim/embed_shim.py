#!/usr/bin/python3
"""embed_shim.py OBJCOPY NM SHIM STRIPPED OUTPUT: an assembler source that holds SHIM, without its
symbols, at a page of its own, and the addresses that the tracer needs as a struct shim_symbols."""

import os
import subprocess
import sys

# In the order of the struct (tracer/shim_image.h).
SYMBOLS = ('shim_entry', 'shim_insn_entry', 'shim_fault_entry', 'usercopy_begin', 'usercopy_end',
           'usercopy_fault', 'shim_boot', 'shim_boot_size', 'shim_boot_offset')

objcopy, nm, shim, stripped, output = sys.argv[1:]
subprocess.run([objcopy, '--strip-all', shim, stripped], check=True)
listed = subprocess.run([nm, shim], check=True, capture_output=True, text=True).stdout
fields = [line.split() for line in listed.splitlines()]
address = {f[2]: f[0] for f in fields if len(f) == 3}
table = '\n'.join(f'\t.quad 0x{address[name]} /* {name} */' for name in SYMBOLS)
with open(output, 'w', encoding='utf-8') as f:
    f.write(f'''\t.section .rodata
\t.globl shim_blob_start, shim_blob_symbols
\t.balign 4096
shim_blob_start:
\t.incbin "{os.path.abspath(stripped)}"
\t.balign 8
shim_blob_symbols:
{table}
\t.section .note.GNU-stack,"",@progbits
''')
