/**
 * Keeps the pages true. A fence says what it is: `ts` is type-checked against the source, `console` is run and its
 * output compared, `sh` holds commands that something else runs, `text` and data are free.
 *
 * `ts file=clicks.ts` names a snippet, so that later ones can import it and a console can run it. In a console a line
 * `...` stands for any lines.
 */
import { dirname, join } from 'node:path'
import ts from 'typescript'

export interface Fence {
  readonly page: string
  /** The line of the opening fence, from 1. */
  readonly line: number
  readonly language: string
  readonly file: string | undefined
  readonly text: string
}

/** The fenced blocks of a page, in order. Indented fences belong to lists and count too. */
export function fencesOf(page: string, markdown: string): Fence[] {
  const fences: Fence[] = []
  let open: { fence: string; indent: number; line: number; info: string; lines: string[] } | undefined
  markdown.split('\n').forEach((text, i) => {
    const mark = /^(\s*)(`{3,})(.*)$/.exec(text)
    if (!open) {
      if (mark)
        open = {
          fence: mark[2] ?? '',
          indent: mark[1]?.length ?? 0,
          line: i + 1,
          info: mark[3]?.trim() ?? '',
          lines: [],
        }
    } else if (mark && mark[2] === open.fence && mark[3]?.trim() === '') {
      const [language = '', ...words] = open.info.split(/\s+/)
      const file = words.find(word => word.startsWith('file='))?.slice('file='.length)
      fences.push({ page, line: open.line, language, file, text: open.lines.join('\n') })
      open = undefined
    } else {
      open.lines.push(text.slice(Math.min(open.indent, text.search(/\S|$/))))
    }
  })
  return fences
}

const freeLanguages = ['text', 'json', 'ndjson', 'yaml', 'nats', 'mermaid', 'diff']

/** Fences that no test can hold: without a language, or with one that nothing here checks. */
export function unheld(fences: readonly Fence[]): string[] {
  const held = ['ts', 'sh', 'console', ...freeLanguages]
  return fences
    .filter(fence => !held.includes(fence.language))
    .map(
      ({ page, line, language }) => `${page}:${line} is "${language}"; say one of ${held.join(', ')} after the fence`,
    )
}

/**
 * Type-checks the `ts` fences as modules that stand in `root`, each page a folder of its own. Gives one finding per
 * fault, with the line of the page.
 */
export function typeFaults(root: string, fences: readonly Fence[]): string[] {
  const snippets = new Map<string, Fence>()
  for (const fence of fences.filter(({ language }) => language === 'ts')) {
    const folder = join(root, '.snippets', fence.page.replaceAll('/', '-'))
    snippets.set(join(folder, fence.file ?? `line-${fence.line}.ts`), fence)
  }
  const config = ts.getParsedCommandLineOfConfigFile(join(root, 'tsconfig.json'), undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: diagnostic => {
      throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'))
    },
  })
  const options: ts.CompilerOptions = {
    ...config?.options,
    noEmit: true,
    noUnusedLocals: false,
    noUnusedParameters: false,
  }
  const folders = new Set([...snippets.keys()].flatMap(path => [dirname(path), join(root, '.snippets')]))
  const disk = ts.createCompilerHost(options)
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: path => snippets.has(path) || disk.fileExists(path),
    readFile: path => snippets.get(path)?.text ?? disk.readFile(path),
    directoryExists: path => folders.has(path) || (disk.directoryExists?.(path) ?? true),
    getSourceFile(path, version, ...rest) {
      const snippet = snippets.get(path)
      if (!snippet) return disk.getSourceFile(path, version, ...rest)
      // Without an import or export a snippet would be a script, and its names would be everyone's.
      return ts.createSourceFile(path, `${snippet.text}\nexport {}\n`, version, true)
    },
  }
  const program = ts.createProgram([...snippets.keys()], options, host)
  return ts.getPreEmitDiagnostics(program).flatMap(({ file, start, messageText }) => {
    const snippet = file && snippets.get(file.fileName)
    if (!snippet) return []
    const line = snippet.line + 1 + file.getLineAndCharacterOfPosition(start ?? 0).line
    return [`${snippet.page}:${line} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`]
  })
}

export interface Step {
  readonly line: number
  readonly command: string
  readonly output: string
}

/** A console block as commands (after `$ `) and what they print. */
export function stepsOf(fence: Fence): Step[] {
  const steps: { line: number; command: string; output: string[] }[] = []
  fence.text.split('\n').forEach((text, i) => {
    if (text.startsWith('$ ')) steps.push({ line: fence.line + 1 + i, command: text.slice(2), output: [] })
    else steps.at(-1)?.output.push(text)
  })
  return steps.map(step => ({ ...step, output: step.output.join('\n') }))
}

/** Whether a command printed what the page says, where a line `...` stands for any lines. */
export function printedAsSaid(printed: string, said: string): boolean {
  const pattern = said
    .trimEnd()
    .split('\n')
    .map(line => (line === '...' ? '(?:.*\\n)*?' : `${line.trimEnd().replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\n`))
  const lines = printed
    .trimEnd()
    .split('\n')
    .map(line => `${line.trimEnd()}\n`)
  return new RegExp(`^${pattern.join('')}$`).test(lines.join(''))
}

/** The commands of a `sh` fence with their lines; comments and continued lines are taken care of. */
export function commandsOf(fence: Fence): { line: number; command: string }[] {
  const commands: { line: number; command: string }[] = []
  let continued = false
  fence.text.split('\n').forEach((text, i) => {
    const words = text.replace(/(^|\s)#.*$/, '').trim()
    const last = commands.at(-1)
    if (continued && last) last.command += ` ${words.replace(/\\$/, '').trim()}`
    else if (words !== '') commands.push({ line: fence.line + 1 + i, command: words.replace(/\\$/, '').trim() })
    continued = words.endsWith('\\')
  })
  return commands
}

/**
 * Why a command of a `sh` fence is not held by anything, or undefined when it is: npm commands by the scripts of
 * package.json and `.ci/run`, `stream-node` by what its help knows, anything else by a line in `elsewhere`.
 */
export function unheldCommand(
  command: string,
  scripts: readonly string[],
  help: (verb: string) => string,
  elsewhere: readonly string[],
): string | undefined {
  for (const part of command.split(/\s*(?:&&|\|\||[;|])\s*/)) {
    if (elsewhere.some(known => part === known || part.startsWith(`${known} `))) continue
    const npm = /^npm (?:run )?([\w:-]+)/.exec(part)?.[1]
    const ours = /(?:^|\s)npx stream-node(?: (.*))?$/.exec(part)
    if (npm !== undefined) {
      if (!['ci', 'install', 'i', 'init', ...scripts].includes(npm)) return `package.json has no script "${npm}"`
    } else if (ours) {
      const words = (ours[1] ?? '').split(/\s+/).filter(word => word !== '')
      const verb = words[0]?.startsWith('-') ? '' : (words[0] ?? '')
      const text = help(verb)
      const unknown = words
        .map(word => word.split('=')[0] ?? '')
        .find(word => /^--?[a-z]/.test(word) && !knows(text, word))
      if (unknown) return `"stream-node ${verb}" has no option ${unknown}`
    } else {
      return `nothing runs "${part}"; make it a console block, or name what runs it in test/docs.test.ts`
    }
  }
  return undefined
}

function knows(help: string, flag: string): boolean {
  return new RegExp(`(^|[\\s,])${flag}([\\s,=<\\[]|$)`, 'm').test(help)
}
