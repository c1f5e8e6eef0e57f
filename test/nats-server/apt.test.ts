import { expect, test } from 'vitest'
import { mirrorsIn, packageIn } from './apt.js'

test('reads the mirrors of a deb822 file and leaves out what is off, source-only or has no main', () => {
  const text = `Types: deb
# a comment between the fields
URIs: http://mirror.example/debian/
 http://second.example/debian
Suites: bookworm bookworm-updates
Components: main contrib

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: sid
Components: main

Types: deb-src
URIs: http://sources.example/debian
Components: main

Types: deb
URIs: http://third.example/party
Suites: ./
`
  expect(mirrorsIn('debian.sources', text)).toEqual(['http://mirror.example/debian', 'http://second.example/debian'])
})

test('reads the mirrors of a one-line file, with options and comments, once each', () => {
  const text = `# deb http://commented.example/debian bookworm main
deb http://mirror.example/debian bookworm main # the usual
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] http://mirror.example/debian/ bookworm-updates main
deb-src http://sources.example/debian bookworm main
deb https://packages.example/apt cloud-sdk cloud
  deb mirror+file:/etc/apt/mirrors/debian.list trixie main non-free
`
  expect(mirrorsIn('sources.list', text)).toEqual([
    'http://mirror.example/debian',
    'mirror+file:/etc/apt/mirrors/debian.list',
  ])
})

const index = (version: string) => `Package: nats-server-tools
Version: 9.9.9-1
Filename: pool/wrong.deb
SHA256: 00

Package: nats-server
Source: nats-server (2.9.10-1)
Version: ${version}
Description: High-Performance server
 with a second line: not a field
Filename: pool/main/n/nats-server/nats-server.deb
SHA256: abc123

Package: nats-top
Version: 1.0-1
Filename: pool/other.deb
SHA256: 11
`

test.each([
  ['2.9.10-1+b3', '2.9.10'],
  ['1:2.10.27-1', '2.10.27'],
  ['2.15.1+ds-2', '2.15.1'],
  ['2.12.0~rc1-1', '2.12.0'],
])('finds the package of exactly that name and gives %s as version %s', (debian, version) => {
  expect(packageIn(index(debian), 'nats-server')).toEqual({
    version,
    filename: 'pool/main/n/nats-server/nats-server.deb',
    sha256: 'abc123',
  })
})

test('finds the first and the last package of an index, and says so when there is none', () => {
  expect(packageIn(index('1-1'), 'nats-server-tools')?.filename).toBe('pool/wrong.deb')
  expect(packageIn(index('1-1'), 'nats-top')?.filename).toBe('pool/other.deb')
  expect(packageIn(index('1-1'), 'nats')).toBeUndefined()
})
