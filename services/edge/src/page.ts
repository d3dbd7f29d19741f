export const pageHtml = '<!doctype html><title>Flotilla</title>'
export const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self' ws: wss:; img-src data:"
