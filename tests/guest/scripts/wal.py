"""Processes that write to and read from one sqlite database in WAL mode: shared memory and locks."""
import os
import sqlite3

FILE = 'wal.db'
WRITERS, ROWS = 3, 30


def connect():
    return sqlite3.connect(FILE, timeout=1000, isolation_level=None)


def write(who):
    db = connect()
    for i in range(ROWS):
        db.execute('BEGIN IMMEDIATE')
        total, = db.execute('SELECT coalesce(max(total), 0) FROM t').fetchone()
        db.execute('INSERT INTO t VALUES (?, ?, ?)', (who, i, total + 1))
        db.execute('COMMIT')
    db.close()


def read():
    db, seen = connect(), -1
    while seen < WRITERS * ROWS:
        count, top = db.execute('SELECT count(*), coalesce(max(total), 0) FROM t').fetchone()
        assert count == top >= seen
        seen = count
    db.close()


def main():
    db = connect()
    print(db.execute('PRAGMA journal_mode=WAL').fetchone())
    db.execute('CREATE TABLE t (who, i, total)')
    db.close()
    children = []
    for child in [*range(WRITERS), None]:
        pid = os.fork()
        if not pid:
            read() if child is None else write(child)
            os._exit(0)
        children.append(pid)
    print([os.waitpid(pid, 0)[1] for pid in children])
    db = connect()
    print(db.execute('SELECT who, count(*), max(i) FROM t GROUP BY who').fetchall())
    print(db.execute('PRAGMA integrity_check').fetchone())
    db.close()
    os.unlink(FILE)


main()
