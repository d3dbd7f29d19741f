# A Redis where no registry is: Debian's.
FROM docker.io/library/node:26-bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
USER 65532:65532
