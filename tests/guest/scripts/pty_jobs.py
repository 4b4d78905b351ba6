"""A shell with job control in a pseudo terminal: lines, Ctrl-Z, fg, Ctrl-D, Ctrl-C."""
import os
import pty
import re
import select
import sys


def until(fd, pattern):
    """Reads until the pattern has come, and prints what came."""
    said = b''
    while not re.search(pattern, said, re.S):
        try:
            got = os.read(fd, 1024)
        except OSError:
            got = b''
        if not got:
            break
        said += got
    print(said.decode().replace('\r', '\\r').replace('\x1b', '\\e'))


pid, fd = pty.fork()
if pid == 0:
    os.environ.update(PS1='ready> ', TERM='dumb', HISTFILE='', LC_ALL='C')
    os.execv('/bin/bash', ['bash', '--norc', '--noediting', '-i'])
STEPS = [(b'tty | grep -c pts\n', rb'1\r\nready> '),
         (b'stty -echo; echo silent; stty echo\n', rb'silent\r\nready> '),
         (b'cat; echo code $?\n', rb'\n'),
         (b'a line\n', rb'a line\r\na line\r\n'),
         (b'\x1a', rb'Stopped.*\r\n.*ready> '),
         (b'fg\n', rb'cat\r\n'), (b'more\n', rb'more\r\nmore\r\n'),
         (b'\x04', rb'ready> '),
         (b'sh -c "echo on; exec sleep 1000"\n', rb'\non\r\n'), (b'\x03', rb'ready> '),
         (b'stty size\n', rb'0 0\r\nready> '),
         (b'exit 5\n', rb'exit\r\n')]
until(fd, rb'ready> ')
for keys, answer in STEPS:
    os.write(fd, keys)
    until(fd, answer)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
