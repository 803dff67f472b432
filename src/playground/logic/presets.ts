// Named sets of parameters, for people who do not know the parameters yet.

export interface Preset {
  readonly name: string;
  readonly help: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export const PRESETS: readonly Preset[] = [
  { name: "As it comes", help: "The server's defaults.", parameters: {} },
  {
    name: "Careful",
    help: "Likely words only: little risk, little surprise.",
    parameters: { mode: "sample", temperature: 0.5, top_k: 40, top_p: 0.9 },
  },
  {
    name: "Bold",
    help: "Unlikely words get their chance.",
    parameters: { mode: "sample", temperature: 1.2, top_k: 0, top_p: 0.98 },
  },
  {
    name: "The whole distribution",
    help: "Draws from the model's own probabilities, with nothing cut.",
    parameters: { mode: "sample", temperature: 1, top_k: 0, top_p: 1 },
  },
  {
    name: "Always the likeliest",
    help: "Greedy search; watch it fall into a loop.",
    parameters: { mode: "greedy", num_return_sequences: 1 },
  },
  {
    name: "Beams",
    help: "Five lines of text compete; see the tree.",
    parameters: { mode: "beam", num_beams: 5, num_return_sequences: 3, max_length: 40 },
  },
];
