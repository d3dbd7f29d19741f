/** The files of packages/core/src that are mutated together, without `.ts`. */
export const parts = {
  values: [
    ...[
      'bucket',
      'codes',
      'connection-entry',
      'connections',
      'cursor',
      'drain',
      'filter',
      'frames',
      'held-acks',
      'json-guard',
    ],
    ...['key-window', 'limits', 'plan', 'policy', 'position', 'retained', 'room-name', 'slot', 'user-connections'],
  ],
  entries: ['consume', 'entry'],
  session: ['session', 'session-frames', 'session-publish', 'session-rooms', 'session-state', 'session-text'],
  feed: ['feed', 'feed-held', 'feed-history', 'feed-maps', 'feed-place', 'feed-recent', 'feed-state'],
  producer: ['producer', 'producer-queue', 'producer-state', 'producer-window'],
  control: ['control', 'control-drains', 'control-members', 'control-moves', 'control-plan', 'slot-plan'],
  lane: [
    'commit',
    'lane',
    'lane-maintenance',
    'lane-recovery',
    'lane-retained',
    'lane-state',
    'room-state',
    'slot-state',
  ],
  store: ['store-commit', 'store-model', 'store-streams'],
}
