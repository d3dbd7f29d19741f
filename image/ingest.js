// `node ingest`, as the image starts it.
import './services/ingest/dist/main.js'
