/**
 * The rule of the rooms as a function: files in, one finding per line that breaks it out. The tables below
 * are the rule; `CONTRIBUTING.md` says it in words.
 */
import { dirname, join, normalize } from 'node:path/posix'
import ts from 'typescript'

/** From the ground up. A room imports only what stands before it. */
const chain = ['ground', 'telemetry', 'codec', 'log', 'stream', 'state', 'aggregates', 'operators', 'pipeline', 'actor']
const upTo = (room: string) => chain.slice(0, chain.indexOf(room) + 1)

/** What each room may import beside itself. */
const sees: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(chain.map((room, i) => [room, chain.slice(0, i)])),
  placement: upTo('log'),
  client: upTo('stream'),
  node: [...chain, 'placement', 'client'],
  cli: [...chain, 'placement', 'client', 'node'],
}

/** The face and the tests' face see all rooms; no room sees them. */
const faces = ['index', 'testing']

/** Where each package may be imported: folders and files under `src/`. `!` shuts out a file. */
const homes: Readonly<Record<string, readonly string[]>> = {
  '@nats-io/': ['log/jetstream/'],
  lmdb: ['log/embedded/'],
  avsc: ['codec/'],
  '@standard-schema/spec': ['codec/', 'stream/', 'index.ts'],
  rxjs: ['operators/', 'pipeline/', 'testing/'],
  pino: ['telemetry/', '!telemetry/events.ts'],
  '@opentelemetry/': ['telemetry/', '!telemetry/events.ts'],
  commander: ['cli/'],
  jiti: ['cli/'],
}

/** Words that say nothing about what a file is responsible for. */
const emptyWords = new Set(['util', 'utils', 'common', 'helper', 'helpers', 'manager', 'impl', 'misc', 'shared'])

/**
 * Every breach of the rule in `files` (path from the project's root to text): imports against the order of the rooms,
 * type imports too; packages outside their home; actors that use a private door; names that say nothing; files that
 * cannot be loaded one before the other, for they stand in a circle.
 * Test files are free. Each finding starts with `file:line` and says where the line belongs.
 */
export function breaches(files: ReadonlyMap<string, string>): string[] {
  const judged = new Map(
    [...files].filter(([path]) => /^(src|actors)\/.*\.ts$/.test(path) && !/\.test\.ts$/.test(path)),
  )
  const imports = new Map([...judged].map(([path, text]) => [path, importsOf(path, text)]))
  return [
    ...[...judged.keys()].flatMap(badName),
    ...[...imports].flatMap(([path, found]) => found.flatMap(line => badImport(path, line))),
    ...circles(imports),
  ]
}

interface ImportLine {
  readonly line: number
  /** As written. */
  readonly specifier: string
  /** The file it leads to, or undefined for a package. */
  readonly file: string | undefined
  /** Whether the one file is loaded before the other runs: not for types, nor for what is loaded when it is needed. */
  readonly atOnce: boolean
}

function importsOf(path: string, text: string): ImportLine[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const found: ImportLine[] = []
  const take = (node: ts.Node | undefined, atOnce: boolean) => {
    if (!node || !ts.isStringLiteralLike(node)) return
    const specifier = node.text
    const file = specifier.startsWith('.')
      ? normalize(join(dirname(path), specifier)).replace(/\.js$/, '.ts')
      : undefined
    found.push({ line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1, specifier, file, atOnce })
  }
  const walk = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      take(node.moduleSpecifier, node.importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword)
    } else if (ts.isExportDeclaration(node)) take(node.moduleSpecifier, !node.isTypeOnly)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) take(node.argument.literal, false)
    else if (ts.isExternalModuleReference(node)) take(node.expression, true)
    else if (ts.isCallExpression(node)) {
      const called = node.expression
      if (called.kind === ts.SyntaxKind.ImportKeyword || called.getText() === 'require') take(node.arguments[0], false)
    }
    ts.forEachChild(node, walk)
  }
  walk(source)
  return found
}

/** `src/errors.ts` and its neighbours are the ground; else the room is the first folder. */
function roomOf(path: string): string {
  const [, first = ''] = path.split('/')
  if (!first.endsWith('.ts')) return first
  return first === 'index.ts' ? 'index' : 'ground'
}

function badImport(path: string, { line, specifier, file }: ImportLine): string[] {
  const at = `${path}:${line} imports ${file ?? specifier}`
  if (path.startsWith('actors/')) {
    const open = /^(stream-node(\/.*)?|rxjs(\/.*)?)$/.test(specifier) || file?.startsWith('actors/')
    return open ? [] : [`${at}; an actor imports only stream-node by name, so export what it needs from src/index.ts`]
  }
  if (file === undefined) return specifier.startsWith('node:') ? [] : badPackage(path, at, specifier)
  const [from, to] = [roomOf(path), roomOf(file)]
  if (!file.startsWith('src/')) return [`${at}; src/ is the machine and imports nothing outside of src/`]
  if (from === to || faces.includes(from)) return []
  if (faces.includes(to)) return [`${at}; no room sees the ${to} face, so import from the room that has it`]
  const allowed = sees[from]
  if (!allowed)
    return [`${at}, from "${from}", which is no room; move the file to one of ${Object.keys(sees).join(', ')}`]
  if (allowed.includes(to)) return []
  const homesOfLine = Object.keys(sees).filter(room => room === to || sees[room]?.includes(to))
  return [
    `${at}, but ${from} does not see ${to}; move the line to ${homesOfLine.join(', ')}, ` +
      `or what it needs to ${[...allowed, from].join(', ')}`,
  ]
}

function badPackage(path: string, at: string, specifier: string): string[] {
  const entry = Object.entries(homes).find(([name]) =>
    name.endsWith('/') ? specifier.startsWith(name) : specifier === name || specifier.startsWith(`${name}/`),
  )
  if (!entry) return [`${at}, a package without a home; give it one in test/architecture.ts, or do without it`]
  const inside = path.slice('src/'.length)
  const shut = entry[1].includes(`!${inside}`)
  if (!shut && entry[1].some(home => inside.startsWith(home))) return []
  return [`${at}; its home is ${entry[1].map(home => home.replace(/^!/, 'not ')).join(', ')}, so move the line there`]
}

function badName(path: string): string[] {
  const words = path.split('/').flatMap(part => part.replace(/\.ts$/, '').split(/[-._]/))
  const empty = words.find(word => emptyWords.has(word)) ?? (/\/types\.ts$/.test(path) ? 'types' : undefined)
  return empty
    ? [`${path}:1 is named "${empty}", which says nothing; name the file for what it is responsible for`]
    : []
}

/** Each circle once, told from its first file by name, at the line that leads into it. */
function circles(imports: ReadonlyMap<string, readonly ImportLine[]>): string[] {
  const findings: string[] = []
  const done = new Set<string>()
  const road: string[] = []
  const walk = (path: string) => {
    const start = road.indexOf(path)
    if (start >= 0) {
      const circle = road.slice(start)
      const least = circle.indexOf([...circle].sort()[0] ?? path)
      const turned = [...circle.slice(least), ...circle.slice(0, least)]
      const [first = path, second = path] = turned
      const line = imports.get(first)?.find(found => found.file === second)?.line ?? 1
      findings.push(
        `${first}:${line} is in a circle: ${[...turned, first].join(' > ')}; move what both need below them`,
      )
      return
    }
    if (done.has(path)) return
    road.push(path)
    for (const { file, atOnce } of imports.get(path) ?? []) {
      if (file !== undefined && atOnce && imports.has(file)) walk(file)
    }
    road.pop()
    done.add(path)
  }
  for (const path of [...imports.keys()].sort()) walk(path)
  return [...new Set(findings)]
}
