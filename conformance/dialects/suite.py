"""Real clients against this server, on the shipped model in f32, with a bearer token that is made of its key pair: every client must
understand every answer, and all must get the same texts. Exit code 1 if one does not."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import traceback
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("GPT2_API", ROOT / "dist/src/cli/main.js"))
PAIR = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a secret of the suite"}
PROMPT = "The old man looked at the sea and"
GREEDY = ' said, "I am not a man, but I am'
os.environ.update(PAIR, AWS_REGION_NAME="us-east-1", AWS_DEFAULT_REGION="us-east-1", LITELLM_LOCAL_MODEL_COST_MAP="True")

checks = []


def check(client):
    def add(function):
        checks.append((f"{client}: {function.__name__.replace('_', ' ')}", function))
        return function

    return add


def same(got, want):
    assert got == want, f"got {got!r}, expected {want!r}"


@contextlib.contextmanager
def server():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["node", PROGRAM, "serve", "--model", ROOT / "models/tiny", "--precision", "f32", "--port", str(port)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{base}/ping").read()
                break
            time.sleep(0.1)
        token = subprocess.run(["node", PROGRAM, "token"], capture_output=True, text=True, check=True).stdout.strip()
        yield base, token
    finally:
        process.terminate()
        process.wait(30)


def openai_client(base, token, path="/v1"):
    from openai import OpenAI

    return OpenAI(base_url=base + path, api_key=token, max_retries=0)


@check("openai")
def greedy(base, token):
    for path, model in (("/v1", "gpt-2"), ("/endpoints/gpt-2/openai/v1", "")):
        answer = openai_client(base, token, path).completions.create(model=model, prompt=PROMPT, max_tokens=12, temperature=0)
        same(answer.choices[0].text, GREEDY)
        same((answer.choices[0].finish_reason, answer.usage.total_tokens), ("length", 20))
        assert answer.system_fingerprint.startswith("fp_") and answer._request_id


@check("openai")
def lists_echo_and_logprobs(base, token):
    answer = openai_client(base, token).completions.create(
        model="gpt-2", prompt=[PROMPT, "Once"], max_tokens=2, temperature=0, logprobs=3, echo=True, n=1
    )
    same([choice.index for choice in answer.choices], [0, 1])
    same(answer.choices[0].logprobs.token_logprobs[0], None)
    same("".join(answer.choices[0].logprobs.tokens), answer.choices[0].text)


@check("openai")
def streams(base, token):
    client = openai_client(base, token)
    stream = client.completions.create(
        model="gpt-2", prompt=PROMPT, max_tokens=12, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    same("".join(choice.text for chunk in chunks for choice in chunk.choices), GREEDY)
    same((chunks[-1].choices, chunks[-1].usage.completion_tokens), ([], 12))


@check("openai")
def errors(base, token):
    import openai

    client = openai_client(base, token)
    cases = [
        (openai.NotFoundError, "model_not_found", {"model": "none"}),
        (openai.BadRequestError, "context_length_exceeded", {"prompt": " a" * 300}),
        (openai.BadRequestError, "invalid_value", {"stop": ""}),
    ]
    for kind, code, change in cases:
        try:
            client.completions.create(**{"model": "gpt-2", "prompt": "a", **change})
            raise AssertionError(f"{code} was not raised")
        except kind as error:
            same(error.code, code)
    for key, kind in (("wrong", openai.AuthenticationError), (token + "A", openai.AuthenticationError)):
        try:
            openai_client(base, key).models.list()
            raise AssertionError("a wrong key was taken")
        except kind:
            pass
    try:
        client.chat.completions.create(model="gpt-2", messages=[{"role": "user", "content": "a"}])
        raise AssertionError("chat was answered")
    except openai.NotFoundError as error:
        assert "chat template" in str(error)


@check("openai")
def models(base, token):
    client = openai_client(base, token)
    same([model.id for model in client.models.list()], ["gpt-2"])
    same(client.models.retrieve("openai-community/tiny").id, "gpt-2")


@check("langchain-openai")
def invoke_generate_and_stream(base, token):
    from langchain_openai import OpenAI

    llm = OpenAI(model="gpt-2", base_url=f"{base}/v1", api_key=token, max_tokens=12, temperature=0)
    same(llm.invoke(PROMPT), GREEDY)
    result = llm.generate([PROMPT, "Once"])
    assert result.llm_output["token_usage"]["completion_tokens"] == 24
    same("".join(llm.stream(PROMPT)), GREEDY)


@check("litellm")
def text_completion(base, token):
    import litellm

    for model in ("text-completion-openai/gpt-2", "hosted_vllm/gpt-2"):
        options = {"model": model, "prompt": PROMPT, "api_base": f"{base}/v1", "api_key": token, "max_tokens": 12, "temperature": 0}
        same(litellm.text_completion(**options).choices[0].text, GREEDY)
        pieces = litellm.text_completion(**options, stream=True)
        same("".join(piece.choices[0].text or "" for piece in pieces), GREEDY)
    try:
        litellm.text_completion(**{**options, "model": "text-completion-openai/gpt-2", "prompt": " a" * 300})
        raise AssertionError("a prompt that is too long was taken")
    except litellm.ContextWindowExceededError:
        pass


@check("litellm")
def sagemaker(base, _):
    import litellm

    options = {
        "model": "sagemaker/gpt-2", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 12,
        "return_full_text": False, "sagemaker_base_url": f"{base}/endpoints/gpt-2/invocations",
    }
    assert litellm.completion(**options).choices[0].message.content
    pieces = [piece.choices[0].delta.content or "" for piece in litellm.completion(**options, stream=True)]
    assert len("".join(pieces)) > 5, pieces


@check("huggingface_hub")
def text_generation_details_and_stream(base, token):
    from huggingface_hub import InferenceClient

    for url in (base, f"{base}/endpoints/gpt-2/invocations"):
        client = InferenceClient(model=url, token=token)
        same(client.text_generation(PROMPT, max_new_tokens=12, return_full_text=False), GREEDY)
        details = client.text_generation(PROMPT, max_new_tokens=12, details=True, return_full_text=False)
        same((details.generated_text, details.details.generated_tokens), (GREEDY, 12))
        same("".join(client.text_generation(PROMPT, max_new_tokens=12, stream=True)), GREEDY)
        stopped = client.text_generation(PROMPT, max_new_tokens=12, stop=["m n"], return_full_text=False)
        same(stopped, ' said, "I am not')


@check("text-generation")
def generate_stream_and_error(base, token):
    from text_generation import Client
    from text_generation.errors import ValidationError

    client = Client(base, headers={"Authorization": f"Bearer {token}"})
    answer = client.generate(PROMPT, max_new_tokens=12)
    same((answer.generated_text, answer.details.generated_tokens), (GREEDY, 12))
    pieces = list(client.generate_stream(PROMPT, max_new_tokens=12))
    same("".join(piece.token.text for piece in pieces), GREEDY)
    same(pieces[-1].generated_text, GREEDY)
    try:
        client.generate(PROMPT, max_new_tokens=100_000)
        raise AssertionError("too many tokens were taken")
    except ValidationError:
        pass


def main() -> int:
    failed = 0
    with server() as (base, token):
        for name, function in checks:
            try:
                function(base, token)
                print(f"ok      {name}")
            except Exception:
                failed += 1
                print(f"FAILED  {name}")
                traceback.print_exc()
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
