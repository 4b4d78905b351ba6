"""threading, subprocess, queues, concurrent.futures and asyncio, with the order things ended in."""
import asyncio
import concurrent.futures
import os
import queue
import random
import subprocess
import sys
import threading
import time

order = []


def count(name, rounds):
    for i in range(rounds):
        if i % 1000 == 0:
            order.append(name)
        if i % 3000 == 0:
            time.sleep(random.random() / 1000)


threads = [threading.Thread(target=count, args=(n, 20000)) for n in "abcd"]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("order", "".join(order))

q = queue.Queue(5)


def consume():
    total = 0
    while (item := q.get()) is not None:
        total += item
    print("consumed", total)


consumer = threading.Thread(target=consume)
consumer.start()
for i in range(200):
    q.put(i)
q.put(None)
consumer.join()

out = subprocess.run(["sort", "-r"], input=b"1\n3\n2\n", stdout=subprocess.PIPE, check=True)
print("sorted", out.stdout)
children = [subprocess.Popen([sys.executable, "-c", f"import sys; sys.exit({i})"])
            for i in range(3)]
print("children", [c.pid for c in children], [c.wait() for c in children])
try:
    subprocess.run(["sleep", "10"], timeout=0.05)
except subprocess.TimeoutExpired:
    print("sleep was too long")

with concurrent.futures.ThreadPoolExecutor(4) as pool:
    done = [f.result() for f in concurrent.futures.as_completed(
        [pool.submit(lambda n: (time.sleep(0.01 * (5 - n)), n)[1], n) for n in range(5)])]
    print("threads completed", done)
if "--no-processes" not in sys.argv:
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        print("processes", list(pool.map(pow, range(6), range(6))))


async def main():
    async def tick(n):
        await asyncio.sleep(0.01 * n)
        return n, round(asyncio.get_running_loop().time(), 6)
    print("asyncio", await asyncio.gather(*(tick(n) for n in range(3))))
    p = await asyncio.create_subprocess_exec("echo", "child", stdout=asyncio.subprocess.PIPE)
    print("asyncio child", (await p.communicate())[0])


if "--no-asyncio" not in sys.argv:
    asyncio.run(main())
print("pid", os.getpid(), "time", time.time())
