/** What a program gives a node to run: the pipelines that a module exports, or a list, checked. */
import { DefinitionError } from '../errors.js'
import { badOption } from '../options.js'
import type { Definition } from '../pipeline/definition.js'
import { isPipeline, type Pipeline } from '../pipeline/pipeline.js'

/** The pipelines that a module exports, by default or by name, each once. Other exports count for nothing. */
export function definitionsIn(module: object): readonly Pipeline<unknown>[] {
  return [...new Set(Object.values(module) as unknown[])].filter(isPipeline)
}

/**
 * Throws for what no node can run: a `BAD_OPTION` for what is no list of pipelines, a `BAD_PIPELINE` when two have one
 * name, for their ledgers would be one.
 */
export function checkedDefinitions(where: string, given: readonly Definition[]): readonly Pipeline<unknown>[] {
  const want = "pipelines that pipeline('name').from(...).to(...) made"
  if (!Array.isArray(given) || given.length === 0)
    throw badOption(`definitions of ${where}`, `one or more ${want}`, given)
  const definitions = (given as readonly unknown[]).map(one => {
    if (isPipeline(one)) return one
    throw badOption(`definitions of ${where}`, want, one)
  })
  const names = definitions.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) < i)
  if (twice === undefined) return definitions
  const mend = 'their ledgers would be one: give each a name of its own'
  throw new DefinitionError('BAD_PIPELINE', `two pipelines have the name "${twice}"`, mend)
}
