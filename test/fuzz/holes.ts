/** Holes put into decoders, each of which the fuzzing must find: one that finds none of them proves nothing. */
import type { Change } from '../simulation/build.js'
import { buildFuzz, fuzz } from './crew.js'

export interface Hole {
  readonly name: string
  readonly changes: readonly Change[]
  /** The target in which it shows. */
  readonly target: string
  readonly finds: RegExp
  /** After how long a silence the process is taken to be stuck, where that is to be found soon. */
  readonly silenceMs?: number
}

export const holes: readonly Hole[] = [
  {
    name: 'an error that is none of ours',
    changes: [
      {
        file: 'src/state/plain.ts',
        from: "} catch {\n    throw from.fault('a value in it is not JSON')",
        to: '} catch (error) {\n    throw error',
      },
    ],
    target: 'values of rows',
    finds: /no error of ours: SyntaxError/,
  },
  {
    name: 'an input that never ends',
    changes: [
      {
        file: 'src/codec/octets.ts',
        from: "if (scale > 2 ** 53) throw this.fault('a number is too long')",
        to: 'while (scale > 2 ** 53) continue',
      },
    ],
    target: 'octets',
    finds: /never came back/,
    silenceMs: 3000,
  },
  {
    name: 'a prototype that is changed',
    changes: [
      {
        file: 'src/codec/json.ts',
        from: 'const value = parsed(text)\n',
        to: "const value = parsed(text)\n    if (text.includes('constructor')) Object.assign(Object.prototype, { polluted: 1 })\n",
      },
    ],
    target: 'json',
    finds: /changed polluted of/,
  },
  {
    name: 'an input that spoils those after it',
    changes: [
      {
        file: 'src/codec/json.ts',
        from: 'const value = parsed(text)\n',
        to: "const value = Object.hasOwn(globalThis, 'spoilt') ? 0 : parsed(text)\n    if (text.includes('[]')) Object.assign(globalThis, { spoilt: true })\n",
      },
    ],
    target: 'json',
    finds: /read otherwise/,
  },
  {
    name: 'memory out of proportion',
    changes: [{ file: 'src/state/plain.ts', from: 'const left = from.left - owed', to: 'const left = from.left' }],
    target: 'values of rows',
    finds: /MB for|died of it/,
  },
]

/** What is found when the hole is there. */
export async function foundIn({ name, changes, target, silenceMs }: Hole): Promise<string> {
  const entry = buildFuzz(`hole-${name.replaceAll(/\W+/g, '-')}`, changes)
  const { findings } = await fuzz(entry, { seed: 1, inputs: 4000, targets: [target] }, 1, silenceMs)
  return findings.map(({ what }) => what).join('\n')
}
