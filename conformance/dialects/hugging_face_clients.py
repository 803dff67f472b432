"""Hugging Face's clients: `huggingface_hub` in each of its generations, and TGI's own where it is installed beside it."""

import contextlib

import huggingface_hub
from huggingface_hub import InferenceClient
from huggingface_hub.errors import TextGenerationError

from checks import BASE, GREEDY, INVOCATIONS, PROMPT, TOKEN, check, raises, run, same

NAME = f"huggingface_hub {huggingface_hub.__version__}"


@check(NAME)
def text_details_and_stream():
    for url in (BASE, INVOCATIONS):
        client = InferenceClient(model=url, token=TOKEN)
        same(client.text_generation(PROMPT, max_new_tokens=12, return_full_text=False), GREEDY)
        details = client.text_generation(PROMPT, max_new_tokens=12, details=True, return_full_text=False)
        same((details.generated_text, details.details.generated_tokens), (GREEDY, 12))
        same("".join(client.text_generation(PROMPT, max_new_tokens=12, stream=True)), GREEDY)
        tokens = list(client.text_generation(PROMPT, max_new_tokens=12, stream=True, details=True, return_full_text=False))
        same((len(tokens), tokens[-1].generated_text), (12, GREEDY))
        stopped = client.text_generation(PROMPT, max_new_tokens=12, stop=["m n"], return_full_text=False)
        same(stopped, ' said, "I am not')


@check(NAME)
def sampled_with_a_seed():
    client = InferenceClient(model=BASE, token=TOKEN)
    options = {"max_new_tokens": 12, "do_sample": True, "temperature": 0.8, "top_p": 0.9, "seed": 7, "return_full_text": False}
    text = client.text_generation(PROMPT, **options)
    same(client.text_generation(PROMPT, **options), text)
    same("".join(client.text_generation(PROMPT, **options, stream=True)), text)


@check(NAME)
def errors():
    client = InferenceClient(model=BASE, token=TOKEN)
    raises(TextGenerationError, lambda: client.text_generation(PROMPT, max_new_tokens=100_000))


with contextlib.suppress(ImportError):
    from text_generation import Client
    from text_generation.errors import ValidationError

    @check("text-generation")
    def generate_stream_and_error():
        client = Client(BASE, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = client.generate(PROMPT, max_new_tokens=12)
        same((answer.generated_text, answer.details.generated_tokens), (GREEDY, 12))
        pieces = list(client.generate_stream(PROMPT, max_new_tokens=12))
        same("".join(piece.token.text for piece in pieces), GREEDY)
        same(pieces[-1].generated_text, GREEDY)
        raises(ValidationError, lambda: client.generate(PROMPT, max_new_tokens=100_000))


run()
