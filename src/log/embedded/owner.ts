/**
 * One node to a data folder. Who it is stands in the store; whether it lives is told by its socket, which dies with
 * the process and cannot be mistaken for another's, as a process id can.
 */
import { DefinitionError } from '../../errors.js'
import { forgetAddress, reach } from './address.js'
import type { Store } from './store.js'

export interface Owner {
  readonly name: string
  readonly pid: number
  /** Since when, ms since 1970. */
  readonly since: number
  /** Where it listens; no two owners ever have the same. */
  readonly address: string
}

const NODE = 'node'

/** Makes this process the node of the folder, or throws `DATA_FOLDER_IN_USE` with the one that is. */
export async function claim(store: Store, folder: string, owner: Owner): Promise<void> {
  for (;;) {
    store.refresh()
    const there = store.catalog.get(NODE) as Owner | undefined
    if (there !== undefined) {
      const socket = await reach(there.address)
      socket?.destroy()
      if (socket !== undefined) throw inUse(folder, there)
    }
    const claimed = await store.write(() => {
      const now = store.catalog.get(NODE) as Owner | undefined
      if (now?.address !== there?.address) return false
      store.catalog.putSync(NODE, owner)
      return true
    })
    if (!claimed) continue
    if (there !== undefined) forgetAddress(there.address)
    return
  }
}

/** The node that runs on the folder now, if there is one. */
export async function ownerOf(store: Store): Promise<Owner | undefined> {
  store.refresh()
  const there = store.catalog.get(NODE) as Owner | undefined
  if (there === undefined) return undefined
  const socket = await reach(there.address)
  socket?.destroy()
  return socket === undefined ? undefined : there
}

/** Gives the folder up, if it is still ours. */
export async function release(store: Store, owner: Owner): Promise<void> {
  await store.write(() => {
    const now = store.catalog.get(NODE) as Owner | undefined
    if (now?.address === owner.address) store.catalog.removeSync(NODE)
  })
}

function inUse(folder: string, { name, pid, since }: Owner): DefinitionError {
  const when = new Date(since).toISOString()
  return new DefinitionError(
    'DATA_FOLDER_IN_USE',
    `the node "${name}" (process ${pid}) has been running on the data folder ${folder} since ${when}`,
    'stop it, or give this node another folder; publish, tail and status work beside it',
    { facts: { dataDir: folder, name, pid, since: when } },
  )
}
