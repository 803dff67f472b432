"""AWS's own client: a whole answer and a stream. The key pair is in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""

import json
import os

import boto3

url = os.environ.get("GPT2_API_URL", "http://127.0.0.1:8080")
client = boto3.client("sagemaker-runtime", endpoint_url=url, region_name="us-east-1")
request = {"input": "The old man looked at", "max_new_tokens": 20, "num_return_sequences": 1, "seed": 1}
asked = {"EndpointName": "gpt-2", "ContentType": "application/json", "Body": json.dumps(request)}

response = client.invoke_endpoint(**asked)
print(json.loads(response["Body"].read())[0])

stream = client.invoke_endpoint_with_response_stream(**asked, Accept="application/jsonlines")
for event in stream["Body"]:
    print(event["PayloadPart"]["Bytes"].decode(), end="")
