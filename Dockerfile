# The inference container: `docker build -t gpt2-api .`, then `docker run -p 8080:8080 gpt2-api serve`, as SageMaker
# starts it. The entry point is the exec form, so that SIGTERM reaches the server, which answers what is open and ends.
# It writes nothing: `docker run --read-only` works too. For SageMaker build with `--platform linux/amd64`.
ARG NODE=24-bookworm
# The full image has the C compiler that makes the native kernels. Which of them run is chosen on the machine that runs.
FROM node:${NODE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
# What runs, without what only people and compilers read.
RUN npm run build && npm prune --omit=dev --ignore-scripts \
  && mkdir -p /out/opt/gpt2-api/dist && cp -r package.json LICENSE node_modules models /out/opt/gpt2-api/ \
  && cp -r dist/src dist/page /out/opt/gpt2-api/dist/ \
  && find /out -depth -type d \( -name test -o -name tests -o -name docs -o -name benchmark -o -name .github \) -exec rm -r {} + \
  && find /out -type f \( -name '*.map' -o -name '*.ts' -o -name '*.cts' -o -name '*.mts' -o -name '*.test.*' \
       -o -name '*.md' ! -iname 'licen*' \) -delete

# Of Node's image only the program itself: the rest of it is for those who build.
FROM debian:bookworm-slim
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="gpt2-api" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true"
ENV NODE_ENV=production
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /out/ /
WORKDIR /opt/gpt2-api
# A program that lacks a library of the system is found here, not by who runs the image.
RUN ["node", "--version"]
# By number: Kubernetes' `runAsNonRoot` believes no name. A model that only root may read needs `--user root`.
USER 1000:1000
EXPOSE 8080
# `http` is loaded in half the time of `fetch`.
HEALTHCHECK --interval=10s --timeout=2s --start-period=2m CMD ["node", "-e", "require('node:http').get(`http://127.0.0.1:${process.env.SAGEMAKER_BIND_TO_PORT || 8080}/ping`, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
# A model mounted at /opt/ml/model is served, or else the small one that comes with the software.
ENTRYPOINT ["node", "dist/src/cli/container-main.js"]
CMD ["serve"]
