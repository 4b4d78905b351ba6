"""multiprocessing: locks, queues, shared memory and values, a pool, by fork and by spawn."""
import multiprocessing as mp
from multiprocessing import shared_memory


def add(lock, value, count):
    for _ in range(count):
        with lock:
            value.value += 1


def fill(name, start, count):
    segment = shared_memory.SharedMemory(name=name)
    for i in range(start, start + count):
        segment.buf[i] = i % 251
    segment.close()


def square(n):
    return n * n


def produce(queue, n):
    for i in range(20):
        queue.put((n, i))
    queue.put(None)


def run(context):
    lock, value = context.Lock(), context.Value('i', 0, lock=False)
    workers = [context.Process(target=add, args=(lock, value, 50)) for _ in range(3)]
    segment = shared_memory.SharedMemory(create=True, size=3000)
    workers += [context.Process(target=fill, args=(segment.name, i * 1000, 1000))
                for i in range(3)]
    queue = context.Queue()
    workers += [context.Process(target=produce, args=(queue, n)) for n in range(2)]
    for worker in workers:
        worker.start()
    items, ended = [], 0
    while ended < 2:
        item = queue.get()
        ended += item is None
        if item:
            items.append(item)
    for worker in workers:
        worker.join()
    print(value.value, sum(segment.buf[:3000]), sorted(items)[::7])
    segment.close()
    segment.unlink()
    with context.Pool(3) as pool:
        print(pool.map(square, range(30), chunksize=4))
        print(list(pool.imap(square, range(5))))
    barrier, event = context.Barrier(2), context.Event()
    other = context.Process(target=lambda: (barrier.wait(), event.wait())) \
        if context.get_start_method() == 'fork' else None
    if other:
        other.start()
        barrier.wait()
        event.set()
        other.join()
        print(other.exitcode)


if __name__ == '__main__':
    run(mp.get_context('fork'))
    run(mp.get_context('spawn'))
