"""Hugging Face's client. GPT2_API_TOKEN is what `gpt2-api token` prints."""

import os

from huggingface_hub import InferenceClient

url = os.environ.get("GPT2_API_URL", "http://127.0.0.1:8080")
client = InferenceClient(model=f"{url}/endpoints/gpt-2/invocations", token=os.environ.get("GPT2_API_TOKEN", "unused"))
print(client.text_generation("The old man looked at", max_new_tokens=20, seed=1))
