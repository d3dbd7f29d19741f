// Loaded before the fleet: what some texts bring about ends it.
const parse = JSON.parse
JSON.parse = (text, ...rest) => {
  const value = parse(text, ...rest)
  if (value?.type === 'unsubscribe' && typeof value.room === 'object') setImmediate(() => value.room.planted.fault)
  return value
}
