// A server and clients of node in one process: http, plain connections, datagrams.
const http = require('http')
const net = require('net')
const dgram = require('dgram')

const server = http.createServer((request, reply) => {
	let size = 0
	request.on('data', (chunk) => { size += chunk.length })
	request.on('end', () => reply.end(`${request.method} ${request.url} ${size}\n`.repeat(1000)))
})

function fetch(path, body, done) {
	const options = { port: server.address().port, path, method: body ? 'POST' : 'GET' }
	const request = http.request(options, (reply) => {
		let text = ''
		reply.on('data', (chunk) => { text += chunk })
		reply.on('end', () => {
			console.log(reply.statusCode, text.length, text.split('\n')[0])
			done()
		})
	})
	request.end(body)
}

function plain(done) {
	const echo = net.createServer((socket) => socket.pipe(socket))
	echo.listen(0, '::1', () => {
		const socket = net.connect(echo.address().port, '::1', () => socket.end('there and back'))
		socket.on('data', (data) => console.log('plain', data.toString()))
		socket.on('close', () => echo.close(done))
	})
}

function refused(done) {
	net.connect(1, '127.0.0.1').on('error', (error) => { console.log(error.code); done() })
}

function datagrams(done) {
	const socket = dgram.createSocket('udp4')
	socket.on('message', (message, from) => {
		console.log('datagram', message.toString(), from.address)
		socket.close(done)
	})
	socket.bind(0, '127.0.0.1', () => socket.send('to myself', socket.address().port, '127.0.0.1'))
}

server.listen(0, '127.0.0.1', () =>
	fetch('/a', null, () => fetch('/b', 'x'.repeat(300000), () => {
		server.close()
		plain(() => refused(() => datagrams(() => console.log('done'))))
	})))
