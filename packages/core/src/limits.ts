/**
 * The limits that belong to the protocol and the data plane, with the unit in the name. Those that an operator may
 * change are in the services' config tables, which take their defaults from here.
 */

/** A frame a client may send after authentication, bytes (requirement CN1). */
export const maxFrameBytes = 1_048_576
/** A frame a client may send before authentication, bytes. */
export const maxUnauthenticatedFrameBytes = 65_536
/** Frames that arrive while the token is being checked are held up to this many. */
export const maxHeldFrames = 64
/** Time for an `auth` frame to arrive, ms (requirement CN4). */
export const authDeadlineMs = 5_000
/** Ping interval and the silence after which a connection is dead, ms (requirement CN1). */
export const pingIntervalMs = 25_000
export const pingTimeoutMs = 60_000
/** Rooms one connection may be subscribed to. */
export const maxSubscriptions = 1_000
/** Publishes of one connection that may wait for their acknowledgement. */
export const maxPublishesInFlight = 256
/** Bad frames after which a connection is closed with `badProtocol`. */
export const maxBadFrames = 100
/** Event data of one publish, bytes of JSON text; below the frame limit, so that the frame around it fits. */
export const maxDataBytes = 1_000_000

/** Events of one page of history that a client reads, and its UTF-16 units, about. */
export const maxHistoryEvents = 100
export const maxHistoryChars = 262_144
/** Frames that the request of a page counts for: 257 pages of 250 KB in a second kept an edge busy. */
export const historyFrames = 20
/** Pages that one connection may have under way. */
export const maxHistoriesInFlight = 4
/** Users and connections that one event may be kept from. */
export const maxExcept = 100
/** Attributes that a publisher gives for filters, characters of their JSON text. */
export const maxMatchChars = 4_096

/** Time after which a durable event is not served any more, as its publisher may choose it, ms. */
export const minTtlMs = 1_000
export const maxTtlMs = 86_400_000
/** Characters of a conflation key, and data of a conflated event, bytes of JSON: edges keep the newest one of each key. */
export const maxConflateChars = 64
export const maxConflatedDataBytes = 16_384
/** Ephemeral events that one process passes on to a room, per second and at once, by the default policy. */
export const ephemeralPerSecond = 5_000
/** Conflated events go to the store this often per room, ms: 30 batches per second. */
export const conflateEveryMs = 33
/** Conflated events that wait for it, of one room; and of all rooms of a process, UTF-16 units. */
export const maxHeldConflated = 1_024
export const maxHeldConflatedChars = 8_388_608

/** Bytes of one input entry after which a further message starts the next entry (architecture 3.3). */
export const maxEntryBytes = 65_536
/** Un-acknowledged entries per producer and slot, and bytes of all of them per process. */
export const maxWindowEntries = 1_024
export const maxWindowBytes = 67_108_864
/** A producer resends when no acknowledgement has moved for this long, ms. */
export const resendAfterMs = 1_000
/** A publish that is not committed after this long is answered, ms: OVERLOADED or UNKNOWN. */
export const publishDeadlineMs = 10_000

/** Messages and bytes of one worker commit: a full one takes Redis about 13 ms; what fewer cost is in docs/performance.md. */
export const maxCommitMessages = 2_048
export const maxCommitBytes = 1_048_576
/** Commits one lane of a worker may have under way (architecture 3.2). */
export const maxCommitsInFlight = 2
/** Retained commits of one worker lane: bytes, and how long they are kept under successful commits, ms. */
export const maxRetainedBytes = 67_108_864
export const retainMs = 10_000
/** How long a publish key is remembered at the least, ms, and messages per room it is remembered for at the most. */
export const dedupeMs = 120_000
export const dedupeMax = 100_000
/** Publish keys that a lane of a worker remembers at the most, 32 to 64 bytes each: 70,000 messages per second. */
export const maxRememberedKeys = 8_388_608
/** An unused room log lives this long, ms. */
export const roomIdleMs = 86_400_000
/** Entries an outbox keeps at the most (approximately) when its reader does not trim it. */
export const maxOutboxEntries = 100_000
/** Rooms a worker keeps in memory per lane; the least recently used ones go first, they load again when touched. */
export const maxLoadedRooms = 100_000

/** Interest is withdrawn this long after the last subscriber left, ms (architecture 3.4). */
export const interestLingerMs = 3_000
/** Events a subscriber's replay may wait with in memory before it is told `recovered: false`. */
export const maxHeldEvents = 10_000
/** History a room keeps by the default policy: events and age, ms. */
export const historyEvents = 1_000
export const historyMs = 120_000
/**
 * Events that a policy may have a room keep at the most. All that a room has counts as new to whoever takes it over, and with `dedupeMax`
 * of them it refuses: the other half is for what comes in the next two minutes.
 */
export const maxKeptEvents = dedupeMax / 2

/** Ephemeral events are dropped above this many buffered bytes of a socket, and the socket is closed above that many. */
export const softBufferBytes = 262_144
export const hardBufferBytes = 1_048_576
/** A socket whose buffer did not move for this long is closed as a slow consumer, ms. */
export const stuckSocketMs = 10_000

/** Worker heartbeat, and the silence after which a worker is dead, ms (architecture 4). */
export const workerHeartbeatMs = 750
export const workerDeadMs = 3_000
/** Edge and ingest heartbeat, and the silence after which one is dead, ms. */
export const endpointHeartbeatMs = 1_000
export const endpointDeadMs = 5_000
/** A user whose connection ended is a member of its rooms for so long, ms: who comes back meanwhile has never left. */
export const presenceGraceMs = 10_000
/** Members of a room that are listed; of more only the number is told. What one shows of itself, characters of its JSON text. */
export const maxListedMembers = 5_000
export const maxPresenceStateChars = 512
/** What is shown is told in every room: so many of them count for a frame. */
export const showRoomsPerFrame = 10
/** Rooms of one slot that are listed where the rooms of a user are asked for. */
export const maxAnswerRooms = 1_000

/** Time for which a lock may be asked, and is given when nothing is said, ms (requirement RM5). Locks that one room may have. */
export const maxLockTtlMs = 300_000
export const minLockTtlMs = 1_000
export const maxLocks = 1_000
/** Requests about locks that one connection may have under way, and the time for an answer, ms. */
export const maxLocksInFlight = 32
export const lockDeadlineMs = 10_000
/** Time for the worker of a user to lease events, ms; without an answer the edge counts for itself. */
export const rateDeadlineMs = 2_000

/** Time that a service may be given for its answer, ms: about rooms, about a connection (whose token has `authDeadlineMs`), and to a call. */
export const maxHookMs = 10_000
export const maxConnectHookMs = 4_000
export const maxCallMs = 30_000
/** Calls of one connection that may be under way, and characters of the name of a method. */
export const maxCallsInFlight = 16
export const maxMethodChars = 128
/** Bytes of an answer of a service, and characters of the JSON that it has a client told of at connect. */
export const maxHookAnswerBytes = 65_536
export const maxWelcomeChars = 4_096
/** Rooms that it may put a connection into. */
export const maxWelcomeRooms = 100

/** A dead member's record and marks are removed this long after its death, ms. */
export const reapAfterMs = 60_000

/** Limits of one room at its worker; `chars` in UTF-16 units. */
export interface RoomLimits {
  readonly dedupeMax: number
  readonly historyEvents: number
  readonly chars: number
  /** Trimming looks for the oldest entries anew each time, so it is asked for when there are so many messages to trim. */
  readonly trimStep: number
  /** What is younger is kept however much it is, ms: so long publish keys are remembered. */
  readonly keepMs: number
}
export const roomLimits: RoomLimits = { dedupeMax, historyEvents, chars: 67_108_864, trimStep: 64, keepMs: dedupeMs }

/** Limits of one lane of a worker: parameters, so that the simulator can reach them. */
export interface LaneLimits {
  readonly commitMessages: number
  readonly commitBytes: number
  readonly retainedBytes: number
  readonly loadedRooms: number
  readonly rememberedKeys: number
  readonly rooms: RoomLimits
}
export const laneLimits: LaneLimits = {
  commitMessages: maxCommitMessages,
  commitBytes: maxCommitBytes,
  retainedBytes: maxRetainedBytes,
  loadedRooms: maxLoadedRooms,
  rememberedKeys: maxRememberedKeys,
  rooms: roomLimits,
}

/** Limits of one room at an edge; `heldChars` in UTF-16 units, `page` in log entries per read. */
export interface FeedLimits {
  readonly heldEvents: number
  readonly heldChars: number
  readonly page: number
}
export const feedLimits: FeedLimits = { heldEvents: maxHeldEvents, heldChars: 16_777_216, page: 256 }
