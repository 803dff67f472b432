"""Which of several endings a model finds most likely: log-likelihoods by OpenAI's `echo` with `logprobs`, as lm-evaluation-harness
asks for them. GPT2_API_TOKEN is what `gpt2-api token` prints."""

import os

from openai import OpenAI

url = os.environ.get("GPT2_API_URL", "http://127.0.0.1:8080")
client = OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("GPT2_API_TOKEN", "unused"))
QUESTIONS = [
    ("The sun rises in the", [" east.", " kitchen.", " quickly."]),
    ("She put on her coat and went", [" out.", " yellow.", " seven."]),
]


def log_likelihood(context, ending):
    """ln P(ending | context)"""
    answer = client.completions.create(model="gpt-2", prompt=context + ending, max_tokens=0, echo=True, logprobs=0)
    scored = answer.choices[0].logprobs
    tokens = zip(scored.text_offset, scored.token_logprobs, strict=True)
    return sum(logprob for offset, logprob in tokens if offset >= len(context))


for context, endings in QUESTIONS:
    scores = {ending: log_likelihood(context, ending) for ending in endings}
    for ending, score in sorted(scores.items(), key=lambda item: -item[1]):
        print(f"{score:8.2f} {context}{ending}")
