/**
 * The verbs and their flags. It knows no more than what `--help` shows: a verb's own file is loaded when it is called.
 */
import { readFileSync } from 'node:fs'
import { Command, Option, type CommanderError } from 'commander'
import { UsageError } from './failure.js'
import type { Flags, PublishFlags, RunFlags, TailFlags } from './flags.js'

/** The whole command. It throws `UsageError` for what it does not understand; `main.ts` ends the process. */
export function program(): Command {
  const top = new Command('stream-node')
    .description('Run pipelines, publish to streams and read them: on NATS JetStream or on a log in a folder.')
    .usage('<verb> [options]')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help, or that of a verb')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', NOTES)
  for (const [flag, text] of GLOBAL) top.option(flag, text)
  top.addOption(
    new Option('-o, --output <format>', 'what stdout gets').choices(['text', 'json', 'jsonl']).default('text'),
  )
  top.hook('preAction', () => takeConfig(top))

  top
    .command('run')
    .summary('run the pipelines of files')
    .description('Run a node: all pipelines that the files export, until SIGINT or SIGTERM.')
    .argument('[files...]', 'TypeScript or JavaScript files; none: those of the folder actors/')
    .option('--until-caught-up', 'end when everything readable is processed and published')
    .option('--drain', 'likewise; no step has windows or timers yet that it could bring to their end')
    .option('--name <name>', "what the node is called (default: the machine's name)")
    .option('--log-level <level>', 'debug, info, warn, error or silent; lines go to stderr', 'info')
    .addHelpText('after', RUN_NOTES)
    .action(async (files: string[], _: unknown, command: Command) => {
      const { run } = await import('./run.js')
      await run(files, command.optsWithGlobals<RunFlags>())
    })

  top
    .command('publish')
    .summary('put records into a stream')
    .description('Put records into a stream: the values given, or one JSON value a line from stdin.')
    .argument('<stream>', 'the name of the stream')
    .argument('[values...]', 'values, as JSON; none: read them from stdin')
    .option('--key <text>', 'the key of every record')
    .option('--key-field <field>', 'the field that holds the key')
    .option('--id <text>', 'the id of the record, so that it is stored once; for one value')
    .option('--id-field <field>', 'the field that holds the id')
    .option('--time <time>', 'when it happened: ISO time, or ms since 1970')
    .option('--time-field <field>', 'the field that holds the time, in ms since 1970')
    .option('--create', 'make the stream if it does not exist; the field flags are kept with it')
    .option('--partitions <count>', 'with --create: how many partitions (default: 6)')
    .option('--codec <codec>', 'with --create: json or bytes (default: json)')
    .addHelpText('after', PUBLISH_NOTES)
    .action(async (stream: string, values: string[], _: unknown, command: Command) => {
      const { publish } = await import('./publish.js')
      await publish(stream, values, command.optsWithGlobals<PublishFlags>())
    })

  top
    .command('tail')
    .summary('print the records of a stream')
    .description('Print the records of a stream, from the start to the end it has now.')
    .argument('<stream>', 'the name of the stream')
    .option('--from <place>', 'start, end, a position, or an ISO time', 'start')
    .option('--key <text>', 'only records with this key')
    .option('--partition <number>', 'only this partition')
    .option('--limit <count>', 'end after so many records')
    .option('-f, --follow', 'go on with new records as they come')
    .addHelpText('after', TAIL_NOTES)
    .action(async (stream: string, _: unknown, command: Command) => {
      const { tail } = await import('./tail.js')
      await tail(stream, command.optsWithGlobals<TailFlags>())
    })

  top
    .command('describe')
    .summary('list the streams, or show one')
    .description('List the streams there are, or show one: its definition and where it begins and ends.')
    .argument('[stream]', 'the name of the stream')
    .addHelpText('after', DESCRIBE_NOTES)
    .action(async (stream: string | undefined, _: unknown, command: Command) => {
      const { describe } = await import('./describe.js')
      await describe(stream, command.optsWithGlobals<Flags>())
    })

  top
    .command('status')
    .summary('how the nodes that run stand')
    .description('Ask the nodes that run on the log how each of their partitions stands.')
    .addHelpText('after', STATUS_NOTES)
    .action(async (_: unknown, command: Command) => {
      const { status } = await import('./status.js')
      await status(command.optsWithGlobals<Flags>())
    })
  return top
}

/** Loads the config file, if there is one, for what neither flags nor environment have settled. */
async function takeConfig(top: Command): Promise<void> {
  const { configFile } = await import('./config.js')
  const { config, timeout } = top.opts<{ config?: string; timeout?: string }>()
  const file = await configFile(config)
  if (file === undefined) return
  top.setOptionValueWithSource('file', file, 'config')
  if (file.output !== undefined && top.getOptionValueSource('output') === 'default') {
    top.setOptionValueWithSource('output', file.output, 'config')
  }
  if (file.timeout === undefined || timeout !== undefined || process.env['NATS_TIMEOUT']?.trim()) return
  top.setOptionValueWithSource('timeout', file.timeout, 'config')
}

/** Our error for what the parser throws, or undefined when it only printed what was asked for. */
export function usageError(error: CommanderError): UsageError | undefined {
  if (error.exitCode === 0) return undefined
  if (error.code === 'commander.help') return new UsageError('no verb is given', 'see "stream-node --help"')
  const [what = '', hint] = error.message.replace(/^error: /, '').split('\n')
  const mend = hint
    ?.replace(/^\(Did you mean (.*)\?\)$/, 'did you mean $1?')
    .replace(/^did you mean one of/, 'is it one of')
  const code = error.code === 'commander.unknownOption' ? 'UNKNOWN_OPTION' : 'USAGE'
  return new UsageError(what.replace(/\.$/, ''), mend ?? 'see --help', code)
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

const GLOBAL: readonly (readonly [flag: string, text: string])[] = [
  ['-s, --server <urls>', 'NATS servers, commas between; without one: the log in the data folder (NATS_URL)'],
  ['--context <name>', 'a context of the nats command (NATS_CONTEXT)'],
  ['--creds <file>', "a file with a user's JWT and seed (NATS_CREDS)"],
  ['--nkey <file>', 'a file with an nkey seed (NATS_NKEY)'],
  ['--user <name>', 'user name (NATS_USER)'],
  ['--password <text>', 'password; others on this machine see flags, so prefer NATS_PASSWORD'],
  ['--token <text>', 'token; likewise prefer NATS_TOKEN'],
  ['--tls-ca <file>', 'the authorities to trust, PEM (NATS_CA)'],
  ['--tls-cert <file>', 'our own certificate, PEM (NATS_CERT)'],
  ['--tls-key <file>', 'the key of our certificate, PEM (NATS_KEY)'],
  ['--domain <name>', 'the JetStream domain'],
  ['--inbox-prefix <subject>', 'the subjects on which answers come (default: _INBOX and a random name)'],
  ['--timeout <duration>', "the longest wait for the server, like '5s' (NATS_TIMEOUT)"],
  ['--data-dir <folder>', 'the folder of the embedded log (STREAM_NODE_DATA_DIR, default: .stream-node)'],
  ['--config <file>', 'the config file (default: stream-node.config.ts, .mts, .js, .mjs or .json, if there is one)'],
]

const NOTES = `
Environment:
  NATS_URL NATS_CONTEXT NATS_CREDS NATS_NKEY NATS_USER NATS_PASSWORD NATS_TOKEN
  NATS_CA NATS_CERT NATS_KEY NATS_TIMEOUT STREAM_NODE_DATA_DIR NO_COLOR
  A flag counts before the environment, the environment before the config file, and a context
  behind what names it.

Exit codes:
  0 ok                  3 the server cannot be reached, or refuses us
  1 failed              4 the log lost or changed what it had acknowledged
  2 wrong usage         5 timed out
  78 wrong settings     130, 143 forced by a second signal

Examples:
  $ stream-node run clicks.ts
  $ stream-node publish clicks '{"user":"ann"}' --create --key-field user
  $ stream-node tail clicks --follow
  $ NATS_URL=nats://127.0.0.1:4222 stream-node describe
`

const RUN_NOTES = `
Examples:
  $ stream-node run clicks.ts
  $ stream-node run clicks.ts --until-caught-up --data-dir data
  $ NATS_URL=nats://127.0.0.1:4222 stream-node run
`

const PUBLISH_NOTES = `
Examples:
  $ stream-node publish clicks '{"user":"ann"}' --create --key-field user
  $ cat clicks.ndjson | stream-node publish clicks --id-field id
  $ stream-node publish clicks -o jsonl < clicks.ndjson > answers.ndjson
  $ echo 'any bytes' | stream-node publish lines --create --codec bytes --key all
`

const TAIL_NOTES = `
Examples:
  $ stream-node tail clicks --limit 10
  $ stream-node tail clicks --from 2026-11-20T10:00:00Z --key ann
  $ stream-node tail clicks --from end --follow -o jsonl | jq .value
`

const DESCRIBE_NOTES = `
Examples:
  $ stream-node describe
  $ stream-node describe clicks -o json
`

const STATUS_NOTES = `
Examples:
  $ stream-node status
  $ stream-node status -o jsonl | jq .lag
`
