"""Servers and clients of python3 in one container: asyncio, http, ssl, datagrams, a pool."""
import asyncio
import http.server
import os
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def talk(port, number):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = []
    for i in range(3):
        writer.write(f"client {number} line {i}\n".encode())
        await writer.drain()
        got.append((await reader.readline()).decode().strip())
    writer.close()
    await writer.wait_closed()
    return got


async def streams():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for got in await asyncio.gather(*(talk(port, n) for n in range(5))):
        print(*got, sep=", ")
    server.close()
    await server.wait_closed()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data[::-1], addr)


class Answer(asyncio.DatagramProtocol):
    def __init__(self, done):
        self.done = done

    def datagram_received(self, data, addr):
        self.done.set_result(data)


async def datagrams():
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    done = loop.create_future()
    client, _ = await loop.create_datagram_endpoint(
        lambda: Answer(done), remote_addr=server.get_extra_info("sockname"))
    client.sendto(b"backwards")
    print((await done).decode())
    client.close()
    server.close()


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"you asked for {self.path}\n".encode() * 2000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def pages(context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    scheme = "http"
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    trust = ssl.create_default_context(cafile="cert.pem") if context else None
    for name in "abc":
        url = f"{scheme}://localhost:{server.server_port}/{name}"
        with urllib.request.urlopen(url, context=trust) as reply:
            body = reply.read()
            print(scheme, reply.status, len(body), body.splitlines()[0].decode())
    server.shutdown()
    thread.join()
    server.server_close()


def certificate():
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", "key.pem", "-out", "cert.pem"],
                   check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")
    os.remove("key.pem")
    return context


def outside():
    for address in ("192.0.2.1", "2001:db8::1"):
        try:
            socket.create_connection((address, 80), timeout=5)
        except OSError as error:
            print(address, error.strerror)


asyncio.run(streams())
asyncio.run(datagrams())
pages()
if "ssl" in sys.argv:
    pages(certificate())
    os.remove("cert.pem")
if "outside" in sys.argv:
    outside()
