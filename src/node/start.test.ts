import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { pipeline } from '../pipeline/pipeline.js'
import { stream } from '../stream/stream.js'
import { startNode } from './start.js'

const definitions = [pipeline('p').from(stream('a')).to(stream('b'))]

test('refuses options that are none, each by name', async () => {
  const start = startNode as (options?: unknown) => Promise<unknown>
  const refused = async (options: unknown, message: string) =>
    expect(start(options)).rejects.toMatchObject({ code: 'BAD_OPTION', message: expect.stringContaining(message) })
  await refused(undefined, 'the options of startNode must be an object, but is undefined')
  await refused(null, 'the options of startNode must be an object, but is null')
  await refused({ memory: true }, 'definitions of startNode must be given, or module, and not both')
  await refused({ memory: true, definitions, onEvent: 3 }, 'onEvent of startNode must be a function, but is 3')
  await refused({ memory: true, definitions, name: '' }, 'name of startNode must be a text')
  await refused({ memory: true, module: 3 }, 'module of startNode must be a path or a URL, but is 3')
})

test('says which module cannot be loaded, or has nothing to run', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'start-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const refused = async (name: string, code: string | undefined, message: string) => {
    const module = join(folder, name)
    if (code !== undefined) writeFileSync(module, code)
    for (const given of [module, pathToFileURL(module)]) {
      await expect(startNode({ memory: true, module: given })).rejects.toMatchObject({
        ...{ code: 'BAD_MODULE', message: expect.stringMatching(new RegExp(`${name} of startNode ${message}`)) },
      })
    }
  }
  await refused('none.mjs', undefined, 'cannot be loaded: .*; mend the file, or its path')
  await refused('throws.mjs', 'throw new Error("no luck")', 'cannot be loaded: no luck; mend')
  await refused('other.mjs', 'export const one = 1', 'has no pipeline: it exports one; export what pipeline')
  await refused('empty.mjs', '', 'has no pipeline: it exports nothing; export what pipeline')
})
