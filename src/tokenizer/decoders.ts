// The decoders of tokenizer.json, which turn tokens into text. They form a chain: each works on the output of the one before.
// They accept tokens one at a time and hold back what is not decided yet. An unknown decoder is refused by name. GPT-2's own
// decoder, a ByteLevel alone, does not need this chain; it is in detokenizer.ts.
import { bytesOfToken } from "./byte-map.ts";
import { type JsonPart, type PartReaders, readSteps } from "./json-part.ts";
import { type FindMatches, readPattern } from "./pattern/find.ts";
import { endlessWork } from "./work.ts";

/** A step of decoding, for one text. */
interface DecoderStep {
  /** What is known when one more piece has come. */
  push(piece: string): readonly string[];
  /** What was held back, when all pieces have come. Afterwards a new text can begin. */
  flush(): readonly string[];
}

/** Makes a step for a new text. */
interface StepMaker {
  readonly make: () => DecoderStep;
  /** Makes one piece of all; what comes after it sees one piece. */
  readonly fuses?: boolean;
  /** The step where it sees one piece only, given in parts. Without it the parts are put together first. */
  readonly makeForParts?: () => DecoderStep;
}

/** The decoding of one text. */
export class Decoding {
  readonly #steps: readonly DecoderStep[];

  constructor(steps: readonly DecoderStep[]) {
    this.#steps = steps;
  }

  /** The text that is known when one more token has come. */
  push(token: string): string {
    return this.#run([token], 0);
  }

  /** The rest of the text. */
  flush(): string {
    return this.#steps.map((step, i) => this.#run(step.flush(), i + 1)).join("");
  }

  #run(pieces: readonly string[], from: number): string {
    let current = pieces;
    for (const step of this.#steps.slice(from)) current = current.flatMap((piece) => step.push(piece));
    return current.join("");
  }
}

/** Starts decoding a text; "ByteLevel" means that tokens are bytes and no chain is needed. */
export type Decoder = (() => Decoding) | "ByteLevel";

/** @throws GptError naming the part of the file that is not known */
export function readDecoder(part: JsonPart): Decoder {
  if (part.isAbsent) return () => new Decoding([new SpacesBetween()]);
  const makers = readSteps(part, READERS, "decoders");
  if (makers[0] === BYTE_LEVEL && makers.slice(1).every((maker) => maker === FUSE)) return "ByteLevel";
  const firstFusing = makers.findIndex(({ fuses }) => fuses);
  return () => {
    const steps = makers.map(({ make, makeForParts }, i) => {
      if (firstFusing < 0 || i <= firstFusing) return make();
      return makeForParts?.() ?? new PutTogether(make());
    });
    return new Decoding(steps);
  };
}

const BYTE_LEVEL: StepMaker = { make: () => new ByteLevel(), fuses: true };
const FUSE: StepMaker = { make: () => new Through(), fuses: true, makeForParts: () => new Through() };

const READERS: PartReaders<StepMaker> = {
  ByteLevel: () => [BYTE_LEVEL],
  ByteFallback: () => [{ make: () => new ByteFallback() }],
  Fuse: () => [FUSE],
  Replace(part) {
    const find = readPattern(part.part("pattern"));
    const content = part.text("content");
    return [{ make: () => new Replace(find, content) }];
  },
  Strip(part) {
    const [content, start, stop] = [part.text("content"), part.count("start"), part.count("stop")] as const;
    const makeForParts = (): DecoderStep => new StripEnds(content, start, stop);
    return [{ make: () => new OfEachPiece(makeForParts), makeForParts }];
  },
};

class Through implements DecoderStep {
  push(piece: string): readonly string[] {
    return [piece];
  }

  flush(): readonly string[] {
    return [];
  }
}

/** What `tokenizers` does without a decoder. */
class SpacesBetween extends Through {
  #isFirst = true;

  override push(piece: string): readonly string[] {
    const spaced = this.#isFirst ? piece : ` ${piece}`;
    this.#isFirst = false;
    return [spaced];
  }

  override flush(): readonly string[] {
    this.#isFirst = true;
    return [];
  }
}

/** Decodes pieces written in the byte table; a piece with other characters stands for its own bytes. */
class ByteLevel implements DecoderStep {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  push(piece: string): readonly string[] {
    return [this.#decoder.decode(bytesOfToken(piece) ?? new TextEncoder().encode(piece), { stream: true })];
  }

  flush(): readonly string[] {
    return [this.#decoder.decode()];
  }
}

/** Runs of tokens such as "<0x0A>" become the text of these bytes, or one U+FFFD per byte if they are no valid text. */
class ByteFallback implements DecoderStep {
  #bytes: number[] = [];

  push(piece: string): readonly string[] {
    const [, digits] = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece) ?? [];
    if (digits === undefined) return [...this.flush(), piece];
    this.#bytes.push(Number.parseInt(digits, 16));
    return [];
  }

  flush(): readonly string[] {
    const bytes = Uint8Array.from(this.#bytes);
    this.#bytes = [];
    if (bytes.length === 0) return [];
    try {
      return [new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)];
    } catch {
      return ["\uFFFD".repeat(bytes.length)];
    }
  }
}

class Replace extends Through {
  readonly #find: FindMatches;
  readonly #content: string;

  constructor(find: FindMatches, content: string) {
    super();
    this.#find = find;
    this.#content = content;
  }

  override push(piece: string): readonly string[] {
    let replaced = "";
    let done = 0;
    for (const match of this.#find(piece, endlessWork())) {
      replaced += piece.slice(done, match![0]) + this.#content;
      done = match![1];
    }
    return [replaced + piece.slice(done)];
  }
}

/** Removes up to a number of one character from the beginning and the end of a text. */
class StripEnds implements DecoderStep {
  readonly #content: string;
  readonly #start: number;
  readonly #stop: number;
  /** How many may still be taken from the beginning. */
  #leading: number;
  /** How many of them are held back, because the end may come. */
  #held = 0;

  constructor(content: string, start: number, stop: number) {
    this.#content = content;
    this.#start = start;
    this.#stop = stop;
    this.#leading = start;
  }

  push(piece: string): readonly string[] {
    const content = this.#content;
    let begin = 0;
    for (; this.#leading > 0 && piece.startsWith(content, begin); this.#leading--) begin += content.length;
    if (begin < piece.length) this.#leading = 0;
    const text = content.repeat(this.#held) + piece.slice(begin);
    let end = text.length;
    this.#held = 0;
    for (; this.#held < this.#stop && text.endsWith(content, end); this.#held++) end -= content.length;
    return [text.slice(0, end)];
  }

  flush(): readonly string[] {
    this.#leading = this.#start;
    this.#held = 0;
    return [];
  }
}

/** A step that strips the ends of each piece. */
class OfEachPiece extends Through {
  readonly #make: () => DecoderStep;

  constructor(make: () => DecoderStep) {
    super();
    this.#make = make;
  }

  override push(piece: string): readonly string[] {
    return this.#make().push(piece);
  }
}

/** Joins parts into one piece for the next step. */
class PutTogether implements DecoderStep {
  readonly #step: DecoderStep;
  #parts: string[] = [];

  constructor(step: DecoderStep) {
    this.#step = step;
  }

  push(part: string): readonly string[] {
    this.#parts.push(part);
    return [];
  }

  flush(): readonly string[] {
    const whole = this.#parts.join("");
    this.#parts = [];
    return [...this.#step.push(whole), ...this.#step.flush()];
  }
}
