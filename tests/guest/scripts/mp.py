"""multiprocessing over AF_UNIX: pools, managers, listeners that pass descriptors, asyncio servers."""
import array
import asyncio
import multiprocessing as mp
import os
import socket
import sys
import tempfile
from multiprocessing.connection import Client, Listener


def square(n):
    return n * n, os.getpid()


def serve(path):
    with Listener(path, "AF_UNIX", authkey=b"key") as listener:
        with listener.accept() as c:
            while (message := c.recv()) is not None:
                c.send([message, len(message)])


def pools():
    for method in ("fork", "spawn", "forkserver"):
        ctx = mp.get_context(method)
        with ctx.Pool(2) as pool:
            results = pool.map(square, range(8), chunksize=1)
        print(method, [r[0] for r in results], sorted({r[1] for r in results}))


def listeners():
    path = os.path.join(tempfile.mkdtemp(dir="."), "s")
    p = mp.get_context("fork").Process(target=serve, args=(path,))
    p.start()
    while not os.path.exists(path):
        pass
    with Client(path, "AF_UNIX", authkey=b"key") as c:
        for word in ("one", "three", "seventeen"):
            c.send(word)
            print(c.recv())
        c.send(None)
    p.join()
    print("server", p.exitcode)


def managers():
    with mp.get_context("fork").Manager() as m:
        d = m.dict()
        q = m.Queue()
        d["a"] = 1
        q.put("x")
        print("manager", dict(d), q.get())


def descriptors():
    a, b = socket.socketpair()
    with open("passed.txt", "w+") as f:
        f.write("passed on")
        f.flush()
        socket.send_fds(a, [b"here"], [f.fileno()])
    data, fds, _, _ = socket.recv_fds(b, 100, 4)
    os.lseek(fds[0], 0, os.SEEK_SET)
    print(data, os.read(fds[0], 100))


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def talk(n):
    reader, writer = await asyncio.open_unix_connection("asock")
    answers = []
    for i in range(3):
        writer.write(f"client {n} line {i}\n".encode())
        answers.append((await reader.readline()).decode().strip())
    writer.close()
    await writer.wait_closed()
    return answers


async def servers():
    server = await asyncio.start_unix_server(echo, "asock")
    async with server:
        for answers in await asyncio.gather(*(talk(n) for n in range(4))):
            print(answers)


if __name__ == "__main__":
    pools()
    listeners()
    managers()
    descriptors()
    asyncio.run(servers())
