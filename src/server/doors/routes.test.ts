// The table of routes: every route answers, other methods get 405, and the log has the operation.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FastifyInstance } from "fastify";
import { FakeGenerator } from "../../../test/support/fake-generator.ts";
import { aFront } from "../../../test/support/front.ts";
import { aPlayground, cookieOf, PLACE } from "../../../test/support/playground.ts";
import { DEFAULT_SETTINGS } from "../../settings.ts";
import type { OnFinished } from "../http/http-app.ts";
import { Metrics } from "../http/metrics.ts";
import { createAdminApp } from "./admin.ts";
import { createContainerApp } from "./container.ts";
import { openApi } from "./openapi.ts";
import { type DoorName, pathsOf, ROUTES, routesOf } from "./routes.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;
const DOORS = Object.keys(ROUTES) as DoorName[];

function appOf(door: DoorName, onFinished: OnFinished = () => {}): FastifyInstance {
  const generator = new FakeGenerator();
  const settings = DEFAULT_SETTINGS;
  switch (door) {
    case "runtime":
      return aFront({ auth: "none" }, { onFinished }).app;
    case "playground":
      return playgroundApp(onFinished);
    case "container":
      return createContainerApp({ generator, settings, onFinished });
    case "admin":
      return createAdminApp({
        settings,
        door: "runtime",
        baseUrl: () => undefined,
        metrics: new Metrics(() => new Map()),
        generators: () => new Map([["gpt-2", generator]]),
        stateOf: () => "loading",
        files: [],
        isLeaving: () => false,
        reloads: () => new Map(),
        reload: async () => [],
      });
  }
}

/** The playground with an open session, whose cookie is sent with every request. */
function playgroundApp(onFinished: OnFinished): FastifyInstance {
  const front = aPlayground({ auth: "none" }, { onFinished });
  const cookie = cookieOf(front);
  front.app.addHook("onRequest", async ({ headers }) => {
    if (headers[WITH_SESSION] !== undefined) headers.cookie = await cookie;
  });
  return front.app;
}

const WITH_SESSION = "x-with-session";
const HEADERS = { ...PLACE, [WITH_SESSION]: "1" };

const urlOf = (path: string): string => path.replace("{EndpointName}", "gpt-2").replace("{+Model}", "gpt-2");
/** The doors that share an address with this one. */
const beside = (door: DoorName): readonly DoorName[] => (door === "playground" ? ["runtime", door] : [door]);
/** A body that every route with a body accepts. */
const PAYLOAD = '{"input":""}';
const PAYLOADS: Readonly<Record<string, string>> = {
  CreateCompletion: '{"prompt":"a"}',
  Tokenize: '{"prompt":"a"}',
  Detokenize: '{"tokens":[65]}',
  TgiCompat: '{"inputs":"a"}',
  TgiGenerate: '{"inputs":"a"}',
  TgiGenerateStream: '{"inputs":"a"}',
};
const payloadOf = (operation: string): string => PAYLOADS[operation] ?? PAYLOAD;
/** Operations that are always refused. */
const REFUSED = ["InvokeEndpointAsync", "CreateChatCompletion", "CreateResponse"];

/** The routes of a door, one entry for each path. */
function placesOf(door: DoorName) {
  return routesOf(door).flatMap(([operation, route]) =>
    pathsOf(route).map((path) => [operation, { ...route, path }] as const),
  );
}

test("every route answers its methods, and others with 405 and the list of allowed methods", async () => {
  for (const door of DOORS) {
    const app = appOf(door);
    for (const [operation, { method, path }] of placesOf(door)) {
      const places = beside(door).flatMap((each) => placesOf(each));
      const own = places.flatMap(([, route]) => (route.path === path ? [route.method] : []));
      const allowed = own.flatMap((each) => (each === "GET" ? ["GET", "HEAD"] : [each]));
      for (const asked of METHODS) {
        const payload = asked === "POST" ? { payload: payloadOf(operation) } : {};
        const request = { method: asked, url: urlOf(path), headers: HEADERS, ...payload };
        const { statusCode, headers } = await app.inject(request);
        const isAllowed = (allowed as readonly string[]).includes(asked);
        assert.equal(statusCode === 405, !isAllowed, `${operation}: ${asked} ${path}`);
        assert.equal(headers.allow, isAllowed ? undefined : allowed.join(", "));
      }
      const { statusCode } = await app.inject({
        method,
        url: urlOf(path),
        headers: HEADERS,
        ...(method === "POST" && { payload: payloadOf(operation) }),
      });
      assert.equal(statusCode, REFUSED.includes(operation) ? 404 : 200, operation);
    }
  }
});

test("a path that only resembles a route gets 404", async () => {
  for (const url of [
    "/openapiXjson",
    "/pings",
    "/healthz/",
    "/endpoints/a/b/invocations",
    "/x/invocations",
    "//ping",
  ]) {
    for (const door of DOORS) {
      const { statusCode } = await appOf(door).inject({ method: "DELETE", url });
      assert.equal(statusCode, 404, `${door} ${url}`);
    }
  }
});

test("the operation is logged for every request that matches a route, refused or not", async () => {
  for (const door of ["runtime", "container"] as const) {
    const told: (string | undefined)[] = [];
    const app = appOf(door, ({ operation }) => told.push(operation));
    const operations = routesOf(door).map(([operation]) => operation);
    for (const [, { method, path }] of routesOf(door)) await app.inject({ method, url: urlOf(path) });
    assert.deepEqual(told, operations);
    await app.inject({ method: "GET", url: "/nowhere" });
    assert.equal(told.at(-1), undefined);
  }
});

test("the description has the routes of its door, and its kind of authentication", () => {
  const describe = (door: "runtime" | "container", auth: "sigv4" | "bearer" | "none") => {
    const facts = { door, auth, baseUrl: "http://here:1", limits: { contextLength: 8 } } as const;
    return JSON.parse(JSON.stringify(openApi(facts)));
  };
  for (const door of ["runtime", "container"] as const) {
    const { paths } = describe(door, "sigv4");
    const offered = routesOf(door).filter(([operation]) => !REFUSED.includes(operation));
    assert.deepEqual(
      Object.keys(paths),
      offered.map(([, { path }]) => path.replace("{+", "{")),
    );
    for (const [operationId, { method, path, summary }] of offered) {
      const described = paths[path.replace("{+", "{")][method.toLowerCase()];
      assert.deepEqual([described.operationId, described.summary], [operationId, summary]);
    }
  }
  for (const auth of ["sigv4", "bearer"] as const) {
    const { security, components, paths } = describe("runtime", auth);
    const schemes = auth === "sigv4" ? ["sigv4", "token"] : ["bearer"];
    assert.deepEqual(
      security,
      schemes.map((scheme) => ({ [scheme]: [] })),
    );
    assert.deepEqual(Object.keys(components.securitySchemes), schemes);
    assert.deepEqual(paths["/ping"].get.security, []);
    assert.equal(paths["/endpoints/{EndpointName}/invocations"].post.security, undefined);
  }
  for (const description of [describe("runtime", "none"), describe("container", "sigv4")]) {
    assert.deepEqual(description.security, []);
    assert.deepEqual(description.components.securitySchemes, {});
  }
  assert.deepEqual(describe("runtime", "none").servers, [{ url: "http://here:1" }]);
});
