// Timers, promises, a worker thread, a child process, randomness: without a network.
const { Worker, isMainThread, parentPort } = require('worker_threads')
const { exec } = require('child_process')

if (!isMainThread) {
	let sum = 0
	for (let i = 0; i < 1e6; i++)
		sum += i
	parentPort.postMessage(sum)
} else {
	setTimeout(() => console.log('timer', Date.now()), 50)
	setImmediate(() => console.log('immediate'))
	Promise.resolve(1).then((value) => console.log('promise', value))
	new Worker(__filename).on('message', (sum) => console.log('worker', sum))
	exec('echo child; cat /proc/sys/kernel/random/uuid', (error, out) =>
		console.log('exec', error, out.trim()))
	console.log(Math.random(), process.pid, require('os').cpus().length)
}
