"""The imports and the sources of difference of a usual program."""
import sys, os, time, json, tempfile, re, hashlib, random, collections
import email.mime.text, http.client, xml.dom.minidom, sqlite3, decimal, argparse, asyncio
import unittest, logging.handlers, csv, zipfile, tarfile, ctypes, multiprocessing
import concurrent.futures, urllib.request, difflib, inspect, pdb, uuid, secrets, fractions
import statistics

recs = [{"id": i, "name": "user%d" % i, "tags": ["a%d" % (i % 7), "b%d" % (i % 11)], "v": i * 1.5}
        for i in range(3000)]
h = hashlib.sha256()
for k in range(10):
    s = json.dumps(recs, sort_keys=True)
    recs = json.loads(s)
    h.update(s.encode())
print("json", h.hexdigest()[:16])
here = os.path.dirname(os.path.abspath(__file__))
data = os.path.join(here, "data.bin")
data = data if os.path.exists(data) else os.path.join(here, "words.txt")
w = collections.Counter(re.findall(r"[a-z]+", open(data, "rb").read(3000000).decode("latin1")))
print("words", len(w), sum(w.values()))
print("set order", list({"alpha", "beta", "gamma", "delta", "eps", "zeta", "eta"}))
print("urandom", os.urandom(8).hex(), "random", random.random(), "uuid1", uuid.uuid1(),
      "tok", secrets.token_hex(4))
print("time", time.time_ns(), time.monotonic_ns(), time.perf_counter_ns())
print("pid", os.getpid(), os.getppid(), "id", hex(id(object())))
d = tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else None)
print("tmp", d)
for i in range(50):
    open(os.path.join(d, "n%d" % i), "w").write("x" * i)
print("listdir", os.listdir(d)[:8])
st = os.stat(os.path.join(d, "n3"))
print("stat", st.st_ino, st.st_mtime_ns, st.st_dev)
for n in os.listdir(d):
    os.unlink(os.path.join(d, n))
os.rmdir(d)
