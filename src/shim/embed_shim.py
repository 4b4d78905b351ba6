#!/usr/bin/python3
"""embed_shim.py OBJCOPY SHIM STRIPPED OUTPUT: an assembler source that holds SHIM, without what only
a debugger reads (it is copied at each start), between two symbols."""

import os
import subprocess
import sys

objcopy, shim, stripped, output = sys.argv[1:]
subprocess.run([objcopy, '--strip-debug', shim, stripped], check=True)
with open(output, 'w', encoding='utf-8') as f:
    f.write(f'''\t.section .rodata
\t.globl shim_blob_start, shim_blob_end
\t.balign 4096
shim_blob_start:
\t.incbin "{os.path.abspath(stripped)}"
shim_blob_end:
\t.section .note.GNU-stack,"",@progbits
''')
