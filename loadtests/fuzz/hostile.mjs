// What inputs are made hostile with.

/** Of the store's entries: they stand between fields and between records. */
const [US, RS] = ['\u001f', '\u001e']

/** Texts that somebody, somewhere, has forgotten. */
export const texts = [
  '',
  ' ',
  '\u0000',
  RS,
  US,
  `${US}${RS}P${US}deal:vault:1${US}x${US}k${US}${US}"event":"e","data":1`,
  `a${US}b`,
  `"${RS}"`,
  '\n',
  '\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
  '\u007f',
  '\u0085',
  '\u2028',
  '\u202e',
  '\ufeff',
  '\ufffd',
  '\ud800',
  '\udc00\ud800',
  '\u{1f469}\u200d\u{1f469}\u200d\u{1f467}',
  'e\u0301',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'then',
  'undefined',
  'null',
  ':',
  '::',
  'a:b:c:d',
  '"',
  '\\',
  '\\u0000',
  '{{',
  '../../../etc/passwd',
  "' OR '1'='1",
  '%00%0a',
  '*',
  '>',
  '$',
  ...[63, 64, 65, 127, 128, 129, 199, 200, 201, 256, 257, 5_000].map((length) => 'x'.repeat(length)),
]

/** What JSON, or what only looks like it, has for numbers. */
export const numbers = [
  ...['0', '-0', '-1', '0.5', '1e2', '1e999', '-1e999', '1e-400', '1E+308', '9007199254740991', '9007199254740993'],
  ...['18446744073709551616', '123456789012345678901234567890', '2147483648', '4294967296', '-9223372036854775808'],
  ...['01', '+1', '.5', '1.', 'NaN', 'Infinity', '0x10', '1_000', '1n'],
]

/** Pieces that are put anywhere into a text. */
export const pieces = [
  ...['{', '}', '[', ']', ':', ',', '"', '\\', '\\u', '\\u00', '\\ud800', '\\u001f', '\\u001e', '\\u0000', '\\"'],
  ...['null', 'true', '//', '/**/', "'", '\t', '\u0000', US, RS, '\ufeff', '"__proto__":{"a":1},', '"type":"auth",'],
  ...['"id":1,', '{"type":"ping"}', '[[[[[[[[', ']]]]]]]]', '1e999', '"\\u005f\\u005fproto__":1,', '\u2028'],
]
