"""A threaded program whose output depends on files, time, random numbers, pids and scheduling."""
import concurrent.futures
import os
import random
import subprocess
import threading
import time

order = []
count = 0


def racer(name):
    """Loses updates of count, and notes the order in which the threads get on."""
    global count
    for i in range(3000):
        seen = count
        if i % 100 == 0:
            time.sleep(0)
        count = seen + 1
        if i % 500 == 0:
            order.append(name)


threads = [threading.Thread(target=racer, args=(name,)) for name in "abcd"]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("race:    count", count, "order", "".join(order))

with open("prices.txt", encoding="ascii") as f:
    prices = [int(line) for line in f]
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print("files:   sum of prices", sum(pool.map(lambda p: p * 2, prices)) // 2)
print("time:   ", time.strftime("%Y-%m-%d %H:%M:%S"), "and", time.monotonic_ns(), "ns")
print("random: ", random.random(), os.urandom(6).hex())
child = subprocess.Popen(["sh", "-c", "echo \"child:   pid $$\""], stdout=subprocess.PIPE)
print(child.communicate()[0].decode().strip())
print("pid:    ", os.getpid(), "of object", hex(id(object())))
