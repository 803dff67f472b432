"""Computes transformers' answers, and how close its decisions were."""

import copy
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import GenerationConfig, GPT2LMHeadModel, LogitsProcessor, LogitsProcessorList
from transformers.utils import logging

from cases import Case
from checkpoints import Checkpoint

logging.disable_progress_bar()
logging.set_verbosity_error()
torch.set_num_threads(1)


@dataclass(frozen=True)
class Answer:
    sequences: list[list[int]]
    scores: list[float]  # beam search only
    gap: float  # the smallest difference between two values whose order the result may depend on


@dataclass(frozen=True)
class Scores:
    """In double precision, and how far the same in f32 is from it anywhere in the text: attention without its scale can
    lose four digits."""

    logprobs: list[float]  # of tokens 1, 2, ...
    last_logits: list[float]
    noise: float


class Gaps:
    """Records the smallest difference on which a decision depended."""

    def __init__(self):
        self.smallest = float("inf")

    def see(self, values: torch.Tensor) -> None:
        """`values`, best first: the order of neighbours mattered."""
        if values.numel() < 2:
            return
        differences = (values[:-1] - values[1:]).abs()
        self.smallest = min(self.smallest, torch.nan_to_num(differences, nan=0.0).min().item())


class Occurrences(LogitsProcessor):
    """Frequency and presence penalty by OpenAI's formula, which transformers does not have. It is applied after transformers' own
    processors. The order makes no difference, because their bans are -inf."""

    def __init__(self, prompt: int, extras: dict):
        self.prompt = prompt
        self.frequency = extras.get("frequency_penalty", 0.0)
        self.presence = extras.get("presence_penalty", 0.0)

    def __call__(self, input_ids, scores):
        if self.frequency == 0 and self.presence == 0:
            return scores
        scores = scores.clone()
        for row, ids in enumerate(input_ids[:, self.prompt :]):
            for id, count in Counter(ids.tolist()).items():
                scores[row, id] -= count * self.frequency + self.presence
        return scores


class Reference:
    def __init__(self, directory: Path, checkpoint: Checkpoint):
        self.checkpoint = checkpoint
        self.model, info = GPT2LMHeadModel.from_pretrained(
            directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
        if info["missing_keys"]:
            raise RuntimeError(f"transformers misses {info['missing_keys']} in {directory}")
        self.model.eval()
        self.double: GPT2LMHeadModel | None = None
        self.gaps = Gaps()
        self.eos = checkpoint.eos
        self._watch_beams()

    def _watch_beams(self) -> None:
        """Observes the three places of `_beam_search` that compare scores."""
        model = self.model
        top_k, finish, early_stop = (
            model._get_top_k_continuations,
            model._update_finished_beams,
            model._check_early_stop_heuristic,
        )

        def watched_top_k(**arguments):
            result = top_k(**arguments)
            beams, kept = arguments["num_beams"], arguments["beams_to_keep"]
            flat = arguments["accumulated_log_probs"][0]
            values, indices = torch.topk(flat, min(kept + 1, flat.numel()))
            stops = torch.isin(indices % (flat.numel() // beams), torch.tensor(self.eos))
            running = torch.cumsum(~stops, 0)
            self.gaps.see(values[: int((running <= beams).sum()) + 1])
            return result

        def watched_finish(**arguments):
            result = finish(**arguments)
            self.gaps.see(result[1][0][result[3][0]])
            return result

        def watched_early_stop(**arguments):
            length = arguments["cur_len"] - arguments["decoder_prompt_len"]
            if arguments["is_sent_finished"].all():
                best = arguments["running_beam_scores"][0, :1] / length ** arguments["length_penalty"]
                self.gaps.see(torch.cat([best, arguments["beam_scores"].min().view(1)]))
            return early_stop(**arguments)

        model._get_top_k_continuations = watched_top_k
        model._update_finished_beams = watched_finish
        model._check_early_stop_heuristic = watched_early_stop

    def generate(self, case: Case, early_stopping: bool = False, length_penalty: float = 1.0) -> Answer:
        """Cuts each sequence after the token or string that ends it."""
        self.gaps.smallest = float("inf")
        eos = self.eos = case.eos(self.checkpoint)
        extras = case.extras
        bias = {(int(id),): float(value) for id, value in extras.get("logit_bias", {}).items()}
        processors = LogitsProcessorList([Occurrences(len(case.prompt), extras)])
        config = GenerationConfig(
            do_sample=False,
            num_beams=max(1, case.num_beams),
            early_stopping=early_stopping,
            length_penalty=length_penalty,
            max_length=case.max_length,
            no_repeat_ngram_size=case.no_repeat_ngram_size,
            num_return_sequences=case.num_return_sequences,
            repetition_penalty=extras.get("repetition_penalty", 1.0),
            sequence_bias=bias or None,
            min_new_tokens=extras.get("min_new_tokens") or None,
            eos_token_id=eos or None,
            pad_token_id=0,
            return_dict_in_generate=True,
            output_scores=True,
        )
        # Transformers would read None as the checkpoint's own.
        self.model.generation_config.eos_token_id = eos or None
        ids = torch.tensor([case.prompt])
        with torch.no_grad():
            out = self.model.generate(
                ids, attention_mask=torch.ones_like(ids), generation_config=config, logits_processor=processors
            )
        if case.num_beams <= 1:
            for row in out.scores:
                self.gaps.see(torch.topk(row[0], 2)[0])
        rows = [cut(row.tolist(), len(case.prompt), eos) for row in out.sequences]
        scores = out.sequences_scores.tolist() if case.num_beams > 1 else []
        return Answer(rows, scores, self.gaps.smallest)

    def score(self, text: list[int]) -> "Scores":
        ids = torch.tensor([text])
        with torch.no_grad():
            logits, exact = self.model(ids).logits[0].double(), self._exact()(ids).logits[0]
        logprobs = torch.log_softmax(exact, dim=-1)
        noise = max((logits - exact).abs().max().item(), (torch.log_softmax(logits, -1) - logprobs).abs().max().item())
        return Scores([logprobs[i, id].item() for i, id in enumerate(text[1:])], exact[-1].tolist(), noise)

    def _exact(self) -> GPT2LMHeadModel:
        """The same model in double precision."""
        if self.double is None:
            self.double = copy.deepcopy(self.model).double()
            for block in self.double.transformer.h:
                block.attn.reorder_and_upcast_attn = False  # It asks for f32, and changes nothing else.
        return self.double


def cut(row: list[int], prompt: int, eos: list[int]) -> list[int]:
    """The ids without the padding after the first new end-of-text token."""
    end = next((i for i in range(prompt, len(row)) if row[i] in eos), len(row) - 1)
    return row[: end + 1]
