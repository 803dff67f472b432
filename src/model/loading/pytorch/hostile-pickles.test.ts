// Pickles that would run code in Python, or that need more than a file can have. Each is refused with one sentence, in both
// formats. If a command in them were run, it would create a file.
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { temporaryDirectory } from "../../../../test/support/checkpoints.ts";
import { legacyOf, op, zipOf } from "../../../../test/support/pickles.ts";
import { PytorchFile } from "./pytorch-file.ts";

const directory = temporaryDirectory();
after(() => directory.remove());
const path = join(directory.path, "pytorch_model.bin");
const mark = join(directory.path, "was-run");
const command = `touch ${mark}`;

const raw = (text: string) => Buffer.from(text, "latin1");
const all = Buffer.concat;

const DATA = { key: "0", bytes: new Uint8Array(48), length: 12 };

function refusal(bytes: Uint8Array): string {
  writeFileSync(path, bytes);
  try {
    PytorchFile.open(path).close();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    assert.equal(code, "invalid_checkpoint", message);
    assert.ok(message.startsWith(`${path}: `) && !/[\n\r]/.test(message) && message.length < 400, message);
    return message;
  }
  return assert.fail("it was read");
}

/** The error message for this pickle, in both formats. */
function refusals(pickle: Buffer): string[] {
  const entry = { name: "m/data/0", bytes: DATA.bytes };
  return [refusal(zipOf([{ name: "m/data.pkl", bytes: pickle }, entry])), refusal(legacyOf(pickle, [DATA]))];
}

/** A pickle of these operations. */
function pickled(...operations: readonly Buffer[]): Buffer {
  return all([op.proto(), ...operations, op.stop]);
}

const call = (module: string, name: string, ...args: readonly Buffer[]): Buffer =>
  all([op.global(module, name), op.tuple(...args), op.reduce]);
/** A state dict with one entry. */
const dictOf = (value: Buffer): Buffer => all([op.emptyDict, op.setItems(op.text("wte.weight"), value)]);
const storage = (
  key = op.text("0"),
  type = op.global("torch", "FloatStorage"),
  length = op.int(12),
): Buffer => all([op.tuple(op.text("storage"), type, key, op.text("cpu"), length), op.persistent]);
const sizes = (...numbers: readonly number[]): Buffer => op.tuple(...numbers.map(op.int));

interface Parts {
  readonly stored?: Buffer;
  readonly offset?: Buffer;
  readonly shape?: Buffer;
  readonly strides?: Buffer;
  readonly hooks?: Buffer;
  readonly notes?: readonly Buffer[];
}

function tensor(parts: Parts = {}): Buffer {
  const { stored = storage(), offset = op.int(0), shape = sizes(3, 4), strides = sizes(4, 1) } = parts;
  const { hooks = op.none, notes = [] } = parts;
  const args = [stored, offset, shape, strides, op.false, hooks, ...notes];
  return call("torch._utils", "_rebuild_tensor_v2", ...args);
}

const run = call("posix", "system", op.text(command));

it("what the cases below are made of is read where nothing is wrong with it", () => {
  for (const bytes of [
    zipOf([
      { name: "m/data.pkl", bytes: pickled(dictOf(tensor())) },
      { name: "m/data/0", bytes: DATA.bytes },
    ]),
    legacyOf(pickled(dictOf(tensor())), [DATA]),
  ]) {
    writeFileSync(path, bytes);
    const file = PytorchFile.open(path);
    assert.deepEqual([...file.tensors.keys()], ["wte.weight"]);
    file.close();
  }
});

describe("a pickle that asks for code", () => {
  const cases: [string, Buffer, string | RegExp][] = [
    ["os.system", call("os", "system", op.text(command)), '"os.system"'],
    ["posix.system", dictOf(run), '"posix.system"'],
    ["nt.system", dictOf(call("nt", "system", op.text(command))), '"nt.system"'],
    ["builtins.eval", call("builtins", "eval", op.text("1")), '"builtins.eval"'],
    ["__builtin__.exec", call("__builtin__", "exec", op.text("1")), '"__builtin__.exec"'],
    ["builtins.getattr", call("builtins", "getattr", op.text("1")), '"builtins.getattr"'],
    ["subprocess.Popen", call("subprocess", "Popen", op.text(command)), '"subprocess.Popen"'],
    ["by a name on the stack", all([op.stackGlobal("os", "system"), op.tuple(), op.reduce]), '"os.system"'],
    ["runpy", call("runpy", "_run_code", op.text("1")), '"runpy._run_code"'],
    ["a pickle in a pickle", call("torch.storage", "_load_from_bytes", op.text("")), "_load_from_bytes"],
    ["a function of ours under a dotted name", op.global("torch", "_utils._rebuild_tensor_v2"), "asks for"],
    ["a name with a line end in it", op.stackGlobal("os\n\r\u2028", "system"), "asks for"],
    ["a name of the language", op.global("__proto__", "constructor"), "__proto__.constructor"],
    ["numpy", call("numpy.core.multiarray", "_reconstruct"), "numpy.core.multiarray._reconstruct"],
    ["within the arguments of a tensor", dictOf(tensor({ hooks: run })), '"posix.system"'],
    ["within an ordered dictionary", call("collections", "OrderedDict", op.emptyList, run), '"posix.system"'],
    ["within a persistent id", dictOf(all([op.tuple(op.text("storage"), run), op.persistent])), "posix"],
    ["behind the weights", all([dictOf(tensor()), run]), '"posix.system"'],
    ["as the state of a dictionary", all([dictOf(tensor()), run, op.build]), '"posix.system"'],
    ["a call of a result", all([tensor(), op.emptyTuple, op.reduce]), "calls what is no function"],
    ["a call of a type", all([op.global("torch", "FloatStorage"), op.emptyTuple, op.reduce]), "no function"],
    [
      "arguments that are no tuple",
      all([op.global("torch", "Size"), op.emptyList, op.reduce]),
      "no function",
    ],
    ["attributes of a type", all([op.global("torch", "FloatStorage"), op.emptyDict, op.build]), "attributes"],
    ["attributes of a tensor", all([tensor(), op.emptyDict, op.build]), "attributes"],
    ["attributes of a function", all([op.global("torch", "Size"), op.emptyDict, op.build]), "attributes"],
    ["INST", raw(`(X\x01\x00\x00\x00xios\nsystem\n`), "operation 0x69"],
    ["OBJ", all([op.mark, op.global("torch", "Size"), raw("o")]), "operation 0x6f"],
    ["NEWOBJ", all([op.global("torch", "Size"), op.emptyTuple, raw("\x81")]), "operation 0x81"],
    ["NEWOBJ_EX", all([op.global("torch", "Size"), op.emptyTuple, op.emptyDict, raw("\x92")]), "0x92"],
    ["EXT1", raw("\x82\x01"), "operation 0x82"],
    ["EXT2", raw("\x83\x01\x00"), "operation 0x83"],
    ["EXT4", raw("\x84\x01\x00\x00\x00"), "operation 0x84"],
    ["PERSID", raw("Pstorage\n"), "operation 0x50"],
    ["LONG4", raw("\x8b\x01\x00\x00\x00\x01"), "operation 0x8b"],
    ["BINBYTES", raw("B\x01\x00\x00\x00x"), "operation 0x42"],
    ["a number in letters", raw("I1\n"), "operation 0x49"],
  ];
  for (const [name, operations, message] of cases) {
    it(name, () => {
      for (const said of refusals(pickled(operations))) assert.ok(said.match(message), said);
      assert.ok(!existsSync(mark));
    });
  }
});

describe("a pickle that speaks of storages and tensors that cannot be", () => {
  const badId = /refers to outside of itself by something else than a storage/;
  const badCall = /calls torch\._utils\._rebuild_tensor_v2 with other arguments than it has/;
  const half = op.global("torch", "HalfStorage");
  const negated = all([op.emptyDict, op.setItems(op.text("neg"), raw("\x88"))]);
  const cases: [string, Buffer, RegExp][] = [
    ["a number as persistent id", all([op.int(1), op.persistent]), badId],
    ["a text", all([op.text("storage"), op.persistent]), badId],
    ["a module", all([op.tuple(op.text("module"), half, op.text("0")), op.persistent]), badId],
    ["a key that is a number", tensor({ stored: storage(op.int(0)) }), badId],
    ["a key that is a list", tensor({ stored: storage(op.emptyList) }), badId],
    ["a type that is a text", tensor({ stored: storage(op.text("0"), op.text("FloatStorage")) }), badId],
    [
      "a type that is a function",
      tensor({ stored: storage(op.text("0"), op.global("torch", "Size")) }),
      badId,
    ],
    ["a negative length", tensor({ stored: storage(undefined, undefined, op.int(-12)) }), badId],
    [
      "a length in between",
      tensor({ stored: storage(undefined, undefined, raw("G\x3f\xf8\0\0\0\0\0\0")) }),
      badId,
    ],
    ["a length beyond counting", tensor({ stored: storage(undefined, undefined, op.int(2 ** 53)) }), badId],
    ["one storage of two types", all([storage(), storage(undefined, half)]), badId],
    ["one storage of two lengths", all([storage(), storage(undefined, undefined, op.int(13))]), badId],
    [
      "a longer storage",
      dictOf(tensor({ stored: storage(undefined, undefined, op.int(13)) })),
      /expected (52|13)|truncated/,
    ],
    [
      "a far longer one",
      dictOf(tensor({ stored: storage(undefined, undefined, op.int(2 ** 50)) })),
      /expected|truncated/,
    ],
    ["a path as key", dictOf(tensor({ stored: storage(op.text("../../x")) })), /lacks the storage|not that/],
    ["no storage", tensor({ stored: op.int(0) }), badCall],
    ["an offset beyond", tensor({ offset: op.int(1) }), badCall],
    ["a negative offset", tensor({ offset: op.int(-1) }), badCall],
    ["an enormous offset", tensor({ offset: op.int(2 ** 52) }), badCall],
    ["a row too many", tensor({ shape: sizes(4, 4) }), badCall],
    ["strides beyond", tensor({ strides: sizes(5, 1) }), badCall],
    ["negative strides", tensor({ offset: op.int(11), strides: sizes(-4, -1) }), badCall],
    ["enormous strides", tensor({ strides: sizes(2 ** 52, 2 ** 52) }), badCall],
    ["a negative size", tensor({ shape: sizes(-3, 4) }), badCall],
    ["numbers that are the negatives of those stored", tensor({ notes: [negated] }), badCall],
    ["fewer strides than sizes", tensor({ strides: sizes(4) }), badCall],
    ["sizes that are a list", tensor({ shape: op.emptyList }), badCall],
    [
      "nine dimensions",
      tensor({ shape: sizes(1, 1, 1, 1, 1, 1, 1, 1, 1), strides: sizes(1, 1, 1, 1, 1, 1, 1, 1, 1) }),
      badCall,
    ],
    [
      "more numbers than can be counted",
      tensor({ shape: sizes(2 ** 40, 2 ** 40), strides: sizes(0, 0) }),
      badCall,
    ],
    [
      "a dictionary of what is no list",
      call("collections", "OrderedDict", op.int(1)),
      /OrderedDict with other/,
    ],
    [
      "a parameter of no tensor",
      call("torch._utils", "_rebuild_parameter", op.int(1)),
      /_rebuild_parameter with/,
    ],
    ["a tensor without a name", tensor(), /has 0 tensors by name/],
    [
      "a name that is a number",
      all([op.emptyDict, op.setItems(op.int(1), tensor())]),
      /has 0 tensors by name/,
    ],
  ];
  for (const [name, operations, message] of cases) {
    it(name, () => {
      for (const said of refusals(pickled(operations))) assert.match(said, message);
    });
  }
});

describe("a pickle that is damaged, or has no end", () => {
  const many = (operations: string, count: number) =>
    Buffer.alloc(count * operations.length, operations, "latin1");
  /** 60 nested lists. Each has the previous one twice, so a recursive walk would visit 2^60 lists. */
  const laughs = all([
    op.mark,
    op.emptyList,
    ...Array.from({ length: 60 }, (_, i) => all([op.put(i), op.emptyList, op.appends(op.get(i), op.get(i))])),
    raw("t"),
  ]);
  const cases: [string, Buffer, RegExp][] = [
    ["nothing", Buffer.alloc(0), /ends with more or less than one value/],
    ["two values", all([op.none, op.none]), /ends with more or less than one value/],
    ["an open mark", all([op.none, op.mark]), /ends with more or less than one value/],
    ["values below the mark", all([op.none, op.mark, op.put(0)]), /takes a value where none is/],
    ["a call of nothing", op.reduce, /takes a value where none is/],
    ["no mark", raw("t"), /takes values to a mark where none is/],
    ["nothing remembered", op.get(7), /recalls value 7, which it has not stored/],
    ["half a pair", all([op.emptyDict, op.setItems(op.none)]), /sets an item/],
    ["an item of a list", all([op.emptyList, op.setItems(op.none, op.none)]), /sets an item/],
    ["an entry of a tuple", all([op.emptyTuple, op.appends(op.none)]), /appends to what is no list/],
    ["a name that is no text", all([op.none, op.none, raw("\x93")]), /a name that is no text/],
    ["a text of 4 GB", raw("X\xff\xff\xff\xff"), /has a text of 4294967295 bytes, at most 4096/],
    ["a text of 5000 bytes", op.text("x".repeat(5000)), /has a text of 5000 bytes/],
    ["a text that is not UTF-8", raw("\x8c\x01\xff"), /not UTF-8/],
    ["a number of 255 bytes", all([raw("\x8a\xff"), Buffer.alloc(255)]), /has a number of 255 bytes/],
    ["a name without an end", raw(`c${"x".repeat(100_000)}`), /names something at too great length/],
    ["a protocol of the future", raw("\x80\x06"), /has protocol 6, expected 2 to 5/],
    ["an endless memo", many("Nr\xff\xff\xff\x7f", 800_000), /open values/],
    ["a memo that grows for ever", all([op.none, many("\x94", 2_000_000)]), /more than 1000000 operations/],
    ["a million dictionaries", all([op.emptyList, many("}a", 600_000)]), /more than 1000000 operations/],
    ["fifty million marks", many("(", 50_000_000), /is nested deeper than 1000 levels/],
    ["three million lists", many("]", 3_000_000), /has more than 100000 open values/],
    ["lists in lists", all([op.emptyList, many("\x85", 3_000_000)]), /more than 1000000 operations/],
    ["a billion laughs", laughs, /has 0 tensors by name/],
    ["a list in itself", all([op.emptyList, op.put(0), op.appends(op.get(0))]), /has 0 tensors by name/],
  ];
  for (const [name, operations, message] of cases) {
    it(name, () => {
      for (const said of refusals(pickled(operations))) assert.match(said, message);
    });
  }

  it("more bytes than are read", () => {
    const bytes = all([op.proto(), Buffer.alloc(64_000_001, ")0")]);
    assert.match(refusal(zipOf([{ name: "m/data.pkl", bytes }])), /its pickle has 64000003 bytes/);
  });

  it("more tensors than a model has", () => {
    const one = all([tensor(), op.put(0)]);
    const more = Array.from({ length: 20_000 }, (_, i) => all([op.text(`t${i}`), op.get(0), raw("s")]));
    const bytes = pickled(dictOf(one), ...more);
    for (const said of refusals(bytes)) assert.match(said, /has 20001 tensors by name, expected 1 to 20000/);
  });
});
