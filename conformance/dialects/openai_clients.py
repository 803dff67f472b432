"""OpenAI's own client and those that speak its completions: LangChain, LiteLLM, llm."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from checks import BASE, GREEDY, INVOCATIONS, IS_OPEN, PROMPT, TOKEN, check, raises, run, same

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
TOO_LONG = " a" * 600


def client(path="/v1", key=TOKEN):
    from openai import OpenAI

    return OpenAI(base_url=BASE + path, api_key=key, max_retries=0)


def complete(**options):
    return client().completions.create(**{"model": "gpt-2", "prompt": PROMPT, "max_tokens": 12, "temperature": 0, **options})


@check("openai")
def greedy():
    for path, model in (("/v1", "gpt-2"), ("/endpoints/gpt-2/openai/v1", "")):
        answer = client(path).completions.create(model=model, prompt=PROMPT, max_tokens=12, temperature=0)
        same(answer.choices[0].text, GREEDY)
        same((answer.choices[0].finish_reason, answer.usage.total_tokens), ("length", 20))
        assert answer.system_fingerprint.startswith("fp_") and answer._request_id


@check("openai")
def sampled_with_a_seed():
    options = {"temperature": 0.8, "top_p": 0.9, "seed": 7, "n": 2}
    texts = [choice.text for choice in complete(**options).choices]
    same([choice.text for choice in complete(**options).choices], texts)
    assert texts[0] != texts[1] and complete(**{**options, "seed": 8}).choices[0].text != texts[0]
    pieces = ["", ""]
    for chunk in complete(**options, stream=True):
        for choice in chunk.choices:
            pieces[choice.index] += choice.text
    same(pieces, texts)


@check("openai")
def lists_echo_and_logprobs():
    answer = complete(prompt=[PROMPT, "Once"], max_tokens=2, logprobs=3, echo=True, n=1)
    same([choice.index for choice in answer.choices], [0, 1])
    same(answer.choices[0].logprobs.token_logprobs[0], None)
    same("".join(answer.choices[0].logprobs.tokens), answer.choices[0].text)
    whole = complete(prompt=[[464, 1468, 582], [7454]], max_tokens=0, logprobs=1, echo=True)
    same([len(choice.logprobs.tokens) for choice in whole.choices], [3, 1])


@check("openai")
def stop_strings():
    stopped = complete(stop=["m n", "never"])
    same((stopped.choices[0].text, stopped.choices[0].finish_reason), (' said, "I a', "stop"))


@check("openai")
def streams():
    chunks = list(complete(stream=True, stream_options={"include_usage": True}))
    same("".join(choice.text for chunk in chunks for choice in chunk.choices), GREEDY)
    same((chunks[-1].choices, chunks[-1].usage.completion_tokens), ([], 12))
    assert all(chunk.choices for chunk in complete(stream=True))


@check("openai")
def errors():
    import openai

    cases = [
        (openai.NotFoundError, "model_not_found", {"model": "none"}),
        (openai.BadRequestError, "context_length_exceeded", {"prompt": TOO_LONG}),
        (openai.BadRequestError, "invalid_value", {"stop": ""}),
    ]
    for kind, code, change in cases:
        same(raises(kind, lambda change=change: complete(**change)).code, code)
    messages = [{"role": "user", "content": "a"}]
    error = raises(openai.NotFoundError, lambda: client().chat.completions.create(model="gpt-2", messages=messages))
    assert "chat template" in str(error)
    if not IS_OPEN:
        for key in ("wrong", f"{TOKEN}A"):
            raises(openai.AuthenticationError, lambda key=key: client(key=key).models.list())


@check("openai")
def models():
    same([model.id for model in client().models.list()], ["gpt-2"])
    same(client().models.retrieve("openai-community/tiny").id, "gpt-2")


@check("langchain-openai")
def invoke_generate_and_stream():
    from langchain_openai import OpenAI

    llm = OpenAI(model="gpt-2", base_url=f"{BASE}/v1", api_key=TOKEN, max_tokens=12, temperature=0)
    same(llm.invoke(PROMPT), GREEDY)
    same(llm.generate([PROMPT, "Once"]).llm_output["token_usage"]["completion_tokens"], 24)
    same("".join(llm.stream(PROMPT)), GREEDY)
    same(llm.bind(stop=["m n"]).invoke(PROMPT), ' said, "I a')


@check("litellm")
def text_completion():
    import litellm

    litellm.suppress_debug_info = True

    for model in ("text-completion-openai/gpt-2", "openai/gpt-2", "hosted_vllm/gpt-2"):
        options = {"model": model, "prompt": PROMPT, "api_base": f"{BASE}/v1", "api_key": TOKEN, "max_tokens": 12, "temperature": 0}
        same(litellm.text_completion(**options).choices[0].text, GREEDY)
        pieces = litellm.text_completion(**options, stream=True)
        same("".join(piece.choices[0].text or "" for piece in pieces), GREEDY)
    too_long = {**options, "model": "text-completion-openai/gpt-2", "prompt": TOO_LONG}
    raises(litellm.ContextWindowExceededError, lambda: litellm.text_completion(**too_long))


@check("litellm")
def sagemaker():
    import litellm

    litellm.suppress_debug_info = True

    options = {
        "model": "sagemaker/gpt-2",
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": 12,
        "return_full_text": False,
        "sagemaker_base_url": INVOCATIONS,
    }
    assert litellm.completion(**options).choices[0].message.content
    pieces = [piece.choices[0].delta.content or "" for piece in litellm.completion(**options, stream=True)]
    assert len("".join(pieces)) > 5, pieces


@check("llm")
def streamed_whole_and_with_options():
    with tempfile.TemporaryDirectory() as folder:
        model = f'- {{model_id: g2, model_name: gpt-2, api_base: "{BASE}/v1", completion: true, api_key_name: g2}}\n'
        Path(folder, "extra-openai-models.yaml").write_text(model)
        environment = {**os.environ, "LLM_USER_PATH": folder}

        def llm(*arguments):
            command = [Path(sys.executable).parent / "llm", "-m", "g2", "--key", TOKEN, "-o", "temperature", "0", *arguments, PROMPT]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            return done.stdout.rstrip("\n")

        same(llm("-o", "max_tokens", "12"), GREEDY)
        same(llm("-o", "max_tokens", "12", "--no-stream"), GREEDY)
        same(llm("-o", "max_tokens", "12", "-o", "logprobs", "3"), GREEDY)
        assert llm().startswith(GREEDY)


run()
