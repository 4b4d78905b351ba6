# splice and sendfile with sockets: what moves, what waits, which errors come.
import os,socket,fcntl,struct,termios,threading,time
def t(name,f):
    try: r=f()
    except OSError as e: r=e.strerror
    print(name,r)
a,b=socket.socketpair()
open('x','wb').write(bytes(range(256))*1000)
f=os.open('x',os.O_RDWR)
r,w=os.pipe()
t('file->sock',lambda: os.sendfile(b.fileno(),f,0,5000)); t('recv',lambda: sum(a.recv(100000)))
a.send(b'hello world')
t('sock->pipe',lambda: os.splice(b.fileno(),w,5)); t('r',lambda: os.read(r,100))
t('sock->pipe',lambda: os.splice(b.fileno(),w,500)); t('r',lambda: os.read(r,100))
b.setblocking(False)
t('empty',lambda: os.splice(b.fileno(),w,5))
t('off',lambda: os.splice(b.fileno(),w,5,offset_src=3))
b.setblocking(True)
os.write(w,b'abcdef')
t('pipe->sock',lambda: os.splice(r,b.fileno(),100)); t('recv',lambda: a.recv(100))
os.write(w,b'abcdef')
t('pipe->sock off',lambda: os.splice(r,b.fileno(),100,offset_dst=0)); 
t('sock->file',lambda: os.splice(b.fileno(),f,100))
t('sendfile from sock',lambda: os.sendfile(f,b.fileno(),None,100))
t('sendfile from sock to pipe',lambda: (a.send(b'zzz'),os.sendfile(w,b.fileno(),None,100)))
t('r',lambda: os.read(r,100))
# waiting
def later(): time.sleep(0.02); a.send(b'later')
th=threading.Thread(target=later); th.start()
t('wait',lambda: os.splice(b.fileno(),w,100)); th.join(); t('r',lambda: os.read(r,100))
# big to a socket which is drained by a thread
got=[]
def drain():
    n=0
    while n<256000:
        d=a.recv(10000); n+=len(d); got.append(sum(d))
th=threading.Thread(target=drain); th.start()
t('big',lambda: os.sendfile(b.fileno(),f,0,256000)); th.join(); print(sum(got))
def feed():
    n=0
    while n<200000: n+=os.splice(f,w,200000-n,offset_src=n)
    os.close(w)
got=[]
def drain2():
    n=0
    while n<200000:
        d=a.recv(7000); n+=len(d); got.append(sum(d))
th=threading.Thread(target=drain2); th.start(); t2=threading.Thread(target=feed); t2.start()
n=0
while True:
    k=os.splice(r,b.fileno(),65536)
    if not k: break
    n+=k
th.join(); t2.join(); print(n,sum(got))
a.close()
r,w=os.pipe(); os.write(w,b'q')
t('closed peer',lambda: os.splice(r,b.fileno(),1))
t('eof', lambda: os.splice(b.fileno(),w,1))
d1,d2=socket.socketpair(socket.AF_UNIX,socket.SOCK_DGRAM); d1.send(b'123456'); d1.send(b'78')
t('dgram',lambda: os.splice(d2.fileno(),w,3)); t('r',lambda: os.read(r,100)); t('dgram',lambda: os.splice(d2.fileno(),w,30)); t('r',lambda: os.read(r,100))
os.write(w,b'abc'); os.write(w,b'def')
t('to dgram',lambda: os.splice(r,d2.fileno(),30)); t('recv',lambda: d1.recv(100)); 
s1,s2=socket.socketpair(socket.AF_UNIX,socket.SOCK_SEQPACKET); s1.send(b'123456'); 
t('seq',lambda: os.splice(s2.fileno(),w,3)); t('r',lambda: os.read(r,100))
