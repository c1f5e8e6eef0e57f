/** Loads what a file of the user exports by default: JSON, JavaScript, or TypeScript without a build. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DefinitionError, messageOf } from '../errors.js'
import { redact } from '../log/jetstream/servers.js'

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

async function imported(file: string): Promise<unknown> {
  const { createJiti } = await import('jiti')
  const jiti = createJiti(file, {
    // A cache would leave a copy of the user's secrets in the folder for temporary files.
    fsCache: false,
    interopDefault: false,
    nativeModules: ['stream-node'],
    alias: canImportUs(file) ? {} : { 'stream-node': fileURLToPath(new URL('../index.js', import.meta.url)) },
  })
  return jiti.import(file)
}

/** In a folder without `node_modules` the file gets our own copy. */
function canImportUs(file: string): boolean {
  try {
    createRequire(file).resolve('stream-node')
    return true
  } catch {
    return false
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
