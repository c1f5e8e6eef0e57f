/** The face of stream-node: every public name, in the order a newcomer meets it. What is not here may change. */

// What flows: streams, sinks and keys.
export { stream } from './stream/stream.js'
export type { Format, Source, Stream, StreamOptions, Target } from './stream/stream.js'
export { sink } from './stream/sink.js'
export type { Sink, SinkCall, SinkOptions, SinkRecord } from './stream/sink.js'
export { key, keyParts } from './stream/key.js'
export type { Key } from './stream/key.js'

// What becomes of it: pipelines.
export { pipeline } from './pipeline/pipeline.js'
export type { Fits, Flow, OutputOf, Pipeline, PipelineOptions, PipelineStart, ToOptions } from './pipeline/pipeline.js'
export type { Choose, Definition } from './pipeline/definition.js'
export type { OnError, Supervise } from './pipeline/rules.js'
export type { DeadLetter, LetterError, Resolution } from './stream/dead-letters.js'
export type { Operator } from './operators/operator.js'

// Steps with memory, and what they can make of many values.
export { scan } from './operators/scan.js'
export type { ScanOptions } from './operators/scan.js'
export { distinct } from './operators/distinct.js'
export type { DistinctOptions } from './operators/distinct.js'
export { aggregate } from './operators/aggregate.js'
export type { AggregateOptions, AggregateResult } from './operators/aggregate.js'
export type { Aggregate, Aggregates, Reserved, ResultsOf } from './aggregates/aggregate.js'
export { count } from './aggregates/count.js'
export { sum } from './aggregates/sum.js'
export { mean } from './aggregates/mean.js'
export { min } from './aggregates/min.js'
export { max } from './aggregates/max.js'
export { minBy } from './aggregates/min-by.js'
export { maxBy } from './aggregates/max-by.js'
export { first } from './aggregates/first.js'
export { last } from './aggregates/last.js'
export { collect } from './aggregates/collect.js'
export { collectSet } from './aggregates/collect-set.js'
export { histogram } from './aggregates/histogram.js'
export type { HistogramBucket, HistogramOptions } from './aggregates/histogram.js'
export { variance } from './aggregates/variance.js'
export { stddev } from './aggregates/stddev.js'
export { distinctCount } from './aggregates/distinct-count.js'
export { topK } from './aggregates/top-k.js'
export type { TopKEntry } from './aggregates/top-k.js'
export { quantile } from './aggregates/quantile.js'
export { median } from './aggregates/median.js'
export { mode } from './aggregates/mode.js'
export { reduce } from './aggregates/reduce.js'
export { custom } from './aggregates/custom.js'
export type { CustomAggregate } from './aggregates/custom.js'

// What runs it.
export { startNode } from './node/start.js'
export type { NodeOptions, RunningNode } from './node/start.js'
export type { NodeEnd, PartitionFault } from './node/node.js'
export type { NodeStatus } from './node/status.js'
export type { PartitionStatus } from './actor/status.js'

// In and out, from any program.
export { connect } from './client/connect.js'
export type { ConnectOptions, ConnectToFolder, ConnectToMemory, ConnectToServer } from './client/connect.js'
export type { Client, Published, PublishOptions } from './client/client.js'
export type { PublishAllOptions, PublishedAll } from './client/publishing.js'
export type { ReadBatch, Reading, ReadingOptions } from './client/reading.js'
export type { StreamDescription } from './client/describe.js'
export type { StreamRecord } from './stream/record.js'
export type { Position } from './log/record.js'

// How values become bytes.
export { json } from './codec/json.js'
export { avro } from './codec/avro.js'
export type { AvroOptions, AvroSchema } from './codec/avro.js'
export { bytes } from './codec/bytes.js'
export type { Codec, CodecDefinition } from './codec/codec.js'
export type { OwnCodec } from './codec/own.js'
export type { GuardOptions } from './codec/guards.js'

// Where a key is, for producers that write without us.
export { partitionOf } from './stream/partitioner.js'

// How people write spans of time and amounts of memory.
export type { Duration, Size } from './options.js'

// What stands in stream-node.config.ts, for the command.
export { defineConfig } from './cli/define-config.js'
export type { StreamNodeConfig } from './cli/define-config.js'

// What goes wrong: the class says what happens next, the code names the case.
export {
  DefinitionError,
  FencedError,
  IntegrityError,
  InvariantError,
  RecordError,
  RetryableError,
  StreamNodeError,
  UnavailableError,
} from './errors.js'
export type { ErrorCode, ErrorDetails } from './errors.js'

// What the engine tells while it works.
export type { Event, LogEvent, NodeEvent, PartitionEvent, StreamEvent, Tell } from './telemetry/events.js'
