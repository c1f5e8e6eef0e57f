/** What processes on one data folder say to each other, and how it goes over a socket. */
import type { Socket } from 'node:net'

/**
 * To the hub: `listen` and `serve` (`id` names the listening), `leave`, `publish`, `ask` (`id` names the request).
 * From the hub: `ready` (the listening stands), `heard` (`id` the listening), `asked` (`id` the request as the hub
 * names it, `to` the listening), and how a request ended: `answer`, `failed`, `nobody`, `lost`. Whoever was asked
 * replies to the hub with one of the first three.
 */
const KINDS = [
  ...['listen', 'serve', 'leave', 'publish', 'ask'],
  ...['ready', 'heard', 'asked', 'answer', 'failed', 'nobody', 'lost'],
] as const

type Kind = 'listen' | 'serve' | 'leave' | 'publish' | 'ask' | 'ready' | 'heard' | 'asked' | Outcome
export type Outcome = 'answer' | 'failed' | 'nobody' | 'lost'

export interface Frame {
  readonly kind: Kind
  readonly id: number
  readonly to: number
  readonly subject: string
  readonly payload: Uint8Array
}

const NOTHING = new Uint8Array(0)

export function frame(kind: Kind, id: number, more: Partial<Omit<Frame, 'kind' | 'id'>> = {}): Frame {
  return { kind, id, to: 0, subject: '', payload: NOTHING, ...more }
}

/** One end of a line: frames go in here, and come out at the other end in order. */
export interface Line {
  send(frame: Frame): void
  /** Ends it for both sides. */
  close(): void
}

// After the length: kind, id, to, length of the subject.
const HEADER = 11
/** More than the largest signal anybody sends; a greater length means that the other side speaks otherwise. */
const FRAME_BYTES_MAX = 64 * 1024 * 1024

function encodeFrame({ kind, id, to, subject, payload }: Frame): Buffer {
  const words = Buffer.from(subject)
  const bytes = Buffer.allocUnsafe(4 + HEADER + words.length + payload.length)
  bytes.writeUInt32LE(bytes.length - 4, 0)
  bytes.writeUInt8(KINDS.indexOf(kind), 4)
  bytes.writeUInt32LE(id, 5)
  bytes.writeUInt32LE(to, 9)
  bytes.writeUInt16LE(words.length, 13)
  bytes.set(words, 4 + HEADER)
  bytes.set(payload, 4 + HEADER + words.length)
  return bytes
}

function decodeFrame(bytes: Buffer): Frame | undefined {
  const kind = KINDS[bytes.readUInt8(0)]
  const split = HEADER + bytes.readUInt16LE(9)
  if (kind === undefined || split > bytes.length) return undefined
  const subject = bytes.toString('utf8', HEADER, split)
  return { kind, id: bytes.readUInt32LE(1), to: bytes.readUInt32LE(5), subject, payload: bytes.subarray(split) }
}

/** A line over a socket. `hear` gets what the other side sends, `ended` is called once when it is gone. */
export function lineOver(socket: Socket, hear: (frame: Frame) => void, ended: () => void): Line {
  let rest: Buffer = Buffer.alloc(0)
  socket.setNoDelay(true)
  socket.on('data', chunk => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    while (rest.length - at >= 4) {
      const length = rest.readUInt32LE(at)
      if (length < HEADER || length > FRAME_BYTES_MAX) return void socket.destroy()
      if (rest.length - at - 4 < length) break
      const heard = decodeFrame(rest.subarray(at + 4, at + 4 + length))
      if (heard === undefined) return void socket.destroy()
      at += 4 + length
      hear(heard)
    }
    rest = rest.subarray(at)
  })
  // The close that follows says all there is to say.
  socket.on('error', () => {})
  socket.once('close', ended)
  return {
    send: one => {
      // Whoever is stopped and hears nothing must not fill our memory: cut off, it comes back when it goes on.
      if (socket.writableLength > FRAME_BYTES_MAX) socket.destroy()
      if (!socket.destroyed) socket.write(encodeFrame(one))
    },
    close: () => void socket.destroy(),
  }
}
