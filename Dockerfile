# The inference container: `docker build -t gpt2-api .`, then `docker run -p 8080:8080 gpt2-api serve`, as SageMaker
# starts it. The entry point is the exec form, so that SIGTERM reaches the server, which answers what is open and ends.
# It writes nothing: `docker run --read-only` works too.
# The full image has the C compiler that makes the native kernels.
FROM node:24-bookworm AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /opt/gpt2-api
COPY --from=build /build/package.json /build/LICENSE ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist/src ./dist/src
COPY --from=build /build/models ./models
# A model that the platform mounts takes the place of this one; it is never written to.
RUN mkdir -p /opt/ml && ln -s /opt/gpt2-api/models/tiny /opt/ml/model
# The user that the base image brings; a model that only root may read needs `--user root`.
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=2s --start-period=2m CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.SAGEMAKER_BIND_TO_PORT || 8080}/ping`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/src/cli/container-main.js"]
CMD ["serve"]
