/** Which files `run` loads, and what they give it to run. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DefinitionError, messageOf } from '../errors.js'
import { checkedDefinitions, definitionsIn } from '../node/definitions.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { UsageError } from './failure.js'
import { loadedModule } from './load.js'

const FOLDER = 'actors'
const MEND = "export by default what pipeline('name').from(...).to(...) gives"

/**
 * The pipelines of these files; of none: of the files of `actors/` that export one by default. Throws a `UsageError` for
 * a file that is not there, a `DefinitionError` for one that cannot be loaded or gives nothing to run, and for two
 * pipelines of one name.
 */
export async function pipelinesOf(files: readonly string[]): Promise<readonly Pipeline<unknown>[]> {
  const inFolder = files.length === 0
  const from = new Map<Pipeline<unknown>, string>()
  for (const path of inFolder ? filesOfFolder() : files.map(checkedPath)) {
    const found = await foundIn(path, inFolder)
    for (const pipeline of found) if (!from.has(pipeline)) from.set(pipeline, path)
  }
  if (from.size === 0) throw new DefinitionError('BAD_MODULE', `no file of ${FOLDER}/ has a pipeline`, MEND)
  const pipelines = [...from.keys()]
  for (const { name } of pipelines) {
    const [one, other] = pipelines.filter(pipeline => pipeline.name === name).map(pipeline => from.get(pipeline))
    if (other === undefined) continue
    const where = one === other ? `${other} has` : `${one ?? ''} and ${other} have`
    const mend = 'their ledgers would be one: give each a name of its own'
    throw new DefinitionError('BAD_PIPELINE', `${where} two pipelines of the name "${name}"`, mend)
  }
  return checkedDefinitions('run', pipelines)
}

async function foundIn(path: string, byDefaultOnly: boolean): Promise<readonly Pipeline<unknown>[]> {
  const module = await loadedModule(path)
  if (byDefaultOnly) {
    if (!('default' in module)) throw new DefinitionError('BAD_MODULE', `${path} exports nothing by default`, MEND)
    // What is ready to be made a definition, as of a package, or is a stream, stands there too.
    return definitionsIn({ default: module.default })
  }
  const found = definitionsIn(module)
  if (found.length > 0) return found
  const names = Object.keys(module)
  const but = names.length === 0 ? 'it exports nothing' : `it exports ${names.join(', ')}`
  throw new DefinitionError('BAD_MODULE', `${path} has no pipeline: ${but}`, MEND)
}

function checkedPath(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) throw new UsageError(`there is no file ${path}`, 'check its path')
  if (found.isFile()) return path
  throw new UsageError(`${path} is no file`, `name files; without one run takes those of ${FOLDER}/`)
}

function filesOfFolder(): readonly string[] {
  let names: readonly string[]
  try {
    names = readdirSync(FOLDER)
  } catch (error) {
    const none = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const what = none ? `there is no folder ${FOLDER}/` : `${FOLDER}/ cannot be read (${messageOf(error)})`
    throw new UsageError(`no file is given, and ${what}`, 'write "stream-node run <file>"')
  }
  const files = names.filter(name => /\.[cm]?[jt]s$/.test(name) && !/\.(?:test|d)\.[cm]?[jt]s$/.test(name)).sort()
  if (files.length > 0) return files.map(name => join(FOLDER, name))
  throw new UsageError(`no file is given, and ${FOLDER}/ has none to run`, 'write "stream-node run <file>"')
}
