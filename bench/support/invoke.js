// One signed request to a server that `server-under-test.js` has started.
// @ts-check

import { signRequest } from "../../dist/src/sigv4/index.js";
import { KEY } from "./server-under-test.js";

/**
 * @param {string} origin
 * @param {object} fields of the request
 * @returns {Promise<unknown>} the answer
 */
export async function invoke(origin, fields) {
  const url = `${origin}/endpoints/gpt-2/invocations`;
  const body = JSON.stringify(fields);
  const headers = signRequest(
    { method: "POST", url, body },
    { credential: KEY, region: "us-east-1", service: "sagemaker", now: new Date() },
  );
  return postJson(url, body, headers);
}

/**
 * @param {string} url
 * @param {string} body
 * @param {Record<string, string>} headers
 */
export async function postJson(url, body, headers) {
  const response = await fetch(url, { method: "POST", body, headers });
  if (response.ok) return response.json();
  throw new Error(`${url} answered ${response.status}: ${(await response.text()).slice(0, 200)}`);
}
