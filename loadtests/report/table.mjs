// Text in columns.

/** A number with as many digits as mean something; a dash for none. */
export function figure(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–'
  const size = Math.abs(value)
  if (size >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(size >= 10 ? 1 : size >= 0.995 || size === 0 ? 2 : 3)
}

/** A table of Markdown whose columns line up on a screen too. `columns`: title → what a row shows there. */
export function grid(columns, rows) {
  const titles = Object.keys(columns)
  const cells = rows.map((row) =>
    titles.map((title) => {
      const value = columns[title](row)
      return typeof value === 'string' ? value : figure(value)
    }),
  )
  const widths = titles.map((title, i) => Math.max(title.length, ...cells.map((each) => each[i].length)))
  const line = (each) => `| ${each.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`
  return [line(titles), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...cells.map(line)].join('\n')
}
