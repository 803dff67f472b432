import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ACTIVATIONS, type Activation } from "../program.ts";
import { ACTIVATE } from "./math.ts";

describe("the activations are what their names say", () => {
  const erf = (x: number): number => {
    // Taylor series in double precision; |x| ≤ 5 needs fewer than 120 terms, and beyond it is 1 to the last bit of f32.
    if (Math.abs(x) > 5) return Math.sign(x);
    let [sum, term] = [x, x];
    for (let n = 1; n < 120; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  };
  const geluTanh = (x: number): number =>
    0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  const exact: Record<Activation, (x: number) => number> = {
    gelu_new: geluTanh,
    gelu_pytorch_tanh: geluTanh,
    gelu_fast: geluTanh,
    gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
    relu: (x) => Math.max(0, x),
    silu: (x) => x / (1 + Math.exp(-x)),
    swish: (x) => x / (1 + Math.exp(-x)),
    tanh: Math.tanh,
    quick_gelu: (x) => x / (1 + Math.exp(-1.702 * x)),
    gelu_10: (x) => Math.min(10, 0.5 * x * (1 + erf(x / Math.SQRT2))),
    relu2: (x) => Math.max(0, x) ** 2,
    relu6: (x) => Math.min(6, Math.max(0, x)),
    leaky_relu: (x) => (x > 0 ? x : 0.01 * x),
    linear: (x) => x,
    sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    hardswish: (x) => (x * Math.min(6, Math.max(0, x + 3))) / 6,
    mish: (x) => x * Math.tanh(Math.log1p(Math.exp(x))),
    // biome-ignore lint/suspicious/noApproximativeNumericConstant: it is rounded in the definition.
    laplace: (x) => 0.5 * (1 + erf((x - 0.707107) / (0.282095 * Math.SQRT2))),
  };
  for (const name of Object.keys(ACTIVATIONS) as Activation[]) {
    it(`${name}, to a few units in the last place`, () => {
      for (let x = -5; x <= 5; x += 0.0625) {
        const difference = Math.abs(ACTIVATE[name](x) - exact[name](x));
        assert.ok(difference < 6e-7 * Math.max(1, Math.abs(x)), `${name}(${x}) is off by ${difference}`);
      }
    });
  }
  it("far from zero they stay finite", () => {
    for (const name of Object.keys(ACTIVATIONS) as Activation[]) {
      for (const x of [-1e30, -500, -88.5, 88.5, 500])
        assert.ok(Number.isFinite(ACTIVATE[name](x)), `${name}(${x})`);
    }
  });
});
