/**
 * Loads files of the user: JSON, JavaScript, or TypeScript without a build. Only these are read by the loader; what is
 * installed, this package with it, is loaded by Node, so that there is one copy of it.
 */
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { DefinitionError, messageOf } from '../errors.js'
import { redact } from '../log/jetstream/servers.js'
import { FileFault } from './failure.js'

/**
 * The default export of the file. Throws a `BAD_OPTION` for a file that cannot be read, that throws, that has no default
 * export. It names the file and, where it is known, the line, and quotes no line of it; what the file itself throws is
 * shown without what looks like a secret.
 */
export async function loaded(path: string): Promise<unknown> {
  if (path.endsWith('.json')) return json(path)
  try {
    const module = await imported(resolve(path))
    // Awaited here, so that a promise that fails is told as a fault of the file.
    if (typeof module === 'object' && module !== null && 'default' in module) return await module.default
  } catch (thrown) {
    throw fault(path, thrown)
  }
  throw new DefinitionError(
    'BAD_OPTION',
    `${path} has no default export`,
    'write "export default defineConfig({ ... })" there',
  )
}

/**
 * All that a file of code exports. Throws a `BAD_MODULE` for one that cannot be loaded, with the file and the line where
 * they are known; when what it throws is a `DefinitionError`, under the code of that.
 */
export async function loadedModule(path: string): Promise<object> {
  try {
    const file = resolve(path)
    // A file with `require` cannot wait for them.
    const modules = loadedByNode(file)
    await Promise.all([modules['stream-node'], modules['rxjs']])
    return (await imported(file)) as object
  } catch (thrown) {
    throw moduleFault(path, thrown)
  }
}

async function imported(file: string): Promise<unknown> {
  const { createJiti } = await import('jiti')
  const jiti = createJiti(file, {
    // A cache would leave a copy of the user's secrets in the folder for temporary files.
    fsCache: false,
    interopDefault: false,
    nativeModules: installedFor(file),
    virtualModules: loadedByNode(file),
    alias: foundFrom(file, 'stream-node') === undefined ? { 'stream-node/actors': ours('../actors') } : {},
  })
  return jiti.import(file)
}

const ours = (path: string) => fileURLToPath(new URL(path, import.meta.url))
/** What Node has loaded for files, by URL. */
const atHand = new Map<string, unknown>()

/**
 * This package and its peer, by name. The file gets what is installed for it, which is mostly what runs here; in a
 * folder where they are not it gets our own copies.
 */
function loadedByNode(file: string): Record<string, unknown> {
  const peer = (name: string) => createRequire(import.meta.url).resolve(name)
  const paths: Record<string, () => string> = {
    'stream-node': () => ours('../index.js'),
    'stream-node/testing': () => ours('../testing/index.js'),
    rxjs: () => peer('rxjs'),
    'rxjs/operators': () => peer('rxjs/operators'),
  }
  const modules = {}
  for (const [name, own] of Object.entries(paths)) {
    // Loaded when it is imported: a config file mostly needs none of them.
    const get = () => {
      const { href } = pathToFileURL(foundFrom(file, name) ?? own())
      return atHand.get(href) ?? import(href).then((module: unknown) => (atHand.set(href, module), module))
    }
    Object.defineProperty(modules, name, { enumerable: true, get })
  }
  return modules
}

function foundFrom(file: string, name: string): string | undefined {
  try {
    return createRequire(file).resolve(name)
  } catch {
    return undefined
  }
}

/** The names of all packages installed where the file finds them. */
function installedFor(file: string): string[] {
  const names: string[] = []
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const modules = join(folder, 'node_modules')
    for (const name of namesIn(modules)) {
      names.push(...(name.startsWith('@') ? namesIn(join(modules, name)).map(inner => `${name}/${inner}`) : [name]))
    }
    if (folder === dirname(folder)) return names
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter(name => !name.startsWith('.'))
  } catch {
    return []
  }
}

async function json(path: string): Promise<unknown> {
  let text
  try {
    text = await readFile(path, 'utf8')
  } catch (thrown) {
    throw fault(path, thrown)
  }
  try {
    return JSON.parse(text)
  } catch (thrown) {
    const position = /position (\d+)/.exec(messageOf(thrown))?.[1]
    const line = position === undefined ? '' : `:${text.slice(0, Number(position)).split('\n').length}`
    throw new DefinitionError('BAD_OPTION', `${path}${line} is not JSON`, 'mend the file')
  }
}

function fault(path: string, thrown: unknown): DefinitionError {
  const lines = messageOf(thrown).split('\n')
  const [first = ''] = lines
  const syntax = /^ParseError: (.*?)\s*$/.exec(first)?.[1]
  const trace = thrown instanceof Error ? `${lines.join('\n')}\n${thrown.stack ?? ''}` : ''
  const line = lineIn(trace, resolve(path))
  const place = line === undefined ? path : `${path}:${line}`
  const why = syntax ?? (thrown instanceof SyntaxError && first.includes('JSON') ? 'something is not JSON' : first)
  const what = syntax === undefined ? 'cannot be loaded' : 'is no valid code'
  return new DefinitionError('BAD_OPTION', `${place} ${what}: ${redact(why)}`, 'mend the file')
}

function lineIn(trace: string, file: string): string | undefined {
  const at = trace.indexOf(`${file}:`)
  return at < 0 ? undefined : /^\d+/.exec(trace.slice(at + file.length + 1))?.[0]
}

function moduleFault(path: string, thrown: unknown): FileFault {
  const lines = messageOf(thrown).split('\n')
  const [first = ''] = lines
  const trace = thrown instanceof Error ? `${lines.slice(1).join('\n')}\n${thrown.stack ?? ''}` : ''
  const place = placeIn(trace)
  const at = place === undefined ? path : `${relative('.', place.file)}:${place.line}`
  const loading = place === undefined || place.file === resolve(path) ? '' : `${path} cannot be loaded: `
  if (thrown instanceof DefinitionError) {
    // Its message has the mend in it.
    return new FileFault(thrown.code as 'BAD_PIPELINE', `${loading}${at}: ${thrown.message}`, '', {
      cause: thrown,
    })
  }
  const syntax = /^ParseError: (.*?)\s*$/.exec(first)?.[1]
  const what = syntax === undefined ? 'cannot be loaded' : 'is no valid code'
  const details = { cause: thrown }
  return new FileFault('BAD_MODULE', `${loading}${at} ${what}: ${redact(syntax ?? first)}`, 'mend the file', details)
}

/** The first place of a trace that is in a file of the user. */
function placeIn(trace: string): { readonly file: string; readonly line: string } | undefined {
  for (const [, found = '', line = ''] of trace.matchAll(/((?:\/|[A-Z]:\\)[^():\n]+\.[cm]?[jt]sx?):(\d+)/g)) {
    const file = found.replace(/^\/+/, '/')
    if (!/[\\/]node_modules[\\/]/.test(file) && !file.startsWith(ours('..'))) return { file, line }
  }
  return undefined
}
