/** What every error of this library is. `code` is one of docs/codes.md, or one of the library's own named below. */
export class FlotillaError extends Error {
  override readonly name: string = 'FlotillaError'
  readonly code: string
  /** Of a call that a service refused (`CALL_REFUSED`): the service's own word for why. */
  readonly reason: string | undefined
  constructor(code: string, message: string, options?: ErrorOptions & { readonly reason?: string | undefined }) {
    super(message, options)
    this.code = code
    this.reason = options?.reason
  }
}

/** The connection ended for good. `closeCode` is the WebSocket close code, if there was one. */
export class ConnectError extends FlotillaError {
  override readonly name = 'ConnectError'
  readonly closeCode: number | undefined
  constructor(code: string, message: string, options: ErrorOptions & { closeCode?: number } = {}) {
    super(code, message, options)
    this.closeCode = options.closeCode
  }
}

/** The server refused the publish; it was not published. */
export class PublishRefusedError extends FlotillaError {
  override readonly name = 'PublishRefusedError'
  readonly key: string
  constructor(code: string, message: string, key: string) {
    super(code, message)
    this.key = key
  }
}

/** The publish may or may not have happened. Publishing again with this `key` within 2 minutes keeps it one message. */
export class PublishUnknownError extends FlotillaError {
  override readonly name = 'PublishUnknownError'
  readonly key: string
  constructor(message: string, key: string, options?: ErrorOptions) {
    super('UNKNOWN', message, options)
    this.key = key
  }
}

/** As many publishes wait as may (code `QUEUE_FULL`); this one was not published. */
export class QueueFullError extends FlotillaError {
  override readonly name = 'QueueFullError'
  constructor(message: string) {
    super('QUEUE_FULL', message)
  }
}

/** The client was closed (code `CLOSED`); what waited was not done. */
export class ClosedError extends FlotillaError {
  override readonly name = 'ClosedError'
  constructor(message = 'the client is closed', options?: ErrorOptions) {
    super('CLOSED', message, options)
  }
}

/** It was not done within its time (code `TIMEOUT`), and will not be. */
export class TimeoutError extends FlotillaError {
  override readonly name = 'TimeoutError'
  constructor(message: string, options?: ErrorOptions) {
    super('TIMEOUT', message, options)
  }
}
