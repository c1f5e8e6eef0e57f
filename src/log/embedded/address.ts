/** Addresses of local sockets: in the data folder where that is possible, so that whoever sees the folder sees them. */
import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

// The system keeps the path in a field of about a hundred bytes; macOS has the smallest.
const PATH_BYTES_MAX = 100

/** Where a process may listen, best first. `name` is one that nobody else draws. */
function addressesFor(folder: string, name: string): string[] {
  const short = createHash('sha256').update(`${folder} ${name}`).digest('hex').slice(0, 24)
  if (process.platform === 'win32') return [`\\\\.\\pipe\\stream-node-${short}`]
  const inFolder = resolve(folder, `${name.slice(0, 12)}.sock`)
  const elsewhere = join(tmpdir(), `stream-node-${short}.sock`)
  return Buffer.byteLength(inFolder) > PATH_BYTES_MAX ? [elsewhere] : [inFolder, elsewhere]
}

export interface Listener {
  readonly address: string
  readonly server: Server
}

/** Listens on a local socket for this folder. Some file systems carry no sockets, so there is a second best. */
export async function listenFor(folder: string, name: string, accept: (socket: Socket) => void): Promise<Listener> {
  let failed: unknown
  for (const address of addressesFor(folder, name)) {
    try {
      return { address, server: await listen(address, accept) }
    } catch (error) {
      failed = error
    }
  }
  throw failed
}

function listen(address: string, accept: (socket: Socket) => void): Promise<Server> {
  return new Promise((done, fail) => {
    const server = createServer(accept)
    server.once('error', fail)
    server.listen(address, () => {
      server.off('error', fail)
      server.unref()
      done(server)
    })
  })
}

/** A connection, or undefined when nobody listens there any more. */
export function reach(address: string): Promise<Socket | undefined> {
  return new Promise(done => {
    const socket = connect(address)
    socket.once('error', () => done(undefined))
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      done(socket)
    })
  })
}

/** Takes away what a process that died has left behind. */
export function forgetAddress(address: string): void {
  if (process.platform !== 'win32') rmSync(address, { force: true })
}
