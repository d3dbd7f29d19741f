/** Whether one of the names is the event's, or ends with `*` and begins like it: `deal.*` are all that begin with `deal.`. */
export function listsEvent(names: readonly string[], event: string): boolean {
  return names.some((each) => (each.endsWith('*') ? event.startsWith(each.slice(0, -1)) : each === event))
}
