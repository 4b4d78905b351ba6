# Copies by what the tools use: copy_file_range, sendfile, splice, holes, fallocate.
set -e
truncate -s 300000 holes
cat words.txt >>holes
truncate -s 5000000 holes
cp --reflink=auto --sparse=always holes sparse
cp --sparse=never words.txt copied
cmp holes sparse
cmp words.txt copied
dd if=holes of=dd.out bs=64k conv=sparse,notrunc status=none
dd if=words.txt of=dd.out bs=1000 seek=7 count=100 iflag=skip_bytes skip=333 conv=notrunc status=none
fallocate -l 6000000 dd.out
fallocate -p -o 4096 -l 8192 dd.out
/usr/bin/python3 -B - <<'EOF'
import os, shutil
shutil.copyfile('holes', 'py.out')
with open('words.txt', 'rb') as a, open('py.out', 'r+b') as b:
    print(os.sendfile(b.fileno(), a.fileno(), 100, 1000))
    print(os.copy_file_range(a.fileno(), b.fileno(), 5000, 7, 9))
    r, w = os.pipe()
    print(os.splice(a.fileno(), w, 3000), os.splice(r, b.fileno(), 2000, offset_dst=11))
    print(os.lseek(a.fileno(), 0, os.SEEK_HOLE), os.lseek(a.fileno(), 5, os.SEEK_DATA))
EOF
cksum holes copied sparse dd.out py.out
