"""OpenAI's client: a stream, and what each token's probability was. GPT2_API_TOKEN is what `gpt2-api token` prints."""

import math
import os

from openai import OpenAI

url = os.environ.get("GPT2_API_URL", "http://127.0.0.1:8080")
client = OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("GPT2_API_TOKEN", "unused"))
request = {"model": "gpt-2", "prompt": "The old man looked at", "max_tokens": 12, "temperature": 0}

for chunk in client.completions.create(**request, stream=True):
    print(chunk.choices[0].text if chunk.choices else "", end="", flush=True)
print()

logprobs = client.completions.create(**request, logprobs=1).choices[0].logprobs
for token, logprob in zip(logprobs.tokens, logprobs.token_logprobs, strict=True):
    print(f"{math.exp(logprob):6.1%} {token!r}")
