#!/usr/bin/python3
"""Makes everything that is derived from syscalls.tbl; the table itself explains its columns.

    gen_table.py --table FILE --kinds FILE --out DIR     the generated headers and rows
    gen_table.py --table FILE --kinds FILE --doc FILE    docs/syscalls.md
    gen_table.py --table FILE --kinds FILE --check [--doc FILE]   verify, FILE being up to date

Every run verifies the table first: numbers unique and complete, names and handlers once, kinds
and errnos known. A fault is one line on stderr that names the row, and status 1.
"""

import argparse
import errno
import os
import re
import sys

# The two ranges Linux 6.18 assigns on x86-64; what lies between was left free on purpose, so that
# new calls have the same number on every architecture from 424 on.
ASSIGNED = list(range(0, 337)) + list(range(424, 470))

FLAGS = ("parks", "address", "noreturn", "frame", "quiet")
PROCESS_TESTS = ("process_trees", "pidfd", "limits", "credentials", "chroot",
                 "process_vm")
TESTS = ("files", "dirs", "pipes", "poll", "memory", "threads", "processes", "signals", "time",
         "random", "ident", "futex", "xattr", "seccomp_filter", "sockets", "splice", "inotify",
         "ipc", "signalfd", "timers", "timerfd", "mqueue", "refused")
CLASSES = ("virtual", "host", "refused")
LENGTHS = ("SIZE", "INT", "UINT")
LEN_RESULT = 7
LENGTH = re.compile(r"(ret|\d)(?:\*(\d+))?(?:\+(\d+))?$")
COLUMNS = 8


class TableError(Exception):
    """A fault of the table, with the row it is in."""


class Row:
    """One line of the table, its fields checked one by one."""

    def __init__(self, line, kinds):
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != COLUMNS:
            raise TableError(f"{line.strip()!r}: {len(fields)} columns, not {COLUMNS}")
        number, self.name, class_, flags, args, self.handler, self.test, self.reason = fields
        self.number = int(number)
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", self.name):
            self.fail("name is not a C name")
        self.class_, _, self.errno = class_.partition(":")
        self.flags = [] if flags == "-" else flags.split(",")
        self.args = [] if args == "-" else args.split()
        self.kinds = [arg.partition(":")[0].upper() for arg in self.args]
        self.flows = [self.flow(kind, kinds) for kind in self.kinds]
        self.check()

    def fail(self, what):
        raise TableError(f"{self.number} {self.name}: {what}")

    def flow(self, kind, kinds):
        if kind not in kinds:
            self.fail(f"unknown argument kind {kind.lower()}")
        return kinds[kind]

    def check(self):
        if self.class_ not in CLASSES:
            self.fail(f"unknown class {self.class_}")
        if set(self.flags) - set(FLAGS):
            self.fail(f"unknown flag among {self.flags}")
        if len(self.args) > 6:
            self.fail("more than 6 arguments")
        if self.test not in TESTS + PROCESS_TESTS:
            self.fail(f"unknown test family {self.test}")
        if not self.reason:
            self.fail("empty reason")
        self.check_class()
        for arg in range(len(self.args)):
            self.check_length(arg)
        if sum(self.is_read(arg) for arg in range(len(self.args))) > 1:
            self.fail("more than one argument with a length")

    def check_class(self):
        if self.class_ == "refused":
            if not hasattr(errno, self.errno):
                self.fail(f"unknown errno {self.errno!r}")
            if self.reason == "-" or self.handler != "-" or self.test != "refused":
                self.fail("a refused row has a reason, no handler, and is tested by 'refused'")
        elif self.errno or self.handler != "sys_" + self.name:
            self.fail("a handled row has no errno, and sys_NAME as its handler")

    def check_length(self, arg):
        length = self.args[arg].partition(":")[2]
        flow = self.flows[arg]
        if length and not LENGTH.match(length):
            self.fail(f"argument {arg}: {length!r} is no length")
        if flow == "IN" and length.startswith("0*0+"):
            return
        length = LENGTH.match(length).group(1) if length else ""
        if flow not in ("IN", "BUF_IN", "BUF_OUT"):
            if length:
                self.fail(f"argument {arg} takes no length")
        elif flow == "IN" and not length:
            return
        elif flow == "IN" or length != "ret":
            good = flow != "BUF_OUT" and length.isdigit() and int(length) < len(self.args)
            if not good or self.kinds[int(length)] not in LENGTHS:
                self.fail(f"argument {arg}: {length!r} is no length")

    def is_read(self, arg):
        """Whether the event keeps bytes that the call read there."""
        return self.flows[arg] == "BUF_IN" or (self.flows[arg] == "IN" and ":" in self.args[arg])

    def mask(self, *flows):
        return sum(1 << arg for arg, flow in enumerate(self.flows) if flow in flows)

    def read_mask(self):
        return sum(1 << arg for arg in range(len(self.args)) if self.is_read(arg))

    def length(self):
        """Argument, bytes of a thing and of the head, for what is read or else written."""
        texts = [text.partition(":")[2] for arg, text in enumerate(self.args)
                 if self.is_read(arg) or self.flows[arg] == "BUF_OUT"]
        texts.sort(key=lambda text: text.startswith("ret"))
        arg, size, head = LENGTH.match(texts[0] if texts else "ret").groups()
        return (LEN_RESULT if arg == "ret" else int(arg), int(size or 1), int(head or 0))

    def c_length(self):
        arg, size, head = self.length()
        return f".len_arg = {arg}, .len_unit = {size}, .len_head = {head}"

    def c_flags(self):
        return " | ".join("SYSCALL_" + flag.upper() for flag in self.flags) or "0"


def read_kinds(path):
    """The kinds of arg_kinds.def, each with its flow."""
    with open(path, encoding="ascii") as file:
        return dict(re.findall(r"^ARG_KIND\((\w+), (\w+),", file.read(), re.MULTILINE))


def read_table(path, kinds):
    """The rows in the order of their numbers, verified as a whole."""
    with open(path, encoding="ascii") as file:
        rows = [Row(line, kinds) for line in file if line.strip() and not line.startswith("#")]
    numbers = [row.number for row in rows]
    if numbers != ASSIGNED:
        odd = sorted(set(numbers) ^ set(ASSIGNED)) or "order or a number given twice"
        raise TableError(f"numbers are not those of Linux 6.18: {odd}")
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise TableError(f"{name}: more than one row")
    used = {kind for row in rows for kind in row.kinds}
    if set(kinds) - used:
        raise TableError(f"kinds that no row uses: {sorted(set(kinds) - used)}")
    return rows


NOTICE = "/* Generated from syscalls.tbl by gen_table.py. */\n"


def make_numbers(rows):
    lines = [f"\tNR_{row.name} = {row.number}," for row in rows]
    return (NOTICE + "#ifndef SHADOW_SYSCALL_NR_H\n#define SHADOW_SYSCALL_NR_H\n\nenum syscall_nr {\n"
            + "\n".join(lines) + f"\n\tSYSCALL_NR_END = {rows[-1].number + 1},\n}};\n\n#endif\n")


def make_handlers(rows):
    lines = [f"syscall_handler {row.handler};" for row in rows if row.handler != "-"]
    return (NOTICE + "#ifndef SHADOW_SYSCALL_HANDLERS_H\n#define SHADOW_SYSCALL_HANDLERS_H\n\n"
            + '#include "syscall_row.h"\n\n' + "\n".join(lines) + "\n\n#endif\n")


def make_dispatch(rows):
    lines = []
    for row in rows:
        handler = row.handler if row.handler != "-" else "0"
        error = getattr(errno, row.errno) if row.errno else 0
        lines.append(
            f"[{row.number}] = {{ .handler = {handler}, .nargs = {len(row.args)}, "
            f".class = SYSCALL_{row.class_.upper()}, .flags = {row.c_flags()}, .error = {error}, "
            f".path_args = {row.mask('PATH', 'STR'):#x}, .buf_in_args = {row.read_mask():#x}, "
            f".buf_out_args = {row.mask('BUF_OUT'):#x}, {row.c_length()} }}, "
            f"/* {row.name} */")
    return NOTICE + "\n".join(lines) + "\n"


def make_names(rows):
    return NOTICE + "\n".join(f'[{row.number}] = "{row.name}",' for row in rows) + "\n"


def make_rows(rows):
    lines = []
    for row in rows:
        kinds = ", ".join("ARG_" + kind for kind in row.kinds) or "ARG_INT"
        lines.append(f'[{row.number}] = {{ "{row.name}", {len(row.args)}, {row.c_flags()}, '
                     f"{{ {kinds} }} }},")
    return NOTICE + "\n".join(lines) + "\n"


def doc_table(head, rows, fields):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(fields(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def dash(text):
    return "" if text == "-" else text


def make_doc(rows):
    groups = {class_: [row for row in rows if row.class_ == class_] for class_ in CLASSES}
    handled = groups["virtual"] + groups["host"]
    handled.sort(key=lambda row: row.number)
    return f"""# System calls

Generated from `src/syscall-table/syscalls.tbl`; do not edit. The list is that of Linux 6.18 on
x86-64: {len(rows)} calls, of which {len(groups["virtual"])} are answered wholly in the shim
(*virtual*), {len(groups["host"])} are carried out by the kernel and normalised by the shim
(*host*), and {len(groups["refused"])} are refused. Numbers between 336 and 424 and above
{rows[-1].number} are answered with ENOSYS; 32-bit and x32 calls end the program.

A refused call is named once, at the end of a run, with the number of times it was made; *quiet*
marks those that every libc probes for and does without, which are only counted. *Parks* marks
calls that may wait, *address* those that return one. *Test* is the family of guest tests that
covers the row.

## Handled

{doc_table(("nr", "call", "class", "flags", "arguments", "test", "rule"), handled,
           lambda row: (str(row.number), f"`{row.name}`", row.class_, ", ".join(row.flags),
                        " ".join(row.args), row.test, dash(row.reason)))}
## Refused

{doc_table(("nr", "call", "errno", "flags", "arguments", "reason"), groups["refused"],
           lambda row: (str(row.number), f"`{row.name}`", row.errno, ", ".join(row.flags),
                        str(len(row.args)), row.reason))}"""


OUTPUTS = {
    "syscall_nr.h": make_numbers,
    "syscall_handlers.h": make_handlers,
    "syscall_dispatch.inc": make_dispatch,
    "syscall_names.inc": make_names,
    "syscall_rows.inc": make_rows,
}


def write_outputs(rows, folder):
    for name, make in OUTPUTS.items():
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(make(rows))


def check_doc(rows, path):
    with open(path, encoding="ascii") as file:
        if file.read() != make_doc(rows):
            raise TableError(f"{path} is not up to date: run gen_table.py with --doc")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True, help="syscalls.tbl")
    parser.add_argument("--kinds", required=True, help="arg_kinds.def")
    parser.add_argument("--out", help="folder for the generated C")
    parser.add_argument("--doc", help="docs/syscalls.md, to write or to check")
    parser.add_argument("--check", action="store_true", help="verify, write nothing")
    return parser.parse_args()


def main():
    args = parse_arguments()
    try:
        rows = read_table(args.table, read_kinds(args.kinds))
        if args.check and args.doc:
            check_doc(rows, args.doc)
    except (TableError, ValueError, OSError) as error:
        print(f"gen_table.py: {error}", file=sys.stderr)
        return 1
    if args.check:
        return 0
    if args.out:
        write_outputs(rows, args.out)
    if args.doc:
        with open(args.doc, "w", encoding="ascii") as file:
            file.write(make_doc(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
