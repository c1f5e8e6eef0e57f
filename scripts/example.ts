/**
 * Runs one of `examples/` on the package as it was built: `npm run example -- 02-store-once`; without a name the one of
 * the front page. Its log is in `.stream-node` of the working folder, or on the server that NATS_URL names.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const folder = join(import.meta.dirname, '../examples')
const names = readdirSync(folder).sort()
const [name = '05-clicks-per-user'] = process.argv.slice(2)

if (names.includes(name)) await import(pathToFileURL(join(folder, name, 'main.ts')).href)
else {
  console.error(`there is no example "${name}"; there are ${names.join(', ')}`)
  process.exitCode = 2
}
