/**
 * Reads what apt knows: which mirrors this machine uses, and what a mirror's `Packages` index says of one package.
 * Pure text in, plain values out.
 */

/** One package as an index names it. `filename` is relative to the mirror. */
export interface AptPackage {
  readonly version: string
  readonly filename: string
  readonly sha256: string
}

/** The fields of a deb822 paragraph, names in lower case, continued lines joined. */
function fieldsOf(paragraph: string): Map<string, string> {
  const fields = new Map<string, string>()
  let last = ''
  for (const line of paragraph.split('\n')) {
    if (line.startsWith('#')) continue
    const field = /^([^\s:]+):(.*)$/.exec(line)
    if (field) {
      last = (field[1] ?? '').toLowerCase()
      fields.set(last, (field[2] ?? '').trim())
    } else if (/^\s/.test(line) && last !== '') {
      fields.set(last, `${fields.get(last) ?? ''} ${line.trim()}`.trim())
    }
  }
  return fields
}

const words = (text: string | undefined) => (text ?? '').split(/\s+/).filter(word => word !== '')

function fromDeb822(text: string): string[] {
  return text.split(/\n[ \t]*\n/).flatMap(paragraph => {
    const fields = fieldsOf(paragraph)
    const serves =
      words(fields.get('types')).includes('deb') &&
      fields.get('enabled')?.toLowerCase() !== 'no' &&
      words(fields.get('components')).includes('main')
    return serves ? words(fields.get('uris')) : []
  })
}

function fromOneLine(text: string): string[] {
  return text.split('\n').flatMap(line => {
    const entry = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+\s+([^#]*)/.exec(line)
    return entry?.[1] && words(entry[2]).includes('main') ? [entry[1]] : []
  })
}

/**
 * The addresses of the mirrors in one apt sources file (`.sources`: deb822, `.list`: one line each), in its order and
 * once each. Only those with a `main` component: a third party's repository has no nats-server of Debian's. May hold
 * `mirror+file:` addresses, which name a file that lists more.
 */
export function mirrorsIn(fileName: string, text: string): string[] {
  const uris = fileName.endsWith('.sources') ? fromDeb822(text) : fromOneLine(text)
  return [...new Set(uris.map(uri => uri.replace(/\/+$/, '')))]
}

/** Finds a package in the text of a `Packages` index; undefined when the index has none of that name. */
export function packageIn(index: string, name: string): AptPackage | undefined {
  const head = `Package: ${name}\n`
  const at = index.startsWith(head) ? 0 : index.indexOf(`\n\n${head}`)
  if (at < 0) return undefined
  const start = at === 0 ? 0 : at + 2
  const end = index.indexOf('\n\n', start)
  const fields = fieldsOf(index.slice(start, end < 0 ? undefined : end))
  const [version, filename, sha256] = [fields.get('version'), fields.get('filename'), fields.get('sha256')]
  return version && filename && sha256 ? { version: upstream(version), filename, sha256 } : undefined
}

/** The project's own version in a Debian one: `1:2.9.10-1+b3` is `2.9.10`. */
function upstream(version: string): string {
  return version
    .replace(/^\d+:/, '')
    .replace(/-[^-]*$/, '')
    .replace(/[+~].*$/, '')
}
