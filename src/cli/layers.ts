/**
 * What of a config file counts beneath what is said above it, field by field. Who we are is one field, as it is for the
 * connection itself, and so is where the server is.
 */
import type { JetStreamOptions } from '../log/jetstream/options.js'
import { parseServers } from '../log/jetstream/servers.js'

type Layer = JetStreamOptions
type Name = Pick<Layer, 'user' | 'password' | 'token'>

/** The options of `file` that none of the layers `above` has settled; the highest layer comes first. */
export function beneath(file: Layer, above: readonly Layer[]): Layer {
  const has = (option: keyof Layer) => above.some(layer => layer[option] !== undefined)
  const { servers, creds, nkey, user, password, token, ...others } = file
  const placed = has('servers') || has('context')
  const kind = kindsOf(above)[0]
  // A URL says who we are only together with the server that it names.
  const inUrl = placed ? {} : nameIn(servers)
  const claims =
    kind === undefined
      ? { creds, nkey, user, password, token }
      : kind === 'user'
        ? { user: user ?? inUrl.user, password: password ?? inUrl.password }
        : {}
  const where = kind === undefined ? servers : withoutNames(servers)
  const left = { ...others, ...claims, ...(!placed && { servers: where }) }
  return Object.fromEntries(
    Object.entries(left).filter(([option, value]) => value !== undefined && !has(option as keyof Layer)),
  )
}

/** The ways in which the layers say who we are: those of the first that does; several in one layer contradict. */
export function kindsOf(layers: readonly Layer[]): readonly string[] {
  const from = layers.find(({ servers }) => servers !== undefined)
  for (const layer of layers) {
    const inUrl = layer === from ? nameIn(layer.servers) : {}
    const kinds = [
      layer.creds !== undefined && 'creds',
      layer.nkey !== undefined && 'nkey',
      (layer.user ?? layer.password ?? inUrl.user) !== undefined && 'user',
      (layer.token ?? inUrl.token) !== undefined && 'token',
    ].filter(kind => kind !== false)
    if (kinds.length > 0) return kinds
  }
  return []
}

function nameIn(servers: Layer['servers']): Name {
  const named = parsed(servers).find(({ user, token }) => user !== undefined || token !== undefined)
  return named ?? {}
}

function withoutNames(servers: Layer['servers']): Layer['servers'] {
  return servers === undefined ? undefined : parsed(servers).map(({ address, tls }) => (tls ? 'tls://' : '') + address)
}

function parsed(servers: Layer['servers']) {
  return servers === undefined ? [] : parseServers(servers)
}
