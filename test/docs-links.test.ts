/** Every relative link of the pages leads to a file, and to a heading when it names one. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const inDocs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...inDocs.filter(name => name.endsWith('.md')).map(name => join('docs', name)),
]

/** What a page says outside its fences. */
function proseOf(page: string): string {
  return readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```/gm, '')
}

/** The anchors of a page's headings, as they are made where the pages are shown. */
function anchorsOf(page: string): string[] {
  return [...proseOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function brokenIn(page: string): string[] {
  const links = [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
  return links
    .filter(link => !/^https?:/.test(link))
    .filter(link => {
      const [path = '', anchor] = link.split('#')
      const to = path === '' ? page : join(dirname(page), path)
      if (!existsSync(join(root, to))) return true
      return anchor !== undefined && !anchorsOf(to).includes(anchor)
    })
}

test.each(pages)('every link of %s leads somewhere', page => {
  expect(brokenIn(page)).toEqual([])
})

test.each(pages)('every file of the source that %s names is there', page => {
  const rooms = readdirSync(join(root, 'src')).filter(name => !name.includes('.'))
  const named = [...proseOf(page).matchAll(/`(?:src\/)?((\w+)\/[\w/-]+\.ts)`/g)]
  const missing = named.filter(
    ([, path = '', room = '']) => rooms.includes(room) && !existsSync(join(root, 'src', path)),
  )
  expect(missing.map(([, path]) => path)).toEqual([])
})

test('every page of the docs is on the map, or in a folder that is', () => {
  const map = proseOf('docs/README.md')
  const folders = ['decisions']
  const missing = inDocs
    .filter(name => name.endsWith('.md') && name !== 'README.md')
    .filter(name => !map.includes(`(${name})`) && !folders.includes(dirname(name)))
  expect(missing).toEqual([])
})
