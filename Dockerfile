# The inference container: `docker build -t gpt2-api .`, then `docker run -p 8080:8080 gpt2-api serve`, as SageMaker
# starts it. The entry point is the exec form, so that SIGTERM reaches the server, which answers what is open and ends.
FROM node:24-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /opt/gpt2-api
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist/src ./dist/src
COPY --from=build /build/models ./models
# A model that the platform mounts takes the place of this one; it is never written to.
RUN mkdir -p /opt/ml && ln -s /opt/gpt2-api/models/tiny /opt/ml/model
EXPOSE 8080
ENTRYPOINT ["node", "dist/src/cli/container-main.js"]
CMD ["serve"]
