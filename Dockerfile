# The four services in one image; `docker run flotilla edge`, `shard`, `control`, `ingest`, and `smoke` to try a fleet.
#
#   docker build -t flotilla:0.1.0 .        or: buildah bud -t flotilla:0.1.0 .
#
# BUILD needs node and npm; RUNTIME needs only `node` on its PATH: no shell, no npm. Nothing but packages is fetched. Where the package
# registry has a certificate of an authority of your own, give that: --secret id=ca,src=ca.crt
ARG BUILD=docker.io/library/node:26-bookworm-slim
ARG RUNTIME=docker.io/library/node:26-bookworm-slim

FROM ${BUILD} AS manifests
WORKDIR /app
COPY package.json package-lock.json ./
COPY packages/core/package.json packages/core/
COPY packages/node/package.json packages/node/
COPY packages/client/package.json packages/client/
COPY packages/cli/package.json packages/cli/
COPY packages/cli/bin packages/cli/bin
COPY services/edge/package.json services/edge/
COPY services/shard/package.json services/shard/
COPY services/control/package.json services/control/
COPY services/ingest/package.json services/ingest/

FROM manifests AS compiled
RUN --mount=type=secret,id=ca \
    if [ -f /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi && npm ci --ignore-scripts
COPY tsconfig.base.json ./
COPY packages packages
COPY services services
RUN npm run --silent build

FROM manifests AS production
RUN --mount=type=secret,id=ca \
    if [ -f /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi && npm ci --omit=dev --ignore-scripts && \
    npm sbom --package-lock-only --omit=dev --sbom-format=cyclonedx >sbom.cdx.json
COPY --from=compiled /app/packages/core/dist packages/core/dist
COPY --from=compiled /app/packages/node/dist packages/node/dist
COPY --from=compiled /app/packages/client/dist packages/client/dist
COPY --from=compiled /app/packages/cli/dist packages/cli/dist
COPY --from=compiled /app/services/edge/dist services/edge/dist
COPY --from=compiled /app/services/shard/dist services/shard/dist
COPY --from=compiled /app/services/control/dist services/control/dist
COPY --from=compiled /app/services/ingest/dist services/ingest/dist
COPY LICENSE image ./
RUN find . -name '*.d.ts' -delete -o -name '*.map' -delete -o -name '*.tsbuildinfo' -delete

FROM ${RUNTIME}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title=flotilla \
      org.opencontainers.image.description="A horizontally sharded WebSocket fleet" \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=${VERSION}
WORKDIR /app
COPY --from=production /app ./
ENV NODE_ENV=production
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 8080 8081 8082 9080 9081 9082 9083
ENTRYPOINT ["node"]
CMD ["edge"]
