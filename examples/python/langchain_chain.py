"""A chain of LangChain: a prompt with a blank, the model, and the first line of what it says. GPT2_API_TOKEN is what `gpt2-api token`
prints."""

import os

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import PromptTemplate
from langchain_openai import OpenAI

url = os.environ.get("GPT2_API_URL", "http://127.0.0.1:8080")
model = OpenAI(
    base_url=f"{url}/v1",
    api_key=os.environ.get("GPT2_API_TOKEN", "unused"),
    model="gpt-2",
    max_tokens=30,
    temperature=0.7,
    seed=1,
)
first_line = StrOutputParser() | (lambda text: text.strip().splitlines()[0])
chain = PromptTemplate.from_template("The {who} opened the door and") | model | first_line
for who in ["captain", "doctor"]:
    print(f"{who}: {chain.invoke({'who': who})}")
