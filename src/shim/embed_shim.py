#!/usr/bin/python3
"""embed_shim.py SHIM OUTPUT: an assembler source that holds SHIM between two symbols."""

import os
import sys

shim, output = sys.argv[1:]
with open(output, 'w', encoding='utf-8') as f:
    f.write(f'''\t.section .rodata
\t.globl shim_blob_start, shim_blob_end
\t.balign 4096
shim_blob_start:
\t.incbin "{os.path.abspath(shim)}"
shim_blob_end:
\t.section .note.GNU-stack,"",@progbits
''')
