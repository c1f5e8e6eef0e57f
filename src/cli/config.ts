/**
 * The config file of a folder, `stream-node.config.ts` or a kin of it: found, loaded and checked whole. No message of
 * it shows a value that may be a secret.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, extname, isAbsolute, join } from 'node:path'
import { DefinitionError, StreamNodeError, messageOf } from '../errors.js'
import type { JetStreamOptions } from '../log/jetstream/options.js'
import { parseServers } from '../log/jetstream/servers.js'
import { badOption, duration, knownOptions } from '../options.js'
import type { StreamNodeConfig } from './define-config.js'
import { kindsOf } from './layers.js'
import { loaded } from './load.js'

/** What a config file says, checked; its paths lead from the working folder. Holds secrets. */
export interface ConfigFile {
  readonly path: string
  readonly server: JetStreamOptions
  readonly dataDir?: string
  /** As the flag has it. */
  readonly timeout?: string
  readonly output?: 'text' | 'json' | 'jsonl'
}

const ENDINGS = ['.ts', '.mts', '.js', '.mjs', '.json']
const FORMATS = ['text', 'json', 'jsonl']

/** How each option is checked; the type holds this list and the interface together. */
const OPTIONS: Readonly<Record<keyof StreamNodeConfig, 'text' | 'path' | 'own'>> = {
  ...{ servers: 'own', context: 'text', creds: 'path', nkey: 'path', user: 'text', password: 'text', token: 'text' },
  ...{ tlsCa: 'path', tlsCert: 'path', tlsKey: 'path', domain: 'text', inboxPrefix: 'text' },
  ...{ timeout: 'own', dataDir: 'path', output: 'own' },
}

/** The names of all options, in the order of the flags. */
export const configOptions = Object.keys(OPTIONS)

/**
 * The config file that is `named`, else the one in `folder`, or undefined when there is none. Throws a
 * `DefinitionError` that names the file, and the line where it is known, for what is wrong with it.
 */
export async function configFile(named?: string, folder = '.'): Promise<ConfigFile | undefined> {
  const path = named === undefined ? find(folder) : checkedPath(named)
  if (path === undefined) return undefined
  return checked(path, await loaded(path))
}

function find(folder: string): string | undefined {
  const [path, other] = ENDINGS.map(ending => join(folder, `stream-node.config${ending}`)).filter(existsSync)
  if (other === undefined) return path
  throw wrong(`${path ?? ''} and ${other} are both here`, 'remove one of them, or name one by --config')
}

function checkedPath(path: string): string {
  if (!ENDINGS.includes(extname(path))) {
    throw wrong(`--config ${JSON.stringify(path)} is no config file`, `name one that ends with ${ENDINGS.join(', ')}`)
  }
  if (!existsSync(path)) throw wrong(`there is no config file ${path}`, 'check the path after --config')
  return path
}

function checked(path: string, given: unknown): ConfigFile {
  const config = object(path, given)
  const stray = Object.keys(config).find(name => !configOptions.includes(name))
  knownOptions(stray === undefined ? path : placeOf(path, stray), config, configOptions)
  const { servers, timeout, output } = config
  const texts: Record<string, string> = {}
  for (const [name, kind] of Object.entries(OPTIONS)) {
    if (kind === 'own' || config[name] === undefined) continue
    const value = text(path, name, config[name])
    texts[name] = kind === 'path' ? fromFolder(path, value) : value
  }
  if (servers !== undefined) checkServers(path, servers)
  if (output !== undefined && !FORMATS.includes(output as string)) {
    throw badOption(`output in ${placeOf(path, 'output')}`, "'text', 'json' or 'jsonl'", output)
  }
  const { dataDir, tlsCa, tlsCert, tlsKey, ...others } = texts
  const options = { servers, ...others, ca: tlsCa, cert: tlsCert, key: tlsKey }
  const server = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  checkTogether(path, server, dataDir)
  return {
    path,
    server,
    ...(dataDir !== undefined && { dataDir }),
    ...(timeout !== undefined && {
      timeout: `${duration(`timeout in ${placeOf(path, 'timeout')}`, timeout, { min: 1 })} ms`,
    }),
    ...(output !== undefined && { output: output as 'text' }),
  }
}

function object(path: string, given: unknown): Readonly<Record<string, unknown>> {
  const is = given === null ? 'null' : Array.isArray(given) ? 'an array' : `of type ${typeof given}`
  const of = typeof given === 'object' && given !== null ? (Object.getPrototypeOf(given) as unknown) : undefined
  if (of === Object.prototype || of === null) return given as Readonly<Record<string, unknown>>
  const what = is === 'of type object' ? 'an instance of a class' : is
  throw wrong(`what ${path} exports by default must be a plain object, but is ${what}`, 'export the options themselves')
}

/** Never shows the value: it may be a secret of the wrong type. */
function text(path: string, name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  const is = value === '' ? 'empty' : value === null ? 'null' : `of type ${typeof value}`
  throw wrong(`${name} in ${placeOf(path, name)} must be a text, but is ${is}`, `mend ${name}, or leave it out`)
}

function fromFolder(path: string, value: string): string {
  return isAbsolute(value) || value.startsWith('~/') ? value : join(dirname(path), value)
}

function checkServers(path: string, servers: unknown): void {
  const place = placeOf(path, 'servers')
  const several = Array.isArray(servers) && servers.every(server => typeof server === 'string')
  if (typeof servers !== 'string' && !several) {
    throw wrong(`servers in ${place} must be a text or several`, "write it like 'nats://127.0.0.1:4222'")
  }
  let names
  try {
    names = parseServers(servers).map(({ user, password, token }) => [user, password, token])
  } catch (error) {
    if (!(error instanceof StreamNodeError)) throw error
    throw wrong(`servers in ${place}: ${messageOf(error)}`, '')
  }
  const given = names.filter(name => name.some(part => part !== undefined)).map(name => JSON.stringify(name))
  if (new Set(given).size < 2) return
  throw wrong(`servers in ${place} name different users in their URLs`, 'name the same in all, or only in one')
}

/** What contradicts itself in one file; what other layers say is settled by who is higher. */
function checkTogether(path: string, server: JetStreamOptions, dataDir: string | undefined): void {
  const [stray] = Object.keys(server)
  if (dataDir !== undefined && stray !== undefined) {
    const what = `${path} has dataDir and ${configNameOf(stray)}, which are for different logs`
    throw wrong(what, 'leave one of them out')
  }
  const kinds = kindsOf([server])
  if (kinds.length < 2) return
  throw wrong(`${path} says in several ways who we are: ${kinds.join(' and ')}`, 'leave all but one out, in URLs too')
}

const NAMES: Readonly<Record<string, string>> = { ca: 'tlsCa', cert: 'tlsCert', key: 'tlsKey' }

/** What a config file calls an option of the connection. */
export function configNameOf(option: string): string {
  return NAMES[option] ?? option
}

/** The file, and the line when one line alone begins with that name. */
function placeOf(path: string, name: string): string {
  const begins = (line: string) => /^[\s{,]*["']?([\w$-]+)["']?\s*(?:[:,(}]|$)/.exec(line)?.[1] === name
  const lines = readFileSync(path, 'utf8').split('\n')
  const at = lines.findIndex(begins)
  return at < 0 || lines.slice(at + 1).some(begins) ? path : `${path}:${at + 1}`
}

function wrong(what: string, mend: string): DefinitionError {
  return new DefinitionError('BAD_OPTION', what, mend)
}
