// `node shard`, as the image starts it.
import './services/shard/dist/main.js'
