/**
 * Finds the functions of `src/` that read what may come from outside: whoever uses what takes bytes or text apart, or is
 * called as those are that do. They are found in the source, so that a new one cannot be forgotten.
 */
import ts from 'typescript'

/** `src/codec/json.ts parsed`, in the order in which they stand. */
export function decodersIn(files: ReadonlyMap<string, string>): string[] {
  const found = new Set<string>()
  for (const [path, source] of files) {
    if (!/^src\/(?!testing\/).*\.ts$/.test(path) || /\.test\.ts$/.test(path)) continue
    walk(ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true), name => found.add(`${path} ${name}`))
  }
  return [...found]
}

const NUMBERS = /^(?:read(?:Big)?(?:U?[Ii]nt\d*|Double|Float)(?:64)?(?:[LB]E)?|get(?:Big)?(?:Ui|I)nt\d+|getFloat\d+)$/
const NAMES = /^(?:decode|parse|read|unseal)(?![a-z])/
const TAKEN = /\b(?:string|Uint8Array|Buffer|LogRecord|OctetReader)\b/

function walk(node: ts.Node, tell: (name: string) => void): void {
  if (reads(node)) tell(nameAround(node))
  if (ts.isFunctionDeclaration(node) && isCalledSo(node)) tell(node.name?.text ?? '')
  ts.forEachChild(node, child => walk(child, tell))
}

function reads(node: ts.Node): boolean {
  if (ts.isNewExpression(node)) return node.expression.getText() === 'OctetReader'
  if (!ts.isCallExpression(node)) return false
  const called = node.expression.getText()
  if (called === 'JSON.parse' || called === 'decodeURIComponent') return true
  if (called === 'Buffer.from') return /^'(?:base64|base64url|hex)'$/.test(node.arguments[1]?.getText() ?? '')
  return ts.isPropertyAccessExpression(node.expression) && NUMBERS.test(node.expression.name.text)
}

/** A function that everybody may call, with a name that says that it decodes, and takes what can be decoded. */
function isCalledSo(node: ts.FunctionDeclaration): boolean {
  const isExported = node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false
  if (!isExported || node.name === undefined) return false
  return NAMES.test(node.name.text) && node.parameters.some(({ type }) => TAKEN.test(type?.getText() ?? ''))
}

/** The nearest function around it that has a name, as it is called when it runs. */
function nameAround(node: ts.Node): string {
  for (let at = node.parent as ts.Node | undefined; at !== undefined; at = at.parent as ts.Node | undefined) {
    if (ts.isFunctionDeclaration(at) || ts.isMethodDeclaration(at) || ts.isGetAccessor(at))
      return at.name?.getText() ?? ''
    if (ts.isConstructorDeclaration(at)) return ts.isClassDeclaration(at.parent) ? (at.parent.name?.text ?? '') : ''
    if (!ts.isArrowFunction(at) && !ts.isFunctionExpression(at)) continue
    const { parent } = at
    if (ts.isVariableDeclaration(parent) || ts.isPropertyDeclaration(parent) || ts.isPropertyAssignment(parent)) {
      return parent.name.getText()
    }
  }
  return 'the file itself'
}
