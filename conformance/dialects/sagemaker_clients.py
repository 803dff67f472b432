"""AWS's own Python clients with Hugging Face bodies: the predictor of the SageMaker SDK 2, the resources of its successor, and
LangChain's endpoint. Each program runs in one environment, so only the clients that are installed there are checked."""

import contextlib
import json
import os

from checks import BASE, GREEDY, PROMPT, check, raises, run, same

os.environ["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] = BASE
PARAMETERS = {"max_new_tokens": 12, "return_full_text": False}
BODY = {"inputs": PROMPT, "parameters": PARAMETERS}


def text_of_events(data):
    """The text of server-sent events, joined token by token."""
    lines = [line for line in data.decode().split("\n") if line.startswith("data:")]
    return "".join(json.loads(line[5:])["token"]["text"] for line in lines)


with contextlib.suppress(ImportError):
    import boto3
    import sagemaker
    from sagemaker.huggingface.model import HuggingFacePredictor
    from sagemaker.iterators import ByteIterator, LineIterator

    @check("sagemaker 2")
    def predictor_whole_and_streamed():
        runtime = boto3.client("sagemaker-runtime", region_name="us-east-1", endpoint_url=BASE)
        boto_session = boto3.Session(region_name="us-east-1")
        session = sagemaker.Session(boto_session=boto_session, sagemaker_runtime_client=runtime, default_bucket="none")
        predictor = HuggingFacePredictor("gpt-2", sagemaker_session=session)
        same(predictor.predict(BODY), [{"generated_text": GREEDY}])
        for iterator in (ByteIterator, LineIterator):
            parts = list(predictor.predict_stream({**BODY, "stream": True}, iterator=iterator))
            same(text_of_events((b"\n" if iterator is LineIterator else b"").join(parts)), GREEDY)


with contextlib.suppress(ImportError):
    from sagemaker.core.resources import Endpoint

    @check("sagemaker-core")
    def endpoint_invoke():
        endpoint = Endpoint(endpoint_name="gpt-2", endpoint_config_name="none")
        answer = endpoint.invoke(body=json.dumps(BODY), content_type="application/json", accept="application/json")
        same(json.loads(answer.body.read()), [{"generated_text": GREEDY}])


with contextlib.suppress(ImportError):
    from botocore.exceptions import ClientError
    from langchain_aws.llms.sagemaker_endpoint import LLMContentHandler, SagemakerEndpoint

    class Handler(LLMContentHandler):
        content_type = accepts = "application/json"

        def transform_input(self, prompt, model_kwargs):
            return json.dumps({"inputs": prompt, "parameters": model_kwargs}).encode()

        def transform_output(self, output):
            if isinstance(output, bytes):
                return json.loads(output[5:])["token"]["text"] if output.startswith(b"data:") else ""
            return json.loads(output.read())[0]["generated_text"]

    class StreamHandler(Handler):
        def transform_input(self, prompt, model_kwargs):
            return json.dumps({"inputs": prompt, "parameters": model_kwargs, "stream": True}).encode()

    def endpoint(handler, **options):
        return SagemakerEndpoint(
            endpoint_name="gpt-2", region_name="us-east-1", endpoint_url=BASE, content_handler=handler(), **options
        )

    @check("langchain-aws")
    def invoke_and_stream():
        same(endpoint(Handler, model_kwargs=PARAMETERS).invoke(PROMPT), GREEDY)
        streaming = endpoint(StreamHandler, model_kwargs=PARAMETERS, streaming=True)
        same("".join(streaming.stream(PROMPT)), GREEDY)

    @check("langchain-aws")
    def errors():
        refused = endpoint(Handler, model_kwargs={"max_new_tokens": 100_000})
        error = raises(ClientError, lambda: refused.invoke(PROMPT))
        assert "max_new_tokens" in str(error), error


run()
