/**
 * The verbs and their flags. It knows no more than what `--help` shows: a verb's own file is loaded when it is called.
 */
import { readFileSync } from 'node:fs'
import { Command, Option, type CommanderError } from 'commander'
import { UsageError } from './failure.js'
import type { DlqFlags, Flags, PublishFlags, ResetFlags, RunFlags, TailFlags } from './flags.js'

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
    .option('--respawn', 'run the node in a process of its own, and start it again when it crashes')
    .option('--watchdog <duration>', "end a process that does not move for so long, or 'off'", '30s')
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

  top
    .command('doctor')
    .summary('is this log fit for its pipelines')
    .description('Look whether the log is fit for what is asked of it: what is wrong, what is weak, and the mend.')
    .argument('[files...]', 'files with the pipelines that are to run there; none: all that is on the log')
    .addHelpText('after', DOCTOR_NOTES)
    .action(async (files: string[], _: unknown, command: Command) => {
      const { doctor } = await import('./doctor.js')
      await doctor(files, command.optsWithGlobals<Flags>())
    })

  top
    .command('resume')
    .summary('let paused partitions go on')
    .description('Let the paused partitions of a pipeline go on, on whichever nodes they are.')
    .argument('<pipeline>', 'the name of the pipeline')
    .argument('[partition]', 'the number of the partition; none: all that are paused')
    .addHelpText('after', RESUME_NOTES)
    .action(async (pipeline: string, partition: string | undefined, _: unknown, command: Command) => {
      const { resume } = await import('./resume.js')
      await resume(pipeline, partition, command.optsWithGlobals<Flags>())
    })

  addDeadLetters(top)

  top
    .command('reset')
    .summary('begin a pipeline anew')
    .description('Let go of all that a pipeline remembers, so that its next run reads its sources again.')
    .argument('<pipeline>', 'the name of the pipeline')
    .option('--from <place>', 'where the next run begins to read: start, end, or an ISO time', 'start')
    .option('--outputs', 'delete the streams that it wrote to, and its dead letters')
    .option('--yes', 'do it without asking')
    .addHelpText('after', RESET_NOTES)
    .action(async (pipeline: string, _: unknown, command: Command) => {
      const { reset } = await import('./reset.js')
      await reset(pipeline, command.optsWithGlobals<ResetFlags>())
    })
  return top
}

/** `dlq` with verbs of its own. */
function addDeadLetters(top: Command): void {
  const dlq = top
    .command('dlq')
    .summary('records that could not be processed')
    .description('See, retry and drop the dead letters: the records that pipelines could not process.')
    .addHelpText('after', DLQ_NOTES)

  dlq
    .command('ls')
    .summary('list those that are open')
    .description('List the open dead letters, as text grouped by their error.')
    .argument('[pipeline]', 'the name of the pipeline; none: all that have some')
    .option('--partition <number>', 'only this partition')
    .option('--error <text>', 'only those whose error, its code or its place contains this')
    .option('--limit <count>', 'no more lines, or letters, than this')
    .action(async (pipeline: string | undefined, _: unknown, command: Command) => {
      const { ls } = await import('./dlq.js')
      await ls(pipeline, command.optsWithGlobals<DlqFlags>())
    })

  dlq
    .command('show')
    .summary('show one, with its value')
    .description('Show all that one dead letter says, and its bytes as the value that they are.')
    .argument('<pipeline>', 'the name of the pipeline')
    .argument('<letter>', 'partition and position, like 3/17')
    .action(async (pipeline: string, letter: string, _: unknown, command: Command) => {
      const { show } = await import('./dlq-show.js')
      await show(pipeline, letter, command.optsWithGlobals<DlqFlags>())
    })

  for (const [verb, how, does] of SETTLES) {
    dlq
      .command(verb)
      .summary(does)
      .description(`Ask the node that runs the pipeline to ${does}.`)
      .argument('<pipeline>', 'the name of the pipeline')
      .argument('[letters...]', 'partition and position of each, like 3/17')
      .option('--all', 'all that are open')
      .option('--error <text>', 'those whose error, its code or its place contains this')
      .option('--partition <number>', 'with --all or --error: only this partition')
      .action(async (pipeline: string, letters: string[], _: unknown, command: Command) => {
        const { settle } = await import('./dlq.js')
        await settle(how, pipeline, letters, command.optsWithGlobals<DlqFlags>())
      })
  }
}

const SETTLES = [
  ['retry', 'retried', 'process dead letters as if they came now'],
  ['drop', 'dropped', 'say of dead letters that nobody needs them'],
] as const

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
  const [said = '', hint] = error.message.replace(/^error: /, '').split('\n')
  // A slip in the name of a flag must not show what was to be its value.
  const what = error.code === 'commander.unknownOption' ? said.replace(/=.*'/, "'") : said
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

const RESUME_NOTES = `
Examples:
  $ stream-node resume count-clicks
  $ stream-node resume count-clicks 3
`

const DOCTOR_NOTES = `
Exits with 0 when nothing is wrong, with 1 when something is. It changes nothing on the log.

Examples:
  $ stream-node doctor
  $ NATS_URL=nats://127.0.0.1:4222 stream-node doctor clicks.ts
  $ stream-node doctor -o jsonl | jq 'select(.level == "wrong")'
`

const DLQ_NOTES = `
Examples:
  $ stream-node dlq ls
  $ stream-node dlq show count-clicks 3/17
  $ stream-node dlq retry count-clicks --error TypeError
  $ stream-node dlq drop count-clicks 3/17 3/18
`

const RESET_NOTES = `
Examples:
  $ stream-node reset count-clicks
  $ stream-node reset count-clicks --outputs --yes
`
