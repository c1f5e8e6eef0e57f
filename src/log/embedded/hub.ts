/** The hub of the processes on one data folder: it knows who listens to what, and passes signals on. */
import { frame } from './frames.js'
import type { Frame, Line, Outcome } from './frames.js'
import { matches } from './subjects.js'

/** A listening of one of those on the line. */
interface Route {
  readonly peer: Peer
  readonly id: number
  readonly subject: string
  readonly serves: boolean
}

/** A request on its way: who asked, under which name, and who is to answer. */
interface Errand {
  readonly asker: Peer
  readonly id: number
  readonly by: Peer
}

/** One process, this one included, as the hub sees it. */
export interface Peer {
  readonly line: Line
}

export class Hub {
  readonly #peers = new Set<Peer>()
  #routes: Route[] = []
  readonly #errands = new Map<number, Errand>()
  #named = 0
  #turn = 0

  join(line: Line): Peer {
    const peer = { line }
    this.#peers.add(peer)
    return peer
  }

  /** The process is gone: what it was to answer is lost, what it asked concerns nobody. */
  leave(peer: Peer): void {
    if (!this.#peers.delete(peer)) return
    this.#routes = this.#routes.filter(route => route.peer !== peer)
    for (const [name, { asker, id, by }] of this.#errands) {
      if (by !== peer && asker !== peer) continue
      this.#errands.delete(name)
      if (asker !== peer) asker.line.send(frame('lost', id))
    }
  }

  hear(peer: Peer, heard: Frame): void {
    const { kind, id, subject } = heard
    switch (kind) {
      case 'listen':
      case 'serve':
        this.#routes.push({ peer, id, subject, serves: kind === 'serve' })
        return peer.line.send(frame('ready', id))
      case 'leave':
        this.#routes = this.#routes.filter(route => route.peer !== peer || route.id !== id)
        return
      case 'publish':
        return this.#publish(heard)
      case 'ask':
        return this.#ask(peer, heard)
      case 'answer':
      case 'failed':
      case 'nobody':
        return this.#reply(kind, heard)
    }
  }

  #publish({ subject, payload }: Frame): void {
    for (const route of this.#routes) {
      if (route.serves || !matches(route.subject, subject)) continue
      route.peer.line.send(frame('heard', route.id, { subject, payload }))
    }
  }

  #ask(asker: Peer, { id, subject, payload }: Frame): void {
    const serving = this.#routes.filter(route => route.serves && matches(route.subject, subject))
    const route = serving[this.#turn++ % Math.max(serving.length, 1)]
    if (route === undefined) return asker.line.send(frame('nobody', id))
    this.#named = (this.#named + 1) % 2 ** 32
    this.#errands.set(this.#named, { asker, id, by: route.peer })
    route.peer.line.send(frame('asked', this.#named, { to: route.id, subject, payload }))
  }

  #reply(kind: Outcome, { id, payload }: Frame): void {
    const errand = this.#errands.get(id)
    this.#errands.delete(id)
    errand?.asker.line.send(frame(kind, errand.id, { payload }))
  }

  close(): void {
    for (const { line } of this.#peers) line.close()
    this.#peers.clear()
  }
}
