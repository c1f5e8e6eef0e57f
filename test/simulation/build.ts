/**
 * The simulation, or the fuzzing, as plain JavaScript in a folder of its own, changed in places when asked to: that is
 * what a mutant is.
 * Each change names the text that it takes the place of, and fails when that text is not there exactly once.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** A change of one source file. */
export interface Change {
  /** From the project's root. */
  readonly file: string
  /** Stands in the file exactly once. */
  readonly from: string
  readonly to: string
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, '.simulate')
const compiled = new Map<string, string>()

/** Writes `entry` and all that it imports to a folder of this name, and gives the path of its entry. */
export function build(
  name: string,
  changes: readonly Change[] = [],
  entry: string = 'test/simulation/worker.ts',
): string {
  const into = join(folder, name)
  rmSync(into, { recursive: true, force: true })
  const waiting = [entry]
  const seen = new Set(waiting)
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const source = readFileSync(join(root, file), 'utf8')
    const text = changes.filter(change => change.file === file).reduce(changed, source)
    for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
      if (!fileName.startsWith('.')) continue
      const imported = relative(root, join(root, dirname(file), fileName)).replace(/\.js$/, '.ts')
      if (!seen.has(imported)) waiting.push(imported)
      seen.add(imported)
    }
    const to = join(into, file.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(to), { recursive: true })
    writeFileSync(to, javaScript(file, text))
  }
  for (const { file } of changes) if (!seen.has(file)) throw new Error(`${file} is no part of ${entry}`)
  return join(into, entry.replace(/\.ts$/, '.js'))
}

/** Throws unless each change can be made. */
export function changed(text: string, { file, from, to }: Change): string {
  const parts = text.split(from)
  if (parts.length === 2) return parts.join(to)
  throw new Error(`${parts.length - 1} places in ${file} read ${JSON.stringify(from)}, where there must be one`)
}

function javaScript(file: string, text: string): string {
  const key = `${file}\n${text}`
  const known = compiled.get(key)
  if (known !== undefined) return known
  const { outputText, diagnostics = [] } = ts.transpileModule(text, {
    fileName: file,
    reportDiagnostics: true,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  })
  const [fault] = diagnostics
  if (fault !== undefined) throw new Error(`${file}: ${ts.flattenDiagnosticMessageText(fault.messageText, '\n')}`)
  compiled.set(key, outputText)
  return outputText
}
