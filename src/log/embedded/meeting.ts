/**
 * Where the processes on one data folder find each other. Whoever comes first serves as the hub; its address stands in
 * the store, and is taken over, by compare-and-set, by the first who finds nobody there.
 */
import type { Chance } from '../../clock.js'
import { forgetAddress, listenFor, reach } from './address.js'
import type { Listener } from './address.js'
import { lineOver } from './frames.js'
import type { Frame, Line } from './frames.js'
import { Hub } from './hub.js'
import type { Store } from './store.js'

/** Gives a line to the hub; `hear` gets what comes over it, `ended` is called when the hub is gone. */
export type Meet = (hear: (frame: Frame) => void, ended: () => void) => Promise<Line>

const HUB = 'hub'

/** The door of this process: one local socket, opened when it is first needed. */
export class Door {
  readonly #listener: { opening: Promise<Listener> | undefined } = { opening: undefined }
  #hub: Hub | undefined
  #closed = false

  constructor(
    readonly folder: string,
    readonly chance: Chance,
  ) {}

  async address(): Promise<string> {
    return (await this.#open()).address
  }

  #open(): Promise<Listener> {
    this.#listener.opening ??= listenFor(this.folder, this.chance.name(), socket => {
      const hub = this.#hub
      // Whoever only looks whether somebody is there has seen it by now.
      if (hub === undefined) return void socket.on('error', () => {}).resume()
      const line = lineOver(
        socket,
        heard => hub.hear(peer, heard),
        () => hub.leave(peer),
      )
      const peer = hub.join(line)
    })
    return this.#listener.opening
  }

  /** From now on this process is the hub. */
  host(): Hub {
    return (this.#hub ??= new Hub())
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#hub?.close()
    const listener = await this.#listener.opening?.catch(() => undefined)
    if (listener === undefined) return
    await new Promise<void>(done => listener.server.close(() => done()))
    forgetAddress(listener.address)
  }
}

/** For a log that other processes can open too. */
export function meetInFolder(store: Store, door: Door): Meet {
  return async (hear, ended) => {
    for (;;) {
      store.refresh()
      const known = store.catalog.get(HUB) as string | undefined
      const socket = known === undefined ? undefined : await reach(known)
      if (socket !== undefined) return lineOver(socket, hear, ended)
      const own = await door.address()
      const hub = door.host()
      const ours = await store.write(() => {
        if (store.catalog.get(HUB) !== known) return false
        store.catalog.putSync(HUB, own)
        return true
      })
      if (!ours) continue
      if (known !== undefined) forgetAddress(known)
      return lineWithin(hub, hear, ended)
    }
  }
}

/** For a log that only this process can open. */
export function meetAlone(hub: Hub): Meet {
  return (hear, ended) => Promise.resolve(lineWithin(hub, hear, ended))
}

/** A line without a socket. What comes over it comes later, as over any other. */
function lineWithin(hub: Hub, hear: (frame: Frame) => void, ended: () => void): Line {
  let open = true
  const close = () => {
    if (!open) return
    open = false
    hub.leave(peer)
    ended()
  }
  const peer = hub.join({ send: heard => queueMicrotask(() => open && hear(heard)), close })
  return { send: said => queueMicrotask(() => open && hub.hear(peer, said)), close }
}
